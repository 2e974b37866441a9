// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// named is a ref by name.
func named(name string) backend.Ref {
	return backend.Ref{Path: name, Kind: typeArbitrary, Args: "name"}
}

// fill puts n arbitrary secrets into the instance and returns their ids by
// name.
func (w *world) fill(prefix string, n int) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("%s-%05d", prefix, i)
		out[name] = w.put(name, typeArbitrary, map[string]any{"payload": "p"}).Path
	}
	return out
}

// resolveAll resolves names eight at a time.
func resolveAll(ctx context.Context, r *reader, want map[string]string) error {
	names := make(chan string)
	errs := make(chan error, len(want))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name := range names {
				id, err := r.api.resolve(ctx, named(name))
				if err == nil && id != want[name] {
					err = fmt.Errorf("%s has another id", name)
				}
				errs <- err
			}
		})
	}
	for name := range want {
		names <- name
	}
	close(names)
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

// lists counts the pages that were asked for.
func (w *world) lists() int { return w.Stats().Kinds[ibmsm.KindList] }

// TestNamesOnce: a thousand names that fit on a page cost one request, now and
// later.
func TestNamesOnce(t *testing.T) {
	w := start(t, ibmsm.Options{})
	want := w.fill("name", 1000)
	w.put("name-00000", typeKV, map[string]any{"data": map[string]any{"k": "v"}})
	r := w.open(nil).Reader.(*reader)
	for range 2 {
		if err := resolveAll(t.Context(), r, want); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.lists(); n != 1 {
		t.Errorf("%d lists, want 1", n)
	}
}

// TestReadByNameCost: reading by name costs what reading by id does, and one
// list.
func TestReadByNameCost(t *testing.T) {
	w := start(t, ibmsm.Options{})
	want := w.fill("name", 1000)
	b := w.open(nil)
	names := make(chan string)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for name := range names {
				if _, err := read(t.Context(), b, named(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for name := range want {
		names <- name
	}
	close(names)
	wg.Wait()
	if lists, all := w.lists(), w.Stats().Total-w.tokens(); lists != 1 || all != 1001 {
		t.Errorf("%d requests, %d of them lists; want 1001 and 1", all, lists)
	}
	for _, id := range want {
		if n := w.Stats().Reads[id]; n != 1 {
			t.Fatalf("%s is read %d times", id, n)
		}
	}
}

// TestReadByGroup: the group, the type and the name are enough for one request,
// which needs no permission to list.
func TestReadByGroup(t *testing.T) {
	w := start(t, ibmsm.Options{})
	w.seed(ibmsm.Seed{Name: "grouped", Group: "team x/y", Fields: map[string]any{"payload": "p"}})
	w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Status: 403})
	b := w.open(nil)
	ref := named("grouped")
	ref.Args += ":team x/y"
	for range 2 {
		n := w.asked(func() {
			s, err := read(t.Context(), b, ref)
			if err != nil || string(s.Payload.Reveal()) != "p" {
				t.Errorf("it does not hold its value: %v", err)
			}
		})
		if n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	}
	ref.Path = "none"
	_, err := read(t.Context(), b, ref)
	failed(t, err, backend.NotFound, "IBM Cloud Secrets Manager has no arbitrary none")
}

// TestReadMoved: a name is never answered with another secret, or with a dead
// one.
func TestReadMoved(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := named("moving")
	holds := func(want string) {
		t.Helper()
		s, err := read(t.Context(), b, ref)
		if err != nil || string(s.Payload.Reveal()) != want {
			t.Errorf("it does not hold %q: %v", want, err)
		}
	}
	first := w.put("moving", typeArbitrary, map[string]any{"payload": "first"})
	holds("first")
	w.drop(first)
	second := w.put("moving", typeArbitrary, map[string]any{"payload": "second"})
	holds("second")
	w.rename(second, "moved")
	w.put("moving", typeArbitrary, map[string]any{"payload": "third"})
	holds("third")
	w.rename(backend.Ref{Path: mustLookup(w, "moving")}, "away")
	_, err := read(t.Context(), b, ref)
	failed(t, err, backend.NotFound, "No arbitrary secret named moving")
}

// rename gives a secret another name, by the API.
func (w *world) rename(ref backend.Ref, name string) {
	w.t.Helper()
	a := apiOf(w.manager())
	q := question{
		method: http.MethodPatch, path: "/api/v2/secrets/{id}/metadata", params: map[string]string{"id": ref.Path},
		body: map[string]string{"name": name}, merge: true,
	}
	if err := a.ask(w.t.Context(), q, ref, nil); err != nil {
		w.t.Fatal(err)
	}
}

// TestNamesOfMany: in a large instance a few names are searched for, and many
// are listed.
func TestNamesOfMany(t *testing.T) {
	w := start(t, ibmsm.Options{})
	want := w.fill("name", 4500)
	few, many := map[string]string{}, map[string]string{}
	for i := range 3 {
		few[fmt.Sprintf("name-%05d", i*1500)] = ""
	}
	for name := range few {
		few[name] = want[name]
	}
	for name, id := range want {
		if len(many) < 500 {
			many[name] = id
		}
	}
	for reason, c := range map[string]struct {
		names map[string]string
		most  int
	}{
		"a page and a search for each":            {few, 1 + 3},
		"a page, searches for a list, and a list": {many, 1 + 5 + 5},
	} {
		before := w.lists()
		if err := resolveAll(t.Context(), w.open(nil).Reader.(*reader), c.names); err != nil {
			t.Fatal(err)
		}
		if n := w.lists() - before; n > c.most {
			t.Errorf("%s: %d lists, want at most %d", reason, n, c.most)
		}
	}
}

func TestResolve(t *testing.T) {
	w := start(t, ibmsm.Options{})
	one := w.put("one", typeArbitrary, map[string]any{"payload": "p"})
	w.put("one-more", typeArbitrary, map[string]any{"payload": "p"})
	w.put("other-type", typeKV, map[string]any{"data": map[string]any{"k": "v"}})
	grouped, err := w.Put(ibmsm.Seed{Name: "grouped", Group: "team", Fields: map[string]any{"payload": "p"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Group("empty"); err != nil {
		t.Fatal(err)
	}
	in := func(group, name string) backend.Ref {
		r := named(name)
		r.Args += ":" + group
		return r
	}
	cases := map[string]struct {
		reason string
		ref    backend.Ref
		want   string
		err    string
	}{
		"ID":           {reason: "nothing to look for", ref: backend.Ref{Path: "x", Kind: typeKV}, want: "x"},
		"Exact":        {reason: "not a part of a name", ref: named("one"), want: one.Path},
		"AnyGroup":     {reason: "as KES", ref: named("grouped"), want: grouped},
		"None":         {reason: "the words of KES", ref: named("on"), err: "No arbitrary secret named on"},
		"OtherType":    {reason: "names belong to a type", ref: named("other-type"), err: "No arbitrary secret named other-type"},
		"Group":        {reason: "as ESO", ref: in("team", "grouped"), want: grouped},
		"Default":      {reason: "every instance has it", ref: in("default", "one"), want: one.Path},
		"OtherGroup":   {reason: "as ESO", ref: in("empty", "grouped"), err: "No arbitrary secret named grouped in secret group empty"},
		"NotDefault":   {reason: "as ESO", ref: in("default", "grouped"), err: "No arbitrary secret named grouped in secret group default"},
		"UnknownGroup": {reason: "as ESO", ref: in("x", "grouped"), err: "No arbitrary secret named grouped in secret group x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := w.open(nil).Reader.(*reader)
			for range 2 {
				id, err := r.api.resolve(t.Context(), c.ref)
				if c.err != "" {
					failed(t, err, backend.NotFound, c.err)
					continue
				}
				if err != nil || id != c.want {
					t.Errorf("%s: %q, %v", c.reason, id, err)
				}
			}
		})
	}
}

// TestResolveTwins: IBM does not permit it, but who knows what it did before.
func TestResolveTwins(t *testing.T) {
	secrets := `{"id":"a","name":"x","secret_type":"arbitrary"},{"id":"b","name":"x","secret_type":"arbitrary"}`
	a := listing(t, func(_ url.Values) string { return `{"total_count":2,"secrets":[` + secrets + `]}` })
	_, err := a.resolve(t.Context(), named("x"))
	failed(t, err, backend.Conflict, "Multiple arbitrary secrets named x")
}

// TestNamesChange: what is new is found, and what is out of date is asked for
// anew.
func TestNamesChange(t *testing.T) {
	w := start(t, ibmsm.Options{})
	r := w.open(nil).Reader.(*reader)
	must := func(name, want string, lists int) {
		t.Helper()
		before := w.lists()
		id, err := r.api.resolve(t.Context(), named(name))
		if want == "" {
			failed(t, err, backend.NotFound, "No arbitrary secret named "+name)
		} else if err != nil || id != want {
			t.Errorf("%s: %q, %v", name, id, err)
		}
		if n := w.lists() - before; n != lists {
			t.Errorf("%s: %d lists, want %d", name, n, lists)
		}
	}
	must("new", "", 1)
	must("new", "", 1)
	first := w.put("new", typeArbitrary, map[string]any{"payload": "p"})
	must("new", first.Path, 1)
	must("new", first.Path, 0)
	w.fill("later", 20)
	must("later-00000", mustLookup(w, "later-00000"), 1)
	must("later-00001", mustLookup(w, "later-00001"), 0) // the list that came instead of a second search
	aside := named("later-00002")
	w.drop(backend.Ref{Path: mustLookup(w, aside.Path)})
	w.put(aside.Path, typeArbitrary, map[string]any{"payload": "p"})
	must("later-0000", "", 1)
	must(aside.Path, mustLookup(w, aside.Path), 0) // the search for the other brought its new id
	w.drop(first)
	second := w.put("new", typeArbitrary, map[string]any{"payload": "p"})
	must("new", first.Path, 0)
	r.api.names.forget(named("new"))
	must("new", second.Path, 1)
}

func mustLookup(w *world, name string) string {
	w.t.Helper()
	id, ok := w.Lookup("default", typeArbitrary, name)
	if !ok {
		w.t.Fatalf("%s is not there", name)
	}
	return id
}

func (w *world) drop(r backend.Ref) {
	w.t.Helper()
	if err := w.Delete(r.Path); err != nil {
		w.t.Fatal(err)
	}
}

func TestNamesDenied(t *testing.T) {
	w := start(t, ibmsm.Options{})
	w.fill("name", 1)
	w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Status: 403})
	_, err := w.open(nil).Reader.(*reader).api.resolve(t.Context(), named("name-00000"))
	failed(t, err, backend.PermissionDenied,
		"the API key may not list secrets (403), which keyByName needs: give it the role Reader or SecretsReader")
}

// TestNamesWait: who waits for another's request gives up with his own
// context, and takes over when the other failed.
func TestNamesWait(t *testing.T) {
	w := start(t, ibmsm.Options{})
	want := w.fill("name", 1)
	r := w.open(nil).Reader.(*reader)
	release := w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Hold: true, Count: 1})
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := r.api.resolve(first, named("name-00000"))
		done <- err
	}()
	eventually(t, "the first asks", func() bool { return w.lists() == 1 })
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := r.api.resolve(ended, named("name-00000"))
	if backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("a caller who gave up: %v", err)
	}
	cancel()
	if err := <-done; backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("the first: %v", err)
	}
	release()
	if id, err := r.api.resolve(t.Context(), named("name-00000")); err != nil || id != want["name-00000"] {
		t.Errorf("the next: %q, %v", id, err)
	}
}
