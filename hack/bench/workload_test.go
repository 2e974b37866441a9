// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// TestWorkload: objects of any number ask for paths that differ, and all paths
// are asked for by about the same number.
func TestWorkload(t *testing.T) {
	for objects, paths := range map[int]int{5: 5, 37: 5, 100: 10, 1000: 100, 10000: 1000} {
		w := workloadOf(objects)
		if w.paths != paths {
			t.Errorf("%d objects have %d paths, want %d", objects, w.paths, paths)
		}
		users := make([]int, w.paths)
		for i := range objects {
			seen := map[int]bool{}
			for j := range entries {
				p := w.path(i, j)
				seen[p] = true
				users[p]++
			}
			if len(seen) != entries {
				t.Fatalf("object %d of %d asks for %d paths", i, objects, len(seen))
			}
		}
		for p, n := range users {
			if even := objects * entries / paths; n < even-entries || n > even+entries {
				t.Errorf("path %d of %d is asked for by %d objects, want about %d", p, paths, n, even)
			}
			if got := w.users(p); p < 5 && got != n {
				t.Errorf("path %d has %d users, want %d", p, got, n)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, i := range []int{0, 7, 99999} {
		if got, ok := numberOf(nameOf(i)); !ok || got != i {
			t.Errorf("%s is number %d", nameOf(i), got)
		}
	}
	for _, name := range []string{"store", "app-", "app-1", "app--0001", "app-000001"} {
		if i, ok := numberOf(name); ok {
			t.Errorf("%s is number %d", name, i)
		}
	}
}

func TestRight(t *testing.T) {
	s := newState(workloadOf(100))
	held := func() map[string][]byte {
		out := map[string][]byte{}
		for j := range entries {
			p := s.path(3, j)
			out[key(j)] = []byte(value(p, j, s.version(p)))
		}
		return out
	}
	data := held()
	if !s.right(3, data) {
		t.Error("what the manager holds is not right")
	}
	if s.right(4, data) {
		t.Error("what is another object's is right")
	}
	s.bump([]int{s.path(3, 4)})
	if s.right(3, data) {
		t.Error("what was before a change is right after it")
	}
	data = held()
	data["more"] = nil
	if s.right(3, data) {
		t.Error("a key too many is right")
	}
	if n := len(value(1, 2, 3)); n != len(value(99999, 4, 99999)) {
		t.Errorf("values are not of one length: %d", n)
	}
}
