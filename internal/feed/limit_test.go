// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestLoginsShareTheRate(t *testing.T) {
	const rate = 20
	in(t, memory.Options{Rate: rate, Batch: -1}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 250)
		w.set("v", paths...)
		w.follow(sub("a", hour, paths...))
		w.follow(only("b", hour, other("second"), `{"login":"second"}`, paths...))
		w.ask("a")
		w.ask("b")
		w.pass(500/rate*time.Second + 2*time.Second)
		w.wantWoken("a", 1, "all were read")
		w.wantWoken("b", 1, "all were read, at the rate that is allowed")
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.departures); n < 500 || n > 520 { // some are due again
			t.Errorf("%d requests for 500 secrets", n)
		}
		for i := rate; i < len(w.departures); i++ {
			if d := w.departures[i].Sub(w.departures[i-rate]); d <= time.Second {
				t.Fatalf("%d requests within %s", rate+1, d)
			}
		}
	})
}

// What waits for the rate does not fail, however many wait.
func TestManyLoginsWaitTheirTurn(t *testing.T) {
	in(t, memory.Options{Rate: 2, Batch: 1}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		objects := names("o", 150)
		for _, o := range objects {
			w.follow(only(o, hour, other(o), fmt.Sprintf(`{"login":%q}`, o), "p"))
			w.ask(o)
		}
		w.pass(80 * time.Second)
		for _, o := range objects {
			w.wantWoken(o, 1, "by its answer, and by no failure before")
			w.wantText(w.now(o), plan.Key{Store: other(o), Ref: backend.Ref{Path: "p"}}, "v", "its turn came")
		}
		w.wantReads("p", 150, "once for each login")
	})
}

// One login with much to read must not keep another of the same account out.
func TestLoginsTakeTurns(t *testing.T) {
	in(t, memory.Options{Rate: 1, Parallel: 50, Batch: 1}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 300)
		w.set("v", paths...)
		w.follow(sub("greedy", hour, paths...))
		w.ask("greedy")
		w.pass(0)
		w.follow(only("modest", hour, other("modest"), `{"login":"modest"}`, "p0"))
		w.ask("modest")
		w.pass((2*backlog + 2) * time.Second)
		w.wantWoken("modest", 1, "it waits for what is under way, and not for the whole queue")
		w.wantWoken("greedy", 0, "not done yet")
	})
}

// of makes an object one of another namespace.
func (s Subscription) of(namespace string) Subscription {
	s.Owner.Namespace = namespace
	return s
}

// One namespace with much to read must not keep another one out, whether they
// use one login or have some each.
func TestNamespacesTakeTurns(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		greedy func(i int, paths ...string) Subscription
		modest Subscription
	}{
		"one login": {
			"the operator's environment", func(i int, paths ...string) Subscription { return sub(names("g", 100)[i], hour, paths...).of("greedy") },
			sub("m", hour, "m0", "m1", "m2").of("modest"),
		},
		"many logins": {
			"stores of their own",
			func(i int, paths ...string) Subscription {
				name := names("g", 100)[i]
				return only(name, hour, other(name), fmt.Sprintf(`{"login":%q}`, name), paths...).of("greedy")
			},
			only("m", hour, other("m"), `{"login":"m"}`, "m0", "m1", "m2").of("modest"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{Rate: 1, Parallel: 50, Batch: 1}, Options{}, func(t *testing.T, w *world) {
				paths := names("p", 100)
				w.set("v", append(paths, "m0", "m1", "m2")...)
				for i, p := range paths {
					s := c.greedy(i, p)
					w.follow(s)
					w.feed.Ask(s.Owner, false)
				}
				w.pass(0)
				w.follow(c.modest)
				w.feed.Ask(c.modest.Owner, false)
				w.pass(12 * time.Second)
				if _, ok := w.feed.Ask(c.modest.Owner, false); !ok {
					t.Errorf("%s: of twelve requests none was left for another namespace: %v", c.reason, w.log())
				}
			})
		})
	}
}

