// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestStoreThatCannotBeOpened(t *testing.T) {
	broken := other("broken")
	for name, c := range map[string]struct {
		reason string
		code   backend.Code
		within time.Duration
		woken  int
	}{
		"refused":     {"a missing credential is looked for at each refresh", backend.Unauthenticated, hour, 1},
		"invalid":     {"a configuration that cannot work waits for a change", backend.InvalidRef, 100 * hour, 0},
		"unavailable": {"what passes is tried again after a pause", backend.Unavailable, 4 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				failing := sub("a", hour, "p").and(broken, "broken "+string(c.code), "x", "y")
				for range 3 {
					s := w.sync(failing)
					w.wantText(s, at("p"), "v", "another store works")
					for _, path := range []string{"x", "y"} {
						w.wantText(s, plan.Key{Store: broken, Ref: backend.Ref{Path: path}}, "error "+string(c.code), c.reason)
					}
					if s, ok := w.ask("a"); !ok || len(s) != 3 {
						t.Errorf("%d answers, %t: want three at once", len(s), ok)
					}
					w.pass(c.within)
					w.wantWoken("a", c.woken, c.reason)
				}
				s := w.sync(sub("a", hour, "p").and(broken, "", "p"))
				w.wantText(s, plan.Key{Store: broken, Ref: backend.Ref{Path: "p"}}, "v", "it opens now")
				w.pass(5 * hour)
				w.wantWoken("a", 0, "it is open")
			})
		})
	}
}

func TestPinnedObjectWhoseStoreCannotBeOpened(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.sync(pinned("a").and(other("broken"), "broken Unauthenticated", "x"))
		w.pass(100 * hour)
		w.wantWoken("a", 0, "it has no refresh")
		w.sync(pinned("a").and(other("broken"), "broken Unavailable", "x"))
		w.pass(4 * time.Second)
		w.wantWoken("a", 1, "what passes is tried again all the same")
		w.sync(pinned("a").and(other("broken"), "broken Unavailable", "x"))
		w.feed.Forget(object("a"))
		w.pass(hour)
		w.wantWoken("a", 0, "it is gone")
	})
}

func TestUnknownProduct(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		s := sub("a", hour, "p")
		s.Stores = map[spec.StoreKey]spec.Store{main: {Driver: "no such"}}
		w.wantText(w.sync(s), at("p"), "error InvalidRef", "no driver of that name")
	})
}

// A login that an object is about to follow must not be closed because
// another one leaves it.
func TestLoginIsHeldWhileAnObjectComes(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "x")
		w.sync(sub("leaves", hour, "p"))
		w.hook = func() { w.feed.Forget(object("leaves")) }
		hooked := only("comes", hour, main, "", "p").and(other("second"), "hook", "x")
		w.wantText(w.sync(hooked), at("p"), "v", "it was not closed")
		w.feed.Forget(object("comes"))
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}
