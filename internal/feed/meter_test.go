// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// notes is a Meter that keeps what it is told.
type notes struct {
	mu       sync.Mutex
	requests map[string]int
	shared   map[string]int
	forgot   map[string]int
	waits    map[bool][]time.Duration
}

func newNotes() *notes {
	return &notes{requests: map[string]int{}, shared: map[string]int{}, forgot: map[string]int{}, waits: map[bool][]time.Duration{}}
}

func (n *notes) Request(s Label, o backend.Observation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests[s.Store.Name+" "+string(o.Operation)+" "+o.Code]++
}

func (n *notes) Waited(urgent bool, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waits[urgent] = append(n.waits[urgent], d)
}

func (n *notes) Shared(s Label, reads int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shared[s.Store.Name] += reads
}

func (n *notes) Forget(s Label) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgot[s.Store.Name]++
}

// reads are those that were shared in a store, when nothing is under way.
func (n *notes) reads(store string) int {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shared[store]
}

// metered runs a test in a world that notes what a Meter is told.
func metered(t *testing.T, o memory.Options, test func(t *testing.T, w *world, n *notes)) {
	t.Helper()
	n := newNotes()
	in(t, o, Options{Meter: n}, func(t *testing.T, w *world) { test(t, w, n) })
}

func TestSharedReads(t *testing.T) {
	metered(t, memory.Options{}, func(t *testing.T, w *world, n *notes) {
		w.set("v", "p")
		for _, name := range []string{"a", "b", "c"} {
			w.follow(sub(name, hour, "p"))
			w.ask(name)
		}
		synctest.Wait()
		if n.reads("main") != 2 {
			t.Errorf("%d reads were shared, want 2: one served three", n.reads("main"))
		}
		w.pass(hour)
		if n.reads("main") != 4 {
			t.Errorf("%d reads were shared, want 4: one more served three", n.reads("main"))
		}
		w.sync(sub("d", hour, "p"))
		if n.reads("main") != 5 {
			t.Errorf("%d reads were shared, want 5: what was known served a newcomer", n.reads("main"))
		}
		w.memory.Fail("p", errDown)
		w.pass(hour)
		if n.reads("main") != 5 {
			t.Errorf("%d reads were shared, want 5: a failure serves nobody", n.reads("main"))
		}
	})
}

func TestQueueWait(t *testing.T) {
	metered(t, memory.Options{Parallel: 1, Batch: 1}, func(t *testing.T, w *world, n *notes) {
		w.set("v", "a", "b", "c")
		w.lingers(3 * time.Second)
		w.follow(sub("a", hour, "a", "b"))
		w.ask("a")
		w.pass(10 * time.Second)
		w.follow(sub("r", hour, "c"))
		w.pass(hour)
		n.mu.Lock()
		defer n.mu.Unlock()
		if diff := cmp.Diff([]time.Duration{0, 3 * time.Second}, n.waits[true]); diff != "" {
			t.Errorf("urgent, -want, +got:\n%s", diff)
		}
		if got := n.waits[false]; len(got) != 3 {
			t.Errorf("%d routine reads, want 3", len(got))
		}
	})
}

