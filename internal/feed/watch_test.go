// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
)

// watching runs a test with a store that tells of changes.
func watching(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New(), Options{})
		w.watches = true
		w.start()
		test(t, w)
	})
}

func TestNoticeMakesDue(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("1", "p", "q")
		w.sync(sub("a", hour, "p"))
		w.sync(sub("b", hour, "q"))
		w.pass(10 * time.Second)
		w.set("2", "p")
		w.pass(settle)
		w.wantWoken("a", 1, "its secret changed")
		w.wantText(w.now("a"), at("p"), "2", "a notice is told within a second")
		w.wantReads("p", 2, "one for the notice")
		w.wantReads("q", 1, "another one's notice")
		w.wantWoken("b", 0, "another one's notice")
	})
}

func TestNoticesAreCoalesced(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("0", "p")
		w.sync(sub("a", hour, "p").lists("l"))
		for i := range 1000 {
			w.set(strconv.Itoa(i+1), "p")
			w.pass(10 * time.Millisecond)
		}
		w.pass(2 * settle)
		w.wantText(w.now("a"), at("p"), "1000", "the last one counts")
		if n := w.memory.Reads("p"); n > 14 {
			t.Errorf("1,000 notices in 10 seconds cost %d reads, want about one a second", n)
		}
		if n := len(w.finder.log()); n > 4 {
			t.Errorf("1,000 notices in 10 seconds cost %d listings, want one in five", n)
		}
	})
}

// A notice makes due what a look through all secrets would find, whoever came and
// went before.
func TestNoticeFindsItsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New(), Options{}) // without Run, which would read what is due
		w.watches = true
		paths, versions := names("p", 5), []string{"", "1", "2"}
		random := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // the same every time
		for range 400 {
			name := names("o", 30)[random.IntN(30)]
			if random.IntN(3) == 0 {
				w.feed.Forget(object(name))
				continue
			}
			s := sub(name, []time.Duration{0, 1000 * hour}[random.IntN(2)])
			for range 1 + random.IntN(3) {
				ref := backend.Ref{Path: paths[random.IntN(5)], Version: versions[random.IntN(3)]}
				s.Plan.Reads[0].Refs = append(s.Plan.Reads[0].Refs, ref)
			}
			w.follow(s)
			w.noticedOf(paths[random.IntN(5)])
		}
		for _, name := range names("o", 30) {
			w.feed.Forget(object(name))
		}
		w.wantNothing("nobody follows")
	})
}

// noticedOf gives a notice of a path, and requires that it makes due what a look
// through all secrets finds.
func (w *world) noticedOf(path string) {
	w.t.Helper()
	f := w.feed
	for _, l := range f.logins {
		want, polling := map[*ref]bool{}, 0
		for _, r := range l.refs {
			want[r] = r.every > 0 && r.ref.Path == path
			if r.every > 0 {
				polling++
				f.schedule.set(r, time.Now().Add(hour))
			}
		}
		if polling != l.polling {
			w.t.Fatalf("%d secrets have an interval, and %d count", polling, l.polling)
		}
		f.noticed(l, backend.Ref{Path: path})
		for _, r := range l.refs {
			if due := r.scheduled() && !r.due.After(time.Now()); due != want[r] {
				w.t.Fatalf("a notice of %s makes %s due: %t, want %t", path, r.ref, due, want[r])
			}
		}
	}
}

// A read that is under way may have seen what was before the notice.
func TestNoticeDuringRead(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("1", "p")
		release := w.slow("p")
		w.follow(sub("a", hour, "p"))
		if _, ok := w.ask("a"); ok {
			t.Fatal("an answer before the read ended")
		}
		synctest.Wait()
		w.set("2", "p")
		synctest.Wait()
		release()
		w.pass(2 * settle)
		w.wantText(w.now("a"), at("p"), "2", "it is read once more")
	})
}

func TestFrozenObjectsAreNotNoticed(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("1", "p")
		w.sync(pinned("frozen", "p"))
		w.pass(time.Minute)
		w.set("2", "p")
		w.pass(time.Minute)
		w.wantWoken("frozen", 0, "a freeze is a safety control")
		w.wantReads("p", 1, "nobody polls it, so there is no stream")
	})
}

// Lost notices change nothing but the delay.
func TestBrokenStream(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("1", "p")
		w.sync(sub("a", hour, "p"))
		w.pass(time.Minute)
		w.memory.Fail("", errDown)
		w.memory.Fail("p", errDown)
		w.set("2", "p") // the notice finds the stream broken
		w.pass(time.Second)
		w.memory.Unfail("")
		w.memory.Unfail("p")
		w.pass(2 * reconnect)
		w.wantText(w.now("a"), at("p"), "2", "what changed meanwhile is found when the stream is back")
		w.set("3", "p")
		w.pass(2 * settle)
		w.wantText(w.now("a"), at("p"), "3", "and the stream is back")
	})
}

func TestStreamEndsWithItsUsers(t *testing.T) {
	watching(t, func(t *testing.T, w *world) {
		w.set("1", "p")
		w.sync(sub("a", hour, "p"))
		w.pass(time.Second)
		w.feed.Forget(object("a"))
		w.pass(time.Second)
		w.wantNothing("nobody follows")
		w.set("2", "p")
		w.pass(time.Minute)
		w.wantReads("p", 1, "and nobody listens")
	})
}
