// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

func TestLastGoodValue(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", hour, "p"))
		w.memory.Fail("p", errDown)
		w.pass(hour)
		w.wantWoken("a", 1, "the first failure")
		s := w.now("a")
		w.wantText(s, at("p"), "v stale Unavailable", "a stale secret beats a missing one")
		before := s[at("p")].Failing
		for range 3 {
			w.pass(hour)
			s, ok := w.ask("a")
			if !ok {
				t.Fatal("a failing secret makes the object wait")
			}
			if now := s[at("p")].Failing; now-before != hour {
				t.Errorf("failing for %s, an hour ago for %s", now, before)
			}
			before = s[at("p")].Failing
		}
		w.wantText(w.sync(sub("b", hour, "p")), at("p"), "v stale Unavailable", "also for a newcomer")
	})
}

func TestNoLastGoodValue(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.memory.Fail("p", errDown)
		s := w.sync(sub("a", hour, "p"))
		w.wantText(s, at("p"), "error Unavailable", "there never was one")
		w.pass(time.Minute)
		if failing := w.now("a")[at("p")].Failing; failing != time.Minute {
			t.Errorf("failing for %s, want a minute", failing)
		}
	})
}

// An outage must not bring back what the store said is gone, or is not ours.
func TestProvenFailureEndsTheLastGoodValue(t *testing.T) {
	for _, code := range []backend.Code{backend.NotFound, backend.PermissionDenied, backend.Unauthenticated, backend.InvalidRef} {
		t.Run(string(code), func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				w.sync(sub("a", hour, "p"))
				for _, c := range []backend.Code{code, backend.Unavailable} {
					w.memory.Fail("p", backend.Errorf(c, "failing"))
					w.feed.Ask(object("a"), true)
					synctest.Wait()
					w.wantText(w.now("a"), at("p"), "error "+string(c), "the value is not ours any more")
				}
				w.memory.Unfail("p")
				w.pass(hour)
				w.wantText(w.now("a"), at("p"), "v", "it came back")
			})
		})
	}
}

// Each row is a life of failures; each step lasts an interval.
func TestWhoIsWokenByFailures(t *testing.T) {
	type step struct {
		err   *backend.Error // nil is a good answer
		woken int
		reads int // at most
	}
	down, denied := errDown, backend.Errorf(backend.PermissionDenied, "not allowed")
	other, missing := backend.Errorf(backend.PermissionDenied, "not allowed, for another reason"), backend.Errorf(backend.NotFound, "missing")
	slow := backend.Errorf(backend.Unavailable, "worded in another way")
	unknown, broken := backend.Errorf(backend.Unknown, "what is this"), backend.Errorf(backend.Conflict, "changed")
	backoff := 16 // 1s, 2s, 4s … 2048s, and half of it with the worst jitter
	for name, c := range map[string]struct {
		reason string
		steps  []step
	}{
		"outage":            {"told once, and once that it is over", []step{{down, 1, backoff}, {down, 0, backoff}, {nil, 1, 2}, {nil, 0, 1}}},
		"other words":       {"an outage is an outage", []step{{down, 1, backoff}, {slow, 0, backoff}, {down, 0, backoff}}},
		"missing":           {"next refresh only", []step{{missing, 1, 1}, {missing, 0, 1}, {missing, 0, 1}, {nil, 1, 1}}},
		"denied":            {"next refresh only", []step{{denied, 1, 1}, {denied, 0, 1}, {nil, 1, 1}}},
		"another reason":    {"it is another message", []step{{denied, 1, 1}, {other, 1, 1}, {other, 0, 1}}},
		"another failure":   {"it is another one", []step{{down, 1, backoff}, {missing, 1, 2}, {down, 1, backoff}, {denied, 1, 2}}},
		"unknown":           {"a back-off, as for an outage", []step{{unknown, 1, backoff}, {unknown, 0, backoff}, {broken, 1, 2}, {nil, 1, 2}}},
		"invalid":           {"never again", []step{{backend.Errorf(backend.InvalidRef, "no"), 1, 1}, {nil, 0, 0}, {nil, 0, 0}}},
		"refused":           {"next refresh only", []step{{backend.Errorf(backend.Unauthenticated, "no"), 1, 1}, {nil, 1, 1}}},
		"outage, then gone": {"both are news", []step{{down, 1, backoff}, {missing, 1, 2}, {nil, 1, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p")
				for _, o := range names("o", 3) {
					w.sync(sub(o, hour, "p"))
				}
				for i, s := range c.steps {
					w.forgetWakes()
					before := w.memory.Reads("p")
					if w.memory.Unfail("p"); s.err != nil {
						w.memory.Fail("p", s.err)
					}
					w.pass(hour)
					for _, o := range names("o", 3) {
						if got := w.woken(o); got != s.woken {
							t.Errorf("%s: step %d: %s was woken %d times, want %d", c.reason, i, o, got, s.woken)
						}
						if _, ok := w.ask(o); !ok {
							t.Errorf("%s: step %d: %s waits", c.reason, i, o)
						}
					}
					if got := w.memory.Reads("p") - before; got > s.reads || got == 0 && s.reads > 0 {
						t.Errorf("%s: step %d: %d reads, want at most %d", c.reason, i, got, s.reads)
					}
				}
			})
		})
	}
}