// TestLabels: a login has the name of the first of its stores, and what is told
// of a store ends with it.
func TestLabels(t *testing.T) {
	metered(t, memory.Options{}, func(t *testing.T, w *world, n *notes) {
		w.set("v", "p")
		names := func() []string {
			var out []string
			for _, s := range w.feed.Stats() {
				out = append(out, s.Store.Name+" "+s.Driver)
			}
			return out
		}
		want := func(reason string, forgot map[string]int, stores ...string) {
			t.Helper()
			if diff := cmp.Diff(stores, names()); diff != "" {
				t.Errorf("%s: stores, -want, +got:\n%s", reason, diff)
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			if diff := cmp.Diff(forgot, n.forgot); diff != "" {
				t.Errorf("%s: forgotten, -want, +got:\n%s", reason, diff)
			}
		}
		w.sync(only("b", hour, other("b"), "", "p"))
		w.sync(only("c", hour, other("c"), "", "p"))
		want("two stores, one login", map[string]int{}, "b memory")
		w.sync(only("a", hour, other("a"), "", "p"))
		want("another is the first", map[string]int{"b": 1}, "a memory")
		w.feed.Forget(object("a"))
		want("and gone", map[string]int{"a": 1, "b": 1}, "b memory")
		w.feed.Forget(object("c"))
		want("it was not the first", map[string]int{"a": 1, "b": 1}, "b memory")

		w.check(tenants("1", `{"login":"x"}`), 0, "", "nobody uses it")
		w.feed.Forget(object("b"))
		w.pass(linger)
		want("nobody uses any", map[string]int{"a": 1, "b": 2})
		w.feed.Drop(main)
		w.feed.Drop(other("b"))
		want("what is checked is there until it is dropped", map[string]int{"a": 1, "b": 2, "main": 1})
	})
}

func TestStats(t *testing.T) {
	metered(t, memory.Options{Parallel: 1, Batch: 1}, func(t *testing.T, w *world, _ *notes) {
		w.set("v", "p", "q")
		w.sync(sub("a", hour, "p", "q"))
		w.sync(pinned("b", "q"))
		one := func() StoreStats {
			t.Helper()
			all := w.feed.Stats()
			if len(all) != 1 {
				t.Fatalf("%d stores", len(all))
			}
			all[0].Label = Label{}
			return all[0]
		}
		if diff := cmp.Diff(StoreStats{Secrets: 2}, one()); diff != "" {
			t.Errorf("all was read now, -want, +got:\n%s", diff)
		}
		w.pass(3 * hour)
		if s := one(); s.Late != 0 || s.Oldest > hour {
			t.Errorf("it is read each hour: %+v", s)
		}
		w.memory.Fail("p", errDown)
		w.pass(4 * hour)
		if s := one(); s.Late != 1 || s.Oldest < 3*hour || s.Oldest > 5*hour || s.Down {
			t.Errorf("one fails: %+v", s)
		}
		release := w.memory.Hold("q")
		w.feed.Ask(object("b"), true)
		if s := one(); s.Due != 1 {
			t.Errorf("one is being read: %+v", s)
		}
		release()
		w.memory.Fail("", &backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: time.Minute})
		w.feed.Ask(object("a"), true)
		synctest.Wait()
		if s := one(); s.Quiet != time.Minute {
			t.Errorf("it asked to be left alone: %+v", s)
		}
	})
}

func TestStatsOfADeadStore(t *testing.T) {
	metered(t, memory.Options{Batch: 1}, func(t *testing.T, w *world, _ *notes) {
		paths := names("p", 5)
		w.set("v", paths...)
		w.sync(sub("a", time.Minute, paths...))
		w.memory.Fail("", errDown)
		w.pass(3 * time.Minute)
		if s := w.feed.Stats(); len(s) != 1 || !s[0].Down {
			t.Errorf("%+v", s)
		}
	})
}

// Requests are told by the store whose login made them, and by nobody after it
// is gone.
func TestRequestsAreTold(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	n := newNotes()
	var c *http.Client
	f := New(Options{Meter: n, Drivers: spec.Drivers{"memory": {Open: func(_ context.Context, _ backend.Config, _ backend.Credentials, given *http.Client) (backend.Backend, backend.Identity, error) {
		c = given
		return backend.Backend{}, backend.Identity{Login: "l", Quota: "q"}, nil
	}}}})
	ask := func() {
		t.Helper()
		if _, err := outcomeOf(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	f.Follow(t.Context(), sub("a", hour, "p"), credentials)
	ask()
	f.Forget(object("a"))
	ask()
	if diff := cmp.Diff(map[string]int{"main other 200": 1}, n.requests); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
