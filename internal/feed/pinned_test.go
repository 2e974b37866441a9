// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestPinnedObjectsAreLeftAlone(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "p")
		w.sync(pinned("frozen", "p"))
		w.sync(sub("follows", hour, "p"))
		w.follow(pinned("rests", "p"))
		for i := range 10 {
			w.set(strconv.Itoa(2+i), "p")
			w.pass(hour)
			w.wantWoken("follows", 1, "its secret changed")
			w.wantText(w.now("follows"), at("p"), strconv.Itoa(2+i), "it follows")
		}
		w.memory.Fail("p", errDown)
		w.pass(2 * hour)
		w.memory.Unfail("p")
		w.pass(2 * hour)
		w.wantWoken("frozen", 0, "a freeze is a safety control")
		w.wantWoken("rests", 0, "a freeze is a safety control")
	})
}

func TestPinnedObjectsAskAnew(t *testing.T) {
	for name, s := range map[string]Subscription{
		"pinned":      pinned("a", "p", "q"),
		"no interval": sub("a", 0, "p", "q"),
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("1", "p", "q")
				w.wantText(w.sync(s), at("p"), "1", "the first look")
				w.pass(100 * hour)
				w.wantReads("p", 1, "nobody polls it")
				w.set("2", "p")
				w.wantText(w.sync(s), at("p"), "2", "it asks the store, not us")
				w.wantReads("p", 2, "one for each time it asked")
				w.wantReads("q", 2, "one for each time it asked")
			})
		})
	}
}

// Without a schedule of its own, a pinned object that asked in vain would
// never hear of it again.
func TestPinnedObjectHearsOfTheEndOfAnOutage(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "q")
		w.memory.Fail("p", errDown)
		s := w.sync(pinned("a", "p", "q"))
		w.wantText(s, at("p"), "error Unavailable", "the store is down")
		w.wantText(s, at("q"), "v", "not for this one")
		w.pass(hour)
		w.wantWoken("a", 0, "nothing new")
		reads := w.memory.Reads("p")
		if reads < 5 || reads > 40 {
			t.Errorf("%d reads in an hour of failing, want a back-off", reads)
		}
		w.memory.Unfail("p")
		w.pass(5 * time.Minute)
		w.wantWoken("a", 1, "its question can be answered now")
		before := w.memory.Reads("p")
		w.wantText(w.now("a"), at("p"), "v", "its question can be answered now")
		w.wantReads("p", before, "with what was just read")
		w.forgetWakes()
		w.set("2", "p")
		w.pass(100 * hour)
		w.wantReads("p", before, "it is pinned")
		w.wantWoken("a", 0, "it is pinned")
	})
}

func TestForce(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "p", "q")
		w.sync(sub("forces", hour, "p", "q"))
		w.sync(sub("follows", hour, "p", "q"))
		w.set("2", "p")
		if _, ok := w.feed.Ask(object("forces"), true); ok {
			t.Fatal("what was read before counted")
		}
		synctest.Wait()
		w.wantWoken("forces", 1, "its answer came")
		w.wantWoken("follows", 1, "it is news for others too")
		w.wantText(w.now("forces"), at("p"), "2", "read after it was forced")
		w.wantText(w.now("follows"), at("p"), "2", "read after it was forced")
		w.wantReads("p", 2, "one more")
		w.wantReads("q", 2, "all that the object needs")
	})
}

func TestForceDuringARead(t *testing.T) {
	for name, c := range map[string]struct {
		reason      string
		first, then string // what the store holds for the read under way, and for the next
		fail        bool   // the second read
		want        string
		news        int
	}{
		"changed before":   {"the superseded read brought news for others", "2", "2", false, "2", 1},
		"changed between":  {"the read under way began too early", "1", "2", false, "2", 1},
		"changed and back": {"something did change", "2", "1", false, "1", 1},
		"unchanged":        {"no news for those who follow", "1", "1", false, "1", 0},
		"then it fails":    {"the answer after the force counts", "1", "1", true, "1 stale Unavailable", 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("1", "p")
				w.sync(sub("follows", hour, "p"))
				w.sync(sub("forces", hour, "p"))
				w.set(c.first, "p")
				release := w.slow("p")
				w.feed.Ask(object("forces"), true)
				synctest.Wait()
				w.wantReads("p", 2, "the read under way")
				w.set(c.then, "p")
				if c.fail {
					w.memory.Fail("p", errDown)
				}
				w.feed.Ask(object("forces"), true) // again, before the answer
				again := w.slow("p")
				release()
				synctest.Wait()
				w.wantWoken("forces", 0, "the first answer is too old")
				if _, ok := w.ask("forces"); ok {
					t.Error("the first answer was handed out")
				}
				again()
				synctest.Wait()
				w.wantReads("p", 3, "it is read again")
				w.wantWoken("forces", 1, "once, by the answer that counts")
				w.wantWoken("follows", c.news, c.reason)
				w.wantText(w.now("forces"), at("p"), c.want, c.reason)
				w.wantText(w.now("follows"), at("p"), c.want, c.reason)
			})
		})
	}
}

