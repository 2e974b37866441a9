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

// checker counts the checks of all logins.
type checker struct {
	mu    sync.Mutex
	asked int
	takes time.Duration
	none  bool // the store cannot be checked
}

type counted struct {
	*checker
	own backend.Checker
}

func (c *checker) of(own backend.Checker) backend.Checker {
	if c.none {
		return nil
	}
	return counted{c, own}
}

func (c counted) Check(ctx context.Context) error {
	c.mu.Lock()
	c.asked++
	takes := c.takes
	c.mu.Unlock()
	select {
	case <-time.After(takes): // virtual
		return c.own.Check(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lasts makes checks take so long.
func (c *checker) lasts(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes = d
}

func (w *world) wantChecks(want int, reason string) {
	w.t.Helper()
	w.checker.mu.Lock()
	defer w.checker.mu.Unlock()
	if w.checker.asked != want {
		w.t.Errorf("%s: %d checks, want %d", reason, w.checker.asked, want)
	}
}

// check checks the main store and requires a code.
func (w *world) check(store spec.Store, fresh time.Duration, want backend.Code, reason string) {
	w.t.Helper()
	got, err := w.feed.Check(w.t.Context(), main, store, credentials, fresh)
	if code := backend.CodeOf(err); code != want {
		w.t.Errorf("%s: code %q, want %q", reason, code, want)
	}
	if (err == nil) != slices.Contains(got.Can, backend.CanRead) {
		w.t.Errorf("%s: error %v and capabilities %q", reason, err, got.Can)
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		before func(w *world) // what happened until then
		fresh  time.Duration
		checks int
	}{
		"first":   {"nothing is known", func(*world) {}, hour, 1},
		"read":    {"a good answer", func(w *world) { w.sync(sub("a", 10*hour, "p")) }, hour, 0},
		"listing": {"a good answer", func(w *world) { w.sync(finds("a", 10*hour, "a")) }, hour, 0},
		"check": {"a good answer", func(w *world) {
			w.sync(sub("a", 10*hour, "missing"))
			w.check(operators(""), hour, "", "the one before")
		}, hour, 1},
		"not kept":  {"nobody follows the login, so it is another one", func(w *world) { w.check(operators(""), hour, "", "the one before") }, hour, 2},
		"failure":   {"no good answer", func(w *world) { w.sync(sub("a", 10*hour, "missing")) }, hour, 1},
		"old":       {"it may have changed", func(w *world) { w.sync(sub("a", 10*hour, "p")); w.pass(time.Minute) }, time.Minute, 1},
		"young":     {"just so", func(w *world) { w.sync(sub("a", 10*hour, "p")); w.pass(time.Minute - 1) }, time.Minute, 0},
		"not fresh": {"asked for now", func(w *world) { w.sync(sub("a", 10*hour, "p")) }, 0, 1},
		"other": {"the answer was another login's", func(w *world) {
			w.sync(only("a", 10*hour, main, `{"login":"other"}`, "p"))
		}, hour, 1},
		"refused since": {"the last word counts", func(w *world) {
			w.sync(sub("a", 10*hour, "p"))
			w.memory.Refuse("default", true)
			w.feed.Ask(object("a"), true)
			w.pass(time.Second)
			w.memory.Refuse("default", false)
		}, hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p", "a1")
				c.before(w)
				w.check(operators(""), c.fresh, "", c.reason)
				w.wantChecks(c.checks, c.reason)
				w.feed.Forget(object("a"))
				w.pass(0)
				w.wantNothing("nobody follows")
			})
		})
	}
}

func TestProbeIsAGoodAnswer(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p"))
		w.pass(hour)
		if w.prober.probes() != 1 {
			t.Fatal("no probe")
		}
		w.check(operators(""), hour, "", "it was probed since it was read")
		w.wantChecks(0, "it was probed since it was read")
		w.prober.says(func([]string) ([]string, error) { return nil, backend.Errorf(backend.PermissionDenied, "no list") })
		w.memory.Fail("p", backend.Errorf(backend.NotFound, "missing"))
		w.pass(hour)
		w.check(operators(""), hour, "", "it works")
		w.wantChecks(1, "a probe that is not allowed is no good answer")
	})
}

func TestCheckFails(t *testing.T) {
	in(t, memory.Options{}, Options{Timeout: 20 * time.Second}, func(t *testing.T, w *world) {
		w.check(operators("broken InvalidRef"), hour, backend.InvalidRef, "it cannot be opened")
		w.check(spec.Store{Driver: "none"}, hour, backend.InvalidRef, "no such product")
		w.wantChecks(0, "it could not be opened")
		w.memory.Refuse("default", true)
		w.check(operators(""), hour, backend.Unauthenticated, "it is refused")
		w.check(operators(""), hour, backend.Unauthenticated, "it is still refused")
		w.wantChecks(2, "a failure is not kept")
		w.memory.Refuse("default", false)
		w.checker.lasts(hour)
		before := time.Now()
		w.check(operators(""), hour, backend.Unavailable, "it hangs")
		if took := time.Since(before); took != 20*time.Second {
			t.Errorf("it took %s", took)
		}
		w.wantNothing("nobody follows")
	})
}

