// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// synctest fails a test that leaves a goroutine behind, so all that end the
// world early show that nothing survives Run.

func TestRunEnds(t *testing.T) {
	for name, busy := range map[string]func(w *world){
		"idle":    func(*world) {},
		"polling": func(w *world) { w.sync(sub("a", hour, "p")) },
		"reading": func(w *world) {
			w.memory.Hold("p") // never released: only the end of the context ends it
			w.follow(sub("a", hour, "p", "q"))
			w.ask("a")
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{Parallel: 1, Batch: 1}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p", "q")
				busy(w)
				w.forgetWakes()
				before, reads := time.Now(), len(w.log())
				w.stop()
				if took := time.Since(before); took != 0 {
					t.Errorf("it took %s to end", took)
				}
				if w.feed.begin != nil {
					t.Error("reads may still begin")
				}
				w.ask("a")
				w.follow(sub("late", hour, "q"))
				w.feed.Ask(object("late"), true)
				w.pass(10 * hour)
				w.wantWoken("a", 0, "there is nothing to tell after the end")
				if n := len(w.log()) - reads; n != 0 {
					t.Errorf("%d reads after the end", n)
				}
			})
		})
	}
}

// Who returns from Run has nothing left that talks to a store.
func TestRunWaitsForReads(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.lingers(3 * time.Second)
		w.follow(sub("a", hour, "p"))
		w.ask("a")
		synctest.Wait()
		before := time.Now()
		w.stop()
		if took := time.Since(before); took != w.linger {
			t.Errorf("it took %s, the read %s", took, w.linger)
		}
	})
}

func TestAskBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New(), Options{})
		w.set("v", "p", "q")
		w.follow(sub("a", hour, "p"))
		w.follow(sub("gone", hour, "q"))
		for _, o := range []string{"a", "gone"} {
			if _, ok := w.ask(o); ok {
				t.Error("an answer that nobody read")
			}
		}
		w.feed.Forget(object("gone"))
		w.pass(5 * hour)
		if n := len(w.log()); n != 0 {
			t.Fatalf("%d reads before Run", n)
		}
		w.start()
		w.wantWoken("a", 1, "it asked before")
		w.wantText(w.now("a"), at("p"), "v", "it asked before")
		w.wantReads("q", 0, "given up before")
	})
}

func TestStress(t *testing.T) {
	in(t, memory.Options{Rate: 50, Batch: 3}, Options{CacheBytes: 2000}, func(t *testing.T, w *world) {
		paths := names("p", 30)
		w.set("0", paths...)
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1)) //nolint:gosec // a test that can be repeated
				for i := range 200 {
					w.step(r, paths, i)
				}
			})
		}
		wg.Wait()
		w.memory.Unfail("*")
		w.pass(2 * time.Minute)
		for _, o := range names("o", 12) {
			w.follow(sub(o, time.Minute, paths...))
			w.feed.Ask(object(o), true)
		}
		w.pass(2 * time.Minute)
		for _, o := range names("o", 12) {
			if s := w.now(o); len(s) != 30 {
				t.Errorf("%s has %d answers", o, len(s))
			}
			w.feed.Forget(object(o))
		}
		w.pass(0)
		f := w.feed
		w.wantNothing("after the storm")
		for _, a := range f.accounts {
			if a.running != 0 {
				t.Errorf("%d reads are said to be under way", a.running)
			}
		}
	})
}

// rings are the credentials of stores that need some.
func rings(spec.Store) backend.Credentials { return keyring{key: "k"} }

// step does one random thing.
func (w *world) step(r *rand.Rand, paths []string, i int) {
	o := fmt.Sprintf("o%d", r.IntN(12))
	switch r.IntN(12) {
	case 8:
		w.feed.Touch(secretDep("s"))
	case 9:
		s := tenants(fmt.Sprint(r.IntN(3)), `{"secret":{"name":"s","key":"k"}}`)
		_, _ = w.feed.Check(w.t.Context(), main, s, rings, time.Duration(r.IntN(20))*time.Second)
	case 10, 11:
		s := finds(o, time.Duration(1+r.IntN(90))*time.Second, "p1", "p2")
		s.Plan = plan.Expand(s.Plan, plan.Snapshot{all("p1"): {Found: []backend.Found{hit("p1"), hit(paths[10+r.IntN(9)])}}})
		s.Stores[main] = tenants(fmt.Sprint(r.IntN(3)), `{"secret":{"name":"s","key":"k"}}`)
		w.feed.Follow(w.t.Context(), s, rings)
	case 0, 1:
		from := r.IntN(20)
		s := sub(o, time.Duration(1+r.IntN(90))*time.Second, paths[from:from+1+r.IntN(9)]...)
		s.Mode = []spec.Mode{spec.Periodic, spec.Pinned}[r.IntN(2)]
		w.follow(s)
	case 2:
		w.follow(only(o, time.Minute, other("second"), fmt.Sprintf(`{"login":"%d"}`, r.IntN(3)), paths[r.IntN(30)]))
	case 3:
		w.feed.Forget(object(o))
	case 4:
		w.feed.Ask(object(o), true)
	case 5:
		w.set(fmt.Sprint(i), paths[r.IntN(30)])
		if r.IntN(5) == 0 {
			w.memory.Fail("*", errDown)
		} else {
			w.memory.Unfail("*")
		}
	default:
		w.feed.Ask(object(o), false)
	}
	time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond) // virtual
}

// Follow opens stores without the lock, so two of them may open the same one.
func TestFollowTogether(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		for range 20 {
			var wg sync.WaitGroup
			for _, o := range names("o", 10) {
				wg.Go(func() {
					w.follow(sub(o, hour, "p"))
					w.ask(o)
				})
			}
			wg.Wait()
			if n := w.memory.Sessions(); n != 1 {
				t.Fatalf("%d sessions, want one", n)
			}
			for _, o := range names("o", 10) {
				wg.Go(func() { w.feed.Forget(object(o)) })
			}
			wg.Wait()
			synctest.Wait()
			if n := w.memory.Sessions(); n != 0 {
				t.Fatalf("%d sessions, want none", n)
			}
		}
	})
}

func TestNoSecretBytesInWhatIsPrinted(t *testing.T) {
	const canary = "canary-7d1f0c"
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.memory.Set("p", backend.Secret{
			Payload: backend.NewValue([]byte(canary)),
			Fields:  map[string]backend.Value{"f": backend.NewValue([]byte(canary))},
		})
		s := sub("a", hour, "p", "missing", "fails").and(other("broken"), "broken Unauthenticated", "x")
		w.memory.Fail("fails", errDown)
		answers := w.sync(s)
		w.memory.Fail("p", errDown)
		w.pass(hour)
		stale := w.now("a")
		w.feed.mu.Lock()
		defer w.feed.mu.Unlock()
		for _, fo := range w.feed.followers {
			w.hides(canary, *fo)
			for _, q := range fo.questions.list {
				w.hides(canary, *q, *q.ref, q.ref.login, q.ref.value)
			}
		}
		w.hides(canary, answers, stale, s, w.feed, w.feed.cache.newest)
		for _, a := range answers {
			w.hides(canary, a, a.Err, a.Secret)
		}
	})
}

// hides requires that no verb shows the canary, as text or as bytes.
func (w *world) hides(canary string, things ...any) {
	w.t.Helper()
	shapes := []string{canary, fmt.Sprintf("%x", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")}
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			out := fmt.Sprintf(verb, thing)
			for _, s := range shapes {
				if strings.Contains(out, s) {
					w.t.Errorf("%s of a %T shows the secret", verb, thing)
				}
			}
		}
	}
}
