// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

const (
	entries = 5  // of an object, each of another path
	sharing = 10 // objects for each path
)

// workload is so many objects over so many paths.
type workload struct{ objects, paths int }

// workloadOf spreads objects over a tenth as many paths, as the figures that
// Lockstep is compared with were measured.
func workloadOf(objects int) workload {
	return workload{objects: objects, paths: max(entries, objects/sharing)}
}

// path is where the j-th entry of the i-th object is. Every path is read by the
// same number of objects, give or take one for each entry.
func (w workload) path(i, j int) int { return (i + j*w.paths/entries) % w.paths }

// users are the objects that read a path.
func (w workload) users(path int) (n int) {
	for i := range w.objects {
		for j := range entries {
			if w.path(i, j) == path {
				n++
				break
			}
		}
	}
	return n
}

// nameOf is the name of the i-th object, and of its Secret.
func nameOf(i int) string { return fmt.Sprintf("app-%05d", i) }

// numberOf is the inverse of nameOf.
func numberOf(name string) (int, bool) {
	text, ok := strings.CutPrefix(name, "app-")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(text)
	return i, err == nil && i >= 0 && nameOf(i) == name
}

// property is the j-th property of each path, and key the j-th key of a Secret.
func property(j int) string { return fmt.Sprintf("p%d", j) }
func key(j int) string      { return fmt.Sprintf("k%d", j) }

// value is what a property holds in a version of its path: 32 bytes.
func value(path, j, version int) string {
	return fmt.Sprintf("value-%06d-%06d-%06d-%05d", path, j, version, (path*31+j*7+version)%99999)
}

// state is what the manager holds: the version of each path.
type state struct {
	workload
	mu       sync.RWMutex
	versions []int
}

func newState(w workload) *state {
	s := &state{workload: w, versions: make([]int, w.paths)}
	for i := range s.versions {
		s.versions[i] = 1
	}
	return s
}

// version is that of a path, and 0 when there is no such path.
func (s *state) version(path int) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if path < 0 || path >= len(s.versions) {
		return 0
	}
	return s.versions[path]
}

// bump gives paths their next version.
func (s *state) bump(paths []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		s.versions[p]++
	}
}

// right reports whether the data of a Secret is what the i-th object asks for.
func (s *state) right(i int, data map[string][]byte) bool {
	if i < 0 || i >= s.objects || len(data) != entries {
		return false
	}
	for j := range entries {
		p := s.path(i, j)
		if string(data[key(j)]) != value(p, j, s.version(p)) {
			return false
		}
	}
	return true
}

// all are the paths.
func (w workload) all() []int {
	out := make([]int, w.paths)
	for i := range out {
		out[i] = i
	}
	return out
}
