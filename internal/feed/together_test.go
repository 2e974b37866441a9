// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
)

// One object with many secrets that all change: whichever of them is found first,
// it is told of all at once.
func TestChangesComeTogether(t *testing.T) {
	paths := names("p", 20)
	for name, c := range map[string]struct {
		options memory.Options
		reads   int // of each at most, in an interval
	}{
		"one by one": {memory.Options{Parallel: 1}, 2},
		"parallel":   {memory.Options{Parallel: 8}, 2},
		"batches":    {memory.Options{Batch: 3}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, c.options, Options{}, func(t *testing.T, w *world) {
				w.set("1", paths...)
				w.sync(sub("a", hour, paths...))
				w.lingers(20 * time.Millisecond)
				w.pass(2 * hour)
				w.wantWoken("a", 0, "nothing changed")
				w.set("2", paths...)
				from := len(w.log())
				w.pass(hour)
				w.wantWoken("a", 1, "all changed")
				s := w.now("a")
				for _, p := range paths {
					w.wantText(s, at(p), "2", "it is told of all at once")
				}
				reads := map[string]int{}
				for _, r := range w.log()[from:] {
					reads[r.path]++
				}
				for p, n := range reads {
					if n > c.reads {
						t.Errorf("%s was read %d times, want once in its turn and once with another one", p, n)
					}
				}
				from = len(w.log())
				w.pass(hour)
				w.wantWoken("a", 0, "nothing changed since")
				if n := len(w.log()) - from; n != len(paths) {
					t.Errorf("%d reads in the interval after it, want %d", n, len(paths))
				}
			})
		})
	}
}

// What is read because another secret changed.
func TestReadAlong(t *testing.T) {
	const popular = 120 // more than are read along
	both := func(w *world) { w.sync(sub("a", hour, "p", "q")) }
	for name, c := range map[string]struct {
		reason string
		begin  func(w *world)
		last   func(w *world) // right before
		watch  bool
		probe  bool
		want   int    // reads of q when p changes
		soon   int    // … and a little later
		woken  string // who is told of p
	}{
		"an object's other": {reason: "it may have changed, too", begin: both, want: 1},
		"nobody's other": {reason: "no object has both", begin: func(w *world) {
			w.sync(sub("a", hour, "p"))
			w.sync(sub("b", hour, "q"))
		}},
		"another login's": {reason: "its store was not asked", begin: func(w *world) {
			w.sync(sub("a", hour, "p").and(other("x"), `{"login":"x"}`, "q"))
		}},
		"a frozen object's": {reason: "it is told nothing", begin: func(w *world) {
			w.sync(pinned("frozen", "p", "q"))
			w.sync(sub("a", hour, "p"))
			w.sync(sub("b", hour, "q"))
		}},
		"a failing one": {reason: "it has its own time", begin: func(w *world) {
			both(w)
			w.memory.Fail("q", backend.Errorf(backend.NotFound, "gone"))
			w.pass(hour)
		}},
		"one of too many": {reason: "a change that everybody has is no burst", begin: func(w *world) {
			for _, n := range names("n", popular) {
				w.set("1", n)
				w.sync(sub("of "+n, hour, "p", "q", n))
			}
		}, woken: "of n7"},
		"one that was just read": {reason: "it may have changed since, and is read again soon", soon: 1, begin: func(w *world) {
			both(w)
			w.sync(sub("b", hour, "q"))
		}, last: func(w *world) {
			w.feed.Ask(object("b"), true)
			w.pass(500 * time.Millisecond)
		}},
		"one with a lease": {reason: "a read makes another one", begin: func(w *world) {
			w.lends("q")
			both(w)
		}},
		"one that reading changes": {reason: "it is not read for a hint", begin: func(w *world) {
			w.memory.SetReadMutates("q", true)
			both(w)
		}},
		"where notices come": {reason: "they would have told of it", begin: both, watch: true},
		"where it is probed": {reason: "the probe would have told of it", begin: func(w *world) {
			both(w)
			w.sync(sub("b", hour, "p"))
		}, probe: true},
		"with a listing": {reason: "that is not made for a hint", begin: func(w *world) {
			w.sync(sub("a", hour, "p", "q").lists("z"))
		}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, memory.New(), Options{})
				w.watches = c.watch
				if c.probe {
					w.prober = &prober{}
				}
				w.start()
				w.set("1", "p", "q")
				c.begin(w)
				w.toward("p", "q")
				w.pass(w.dueIn("p") - time.Second)
				if c.last != nil {
					c.last(w)
				}
				w.forgetWakes()
				reads, finds := w.memory.Reads("q"), len(w.finder.log())
				w.set("2", "p")
				if c.probe {
					w.feed.Ask(object("b"), true) // or the probe would be of both
					w.pass(time.Second)
				} else {
					w.turn("p")
				}
				if got := w.memory.Reads("q") - reads; got != c.want {
					t.Errorf("%s: %d reads of q when p changed, want %d", c.reason, got, c.want)
				}
				w.pass(slack)
				if got := w.memory.Reads("q") - reads; got != c.want+c.soon {
					t.Errorf("%s: %d reads of q soon after that, want %d", c.reason, got, c.want+c.soon)
				}
				w.wantFinds(finds, "p is in none")
				w.wantWoken(cmp.Or(c.woken, "a"), 1, "p changed")
			})
		})
	}
}

