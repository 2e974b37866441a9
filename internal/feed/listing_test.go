// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

func TestOneListingForAll(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "a1", "a2", "b1")
		for _, o := range names("o", 50) {
			w.wantFound(w.sync(finds(o, hour, "a")), all("a"), "a1,a2", "what matches")
		}
		w.wantFound(w.sync(finds("other", hour, "b")), all("b"), "b1", "another question")
		w.wantFinds(2, "one for each question")
		w.pass(10 * hour)
		w.wantFinds(22, "and one for each interval")
		for _, o := range names("o", 50) {
			w.wantWoken(o, 0, "nothing changed")
		}
		w.set("v", "a3")
		w.pass(hour)
		for _, o := range names("o", 50) {
			w.wantWoken(o, 1, "another one matches")
			w.wantFound(w.now(o), all("a"), "a1,a2,a3", "another one matches")
		}
		w.wantWoken("other", 0, "nothing that it lists changed")
		w.wantFinds(24, "one for all of them")
		for _, r := range w.log() {
			t.Errorf("%q was read, and nobody asked for that", r.path)
		}
		for _, o := range append(names("o", 50), "other") {
			w.feed.Forget(object(o))
		}
		w.wantNothing("nobody follows")
	})
}

func TestListingKeepsItsPhase(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.sync(finds("o", hour, "a"))
		w.pass(10 * hour)
		log := w.finder.log()[1:]
		for i := 1; i < len(log); i++ {
			if pause := log[i].at.Sub(log[i-1].at); pause != hour {
				t.Errorf("a listing after %s, want %s", pause, hour)
			}
		}
		seconds := map[time.Duration]bool{}
		for i := range 100 {
			key := plan.Key{Listing: true, Query: backend.Query{Name: fmt.Sprint(i)}}
			seconds[phase("q", standIn(key), hour)/time.Second] = true
		}
		if len(seconds) < 90 {
			t.Errorf("100 listings are due in %d seconds", len(seconds))
		}
	})
}

func TestWhatChangesAListing(t *testing.T) {
	named := func(path, name string) backend.Found {
		return backend.Found{Ref: backend.Ref{Path: path}, Name: name}
	}
	kind := backend.Found{Ref: backend.Ref{Path: "b", Kind: "k"}}
	labelled := valued("b", "2")
	labelled.Secret.Labels, labelled.Secret.Version = map[string]string{"l": "1"}, "7"
	list := func(f ...backend.Found) []backend.Found { return f }
	for name, c := range map[string]struct {
		reason        string
		before, after []backend.Found
		woken         int
		want          string
	}{
		"same":         {"nothing changed", list(hit("a"), hit("b")), list(hit("a"), hit("b")), 0, "a,b"},
		"order":        {"stores list in any order", list(hit("a"), hit("b")), list(hit("b"), hit("a")), 0, "a,b"},
		"double":       {"a page may repeat the end of the one before", list(hit("a"), hit("b")), list(hit("a"), hit("b"), hit("a")), 0, "a,b"},
		"more":         {"another one", list(hit("a")), list(hit("a"), hit("b")), 1, "a,b"},
		"fewer":        {"one is gone", list(hit("a"), hit("b")), list(hit("a")), 1, "a"},
		"none":         {"all are gone, and that is an answer", list(hit("a")), nil, 1, ""},
		"none still":   {"nothing is nothing", nil, nil, 0, ""},
		"renamed":      {"the name is what people see", list(named("a", "x")), list(named("a", "y")), 1, "a y"},
		"swapped":      {"which name is whose", list(named("a", "x"), named("b", "y")), list(named("a", "y"), named("b", "x")), 1, "a y,b x"},
		"kind":         {"the whole ref counts", list(hit("b")), list(kind), 1, "b"},
		"same value":   {"nothing changed", list(valued("a", "1")), list(valued("a", "1")), 0, "a=1"},
		"value":        {"it came along", list(valued("a", "1"), valued("b", "2")), list(valued("a", "1"), valued("b", "3")), 1, "a=1,b=3"},
		"values":       {"which value is whose", list(valued("a", "1"), valued("b", "2")), list(valued("a", "2"), valued("b", "1")), 1, "a=2,b=1"},
		"labels":       {"labels and versions are no change", list(valued("b", "2")), list(labelled), 0, "b=2"},
		"now valued":   {"a value came along", list(hit("a")), list(valued("a", "")), 1, "a="},
		"other double": {"whichever comes first", list(valued("a", "1"), valued("a", "2")), list(valued("a", "2"), valued("a", "1")), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.finder.says(c.before...)
				w.sync(finds("o", hour, "a"))
				w.finder.says(c.after...)
				w.pass(hour)
				w.wantWoken("o", c.woken, c.reason)
				if c.want != "" {
					w.wantFound(w.now("o"), all("a"), c.want, c.reason)
				}
				w.pass(5 * hour)
				w.wantWoken("o", 0, "once is enough")
			})
		})
	}
}