func TestInvalidRefIsLeftAloneUntilTheObjectChanges(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "q")
		w.memory.Fail("p", backend.Errorf(backend.InvalidRef, "it cannot be right"))
		w.sync(sub("a", hour, "p"))
		for range 3 {
			w.wantText(w.sync(sub("a", hour, "p")), at("p"), "error InvalidRef", "the object is as it was")
			w.pass(10 * hour)
		}
		w.wantReads("p", 1, "never again")
		w.memory.Unfail("p")
		w.sync(sub("a", hour, "q"))
		w.wantText(w.sync(sub("a", hour, "p")), at("p"), "v", "the object changed, and changed back")
	})
}

// The pauses double from a second, with a jitter that takes up to half of
// each. Once they come near the interval, the secret is read at its turn only.
func TestBackoff(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		const every = time.Minute
		w.memory.Fail("p", errDown)
		w.sync(sub("a", every, "p"))
		w.feed.mu.Lock()
		turn := w.feed.followers[object("a")].questions.list[0].ref.phase(time.Now())
		w.feed.mu.Unlock()
		w.pass(30 * time.Minute)
		log := w.log()
		if len(log) < 30 || len(log) > 30+1+6 {
			t.Fatalf("%d reads in 30 intervals", len(log))
		}
		distinct := map[time.Duration]bool{}
		for i := 1; i < len(log); i++ {
			pause, full := log[i].at.Sub(log[i-1].at), time.Second<<min(i-1, 20)
			if time.Duration(log[i].at.UnixNano())%every == turn {
				if pause > every+slack {
					t.Errorf("pause %d is %s, beyond the turn of the secret", i, pause)
				}
				continue
			}
			if full >= every/2 || pause > full || pause < full/2 {
				t.Errorf("pause %d is %s, want between %s and %s, and below half an interval", i, pause, full/2, full)
			}
			distinct[pause%time.Second] = true
		}
		if len(distinct) < 2 {
			t.Errorf("%v: all pauses are the same", distinct)
		}
	})
}

// Many that fail are not tried again each for itself, so that a store that is well
// otherwise is asked little more than usual.
func TestManyThatFailShareTheirRetries(t *testing.T) {
	const alone = 150 + 10*manyFail // what fails before there are many
	for name, c := range map[string]struct {
		err  error
		most int
	}{
		"unknown":  {backend.Errorf(backend.Unknown, "?"), int(hour/retryEvery) + alone},
		"conflict": {backend.Errorf(backend.Conflict, "?"), int(hour/retryEvery) + alone},
		// Each time that the one which is due is read, the store comes back for a
		// few others.
		"down": {errDown, int(hour/(10*time.Second))*(deadAfter+4) + alone},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{Batch: 1}, Options{}, func(t *testing.T, w *world) {
				bad, well := names("bad", 300), names("well", 300)
				w.set("v", well...)
				w.set("v", bad...)
				w.sync(sub("a", 100*hour, append(slices.Clone(bad), well...)...))
				w.sync(sub("pulse", 10*time.Second, "well0"))
				for _, p := range bad {
					w.memory.Fail(p, c.err)
				}
				for _, p := range bad {
					w.feed.demandNow(at(p))
				}
				w.pass(time.Second)
				before := len(w.log())
				w.pass(hour)
				n := len(w.log()) - before - int(hour/(10*time.Second))
				if n > c.most || n < 50 {
					t.Errorf("%d reads in an hour beside those of the one that is due, want 50 to %d", n, c.most)
				}
				for _, p := range bad {
					w.memory.Unfail(p)
				}
				w.pass(2 * hour)
				s := w.now("a")
				for _, p := range bad {
					w.wantText(s, at(p), "v", "all are tried again long before they are due")
				}
			})
		})
	}
}