// toward lets time pass until a secret is the next of two that is read, or both
// are, and none was just read.
func (w *world) toward(first, second string) {
	w.t.Helper()
	for range 100 {
		a, b := w.dueIn(first), w.dueIn(second)
		if a > 3*slack && (b < 0 || b == a || b-a > slack) {
			w.pass(2 * slack) // since any of them was read
			return
		}
		w.pass(max(min(a, max(b, 0)), 0) + time.Second)
	}
	w.t.Fatalf("%s is never due before %s", first, second)
}

// dueIn is how long until a secret is due; negative when it never is.
func (w *world) dueIn(path string) time.Duration {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	for _, l := range w.feed.logins {
		if r := l.refs[at(path).Ref]; r != nil && r.scheduled() {
			return time.Until(r.slot.due)
		}
	}
	return -1
}

// turn lets time pass until a secret was read in its turn.
func (w *world) turn(path string) {
	w.t.Helper()
	before := w.memory.Reads(path)
	w.pass(w.dueIn(path))
	w.pass(time.Second)
	if w.memory.Reads(path) == before {
		w.t.Fatalf("%s was not read in its turn", path)
	}
}

// Whatever changes how often, nothing is read more than once besides in an
// interval.
func TestReadAlongOnce(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 20)
		w.set("1", append(paths, "q")...)
		w.sync(sub("a", hour, append(paths, "q")...))
		w.pass(hour)
		before := w.memory.Reads("q")
		for i := range 60 {
			w.set(strconv.Itoa(i), paths...)
			w.pass(time.Minute)
			w.ask("a")
		}
		if n := w.memory.Reads("q") - before; n < 2 || n > 3 {
			t.Errorf("%d reads in an hour, want one in its turn and one or two because others changed", n)
		}
	})
}

// An object waits for a secret that is being read when another one changes, but
// not for those that never end changing.
func TestWaitingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.NewWith(memory.Options{Batch: 1, Parallel: 4}), Options{})
		w.watches = true
		w.start()
		paths := names("p", 4)
		w.set("1", paths...)
		w.sync(sub("a", hour, paths...))
		w.pass(2 * settle)
		release := w.slow("p1")
		w.set("2", "p0", "p1")
		w.pass(settle)
		w.wantWoken("a", 0, "p1 is being read")
		release()
		synctest.Wait()
		w.wantWoken("a", 1, "both were read")
		s := w.now("a")
		w.wantText(s, at("p0"), "2", "both")
		w.wantText(s, at("p1"), "2", "both")

		w.lingers(1500 * time.Millisecond) // so that one of them is read at any time
		n := 0
		for i := range 240 {
			w.set(strconv.Itoa(i), paths[i%4])
			w.pass(250 * time.Millisecond)
			if w.woken("a") > 0 {
				n++
				w.ask("a")
			}
		}
		if n < 15 {
			t.Errorf("woken %d times in a minute in which something changed all the time", n)
		}
	})
}

// A store that goes down between the two keeps no value from those who need it.
func TestOtherFails(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "p", "q")
		w.sync(sub("a", hour, "p", "q"))
		w.pass(time.Minute)
		w.toward("p", "q")
		w.memory.Fail("q", errDown)
		w.set("2", "p")
		w.turn("p")
		w.wantWoken("a", 1, "p changed")
		s := w.now("a")
		w.wantText(s, at("p"), "2", "the new value")
		w.wantText(s, at("q"), "1 stale Unavailable", "what is known of the other")
	})
}

// Where a rate is used up, the end of the line is far away, and a value that is
// there is not kept from who needs it.
func TestNoWaitAtTheEndOfALine(t *testing.T) {
	in(t, memory.Options{Batch: 1, Rate: 2}, Options{}, func(t *testing.T, w *world) {
		paths := names("n", 100)
		w.set("1", append(paths, "p", "q")...)
		w.sync(sub("a", 10*time.Minute, "p", "q"))
		w.follow(sub("b", 10*time.Second, paths...)) // five times as much as goes
		w.ask("b")
		w.pass(5 * time.Minute)
		w.set("2", "p")
		w.forgetWakes()
		for before := w.memory.Reads("p"); w.memory.Reads("p") == before; {
			w.pass(100 * time.Millisecond)
		}
		w.wantWoken("a", 1, "p was read")
		w.wantText(w.now("a"), at("p"), "2", "it is told of it")
	})
}
