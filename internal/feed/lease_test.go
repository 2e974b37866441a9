// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

// lending runs a test with a store in which each read of "role" makes a secret
// with a lease, by default of an hour.
func lending(t *testing.T, o memory.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	in(t, o, Options{}, func(t *testing.T, w *world) {
		w.lends("role")
		test(t, w)
	})
}

func (w *world) lends(path string) {
	w.set("", path)
	w.memory.SetLends(path, true)
}

// issued syncs an object that wants the role, as if its Secret was written.
func (w *world) issued(s Subscription) (id string, held map[plan.Key]string) {
	w.t.Helper()
	out := w.sync(s)
	w.feed.Settle(s.Owner, true)
	return w.held(out)
}

// held is the lease of an answer, and what the status says of it.
func (w *world) held(s plan.Snapshot) (id string, held map[plan.Key]string) {
	w.t.Helper()
	held = map[plan.Key]string{}
	for key, a := range s {
		if a.Err != nil {
			w.t.Fatalf("no answer: %v", a.Err)
		}
		held[key] = plan.Plain + a.Secret.Version
		if a.Secret.Lease.ID != "" {
			id, held[key] = a.Secret.Lease.ID, a.Secret.Version
		}
	}
	if key := at("role"); id == "" || !strings.HasSuffix(string(s[key].Secret.Fields["username"].Reveal()), id) {
		w.t.Fatalf("the answer is not that of the lease %q", id)
	}
	return id, held
}

func (w *world) wantLeases(reason string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	slices.Sort(want)
	if got := w.memory.Leases(); !slices.Equal(got, want) {
		w.t.Errorf("%s: leases %q, want %q", reason, got, want)
	}
}

func TestLeaseIsNotShared(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		for _, name := range []string{"a", "b", "c"} {
			w.follow(sub(name, hour, "role"))
			if _, ok := w.ask(name); ok {
				t.Fatalf("%s has an answer before anything was read", name)
			}
		}
		var ids []string
		for _, name := range []string{"a", "b", "c"} {
			id, _ := w.held(w.now(name))
			ids = append(ids, id)
			w.feed.Settle(object(name), true)
		}
		w.wantLeases("each object has its own, and there are no others", ids...)
		w.wantReads("role", 3, "one for each")
		w.forgetWakes()

		d, _ := w.issued(sub("d", hour, "role"))
		w.wantLeases("one who comes later gets another", append(ids, d)...)
		w.wantReads("role", 4, "one for each")
		w.wantWoken("a", 0, "it is nothing to the others")
	})
}

// Two stores that are one login ask for one secret of the object.
func TestLeaseIsOneForOneObject(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		s := sub("a", hour, "role").and(other("same"), "", "role")
		out := w.sync(s)
		w.feed.Settle(s.Owner, true)
		id, _ := w.held(out)
		w.wantLeases("one object", id)
		again := plan.Key{Store: other("same"), Ref: backend.Ref{Path: "role"}}
		if out[again].Secret.Lease.ID != id {
			t.Error("a user name and a password of two credentials")
		}
	})
}

func TestLeaseIsRenewed(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		id, _ := w.issued(sub("a", time.Minute, "role"))
		before := w.memory.Requests()
		w.pass(30 * hour)
		w.wantLeases("it is kept", id)
		w.wantReads("role", 1, "it is never polled")
		w.wantWoken("a", 0, "nothing changed")
		if n := w.memory.Requests() - before; n < 43 || n > 55 {
			t.Errorf("%d requests in 30 lives, want one in two thirds of each, less some jitter", n)
		}
	})
}

func TestLeaseIsReplacedBeforeItsEnd(t *testing.T) {
	for name, o := range map[string]memory.Options{
		"longest life":  {LongestLease: 3 * hour},
		"not renewable": {FixedLease: true},
	} {
		t.Run(name, func(t *testing.T) {
			lending(t, o, func(t *testing.T, w *world) {
				old, _ := w.issued(sub("a", 10*hour, "role"))
				for w.woken("a") == 0 {
					w.pass(time.Minute)
					if len(w.memory.Leases()) == 0 {
						t.Fatal("it ended before it was replaced")
					}
				}
				id, _ := w.held(w.now("a"))
				w.wantLeases("the Secret is not written yet", old, id)
				w.feed.Settle(object("a"), true)
				w.pass(grace - time.Second)
				w.wantLeases("pods have it still", old, id)
				w.pass(time.Second)
				w.wantLeases("it is of no use any more", id)
				w.wantReads("role", 2, "one for each lease")
			})
		})
	}
}

