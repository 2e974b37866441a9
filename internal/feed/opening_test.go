// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestManyObjectsOpenOnce(t *testing.T) {
	for name, together := range map[string]bool{"one after the other": false, "together": true} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.opener.asks = func(context.Context, backend.Credentials) error {
					time.Sleep(time.Second) // virtual: as long as the API server takes
					return nil
				}
				objects := names("o", 2000)
				w.set("v", objects...)
				var wg sync.WaitGroup
				for _, o := range objects {
					follow := func() {
						w.follow(sub(o, hour, o).through(tenants("1", "")))
						w.ask(o)
					}
					if together {
						wg.Go(follow)
					} else {
						follow()
					}
				}
				wg.Wait()
				synctest.Wait()
				w.wantOpens(1, "one store")
				for _, o := range objects {
					w.wantText(w.now(o), at(o), "v", "all are synced")
					w.follow(sub(o, hour, o).through(tenants("1", "")))
				}
				w.wantOpens(1, "and at each look after that")
				if n := w.memory.Sessions(); n != 1 {
					t.Errorf("%d sessions", n)
				}
				for _, o := range objects {
					w.feed.Forget(object(o))
				}
				w.wantNothing("all are gone")
			})
		})
	}
}

func TestWhatIsOpenedAnew(t *testing.T) {
	first := tenants("1", "")
	elsewhere, shared := first, first
	elsewhere.Namespace = "other"
	shared.Shared = true
	for name, c := range map[string]struct {
		reason string
		first  spec.Store
		then   spec.Store
		key    spec.StoreKey
		opens  int
	}{
		"same":      {"nothing changed", first, first, main, 1},
		"revision":  {"the store changed", first, tenants("2", ""), main, 2},
		"none":      {"nobody knows whether it changed", operators(""), operators(""), main, 2},
		"namespace": {"its credentials are others", first, elsewhere, main, 2},
		"shared":    {"what it may do changed", first, shared, main, 2},
		"store":     {"another store", first, first, other("second"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				w.sync(sub("a", hour, "p").through(c.first))
				for range 3 {
					s := only("b", hour, c.key, "", "p")
					s.Stores[c.key] = c.then
					w.sync(s)
					if c.then.Revision == "" {
						break
					}
				}
				w.wantOpens(c.opens, c.reason)
				w.feed.Forget(object("a"))
				w.feed.Forget(object("b"))
				w.wantNothing("nobody follows")
			})
		})
	}
}

// The last one who uses an opening closes it, also when others use another
// edition of the same store.
func TestOpeningEndsWithItsUsers(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p").through(tenants("1", `{"login":"old"}`)))
		w.sync(sub("b", hour, "p").through(tenants("1", `{"login":"old"}`)))
		w.sync(sub("b", hour, "p").through(tenants("2", `{"login":"new"}`)))
		if n := w.memory.Sessions(); n != 2 {
			t.Errorf("%d sessions, want that of a and that of b", n)
		}
		w.sync(sub("a", hour, "p").through(tenants("2", `{"login":"new"}`)))
		w.wantOpens(2, "a takes what b opened")
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions, want none for the edition that nobody uses", n)
		}
		w.feed.Forget(object("a"))
		w.sync(sub("b", hour, "p").through(tenants("2", `{"login":"new"}`)))
		w.wantOpens(2, "b still uses it")
		w.feed.Forget(object("b"))
		w.wantNothing("nobody follows")
	})
}

func TestFailedOpeningIsTriedAgain(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		broken := tenants("1", "broken Unauthenticated")
		for range 3 {
			w.wantText(w.sync(sub("a", hour, "p").through(broken)), at("p"), "error Unauthenticated", "it cannot be opened")
			w.wantText(w.sync(sub("b", hour, "p").through(broken)), at("p"), "error Unauthenticated", "it cannot be opened")
		}
		if n := len(w.feed.openings); n != 0 {
			t.Errorf("%d failures may be taken by others", n)
		}
		w.wantText(w.sync(sub("a", hour, "p").through(tenants("1", ""))), at("p"), "v", "the same edition opens now")
		w.feed.Forget(object("a"))
		w.feed.Forget(object("b"))
		w.wantNothing("nobody follows")
	})
}

// Who waits for another's opening must not fail with that one's context, and
// must not wait longer than for its own.
func TestOpeningAndContexts(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		slow := func(ctx context.Context, c backend.Credentials) error {
			_, _ = c.All(ctx, "s")
			select {
			case <-time.After(time.Minute): // virtual
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w.opener.asks = slow
		follow := func(ctx context.Context, name string) {
			w.feed.Follow(ctx, sub(name, hour, "p").through(tenants("1", "")), credentials)
		}
		var wg sync.WaitGroup
		for name, within := range map[string]time.Duration{"leads": 10 * time.Second, "waits": hour} {
			wg.Go(func() {
				if name == "waits" {
					time.Sleep(time.Second) // virtual
				}
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				follow(ctx, name)
			})
		}
		wg.Wait()
		w.wantOpens(2, "the one who waited opened it in the end")
		w.wantText(w.now("leads"), at("p"), "error Unavailable", "its time was over")
		w.wantText(w.now("waits"), at("p"), "v", "it had time")
		w.feed.Forget(object("waits"))

		wg.Go(func() { follow(t.Context(), "waits") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		before := time.Now()
		follow(ctx, "impatient")
		if took := time.Since(before); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		w.wantText(w.now("impatient"), at("p"), "error Unavailable", "its time was over")
		wg.Wait()
		w.wantOpens(3, "nobody else opened it")
		for _, o := range []string{"leads", "waits", "impatient"} {
			w.feed.Forget(object(o))
		}
		w.wantNothing("nobody follows")
	})
}

// A driver that panics must not leave others waiting.
func TestOpeningPanics(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.opener.asks = func(context.Context, backend.Credentials) error {
			time.Sleep(time.Second) // virtual
			panic("a bug")
		}
		go func() {
			defer func() { _ = recover() }()
			w.follow(sub("leads", hour, "p").through(tenants("1", "")))
		}()
		synctest.Wait()
		w.wantText(w.sync(sub("waits", hour, "p").through(tenants("1", ""))), at("p"), "error Unknown", "nobody knows")
	})
}

func TestConfigName(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.sync(sub("a", hour, "p").and(spec.StoreKey{Kind: "ClusterStore", Name: "c"}, "", "p"))
		slices.Sort(w.opener.opened)
		if want := []string{"ClusterStore//c", "Store/ns/main"}; !slices.Equal(w.opener.opened, want) {
			t.Errorf("opened as %q, want %q", w.opener.opened, want)
		}
	})
}
