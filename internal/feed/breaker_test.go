// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

var errGone = backend.Errorf(backend.NotFound, "there is no such secret")

// emptied runs a test with a store of so many secrets, each of which an object
// of its own has.
func emptied(t *testing.T, n int, b Breaker, test func(t *testing.T, w *world, paths []string)) {
	t.Helper()
	in(t, memory.Options{}, Options{Breaker: b}, func(t *testing.T, w *world) {
		paths := names("p", n)
		w.set("v", paths...)
		for _, p := range paths {
			w.sync(sub(p, hour, p).removing())
		}
		w.forgetWakes()
		test(t, w, paths)
	})
}

// removing makes an object one that removes what is missing.
func (s Subscription) removing() Subscription {
	s.Removes = true
	return s
}

// lose makes secrets missing.
func (w *world) lose(paths ...string) {
	for _, p := range paths {
		w.memory.Fail(p, errGone)
	}
}

// gone counts the objects that were told that their secret is missing.
func (w *world) gone(paths []string) (n int) {
	w.t.Helper()
	for _, p := range paths {
		switch got, ok := w.ask(p); {
		case !ok:
			w.t.Fatalf("no answer for %s", p)
		case backend.CodeOf(got[at(p)].Err) == backend.NotFound:
			n++
		}
	}
	return n
}

// withholds reports whether the main store withholds what is missing.
func (w *world) withholds(store spec.Store) bool {
	w.t.Helper()
	out, err := w.feed.Check(w.t.Context(), main, store, credentials, hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Held
}

func TestFewMissing(t *testing.T) {
	emptied(t, 100, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.lose(paths[:40]...)
		w.pass(hour)
		if n := w.gone(paths); n != 0 {
			t.Errorf("%d objects were told, before the others were looked at", n)
		}
		w.feed.Ask(object(paths[0]), true)
		synctest.Wait()
		if n := w.gone(paths); n != 0 {
			t.Errorf("%d objects were told, because somebody was in a hurry", n)
		}
		w.pass(hour)
		if n := w.gone(paths); n != 40 {
			t.Errorf("%d objects were told, want 40", n)
		}
		w.pass(hour)
		if n := w.gone(paths); n != 40 {
			t.Errorf("%d objects are told still, want 40", n)
		}
		if s := w.feed.Stats()[0]; s.Held || s.Missing != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestManyMissing(t *testing.T) {
	emptied(t, 100, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.lose(paths[:60]...)
		w.pass(10 * hour)
		if n := w.gone(paths); n != 0 {
			t.Errorf("%d objects were told", n)
		}
		if s := w.feed.Stats()[0]; !s.Held || s.Missing != 60 {
			t.Errorf("%+v", s)
		}
		got := w.now(paths[0])[at(paths[0])]
		if got.Err != nil || backend.CodeOf(got.Stale) != backend.Unavailable || got.Failing < 8*hour || !strings.Contains(got.Stale.Error(), "nothing is removed") {
			t.Errorf("the last good value is to stay, and its age to be told: %v, failing for %s", got.Stale, got.Failing)
		}
		if n := w.woken(paths[0]); n == 0 || n > 2 {
			t.Errorf("woken %d times", n)
		}

		for _, p := range paths[:59] {
			w.memory.Unfail(p)
		}
		w.pass(2 * hour)
		if n := w.gone(paths); n != 0 || !w.feed.Stats()[0].Held {
			t.Errorf("%d objects were told while one is missing still", n)
		}
		w.memory.Unfail(paths[59])
		w.pass(hour)
		if s := w.feed.Stats()[0]; s.Held || s.Missing != 0 {
			t.Errorf("all are there again: %+v", s)
		}
		w.lose(paths[0])
		w.pass(2 * hour)
		if n := w.gone(paths); n != 1 {
			t.Errorf("%d objects were told, and one is missing for good", n)
		}
	})
}

func TestMissingLimit(t *testing.T) {
	for name, c := range map[string]struct {
		reason      string
		there, lost int
		breaker     Breaker
		told        int // after one interval
		after       int // after ten
	}{
		"small":    {"too few to say", 19, 19, Breaker{}, 19, 19},
		"least":    {"the fewest", 20, 20, Breaker{}, 0, 0},
		"half":     {"not more than half", 60, 30, Breaker{}, 0, 30},
		"above":    {"more than half", 60, 31, Breaker{}, 0, 0},
		"ten":      {"another limit", 200, 21, Breaker{Percent: 10}, 0, 0},
		"off":      {"none", 60, 60, Breaker{Percent: 100}, 60, 60},
		"nineteen": {"fewer than the least", 30, 19, Breaker{}, 0, 19},
	} {
		t.Run(name, func(t *testing.T) {
			emptied(t, c.there, c.breaker, func(t *testing.T, w *world, paths []string) {
				w.lose(paths[:c.lost]...)
				w.pass(hour)
				if n := w.gone(paths); n != c.told {
					t.Errorf("%s: %d were told after an interval, want %d", c.reason, n, c.told)
				}
				w.pass(9 * hour)
				if n := w.gone(paths); n != c.after {
					t.Errorf("%s: %d were told at last, want %d", c.reason, n, c.after)
				}
			})
		})
	}
}

// Those of long intervals say nothing yet while those of short ones had their
// cycle.
func TestMissingAtItsOwnPace(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		fast, slow := names("f", 40), names("s", 100)
		w.set("v", append(fast, slow...)...)
		for _, p := range fast {
			w.sync(sub(p, time.Minute, p).removing())
		}
		for _, p := range slow {
			w.sync(sub(p, 1000*hour, p).removing())
		}
		w.memory.Fail("", errGone)
		w.pass(10 * time.Minute)
		if n := w.gone(fast); n != 0 {
			t.Errorf("%d were told", n)
		}
	})
}