func TestListingIsNeverProbed(t *testing.T) {
	probing(t, func(t *testing.T, w *world) {
		w.set("v", "a1", "p")
		w.settle(finds("lists", hour, "a"))
		w.sync(sub("reads", hour, "p"))
		before := len(w.finder.log())
		w.pass(10 * hour)
		w.wantFinds(before+10, "no product tells versions of a listing")
		for _, n := range w.prober.sizes() {
			if n != 2 {
				t.Errorf("a probe of %d, want the two secrets", n)
			}
		}
	})
}

func TestListingIsServedAsReadsAre(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "a1")
		w.sync(finds("first", 1000*hour, "a"))
		w.pass(10 * time.Minute)
		w.sync(finds("patient", 30*time.Minute, "a"))
		w.wantFinds(1, "what is known is young enough")
		w.set("v", "a2")
		w.wantFound(w.sync(finds("impatient", 5*time.Minute, "a")), all("a"), "a1,a2", "what is known is too old")
		w.wantFinds(2, "what is known is too old")
		w.feed.Forget(object("patient"))
		w.feed.Forget(object("impatient"))
		w.pass(hour)
		before := len(w.finder.log())
		frozen := pinned("frozen").lists("a")
		w.sync(frozen)
		w.sync(frozen)
		w.wantFinds(before+2, "one that is pinned asks the store each time")
		if _, ok := w.feed.Ask(object("first"), true); ok {
			t.Error("what was listed before counted")
		}
		synctest.Wait()
		w.wantFinds(before+3, "it was forced")
		w.now("first")
		w.forgetWakes()
		w.set("v", "a3")
		w.pass(2000 * hour)
		w.wantWoken("frozen", 0, "a freeze is a safety control")
	})
}

func TestListingIsBounded(t *testing.T) {
	many := func(n int) []backend.Found {
		out := make([]backend.Found, n)
		for i := range out {
			out[i] = hit(fmt.Sprint(i))
		}
		return out
	}
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.finder.says(many(maxHits)...)
		if n := len(w.sync(finds("o", hour, "a"))[all("a")].Found); n != maxHits {
			t.Errorf("%d hits, want %d", n, maxHits)
		}
		w.finder.says(many(maxHits + 1)...)
		w.feed.Ask(object("o"), true)
		synctest.Wait()
		w.wantFound(w.now("o"), all("a"), "error Conflict", "half a listing is not one")
	})
}

func TestListingAndTheCache(t *testing.T) {
	big := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		reason string
		bytes  int
		extra  int // listings when an object asks again
	}{
		"fits":      {"it is known", 1 << 20, 0},
		"dropped":   {"a value drove it out, and it is made again", 3000, 1},
		"too large": {"it is delivered all the same", 500, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{CacheBytes: c.bytes}, func(t *testing.T, w *world) {
				w.finder.says(valued("a", big))
				w.set(big, "p", "q")
				w.wantFound(w.sync(finds("lists", hour, "a")), all("a"), "a="+big, "the first time")
				w.sync(sub("reads", hour, "p", "q"))
				w.wantFound(w.now("lists"), all("a"), "a="+big, c.reason)
				w.wantFinds(1+c.extra, c.reason)
				if used := w.feed.cache.used; used > c.bytes || c.extra == 0 && used < 3000 {
					t.Errorf("the cache says %d bytes of %d", used, c.bytes)
				}
				w.forgetWakes()
				w.pass(3 * hour)
				w.wantWoken("lists", 0, "nothing changed, whatever is in the cache")
			})
		})
	}
}

