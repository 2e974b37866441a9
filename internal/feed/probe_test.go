// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

// prober says what the store's own says, or something else.
type prober struct {
	mu    sync.Mutex
	say   func(own []string) ([]string, error) // nil says what the store says
	asked []int                                // refs of each probe
	gate  chan struct{}
}

// via is the prober of one login.
type via struct {
	*prober
	own backend.Prober
}

func (p via) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	p.mu.Lock()
	p.asked = append(p.asked, len(refs))
	gate, say := p.gate, p.say
	p.mu.Unlock()
	out, err := p.own.Probe(ctx, refs)
	if gate != nil {
		<-gate
	}
	if err == nil && say != nil {
		return say(out)
	}
	return out, err
}

// says replaces what the prober says; nil is the store's own word again.
func (p *prober) says(say func(own []string) ([]string, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = say
}

// hold makes probes wait until release is called.
func (p *prober) hold() (release func()) {
	gate := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = gate
	return func() { close(gate) }
}

// sizes is how many secrets each probe was about.
func (p *prober) sizes() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *prober) probes() int { return len(p.sizes()) }

// probing runs a test with a store that can be probed.
func probing(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.prober = &prober{}
		test(t, w)
	})
}

func TestProbeInsteadOfReading(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		paths := names("p", 50)
		w.set("v", paths...)
		w.sync(sub("all", hour, paths...))
		w.sync(sub("one", hour, "p7"))
		w.pass(20 * hour)
		if got := w.prober.probes(); got != 20 {
			t.Errorf("%d probes in 20 intervals, want 20", got)
		}
		if got := slices.Compact(w.prober.sizes()); !slices.Equal(got, []int{50}) {
			t.Errorf("probes of %v secrets, want all 50 together", got)
		}
		for _, p := range paths {
			w.wantReads(p, 1, "nothing changed")
		}
		w.wantWoken("all", 0, "nothing changed")

		w.set("new", "p7")
		w.pass(hour)
		w.wantReads("p7", 2, "it changed")
		w.wantReads("p8", 1, "it did not")
		w.wantWoken("all", 1, "one of its secrets changed")
		w.wantWoken("one", 1, "its secret changed")
		w.wantText(w.now("one"), at("p7"), "new", "after the probe")
		w.wantText(w.now("all"), at("p8"), "v", "it is in the cache")
	})
}

func TestProbeTellsNothing(t *testing.T) {
	for name, say := range map[string]func(own []string) ([]string, error){
		"empty":  func(own []string) ([]string, error) { return make([]string, len(own)), nil },
		"denied": func([]string) ([]string, error) { return nil, backend.Errorf(backend.PermissionDenied, "no list") },
	} {
		t.Run(name, func(t *testing.T) {
			probing(t, func(t *testing.T, w *world) {
				w.prober.says(say)
				w.set("v", "p", "q")
				w.sync(sub("o", hour, "p", "q"))
				w.pass(19 * hour)
				if got := w.prober.probes(); got != 1 {
					t.Errorf("%d probes, want 1 and then none for a while", got)
				}
				for _, p := range []string{"p", "q"} {
					if got := w.memory.Reads(p); got < 19 || got > 21 {
						t.Errorf("%d reads of %s in 19 intervals", got, p)
					}
				}
				w.wantWoken("o", 0, "nothing changed")
				w.pass(5 * hour)
				if got := w.prober.probes(); got < 2 {
					t.Error("the prober gets no other chance")
				}
			})
		})
	}
}

func TestProbeFails(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("o", hour, "p"))
		away := backend.Errorf(backend.Unavailable, "away")
		w.prober.says(func([]string) ([]string, error) { return nil, away })
		w.memory.Fail("p", away)
		w.pass(hour)
		w.wantWoken("o", 1, "it is told once")
		w.wantText(w.now("o"), at("p"), "v stale Unavailable", "the last good one")
		w.prober.says(nil)
		w.memory.Unfail("p")
		w.pass(hour)
		w.wantWoken("o", 1, "it is over")
		w.wantText(w.now("o"), at("p"), "v", "a read ended it")
		probes, reads := w.prober.probes(), w.memory.Reads("p")
		w.pass(5 * hour)
		w.wantReads("p", reads, "from then on it is probed again")
		if got := w.prober.probes() - probes; got != 5 {
			t.Errorf("%d probes in five intervals", got)
		}
	})
}

