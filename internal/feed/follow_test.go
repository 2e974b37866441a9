// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

func TestTwoObjectsAreOneRead(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		release := w.memory.Hold("p")      // what a asks for may be there before b asks
		w.follow(sub("a", hour, "p", "p")) // two fields of it
		w.follow(sub("b", hour, "p"))
		for _, name := range []string{"a", "b"} {
			if _, ok := w.ask(name); ok {
				t.Fatalf("%s has an answer that nobody read", name)
			}
		}
		release()
		synctest.Wait()
		for _, name := range []string{"a", "b"} {
			w.wantWoken(name, 1, "its answer came")
			w.wantText(w.now(name), at("p"), "v", "the one read is for all")
		}
		w.wantReads("p", 1, "two objects with one secret")
	})
}

func TestManyObjectsAtOnceAreOneRead(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		hold   bool
	}{
		"while it is read": {"those who come during the read wait for it", true},
		"after it":         {"those who come later take what is known", false},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				release := func() {}
				if c.hold {
					release = w.memory.Hold("p")
				}
				objects := names("o", 200)
				for _, o := range objects {
					w.follow(sub(o, hour, "p"))
					w.ask(o)
					synctest.Wait()
				}
				release()
				synctest.Wait()
				for _, o := range objects {
					w.wantText(w.now(o), at("p"), "v", c.reason)
				}
				w.wantReads("p", 1, c.reason)
			})
		})
	}
}

func TestNewcomer(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		every  time.Duration
		reads  int
	}{
		"patient":   {"what is known is younger than its interval", 30 * time.Minute, 0},
		"as old":    {"the bound belongs to it", 10 * time.Minute, 0},
		"impatient": {"what is known is older than its interval", 5 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				path := late(w.t, hour, 20*time.Minute)
				w.set("v", path)
				w.sync(sub("first", hour, path))
				w.pass(10 * time.Minute)
				before := w.memory.Reads(path)
				w.wantText(w.sync(sub("newcomer", c.every, path)), at(path), "v", c.reason)
				w.wantReads(path, before+c.reads, c.reason)
			})
		})
	}
}

func TestNewcomerOfAFailingSecret(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p"))
		w.memory.Fail("p", backend.Errorf(backend.PermissionDenied, "not allowed"))
		w.pass(hour)
		w.memory.Unfail("p")
		w.wantText(w.sync(sub("b", 10*hour, "p")), at("p"), "v", "a failure is not handed on to those who were not there")
	})
}

func TestShorterIntervalCountsFromTheChange(t *testing.T) {
	for name, change := range map[string]func() Subscription{
		"a shorter interval": func() Subscription { return sub("a", time.Minute, "p") },
		"no longer pinned":   func() Subscription { return sub("a", time.Hour, "p") },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("old", "p")
				if name == "no longer pinned" {
					w.sync(pinned("a", "p"))
				} else {
					w.sync(sub("a", 1000*time.Hour, "p"))
				}
				w.pass(2 * time.Hour)
				w.set("new", "p")
				w.wantText(w.sync(change()), at("p"), "new", "what it knows is older than it asks for now")
			})
		})
	}
}

func TestRestingObjectsAreWokenOnce(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "q")
		w.follow(sub("rests", hour, "p", "q"))
		w.pass(0)
		if n := len(w.log()); n != 0 {
			t.Fatalf("%d reads for an object that asked nothing", n)
		}
		w.pass(hour)
		w.wantWoken("rests", 1, "all its secrets had their turn")
		s, ok := w.ask("rests")
		if !ok || len(s) != 2 {
			t.Fatalf("%d answers, %t: want those of the schedule, without a read", len(s), ok)
		}
		w.pass(20 * hour)
		w.wantWoken("rests", 0, "nothing changed")
		w.wantReads("p", 21, "it is polled")
	})
}

// One secret that everybody has must not make everybody ask for all the rest.
func TestRestartIsNoBurst(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "common")
		objects := names("o", 300)
		for _, o := range objects {
			w.set("v", o)
			w.follow(sub(o, hour, "common", o))
		}
		for range 60 {
			w.pass(time.Minute)
			for _, o := range objects {
				if n := w.woken(o); n > 0 {
					if _, ok := w.ask(o); !ok || n > 1 {
						t.Fatalf("%s was woken %d times, answer %t", o, n, ok)
					}
				}
			}
		}
		second := map[time.Time]int{}
		for _, r := range w.log() {
			second[r.at.Truncate(time.Second)]++
		}
		for at, n := range second {
			if n > 6 {
				t.Errorf("%d reads in the second %s", n, at)
			}
		}
		if n := len(w.log()); n != 301 {
			t.Errorf("%d reads in the first interval, want one for each secret", n)
		}
	})
}

