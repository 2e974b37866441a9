// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// retrying is a store with a Retry.
func retrying(n int, pause time.Duration) spec.Store {
	s := tenants("1", "")
	s.Retry = spec.Retry{Max: n, Pause: pause}
	return s
}

// pauses are the times between the reads of a path.
func (w *world) pauses(path string) []time.Duration {
	var out []time.Duration
	var last time.Time
	for _, r := range w.log() {
		if r.path != path {
			continue
		}
		if !last.IsZero() {
			out = append(out, r.at.Sub(last))
		}
		last = r.at
	}
	return out
}

func TestRetry(t *testing.T) {
	const s = time.Second
	limited := func(d time.Duration) *backend.Error {
		return &backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: d}
	}
	usual := [2]time.Duration{s / 2, s} // after the first failure, with jitter
	exactly := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	for name, c := range map[string]struct {
		reason string
		stores []spec.Store // each with an object of its own
		err    *backend.Error
		want   [][2]time.Duration // bounds of the first pauses
	}{
		"none":     {"the usual", []spec.Store{tenants("1", "")}, errDown, [][2]time.Duration{usual, {s, 2 * s}, {2 * s, 4 * s}}},
		"fixed":    {"then the usual of the third failure", []spec.Store{retrying(2, 10*s)}, errDown, [][2]time.Duration{exactly(10 * s), exactly(10 * s), {2 * s, 4 * s}}},
		"unknown":  {"all that call for a pause", []spec.Store{retrying(2, 10*s)}, backend.Errorf(backend.Unknown, "?"), [][2]time.Duration{exactly(10 * s), exactly(10 * s), {2 * s, 4 * s}}},
		"no pause": {"it would be a loop", []spec.Store{retrying(2, 0)}, errDown, [][2]time.Duration{usual}},
		"no count": {"nothing to repeat", []spec.Store{retrying(0, 10*s)}, errDown, [][2]time.Duration{usual}},
		"longer":   {"the store asked for more", []spec.Store{retrying(2, 10*s)}, limited(time.Minute), [][2]time.Duration{{time.Minute, time.Minute + s}, {time.Minute, time.Minute + s}}},
		"later":    {"the store asked for more, and nobody is silenced", []spec.Store{retrying(2, 10*s)}, &backend.Error{Code: backend.Unavailable, RetryAfter: 30 * s}, [][2]time.Duration{{30 * s, 31 * s}, {30 * s, 31 * s}}},
		"shorter":  {"the store asked for less", []spec.Store{retrying(2, 10*s)}, limited(5 * s), [][2]time.Duration{exactly(10 * s), exactly(10 * s)}},
		"two":      {"the shortest", []spec.Store{retrying(2, 10*s), retrying(2, 7*s)}, errDown, [][2]time.Duration{exactly(7 * s), exactly(7 * s), {2 * s, 4 * s}}},
		"used up":  {"the one that is not used up, or the usual", []spec.Store{retrying(9, 3*s), retrying(1, 2*s)}, errDown, [][2]time.Duration{exactly(2 * s), {s, 2 * s}, {2 * s, 3 * s}}},
		"mixed":    {"nobody's Retry makes another wait", []spec.Store{retrying(2, 10*s), tenants("1", "")}, errDown, [][2]time.Duration{usual}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.memory.Fail("p", c.err)
				for i, store := range c.stores {
					key := other(names("s", len(c.stores))[i])
					sub := only(key.Name, hour, key, "", "p")
					sub.Stores[key] = store
					w.follow(sub)
				}
				for i := range c.stores {
					w.ask(names("s", len(c.stores))[i])
				}
				w.pass(3 * time.Minute)
				got := w.pauses("p")
				for i, want := range c.want {
					if len(got) <= i || got[i] < want[0] || got[i] > want[1] {
						t.Errorf("%s: pauses %v, want pause %d within %v", c.reason, got, i, want)
					}
				}
			})
		})
	}
}

// A success, or an answer that is none of these failures, begins the count
// anew.
func TestRetryCountsInARow(t *testing.T) {
	for name, between := range map[string]func(w *world){
		"success": func(w *world) { w.memory.Unfail("p") },
		"missing": func(w *world) { w.memory.Fail("p", backend.Errorf(backend.NotFound, "missing")) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				s := sub("a", hour, "p").through(retrying(1, 10*time.Second))
				w.sync(s)
				for range 2 {
					w.memory.Fail("p", errDown)
					before := len(w.pauses("p"))
					w.feed.Ask(object("a"), true)
					w.pass(11 * time.Second)
					got := w.pauses("p")
					if len(got) != before+2 || got[before+1] != 10*time.Second {
						t.Errorf("pauses %v, want 10s at the end, whatever was before", got)
					}
					between(w)
					w.feed.Ask(object("a"), true)
					w.pass(time.Minute)
				}
			})
		})
	}
}

// The Retry of a store may change without another revision.
func TestRetryChanges(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.memory.Fail("p", errDown)
		w.follow(sub("a", hour, "p").through(retrying(5, hour)))
		w.follow(sub("a", hour, "p").through(retrying(5, 10*time.Second)))
		w.ask("a")
		w.pass(time.Minute)
		if got := w.pauses("p"); len(got) < 5 || slices.ContainsFunc(got[:5], func(d time.Duration) bool { return d != 10*time.Second }) {
			t.Errorf("pauses %v, want five of 10s", got)
		}
		w.wantOpens(1, "the same revision")
	})
}