func TestProbeAndAsk(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		w.set("v", "p", "q")
		w.sync(sub("o", hour, "p", "q"))
		release := w.prober.hold()
		w.pass(hour)
		if got := w.prober.probes(); got != 1 {
			t.Fatalf("%d probes, want one under way", got)
		}
		w.set("new", "p")
		w.feed.Ask(object("o"), true)
		synctest.Wait()
		w.wantText(w.now("o"), at("p"), "new", "an object that asks does not wait for a probe")
		reads := w.memory.Reads("p")
		w.feed.Forget(object("o"))
		w.follow(sub("o", hour, "p"))
		release()
		synctest.Wait()
		w.wantReads("p", reads, "what the probe says of a secret that was left is nothing to the new follower")
	})
}

// mutating is a world with one secret that reading changes.
func mutating(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	probing(t, func(t *testing.T, w *world) {
		w.set("key-1", "iam")
		w.memory.SetReadMutates("iam", true)
		test(t, w)
	})
}

func TestReadMutatesIsReadOnceForAll(t *testing.T) {
	mutating(t, func(t *testing.T, w *world) {
		w.sync(sub("a", hour, "iam"))
		w.sync(sub("b", hour, "iam"))
		w.pass(10 * hour)
		w.wantReads("iam", 1, "two users and ten intervals")

		w.set("key-2", "iam")
		w.memory.SetReadMutates("iam", true)
		w.pass(hour)
		w.wantReads("iam", 2, "it was rotated in the manager")
		for _, o := range []string{"a", "b"} {
			w.wantWoken(o, 1, "the one read is handed to all")
			w.wantText(w.now(o), at("iam"), "key-2", "the one read is handed to all")
		}
		w.pass(10 * hour)
		w.wantReads("iam", 2, "and no other follows")
	})
}

func TestReadMutatesOverARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		rotate bool
		held   func(version string) [2]string
		reads  int
	}{
		"unchanged": {reason: "both Secrets hold what the manager has", held: func(v string) [2]string { return [2]string{v, v} }, reads: 0},
		"rotated":   {reason: "a rotation while nobody ran is not missed", rotate: true, held: func(v string) [2]string { return [2]string{v, v} }, reads: 1},
		"different": {reason: "one Secret was left behind", held: func(v string) [2]string { return [2]string{v, "older"} }, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			mutating(t, func(t *testing.T, w *world) {
				version := w.sync(sub("a", hour, "iam"))[at("iam")].Secret.Version
				before := w.memory.Reads("iam")
				if tc.rotate {
					w.set("key-2", "iam")
					w.memory.SetReadMutates("iam", true)
				}
				n := w.restart()
				held := tc.held(version)
				for i, o := range []string{"a", "b"} {
					s := sub(o, hour, "iam")
					s.Held = map[plan.Key]string{at("iam"): held[i]}
					n.follow(s)
				}
				n.pass(5 * hour)
				n.wantReads("iam", before+tc.reads, tc.reason)
				if tc.reads == 0 {
					n.wantWoken("a", 0, "waking it would make it ask for the value")
				} else {
					n.wantWoken("a", 1, "there is a new value")
				}
			})
		})
	}
}

func TestReadMutatesWithoutAnyWord(t *testing.T) {
	mutating(t, func(t *testing.T, w *world) {
		w.prober.says(func(own []string) ([]string, error) { return make([]string, len(own)), nil })
		w.sync(sub("a", hour, "iam"))
		w.pass(50 * hour)
		w.wantReads("iam", 1, "a prober that cannot tell is no reason to change the secret")
	})
}

// TestReadMutatesVersionItself has a product that counts our own reads as
// versions.
func TestReadMutatesVersionItself(t *testing.T) {
	mutating(t, func(t *testing.T, w *world) {
		w.prober.says(func([]string) ([]string, error) {
			return []string{strconv.Itoa(w.memory.Reads("iam"))}, nil
		})
		w.sync(sub("a", hour, "iam"))
		w.pass(50 * hour)
		if got := w.memory.Reads("iam"); got > 3 {
			t.Errorf("%d reads: each asks for the next", got)
		}
	})
}