// demandNow has a secret of the main store read, whoever follows it.
func (f *Feed) demandNow(key plan.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.logins {
		f.schedule.remove(l.find(key))
		l.find(key).enqueue(false)
		f.pump(l)
	}
}

func TestRateLimited(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		const every = 10 * time.Second
		mine, others := names("mine", 10), names("others", 10)
		w.set("1", append(append(mine, others...), "alone")...)
		w.sync(sub("a", every, mine...))
		w.sync(only("b", every, other("second"), `{"login":"second"}`, others...))
		w.sync(only("c", every, other("third"), `{"login":"third","quota":"another"}`, "alone"))
		w.memory.Fail("mine0", &backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: time.Minute})
		w.memory.Fail("others0", &backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: time.Minute})
		from := len(w.log())
		for len(w.log()) == from || w.quiet() == 0 {
			time.Sleep(100 * time.Millisecond) // virtual
			synctest.Wait()
		}
		w.memory.Unfail("mine0")
		w.memory.Unfail("others0")
		silenced := time.Now().Add(-100 * time.Millisecond)
		from = len(w.log())
		w.pass(59 * time.Second)
		free := 0
		for _, r := range w.log()[from:] {
			if r.login == "memory//third" {
				free++
				continue
			}
			t.Errorf("%s was read by %s %s after the store asked to be left alone", r.path, r.login, r.at.Sub(silenced))
		}
		if free < 5 {
			t.Errorf("%d reads of another account, which nobody asked to be quiet", free)
		}
		w.wantText(w.now("a"), at("mine5"), "1 stale RateLimited", "what is known is still good")
		w.set("2", append(mine, others...)...)
		w.forgetWakes()
		w.pass(15 * time.Second)
		if w.woken("a") == 0 || w.woken("b") == 0 {
			t.Error("nobody hears that it goes on")
		}
		s := w.now("a")
		for _, p := range mine {
			w.wantText(s, at(p), "2", "it goes on")
		}
		n := 0
		for _, r := range w.log()[from:] {
			if r.login == "memory//" || r.path == "mine3" {
				n++
			}
		}
		if n > 4 {
			t.Errorf("%d reads of one secret in 75 seconds", n)
		}
	})
}

// quiet is for how long the default account is to be left alone.
func (w *world) quiet() time.Duration {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	return w.feed.accounts["memory\x00memory/default"].quota.Quiet()
}

func TestManySilencedSecretsWakeTheirObjectsOnce(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "q")
		w.sync(sub("a", 10*time.Second, "p"))
		w.memory.Fail("p", &backend.Error{Code: backend.RateLimited, Message: "slow down", RetryAfter: time.Minute})
		w.pass(10 * time.Minute)
		w.wantWoken("a", 1, "limited is limited, whoever says so")
		w.memory.Unfail("p")
		w.pass(2 * time.Minute)
		w.wantWoken("a", 1, "it is over")
	})
}