func TestEmptyValues(t *testing.T) {
	emptied(t, 40, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.set("", paths...)
		w.pass(10 * hour)
		for _, p := range paths {
			if got := w.now(p)[at(p)]; got.Secret.Payload.Len() != 1 || got.Stale == nil {
				t.Fatalf("%s is empty now", p)
			}
		}
	})
}

// Objects that keep what they have are told at once.
func TestMissingThatRemovesNothing(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 40)
		w.set("v", paths...)
		for _, p := range paths {
			w.sync(sub(p, hour, p))
		}
		w.lose(paths...)
		w.pass(hour)
		if n := w.gone(paths); n != 40 {
			t.Errorf("%d were told", n)
		}
	})
}

func TestNewcomersAreTold(t *testing.T) {
	emptied(t, 40, Breaker{}, func(t *testing.T, w *world, _ []string) {
		w.lose("new")
		out := w.sync(sub("n", hour, "new"))
		if backend.CodeOf(out[at("new")].Err) != backend.NotFound {
			t.Errorf("nothing would be removed: %v", out[at("new")].Err)
		}
	})
}

func TestMissingAfterRestart(t *testing.T) {
	emptied(t, 40, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.memory.Fail("", errDown)
		w = w.restart()
		for _, p := range paths {
			w.follow(sub(p, hour, p).removing()) // they rest, for they are in sync
		}
		w.pass(2 * hour)
		w.memory.Unfail("")
		w.memory.Fail("", errGone)
		w.pass(10 * hour)
		for _, p := range paths {
			got, ok := w.ask(p)
			if !ok || backend.CodeOf(got[at(p)].Err) != backend.Unavailable {
				t.Fatalf("%s: %v", p, got[at(p)].Err)
			}
		}
	})
}