func TestListingFails(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "a1")
		w.finder.partial = true
		first := w.sync(finds("o", hour, "a"))
		if !first[all("a")].Partial {
			t.Error("it is not said that the listing may leave out something")
		}
		w.finder.fails(errDown)
		w.pass(hour)
		w.wantWoken("o", 1, "it is told once")
		s := w.now("o")
		w.wantFound(s, all("a"), "a1,stale Unavailable", "the last good one")
		if !s[all("a")].Partial {
			t.Error("stale, and not partial any more")
		}
		w.finder.fails(nil)
		w.pass(hour)
		w.wantWoken("o", 1, "it is over")
		w.wantFound(w.now("o"), all("a"), "a1", "it is over")
		w.finder.fails(backend.Errorf(backend.PermissionDenied, "no"))
		w.pass(hour)
		w.wantFound(w.now("o"), all("a"), "error PermissionDenied", "proven: nothing of it is ours")
		w.finder.fails(errDown)
		w.feed.Ask(object("o"), true)
		synctest.Wait()
		w.wantFound(w.now("o"), all("a"), "error Unavailable", "an outage does not bring it back")
	})
}

func TestListingsInAnOutage(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p0", "x")
		prefixes := names("p", 200) // so many that one of them is due soon, when a question may be asked
		w.sync(finds("o", 10*time.Minute, prefixes...))
		w.memory.Fail("", errDown)
		w.pass(10 * time.Minute)
		before := len(w.finder.log())
		w.pass(10 * time.Minute)
		if n := len(w.finder.log()) - before; n > 50 || n < 10 {
			t.Errorf("%d listings of a dead store in ten minutes", n)
		}
		w.wantText(w.sync(sub("reads", hour, "x")), at("x"), "error Unavailable", "a listing tells of reads too")
		w.memory.Unfail("")
		w.pass(probeEvery + time.Minute)
		w.wantFound(w.now("o"), all("p0"), "p0", "all are made once it answers")
		w.wantText(w.now("reads"), at("x"), "v", "and all read")
	})
}

func TestListingHeedsTheQuota(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "a1")
		w.sync(sub("reads", 10*time.Second, "p"))
		w.sync(finds("lists", 10*time.Second, "a"))
		w.finder.fails(&backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: time.Minute})
		w.pass(10 * time.Second)
		if w.quiet() == 0 {
			t.Fatal("the account is not quiet")
		}
		before, reads := len(w.finder.log()), len(w.log())
		w.finder.fails(nil)
		w.pass(49 * time.Second)
		w.wantFinds(before, "it is left alone")
		if n := len(w.log()) - reads; n != 0 {
			t.Errorf("%d reads while a listing was told to wait", n)
		}
		w.pass(15 * time.Second)
		w.wantFound(w.now("lists"), all("a"), "a1", "it goes on")
	})
}

func TestListingsGoAlone(t *testing.T) {
	in(t, memory.Options{Parallel: 1, Batch: 20}, Options{Timeout: hour}, func(t *testing.T, w *world) {
		paths := names("p", 30)
		w.set("v", paths...)
		release := w.memory.Hold("")
		w.follow(sub("first", hour, "p0"))
		w.ask("first")
		synctest.Wait()
		w.follow(sub("o", hour, paths...).lists("a", "b", "c"))
		w.ask("o")
		w.follow(sub("last", hour, names("q", 3)...).lists("d"))
		w.ask("last")
		release()
		synctest.Wait()
		s := w.now("o")
		for _, p := range paths {
			w.wantText(s, at(p), "v", "all are there")
		}
		if len(s) != 33 {
			t.Errorf("%d answers, want 33", len(s))
		}
		w.now("last")
		w.wantFinds(4, "one for each")
		for _, r := range w.log() {
			if r.path == "" {
				t.Error("a listing was read")
			}
		}
	})
}