// What is urgent for one login goes before what is routine for another of the
// account.
func TestUrgentReadsOfAnotherLogin(t *testing.T) {
	in(t, memory.Options{Rate: 1, Parallel: 50, Batch: 1}, Options{}, func(t *testing.T, w *world) {
		var all []string
		for _, name := range names("r", 150) {
			w.set("v", name)
			all = append(all, name)
			w.follow(only(name, time.Minute, other(name), fmt.Sprintf(`{"login":%q}`, name), name))
		}
		w.pass(3 * time.Minute) // they are due, and more than the rate allows
		w.set("v", "urgent")
		w.follow(only("u", hour, other("u"), `{"login":"u"}`, "urgent"))
		w.pass(time.Minute)
		before := len(w.log())
		w.ask("u")
		w.pass((2*backlog + 2) * time.Second)
		w.wantWoken("u", 1, fmt.Sprintf("it is ahead of the routine of %d others, of which %d were read since", len(all), len(w.log())-before-1))
	})
}

func TestUrgentReadsGoFirst(t *testing.T) {
	in(t, memory.Options{Parallel: 1, Batch: 1}, Options{Timeout: 10 * hour}, func(t *testing.T, w *world) {
		routine := names("r", 50)
		w.set("v", append(routine, "urgent", "forced")...)
		w.sync(sub("a", hour, routine...))
		w.sync(sub("f", 1000*hour, "forced"))
		from := len(w.log())
		release := w.memory.Hold("")
		w.pass(hour) // all are due, and one is being read
		w.follow(sub("b", hour, "urgent"))
		w.ask("b")
		w.feed.Ask(object("f"), true)
		up := "r7"
		if w.log()[from].path == up {
			up = "r8"
		}
		w.follow(sub("c", time.Minute, up))
		w.ask("c") // a routine read that becomes urgent
		release()
		synctest.Wait()
		log := w.log()[from:]
		if len(log) < 52 {
			t.Fatalf("%d reads", len(log))
		}
		first := map[string]bool{log[1].path: true, log[2].path: true, log[3].path: true}
		if !first["urgent"] || !first["forced"] || !first[up] {
			t.Errorf("after the read under way came %s, %s, %s", log[1].path, log[2].path, log[3].path)
		}
		n := 0
		for _, r := range log {
			if r.path == up {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the one that moved up was read %d times", n)
		}
	})
}

func TestAHangingReadEnds(t *testing.T) {
	in(t, memory.Options{Parallel: 1, Batch: 1}, Options{Timeout: 20 * time.Second}, func(t *testing.T, w *world) {
		w.set("v", "hangs", "p")
		release := w.memory.Hold("hangs")
		w.follow(sub("a", hour, "hangs"))
		w.ask("a")
		w.follow(only("b", hour, other("second"), `{"login":"second"}`, "p"))
		w.ask("b")
		synctest.Wait()
		w.wantWoken("b", 1, "another login does not wait")
		w.follow(sub("c", hour, "p"))
		w.ask("c")
		w.pass(20*time.Second - 1)
		w.wantWoken("a", 0, "not yet")
		w.pass(1)
		w.wantWoken("a", 1, "it ends at the timeout")
		w.wantText(w.now("a"), at("hangs"), "error Unavailable", "no answer in time")
		w.wantWoken("c", 1, "and makes room for others")
		release()
		w.pass(5 * time.Minute)
		w.wantText(w.now("a"), at("hangs"), "v", "it was tried again")
	})
}

func TestParallelAndBatch(t *testing.T) {
	in(t, memory.Options{Parallel: 3, Batch: 5}, Options{}, func(t *testing.T, w *world) {
		paths := names("p", 40)
		w.set("v", paths...)
		release := w.memory.Hold("")
		w.follow(sub("a", hour, paths...))
		w.ask("a")
		synctest.Wait()
		if n := len(w.log()); n != 15 {
			t.Errorf("%d secrets are under way, want three batches of five", n)
		}
		release()
		synctest.Wait()
		if n := len(w.now("a")); n != 40 {
			t.Errorf("%d answers", n)
		}
		if n := w.memory.Calls(); n != 8 {
			t.Errorf("%d calls for 40 secrets", n)
		}
	})
}

func TestLoginsAreApart(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.memory.Named("red").Set("p", backend.Secret{Payload: backend.NewValue([]byte("red"))})
		w.memory.Named("blue").Set("p", backend.Secret{Payload: backend.NewValue([]byte("blue"))})
		stores := map[string]string{
			"red":     `{"store":"red"}`,
			"blue":    `{"store":"blue"}`,
			"refused": `{"store":"red","login":"eve"}`,
		}
		w.memory.Named("red").Refuse("eve", true)
		for name, raw := range stores {
			w.follow(only(name, hour, main, raw, "p")) // the same name, in namespaces of their own
			w.ask(name)
		}
		synctest.Wait()
		want := map[string]string{"red": "red", "blue": "blue", "refused": "error Unauthenticated"}
		for name := range stores {
			w.wantText(w.now(name), at("p"), want[name], "each has its own login")
		}
		if n := w.memory.Named("red").Reads("p"); n != 2 {
			t.Errorf("%d reads, want one for each of the two logins", n)
		}
		for range 3 {
			w.pass(hour)
			for name := range stores {
				w.wantText(w.now(name), at("p"), want[name], "and keeps it")
			}
		}
		w.memory.Named("red").Set("p", backend.Secret{Payload: backend.NewValue([]byte("redder"))})
		w.forgetWakes()
		w.pass(hour)
		w.wantWoken("red", 1, "its store changed")
		w.wantWoken("blue", 0, "another store")
		w.wantWoken("refused", 0, "it must not even learn that something changed")
	})
}