// An outage says nothing of what is there.
func TestMissingInAnOutage(t *testing.T) {
	emptied(t, 60, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.lose(paths...)
		w.pass(3 * hour)
		for _, p := range paths {
			w.memory.Fail(p, errDown)
		}
		w.pass(3 * hour)
		if s := w.feed.Stats()[0]; s.Missing != 60 || !s.Held {
			t.Errorf("%+v", s)
		}
		w.lose(paths...)
		w.pass(3 * hour)
		if n := w.gone(paths); n != 0 {
			t.Errorf("%d were told", n)
		}
		if got := w.now(paths[0])[at(paths[0])]; got.Stale == nil || !strings.Contains(got.Stale.Error(), "nothing is removed") {
			t.Errorf("it says %v", got.Stale)
		}
	})
}

// The store is pointed to another place, where there is nothing.
func TestMissingElsewhere(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 40)
		w.set("v", paths...)
		for _, p := range paths {
			w.sync(sub(p, hour, p).through(tenants("1", "")).removing())
		}
		w.memory.Fail("", errGone)
		for _, p := range paths {
			w.sync(sub(p, hour, p).through(tenants("2", `{"login":"other"}`)).removing())
		}
		w.pass(10 * hour)
		if n := w.gone(paths); n != 0 {
			t.Errorf("%d were told", n)
		}
	})
}

func TestRemovalsAllowed(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		told := map[spec.StoreKey]int{}
		w.feed.opts.Tell = func(key spec.StoreKey) { told[key]++ }
		store := tenants("1", "")
		paths := names("p", 40)
		w.set("v", paths...)
		for _, p := range paths {
			w.sync(sub(p, hour, p).through(store).removing())
		}
		if w.withholds(store) {
			t.Error("nothing is missing")
		}
		w.lose(paths...)
		w.pass(3 * hour)
		if n := w.gone(paths); n != 0 || told[main] != 1 {
			t.Fatalf("%d were told, and the store has to say something %d times", n, told[main])
		}
		if !w.withholds(store) {
			t.Error("the store does not say so")
		}
		store.Removals = true
		w.withholds(store)
		synctest.Wait()
		if w.withholds(store) {
			t.Error("the store says so still")
		}
		if n := w.gone(paths); n != 40 {
			t.Errorf("%d were told, and the store allows it", n)
		}
		if told[main] != 2 {
			t.Errorf("the store had to say something %d times, want twice", told[main])
		}
	})
}

func TestListingsThatShrink(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		left   int
		held   bool
	}{
		"empty":  {"all is gone", 0, true},
		"most":   {"most of it is", 5, true},
		"little": {"some of it is, which is told at once", 25, false},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{ListValues: true}, Options{}, func(t *testing.T, w *world) {
				paths := names("p", 40)
				w.set("v", paths...)
				key := plan.Key{Store: main, Listing: true, Query: backend.Query{Path: "p"}}
				s := sub("a", hour)
				s.Plan = plan.Plan{Finds: []plan.Find{{Store: main, Query: key.Query}}}
				if got := w.sync(s); len(got[key].Found) != 40 {
					t.Fatalf("%d found: %v", len(got[key].Found), got[key].Err)
				}
				for _, p := range paths[c.left:] {
					w.memory.Remove(p)
				}
				w.pass(5 * hour)
				got := w.now("a")[key]
				if c.held != (len(got.Found) == 40 && got.Stale != nil) || !c.held && len(got.Found) != c.left {
					t.Errorf("%s: %d found, %v", c.reason, len(got.Found), got.Stale)
				}
			})
		})
	}
}

// What objects give up, or what goes with its login, is not missing any more.
func TestMissingEndsWithWhoAsks(t *testing.T) {
	emptied(t, 40, Breaker{}, func(t *testing.T, w *world, paths []string) {
		w.lose(paths...)
		w.pass(3 * hour)
		for i, p := range paths {
			if s := w.feed.Stats()[0]; s.Missing != 40-i || !s.Held {
				t.Fatalf("after %d left: %+v", i, s)
			}
			w.feed.Forget(object(p))
		}
		w.wantNothing(fmt.Sprintf("all %d left", len(paths)))
	})
}