func TestSecretsThatReadingChanges(t *testing.T) {
	in(t, memory.Options{}, Options{CacheBytes: 2000}, func(t *testing.T, w *world) {
		w.set(strings.Repeat("x", 3000), "lease") // larger than the cache
		w.memory.SetReadMutates("lease", true)
		crowd := names("crowd", 20)
		w.set(strings.Repeat("y", 500), crowd...)
		w.sync(sub("a", hour, "lease"))
		w.sync(sub("crowd", hour, crowd...))
		w.pass(50 * hour)
		w.wantReads("lease", 1, "never polled")
		for range 3 {
			w.wantText(w.now("a"), at("lease"), strings.Repeat("x", 3000), "kept, whatever the cache holds")
		}
		w.sync(sub("b", hour, "lease"))
		w.sync(pinned("c", "lease"))
		w.sync(sub("a", time.Minute, "lease"))
		w.wantReads("lease", 1, "read once for everybody")
		w.feed.Ask(object("a"), true)
		synctest.Wait()
		w.wantReads("lease", 2, "but for who insists")
		for _, name := range []string{"a", "b", "c"} {
			w.feed.Forget(object(name))
		}
		w.sync(sub("a", hour, "lease"))
		w.wantReads("lease", 3, "it was given up in between")
	})
}

func TestRestingBesideASecretThatReadingChanges(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "lease", "p")
		w.memory.SetReadMutates("lease", true)
		w.sync(sub("a", hour, "lease"))
		w.pass(time.Second)
		w.follow(sub("rests", hour, "lease", "p"))
		w.pass(hour)
		w.wantWoken("rests", 1, "no poll will ever come for the other one")
		w.wantReads("lease", 1, "never polled")
	})
}

// An answer that waits for others is as new as it can be, also for those whom
// a change does not wake.
func TestPinnedAnswerThatWasOvertaken(t *testing.T) {
	in(t, memory.Options{}, Options{Timeout: 10 * hour}, func(t *testing.T, w *world) {
		w.set("1", "p", "q")
		w.sync(sub("follows", hour, "p"))
		release := w.memory.Hold("q")
		w.follow(pinned("a", "p").and(other("slow"), `{"login":"slow"}`, "q"))
		w.ask("a")
		synctest.Wait()
		w.set("2", "p")
		w.pass(hour)
		w.wantWoken("a", 0, "it waits")
		release()
		synctest.Wait()
		w.wantText(w.now("a"), at("p"), "2", "what is known when it has everything")
	})
}

func TestSecretThatReadingChangesIsMissing(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "lease")
		w.memory.SetReadMutates("lease", true)
		w.sync(sub("a", hour, "lease"))
		w.memory.Remove("lease")
		w.feed.Ask(object("a"), true)
		synctest.Wait()
		w.wantText(w.now("a"), at("lease"), "error NotFound", "it is gone")
		w.set("2", "lease")
		w.memory.SetReadMutates("lease", true)
		w.forgetWakes()
		w.pass(hour)
		w.wantWoken("a", 1, "what is not there can be looked for")
		w.wantText(w.now("a"), at("lease"), "2", "it is there again")
		before := w.memory.Reads("lease")
		w.pass(10 * hour)
		w.wantReads("lease", before, "and is not polled")
	})
}

// Mixed modes: the one that follows is polled for, and a change of mode is a
// change of what a later poll does.
func TestModeChanges(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "p")
		w.sync(sub("a", hour, "p"))
		frozen := sub("a", hour, "p")
		frozen.Mode = spec.Pinned
		w.follow(frozen)
		w.set("2", "p")
		w.pass(5 * hour)
		w.wantWoken("a", 0, "frozen")
		w.follow(sub("a", hour, "p"))
		w.pass(0)
		w.wantText(w.now("a"), at("p"), "2", "thawed")
		w.forgetWakes()
		w.set("3", "p")
		w.pass(hour)
		w.wantWoken("a", 1, "thawed")
		if text(w.now("a")[at("p")]) != "3" {
			t.Error("thawed, and not up to date")
		}
	})
}

func TestOwnersAreApart(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "lease")
		for _, owner := range []string{"a", "b"} {
			s := sub(owner, hour, "lease")
			s.Plan.Reads[0].Refs[0].Owner = owner
			w.sync(s)
		}
		w.wantReads("lease", 2, "one for each owner")
		s := sub("c", hour, "lease")
		s.Plan.Reads[0].Refs[0] = backend.Ref{Path: "lease", Owner: "c"}
		w.follow(s)
		if _, ok := w.ask("c"); ok {
			t.Error("an owner got what belongs to another")
		}
	})
}