func TestCheckHeedsTheQuota(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.memory.Fail("p", &backend.Error{Code: backend.RateLimited, RetryAfter: time.Minute})
		w.sync(sub("a", hour, "p"))
		before := w.memory.Requests()
		w.check(operators(""), hour, backend.RateLimited, "it asked to be left alone")
		if n := w.memory.Requests() - before; n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestChecksAtOnceAreOne(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.checker.lasts(time.Second)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { w.check(tenants("1", ""), 0, "", "it works") })
		}
		wg.Wait()
		w.wantChecks(1, "one for all")
		w.wantOpens(1, "one for all")
		w.wantNothing("nobody follows")
	})
}

// Who waits for another's check must not fail with that one's context.
func TestCheckAndContexts(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.sync(sub("a", 10*hour, "missing"))
		w.checker.lasts(10 * time.Second)
		within := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			_, err := w.feed.Check(ctx, main, operators(""), credentials, 0)
			return err
		}
		errs := make([]error, 3)
		var wg sync.WaitGroup
		for i, d := range []time.Duration{5 * time.Second, hour, time.Second} {
			wg.Go(func() { errs[i] = within(d) })
			synctest.Wait()
		}
		wg.Wait()
		for i, want := range []backend.Code{backend.Unavailable, "", backend.Unavailable} {
			if code := backend.CodeOf(errs[i]); code != want {
				t.Errorf("check %d: code %q, want %q", i, code, want)
			}
		}
		w.wantChecks(2, "the one who had time asked again")
	})
}

func TestCheckBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New(), Options{})
		w.check(tenants("1", ""), hour, "", "it needs no schedule")
		w.wantNothing("nobody follows")
	})
}

// Who comes soon after a check uses its login, and nobody has to come.
func TestCheckLingers(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.check(tenants("1", ""), hour, "", "good")
		w.pass(linger - time.Second)
		w.sync(sub("a", hour, "p").through(tenants("1", "")))
		w.pass(hour)
		w.wantOpens(1, "the object came before it was let go of")
		w.feed.Forget(object("a"))
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions: nobody follows, and the check is long ago", n)
		}
		w.check(tenants("1", ""), hour, "", "good")
		w.pass(linger)
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions: nobody came", n)
		}
	})
}

// The login that is checked must not be closed because the last object leaves.
func TestCheckHoldsTheLogin(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.sync(sub("a", hour, "missing").through(tenants("1", "")))
		w.checker.lasts(10 * time.Second)
		done := make(chan struct{})
		go func() {
			w.check(tenants("1", ""), hour, "", "it was not closed")
			close(done)
		}()
		synctest.Wait()
		w.feed.Forget(object("a"))
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions during the check", n)
		}
		w.wantTouched(secretDep("any"), nil, nil, "nothing was asked for")
		<-done
		w.wantNothing("nobody follows")
	})
}

func TestCheckRevives(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		err    *backend.Error
		none   bool // the store has no Checker
		reads  int  // of p right after the check
	}{
		"refused":   {"it is let in again", backend.Errorf(backend.Unauthenticated, "no"), false, 1},
		"down":      {"it answers again", errDown, false, 1},
		"denied":    {"the login worked all the time", backend.Errorf(backend.PermissionDenied, "no"), false, 0},
		"missing":   {"the login worked all the time", backend.Errorf(backend.NotFound, "no"), false, 0},
		"unchecked": {"a store that was not asked proves nothing", backend.Errorf(backend.Unauthenticated, "no"), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{Batch: 1}, Options{}, func(t *testing.T, w *world) {
				w.checker.none = c.none
				secrets := append(names("p", 20), "p")
				w.set("v", secrets...)
				w.memory.Fail("", c.err) // the listing too: its answer would be the end of an outage
				w.sync(sub("a", 1000*hour, secrets...).lists("p"))
				w.pass(hour)
				w.memory.Unfail("")
				before := w.memory.Reads("p")
				w.forgetWakes()
				w.check(operators(""), time.Minute, "", c.reason)
				w.pass(0)
				w.wantReads("p", before+c.reads, c.reason)
				if c.reads > 0 {
					if w.woken("a") == 0 {
						t.Errorf("%s, and nobody hears of it", c.reason)
					}
					for _, p := range secrets {
						w.wantText(w.now("a"), at(p), "v", "all of it, in spite of the outage")
					}
				}
			})
		})
	}
}

func TestCheckTellsNothingWithoutAChecker(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.checker.none = true
		w.sync(sub("a", hour, "missing"))
		w.check(operators(""), hour, "", "it counts as good")
		for _, l := range w.feed.logins {
			if !l.good.IsZero() {
				t.Error("an answer that nobody gave")
			}
		}
	})
}

// Whoever shows what a store is like must hear when its credentials change,
// also while nobody follows a secret in it.
func TestCheckTellsWhatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		raw    string
		asks   []string // in this order
		broken bool
		want   []Dep
	}{
		"good":             {asks: []string{"z", "a"}, want: []Dep{secretDep("a"), secretDep("z")}},
		"cannot be opened": {raw: `{"secret":{"name":"login","key":"k"}}`, broken: true, want: []Dep{secretDep("login")}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.opener.asks = asking(func(ctx context.Context, creds backend.Credentials) {
					for _, name := range c.asks {
						_, _ = creds.Secret(ctx, name, "k")
					}
				})
				got, err := w.feed.Check(t.Context(), main, tenants("1", c.raw), credentials, hour)
				if (err != nil) != c.broken {
					t.Fatalf("error %v", err)
				}
				if !slices.Equal(got.Deps, c.want) {
					t.Errorf("it asked for %v, want %v", got.Deps, c.want)
				}
				w.wantNothing("nobody follows")
			})
		})
	}
}