func TestChangedCredentialsAreAnotherLogin(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(only("a", hour, main, `{"login":"old"}`, "p"))
		w.memory.Refuse("new", true)
		w.wantText(w.sync(only("a", hour, main, `{"login":"new"}`, "p")), at("p"), "error Unauthenticated", "nothing of the old login is left")
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions, want the old login closed", n)
		}
		w.memory.Refuse("new", false)
		w.pass(hour)
		w.wantText(w.now("a"), at("p"), "v", "let in at the next refresh")
	})
}

// keyring is the credentials of one namespace.
type keyring struct {
	nobody
	key string
}

func (k keyring) Secret(context.Context, string, string) (backend.Value, error) {
	return backend.NewValue([]byte(k.key)), nil
}

// Who may share a login is decided by what is in the credentials, not by how
// they are called.
func TestCredentialsTellLoginsApart(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		keys := map[string]string{"a": "one", "b": "one", "c": "two"}
		for name, key := range keys {
			w.feed.Follow(t.Context(), only(name, hour, main, `{"secret":{"name":"s","key":"k"}}`, "p"),
				func(spec.Store) backend.Credentials { return keyring{key: key} })
			w.now(name)
		}
		w.wantReads("p", 2, "two logins")
		if n := w.memory.Sessions(); n != 2 {
			t.Errorf("%d sessions, want one for each key", n)
		}
		for name := range w.feed.logins {
			w.hides("one", name)
			w.hides("two", name)
		}
	})
}

func TestFingerprint(t *testing.T) {
	v := func(s string) backend.Value { return backend.NewValue([]byte(s)) }
	f := New(Options{})
	if first := f.fingerprint(v("a"), v("b")); first != f.fingerprint(v("a"), v("b")) {
		t.Error("it changes")
	}
	if f.fingerprint(v("a"), v("b")) == f.fingerprint(v("ab"), v("")) {
		t.Error("where one value ends does not count")
	}
	if f.fingerprint(v("a")) == New(Options{}).fingerprint(v("a")) {
		t.Error("it can be recognized in another process")
	}
}

func TestSameLoginIsOpenedOnce(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		for _, o := range names("o", 10) {
			w.sync(only(o, hour, spec.StoreKey{Namespace: o, Name: "s"}, `{"login":"one"}`, "p"))
		}
		w.wantReads("p", 1, "one login, by ten names")
		if n := w.memory.Sessions(); n != 1 {
			t.Errorf("%d sessions, want one", n)
		}
	})
}