// A store that is down must be asked little, however many secrets it has, and
// all objects must hear of its end soon.
func TestOutage(t *testing.T) {
	for name, fail := range map[string]string{"whole calls": "", "each secret": "*"} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{Batch: 1}, Options{}, func(t *testing.T, w *world) {
				paths := names("p", 300)
				w.set("1", paths...)
				for _, p := range paths {
					w.sync(sub("o"+p, 10*time.Minute, p))
				}
				w.pass(10 * time.Minute)
				w.forgetWakes()
				w.memory.Fail(fail, errDown)
				before := len(w.log())
				w.pass(10 * time.Minute)
				if n := len(w.log()) - before; n > 50 || n < 10 {
					t.Errorf("%d reads in an outage of 10 minutes", n)
				}
				for _, p := range paths {
					w.wantWoken("o"+p, 1, "the store does not answer")
					w.wantText(w.now("o"+p), at(p), "1 stale Unavailable", "the store does not answer")
				}
				w.set("2", paths...)
				w.wantText(w.sync(sub("newcomer", hour, "p7")), at("p7"), "1 stale Unavailable", "it is told at once")
				w.wantText(w.sync(sub("newcomer", hour, "unheard of")), at("unheard of"), "error Unavailable", "it is told at once")
				w.memory.Unfail(fail)
				w.pass(probeEvery)
				for _, p := range paths {
					w.wantWoken("o"+p, 1, "it is over")
					w.wantText(w.now("o"+p), at(p), "2", "it is over")
				}
				before = len(w.log())
				w.pass(10 * time.Minute)
				w.set("v", names("late", 30)...)
				late := w.sync(sub("late", 100*hour, names("late", 30)...))
				for _, p := range names("late", 30) {
					w.wantText(late, at(p), "v", "all is as before")
				}
				if n := len(w.log()) - before - 30; n < 290 || n > 300 { // those that were read right before they were due are not due
					t.Errorf("%d reads in an interval after the outage", n)
				}
			})
		})
	}
}

// A secret with a trouble of its own is no outage.
func TestOneFailingSecretIsNoOutage(t *testing.T) {
	in(t, memory.Options{Batch: 1}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p", "q", "r")
		w.memory.Fail("p", errDown)
		w.memory.Fail("q", errDown)
		w.sync(sub("a", hour, "p", "q"))
		w.wantText(w.sync(sub("b", hour, "r")), at("r"), "v", "it is well")
	})
}

func TestOneFailingReadIsNoOutage(t *testing.T) {
	in(t, memory.Options{Batch: 20}, Options{}, func(t *testing.T, w *world) {
		w.memory.Fail("", errDown)
		w.sync(sub("a", hour, names("p", 20)...))
		w.memory.Unfail("")
		w.set("v", "r")
		w.wantText(w.sync(sub("b", hour, "r")), at("r"), "v", "bad luck")
	})
}

func TestOutageForgetsSecrets(t *testing.T) {
	in(t, memory.Options{Batch: 1}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "well")
		w.memory.Fail("*", errDown)
		w.sync(sub("a", hour, names("p", 10)...))
		w.sync(sub("b", hour, "well"))
		w.feed.Forget(object("a"))
		w.memory.Unfail("*")
		w.pass(5 * time.Second)
		w.wantText(w.now("b"), at("well"), "v", "those that failed are followed by nobody any more")
	})
}

func TestProbesOneAtATime(t *testing.T) {
	in(t, memory.Options{Batch: 1, Parallel: 8}, Options{}, func(t *testing.T, w *world) {
		w.memory.Fail("*", errDown)
		paths := names("p", 50)
		w.sync(sub("a", time.Minute, paths...))
		before := len(w.log())
		w.pass(3 * time.Second)
		if n := len(w.log()) - before; n < 1 || n > 4 {
			t.Errorf("%d probes in the first three seconds", n)
		}
		release := w.memory.Hold("") // now it does not even fail
		before = len(w.log())
		w.pass(29 * time.Second)
		if n := len(w.log()) - before; n > 1 {
			t.Errorf("%d reads under way at a store that is dead", n)
		}
		release()
	})
}

func TestPauseIsCappedAtTheInterval(t *testing.T) {
	// The table is outcome's; that the feed hands it the right interval is not.
	due := again(errDown, 20, time.Unix(100, 0), time.Unix(100, 0), time.Minute, 0)
	if wait := due.Sub(time.Unix(100, 0)); wait > time.Minute || wait < 30*time.Second {
		t.Errorf("a pause of %s", wait)
	}
	if outcome.Retry(backend.NotFound) != outcome.AtRefresh || !again(backend.Errorf(backend.NotFound, ""), 1, time.Time{}, time.Unix(0, 0), 0, 0).IsZero() {
		t.Error("a secret that is missing is looked for where there is no refresh")
	}
}