func TestLeaseThatCannotBeWritten(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.sync(sub("a", hour, "role"))
		w.feed.Settle(object("a"), false)
		w.wantLeases("it came to nothing")

		id, _ := w.held(w.now("a"))
		w.feed.Settle(object("a"), true)
		w.wantLeases("there is another for another try", id)

		if _, ok := w.feed.Ask(object("a"), true); ok {
			t.Fatal("an answer to a forced question before it was asked")
		}
		next, _ := w.held(w.now("a"))
		w.wantLeases("somebody wants another", id, next)
		w.feed.Settle(object("a"), false)
		w.wantLeases("the Secret has the first one", id)
		w.forgetWakes()
		w.pass(50 * time.Minute)
		w.wantLeases("which is renewed", id)
		if n := w.memory.Reads("role"); n > 4 {
			t.Errorf("%d reads: a write that fails must not make a loop", n)
		}
	})
}

func TestForcedLease(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		old, _ := w.issued(sub("a", hour, "role"))
		if _, ok := w.feed.Ask(object("a"), true); ok {
			t.Fatal("an answer to a forced question before it was asked")
		}
		id, _ := w.held(w.now("a"))
		if id == old {
			t.Error("force is to make another one")
		}
		w.feed.Settle(object("a"), true)
		w.pass(grace)
		w.wantLeases("the old one is revoked", id)
	})
}

// A renewal under way is not what who forces a sync waits for.
func TestLeaseForcedDuringRenewal(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		old, _ := w.issued(sub("a", hour, "role"))
		release := w.slow(renewal)
		w.pass(41 * time.Minute)
		if _, ok := w.feed.Ask(object("a"), true); ok {
			t.Fatal("an answer to a forced question before it was asked")
		}
		release()
		id, _ := w.held(w.now("a"))
		w.feed.Settle(object("a"), true)
		w.pass(grace)
		w.wantLeases("the one that was renewed is replaced", id)
		if id == old {
			t.Error("force is to make another one")
		}
	})
}

// The manifest is wrong for a while, or the object waits for its end.
func TestSuspendedLease(t *testing.T) {
	lending(t, memory.Options{LongestLease: 20 * hour}, func(t *testing.T, w *world) {
		w.set("v", "p")
		s := sub("a", hour, "role", "p")
		id, _ := w.issued(s)
		before := w.memory.Reads("p")
		w.feed.Suspend(s.Owner)
		w.pass(10 * hour)
		w.wantLeases("the Secret holds it", id)
		w.wantReads("p", before, "nobody needs it now")
		w.wantWoken("a", 0, "it has nothing to do")

		w.sync(s)
		w.feed.Settle(s.Owner, true)
		w.wantLeases("it goes on with the same one", id)
		w.wantReads("role", 1, "it goes on with the same one")

		w.feed.Suspend(s.Owner)
		w.pass(20 * hour)
		w.wantLeases("its longest life is over")
		w.wantReads("role", 1, "nobody could write another one")

		w.feed.Gone(s.Owner)
		w.feed.Suspend(s.Owner) // nothing to do
		w.wantLeases("it is gone")
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions are open, and nobody follows", n)
		}
	})
}

func TestSuspendedWithoutLease(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p"))
		w.feed.Suspend(object("a"))
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions are open, and nobody follows", n)
		}
	})
}

func TestLeaseOfWhatIsGone(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.issued(sub("a", hour, "role"))
		w.feed.Gone(object("a"))
		w.wantLeases("its object is gone, and its Secret with it")

		s := sub("b", hour, "role")
		s.Outlived = true
		id, _ := w.issued(s)
		w.feed.Gone(s.Owner)
		w.pass(time.Minute)
		w.wantLeases("its Secret is there still", id)

		s.Owner, s.Outlived = object("c"), false
		w.sync(s)
		w.feed.Gone(s.Owner)
		w.wantLeases("it was in no Secret", id)

		w.sync(s)
		w.feed.Forget(s.Owner)
		w.wantLeases("it was in no Secret", id)

		other, _ := w.issued(s)
		w.feed.Forget(s.Owner)
		w.pass(time.Minute)
		w.wantLeases("another controller has the object now", id, other)
		w.pass(2 * hour)
		w.wantLeases("nobody renews it")
		if n := w.memory.Sessions(); n != 0 {
			t.Errorf("%d sessions are open, and nobody follows", n)
		}
	})
}

func TestLeaseThatIsNotAskedForAnyMore(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		old, _ := w.issued(sub("a", hour, "role"))
		w.sync(sub("a", hour, "p"))
		w.wantLeases("the Secret has it still", old)
		w.feed.Settle(object("a"), false)
		w.pass(grace)
		w.wantLeases("it could not be written", old)
		w.feed.Settle(object("a"), true)
		w.pass(grace)
		w.wantLeases("it has it no more")
	})
}