// The one that rests follows later than the value was read, so no later poll
// is news. It may hold an older value all the same, for nobody compared.
func TestRestingObjectIsWokenAfterOthersReads(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("new", hour, "p"))
		w.follow(sub("rests", hour, "p"))
		w.pass(hour)
		w.wantWoken("rests", 1, "it was never compared with what the store holds")
		w.wantWoken("new", 0, "nothing changed since it asked")
		w.pass(5 * hour)
		w.wantWoken("rests", 0, "once is enough")
	})
}

func TestFollowReplaces(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "old", "stays", "new")
		w.sync(sub("a", hour, "old", "stays"))
		s := w.sync(sub("a", hour, "stays", "new"))
		if _, ok := s[at("old")]; ok || len(s) != 2 {
			t.Errorf("%d answers, old among them: %t", len(s), ok)
		}
		w.wantReads("stays", 1, "it was known already")
		w.pass(3 * hour)
		w.wantReads("old", 1, "nobody follows it any more")
		w.wantReads("stays", 4, "it is followed as before")
		if n := len(w.feed.logins); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
}

// Two names for one store are two questions and one secret. Giving up one of
// them must not give up the other.
func TestTwoNamesForOneStore(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("1", "p")
		alias := plan.Key{Store: other("alias"), Ref: backend.Ref{Path: "p"}}
		s := w.sync(sub("a", hour, "p").and(alias.Store, "", "p"))
		w.wantText(s, at("p"), "1", "by its first name")
		w.wantText(s, alias, "1", "by its second name")
		w.wantReads("p", 1, "it is one secret")
		w.sync(only("a", hour, alias.Store, "", "p"))
		w.set("2", "p")
		w.pass(hour)
		w.wantWoken("a", 1, "it still follows by the second name")
		w.wantText(w.now("a"), alias, "2", "by its second name")
		w.feed.Forget(object("a"))
		if w.memory.Sessions() != 0 {
			t.Error("the login is still open")
		}
	})
}

func TestForget(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p"))
		w.sync(sub("b", hour, "p"))
		w.feed.Forget(object("a"))
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions while b follows, want 1", n)
		}
		w.feed.Forget(object("b"))
		w.feed.Forget(object("b"))
		w.feed.Forget(object("never there"))
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions, want the login closed", n)
		}
		if f := w.feed; f.cache.used != 0 || f.cache.oldest != nil || len(f.followers)+len(f.logins)+len(f.schedule.heap) != 0 {
			t.Error("something is left of what nobody follows")
		}
		w.pass(5 * hour)
		w.wantReads("p", 1, "nobody follows it")
		if _, ok := w.ask("a"); ok {
			t.Error("an object that was forgotten has an answer")
		}
		w.wantText(w.sync(sub("a", hour, "p")), at("p"), "v", "it follows again")
		w.wantReads("p", 2, "what was known is gone")
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions after it follows again, want 1", n)
		}
	})
}

func TestDuringARead(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		do     func(w *world)
		woken  int
		reads  int    // of p in all, once the object asked again
		path   string // of what it asks in the end
	}{
		"follow": {"it still follows what is being read", func(w *world) { w.follow(sub("a", hour, "p")) }, 1, 1, "p"},
		"other plan": {"it does not follow it any more", func(w *world) {
			w.follow(sub("a", hour, "q"))
		}, 0, 1, "q"},
		"forget": {"there is nobody to wake", func(w *world) { w.feed.Forget(object("a")) }, 0, 1, ""},
		"forget and follow": {"the read under way was for another life of it", func(w *world) {
			w.feed.Forget(object("a"))
			w.follow(sub("a", hour, "p"))
		}, 0, 2, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p", "q")
				w.follow(sub("a", hour, "p"))
				release := w.memory.Hold("p")
				w.ask("a")
				synctest.Wait()
				c.do(w)
				if n := w.memory.Sessions(); n != 1 {
					t.Errorf("%s: %d sessions during the read", c.reason, n)
				}
				release()
				synctest.Wait()
				w.wantWoken("a", c.woken, c.reason)
				if c.path != "" {
					w.wantText(w.now("a"), at(c.path), "v", c.reason)
				}
				w.wantReads("p", c.reads, c.reason)
				w.feed.Forget(object("a"))
				synctest.Wait()
				if n, used := w.memory.Sessions(), w.feed.cache.used; n+used+len(w.feed.schedule.heap) != 0 {
					t.Errorf("%s: %d sessions and %d bytes at the end", c.reason, n, used)
				}
			})
		})
	}
}

func TestEmptyPlan(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		s := sub("a", hour)
		s.Plan = plan.Plan{}
		if got := w.sync(s); len(got) != 0 {
			t.Errorf("%d answers to no question", len(got))
		}
	})
}

// late returns a path that is first due after a while, and not more than 15
// minutes later than that, so that a test knows where in the interval it is.
func late(t *testing.T, every, after time.Duration) string {
	t.Helper()
	for _, p := range names("late", 1000) {
		first := time.Until(next(time.Now(), every, phase("memory\x00memory/default", backend.Ref{Path: p}, every)))
		if first > after && first < after+15*time.Minute {
			return p
		}
	}
	t.Fatal("no such path")
	return ""
}
