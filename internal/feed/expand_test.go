// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

// What a listing yields costs one listing and one read of each, whoever asks
// and however much there is room for.
func TestExpandedListing(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		sub    Subscription
		cache  int
		again  int // listings and reads of each when it looks once more
	}{
		"follows":   {"both are kept", finds("o", hour, "a"), 0, 0},
		"pinned":    {"it asks for both anew each time, and is done each time", pinned("o").lists("a"), 0, 1},
		"too large": {"not kept, so both are asked for again", finds("o", hour, "a"), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{CacheBytes: c.cache}, func(t *testing.T, w *world) {
				w.set("v", "a1", "a2")
				whole := c.sub
				for i := range 3 {
					s := w.settle(whole)
					w.wantFound(s, all("a"), "a1,a2", c.reason)
					w.wantText(s, at("a1"), "v", c.reason)
					w.wantText(s, at("a2"), "v", c.reason)
					w.wantFinds(1+i*c.again, c.reason)
					w.wantReads("a1", 1+i*c.again, c.reason)
					whole.Plan = plan.Expand(c.sub.Plan, s)
				}
			})
		})
	}
}

// The questions of before are as they were.
func TestExpandingKeepsWhatIsKnown(t *testing.T) {
	in(t, memory.Options{}, Options{Timeout: hour}, func(t *testing.T, w *world) {
		w.set("v", "a1", "p")
		base := sub("o", hour, "p").lists("a")
		w.follow(base)
		release := w.memory.Hold("p")
		w.ask("o")
		synctest.Wait()
		answers := plan.Snapshot{all("a"): {Found: []backend.Found{hit("a1")}}}
		whole := base
		whole.Plan = plan.Expand(base.Plan, answers)
		before := map[plan.Key]question{}
		for _, q := range w.feed.followers[object("o")].questions.list {
			before[q.key()] = *q
		}
		w.pass(time.Second)
		w.follow(whole)
		after := w.feed.followers[object("o")].questions
		for key, b := range before {
			if a := after.get(key); a.since != b.since || a.waits != b.waits || a.answer != b.answer {
				t.Errorf("%v: since, waits or answer changed", key)
			}
		}
		if q := after.get(at("a1")); q == nil || q.waits || len(after.list) != 3 {
			t.Error("the new one is not a question that nobody asked")
		}
		if before[all("a")].answer == nil || !before[at("p")].waits {
			t.Error("the scene is not what it should be")
		}
		release()
		s := w.now("o")
		w.wantText(s, at("p"), "v", "the one it waited for")
		w.wantText(s, at("a1"), "v", "the one that came")
		w.wantFinds(1, "the one that was there")
	})
}

func TestExpandedListingChanges(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "a1", "a2")
		base := finds("o", hour, "a")
		w.settle(base)
		w.memory.Remove("a1")
		w.set("v", "a3")
		w.pass(hour)
		if w.woken("o") == 0 {
			t.Fatal("it hears nothing")
		}
		s := w.settle(base)
		w.wantFound(s, all("a"), "a2,a3", "what matches now")
		w.wantText(s, at("a3"), "v", "the new one")
		if _, ok := s[at("a1")]; ok {
			t.Error("it still follows what is gone")
		}
		reads := w.memory.Reads("a1")
		w.pass(5 * hour)
		w.wantReads("a1", reads, "nobody follows it")
		w.wantWoken("o", 0, "nothing changed since")
		w.set("new", "a2")
		w.pass(hour)
		w.wantWoken("o", 1, "a value changed, and the listing did not")
	})
}

// With force, what the listing yields is read after it too, also where others
// follow it.
func TestForcedListing(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("old", "a1", "a2")
		w.finder.says(hit("a1"))
		base := finds("o", 1000*hour, "a")
		s := w.settle(base)
		base.Plan = plan.Expand(base.Plan, s)
		w.sync(sub("other", 1000*hour, "a2"))
		w.finder.says(hit("a1"), hit("a2"))
		w.set("new", "a1", "a2")
		w.pass(time.Second)
		w.feed.Ask(object("o"), true)
		w.pass(time.Second)
		s = w.settle(base)
		w.wantText(s, at("a1"), "new", "it followed that")
		w.wantText(s, at("a2"), "new", "it did not, and what others know is older than the force")
		w.wantReads("a2", 2, "once more for the force")
		w.settle(base)
		w.wantReads("a2", 2, "the force is over")
		w.wantFinds(2, "the first and the forced one")
	})
}

// After a restart, neither the listings nor what they yield are read at once,
// and objects are woken once.
func TestRestartWithListings(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		hits := names("a", 200)
		w.set("v", hits...)
		objects := names("o", 20)
		for _, o := range objects {
			w.follow(finds(o, hour, "a"))
		}
		w.pass(0)
		if len(w.log())+len(w.finder.log()) != 0 {
			t.Fatal("something was asked for objects that rest")
		}
		for range 2 * 60 {
			w.pass(time.Minute)
			for _, o := range objects {
				n := w.woken(o)
				if n == 0 {
					continue
				}
				before := len(w.log())
				s, ok := w.whole(finds(o, hour, "a"))
				if !ok || n > 1 || len(s) != 201 {
					t.Fatalf("%s was woken %d times for %d answers, %t", o, n, len(s), ok)
				}
				if len(w.log()) != before {
					t.Errorf("%s had something read when it was woken", o)
				}
			}
		}
		second := map[time.Time]int{}
		for _, r := range w.log() {
			second[r.at.Truncate(time.Second)]++
		}
		for at, n := range second {
			if n > 5 {
				t.Errorf("%d reads in the second %s", n, at)
			}
		}
		if n := len(w.log()); n < 200 || n > 400 {
			t.Errorf("%d reads of 200 secrets within two intervals", n)
		}
		w.pass(10 * hour)
		for _, o := range objects {
			w.wantWoken(o, 0, "nothing changed")
			w.feed.Forget(object(o))
		}
		w.wantNothing("nobody follows")
	})
}

// What a listing brings a resting object to must not be read when reading
// changes it, and the object's Secret has it already.
func TestRestartWithListingOfWhatReadingChanges(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		w.set("key", "a1")
		w.memory.SetReadMutates("a1", true)
		version := w.settle(finds("o", hour, "a"))[at("a1")].Secret.Version
		before := w.memory.Reads("a1")
		n := w.restart()
		s := finds("o", hour, "a")
		s.Held = map[plan.Key]string{at("a1"): version}
		n.follow(s)
		n.pass(10 * hour)
		n.wantReads("a1", before, "the Secret holds what the manager has")
		if n.prober.probes() < 5 {
			t.Error("it is not followed")
		}
	})
}

// An object that asks for a listing and leaves it at that gets a new one.
func TestListingThatIsNotExpanded(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "a1")
		s := pinned("o").lists("a")
		for i := range 3 {
			w.sync(s)
			w.wantFinds(i+1, "what it got before is not kept for good")
		}
		long := strings.Repeat("a", 20)
		w.set("v", long)
		w.wantFound(w.sync(s), all("a"), "a1,"+long, "what is there now")
	})
}