// The manifest changes while the credential is made.
func TestLeaseForNobody(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		release := w.slow("role")
		w.follow(sub("a", hour, "role"))
		if _, ok := w.ask("a"); ok {
			t.Fatal("an answer before the read ended")
		}
		synctest.Wait()
		w.follow(sub("a", hour, "p"))
		release()
		w.wantLeases("nobody asks for it")
	})
}

func TestLeaseAtShutdown(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.sync(sub("a", hour, "role")) // and nothing is written, as on the command line
		w.feed.Forget(object("a"))
		w.stop()
		w.wantLeases("a process leaves nothing behind that nobody has")
	})
}

func TestLeaseOfPinnedObject(t *testing.T) {
	lending(t, memory.Options{LongestLease: 3 * hour}, func(t *testing.T, w *world) {
		id, _ := w.issued(pinned("a", "role"))
		w.pass(2*hour + 50*time.Minute)
		w.wantLeases("it is renewed as long as that goes", id)
		w.pass(10 * hour)
		w.wantLeases("and not replaced, for the Secret is not to change")
		w.wantWoken("a", 0, "it is pinned")
	})
}

func TestLeaseInAnOutage(t *testing.T) {
	lending(t, memory.Options{Lease: 3 * hour}, func(t *testing.T, w *world) {
		id, _ := w.issued(sub("a", time.Minute, "role"))
		w.pass(110 * time.Minute)
		w.memory.Fail("", errDown)
		w.pass(40 * time.Minute)
		w.memory.Unfail("")
		w.pass(2 * hour)
		w.wantLeases("it was renewed before its end", id)
		w.wantWoken("a", 0, "nobody has to know")

		w.memory.Fail("", errDown)
		w.pass(10 * hour)
		w.memory.Unfail("")
		w.pass(10 * time.Minute)
		next, _ := w.held(w.now("a"))
		w.feed.Settle(object("a"), true)
		w.wantLeases("the old one ended meanwhile", next)
	})
}

func TestLeaseAfterRestart(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		id, held := w.issued(sub("a", hour, "role"))
		w.pass(30 * time.Minute)
		w = w.restart()
		s := sub("a", hour, "role")
		s.Held = held
		w.follow(s)
		w.pass(10 * hour)
		w.wantReads("role", 1, "a restart makes no credential")
		w.wantLeases("it is renewed by the next process", id)
		w.wantWoken("a", 0, "nothing changed")

		w = w.restart()
		w.pass(2 * hour)
		w.wantLeases("it ended while nobody ran")
		w.follow(s)
		w.pass(20 * time.Minute)
		w.wantWoken("a", 1, "it needs another one")
		next, _ := w.held(w.now("a"))
		w.feed.Settle(object("a"), true)
		w.wantLeases("it has another one", next)
	})
}

// What an earlier process stored is not given up for what cannot be written.
func TestLeaseAfterRestartThatCannotBeReplaced(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		id, held := w.issued(sub("a", hour, "role"))
		w = w.restart()
		s := sub("a", hour, "role")
		s.Held = held
		w.follow(s)
		if _, ok := w.feed.Ask(s.Owner, true); ok {
			t.Fatal("an answer to a forced question before it was asked")
		}
		w.held(w.now("a"))
		w.feed.Settle(s.Owner, false)
		w.pass(grace)
		w.wantLeases("the Secret has the first one", id)
	})
}

// TestRestartWithMore: what an object needs besides may have changed while
// nobody ran, which its versions tell.
func TestRestartWithMore(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		s := sub("a", hour, "role", "p")
		id, held := w.issued(s)
		s.Held = held
		w = w.restart()
		w.follow(s)
		w.pass(5 * hour)
		w.wantWoken("a", 0, "nothing changed")
		w.wantLeases("it is kept", id)

		w = w.restart()
		w.set("new", "p")
		w.follow(s)
		w.pass(hour)
		w.wantWoken("a", 1, "the other secret changed")
		out := w.now("a")
		w.wantText(out, at("p"), "new", "it was read")
		next, _ := w.held(out)
		w.feed.Settle(object("a"), true)
		w.pass(grace)
		w.wantLeases("nobody knew the old one any more", next)
	})
}

// A product that makes a credential for each read may do so only at times.
func TestLeaseComesAndGoes(t *testing.T) {
	lending(t, memory.Options{}, func(t *testing.T, w *world) {
		w.issued(sub("a", hour, "role"))
		w.memory.SetLends("role", false)
		w.set("plain", "role")
		if _, ok := w.feed.Ask(object("a"), true); ok {
			t.Fatal("an answer to a forced question before it was asked")
		}
		w.wantText(w.now("a"), at("role"), "plain", "it is no credential any more")
		w.feed.Settle(object("a"), true)
		w.pass(grace)
		w.wantLeases("it was replaced")
		w.forgetWakes()
		w.set("other", "role")
		w.pass(hour)
		w.wantWoken("a", 1, "it is polled now")
	})
}
