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

func TestUnchangedSecretWakesNobody(t *testing.T) {
	for name, every := range map[string]time.Duration{
		"10s": 10 * time.Second, "7m": 7 * time.Minute, "1h": hour, "30h": 30 * hour,
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
				w.set("v", "p", "q")
				for _, o := range names("o", 5) {
					w.sync(sub(o, every, "p", "q"))
				}
				w.forgetWakes()
				w.pass(20 * every)
				for _, o := range names("o", 5) {
					w.wantWoken(o, 0, "nothing changed")
				}
				w.wantReads("p", 21, "one for the newcomer and one for each interval")
				w.wantPhases(every, "p", 1)
				w.wantPhases(every, "q", 1)
				n := w.restart()
				n.follow(sub("o0", every, "p", "q"))
				n.pass(0)
				if len(n.log()) != 0 {
					t.Error("a restart reads what is in place")
				}
				n.pass(20 * every)
				n.wantWoken("o0", 1, "after a restart, it was compared once")
				n.wantPhases(every, "p", 0)
				n.wantPhases(every, "q", 0)
			})
		})
	}
}

// wantPhases requires that all reads of a path but the first few are at its
// phase, one in each interval.
func (w *world) wantPhases(every time.Duration, path string, skip int) {
	w.t.Helper()
	offset := phase("memory\x00memory/default", backend.Ref{Path: path}, every)
	var last time.Time
	n := 0
	for _, r := range w.log() {
		if r.path != path {
			continue
		}
		if n++; n <= skip {
			continue
		}
		if past := (time.Duration(r.at.UnixNano()) - offset) % every; past != 0 {
			w.t.Errorf("%s was read %s after its phase", path, past)
		}
		if !last.IsZero() && r.at.Sub(last) != every {
			w.t.Errorf("%s was read after %s, want %s", path, r.at.Sub(last), every)
		}
		last = r.at
	}
	if n != skip+20 {
		w.t.Errorf("%d reads of %s in 20 intervals, want %d", n, path, skip+20)
	}
}

// A read that takes its time must not move the next one.
func TestSlowReadsKeepTheirPhase(t *testing.T) {
	in(t, memory.Options{}, Options{Timeout: hour}, func(t *testing.T, w *world) {
		w.set("v", "p")
		w.sync(sub("a", time.Minute, "p"))
		for range 20 {
			release := w.memory.Hold("p")
			time.Sleep(time.Minute + time.Second) // virtual
			release()
			synctest.Wait()
		}
		w.wantWoken("a", 0, "nothing changed")
		offset := phase("memory\x00memory/default", backend.Ref{Path: "p"}, time.Minute)
		for _, r := range w.log()[1:] {
			if past := (time.Duration(r.at.UnixNano()) - offset) % time.Minute; past != 0 {
				t.Errorf("a read %s after the phase", past)
			}
		}
	})
}

// An object is looked at for many reasons, also at the very moment when one of
// its secrets is due. That must not put the poll off.
func TestFollowAtTheDueMoment(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		s := sub("a", hour, "p")
		w.sync(s)
		w.feed.mu.Lock()
		r := w.feed.logins["memory\x00memory//default"].refs[backend.Ref{Path: "p"}]
		due := r.due
		w.feed.reschedule(r, due.Add(time.Nanosecond)) // as a Follow that is quicker than Run
		if !r.due.Equal(due) {
			t.Errorf("the poll of %s was put off until %s", due, r.due)
		}
		w.feed.mu.Unlock()
	})
}

func TestIntervals(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		p := late(t, 4*hour, 2*hour)
		w.set("v", p)
		w.sync(sub("slow", 4*hour, p))
		w.sync(sub("quick", hour, p))
		w.pass(8 * hour)
		w.wantReads(p, 1+8, "the shortest interval counts")
		w.feed.Forget(object("quick"))
		w.pass(hour)
		w.wantReads(p, 1+8+1, "the poll that was due already")
		w.pass(80 * hour)
		w.wantReads(p, 1+8+1+20, "the longer one is left")
		w.sync(pinned("slow", p))
		w.pass(80 * hour)
		if n := w.memory.Reads(p); n > 1+8+1+20+2 {
			t.Errorf("%d reads, want an end once nobody follows", n)
		}
	})
}

func TestDueTimesAreSpread(t *testing.T) {
	for name, format := range map[string]string{
		"numbers":  "team/app-%05d",
		"ids":      "%08x-0000-4000-8000-000000000000",
		"one word": "%d",
	} {
		t.Run(name, func(t *testing.T) {
			const n = 20_000
			every := 10 * time.Minute
			seconds := map[time.Duration]int{}
			for i := range n {
				seconds[phase("q", backend.Ref{Path: fmt.Sprintf(format, i)}, every)/time.Second]++
			}
			mean := n / int(every/time.Second)
			for s, got := range seconds {
				if got > 3*mean {
					t.Errorf("%d of %d in second %d, the mean is %d", got, n, s, mean)
				}
			}
			if len(seconds) < int(every/time.Second)*9/10 {
				t.Errorf("only %d seconds of %s are used", len(seconds), every)
			}
		})
	}
}

func TestPhaseTellsRefsApart(t *testing.T) {
	base := backend.Ref{Path: "p", Kind: "k", Version: "v", Args: "a", Owner: "o"}
	for name, change := range map[string]func(r *backend.Ref, quota *string){
		"quota":   func(_ *backend.Ref, q *string) { *q = "other" },
		"path":    func(r *backend.Ref, _ *string) { r.Path = "other" },
		"kind":    func(r *backend.Ref, _ *string) { r.Kind = "other" },
		"version": func(r *backend.Ref, _ *string) { r.Version = "other" },
		"args":    func(r *backend.Ref, _ *string) { r.Args = "other" },
		"owner":   func(r *backend.Ref, _ *string) { r.Owner = "other" },
		"part":    func(r *backend.Ref, _ *string) { r.Part = backend.Metadata },
	} {
		r, quota := base, "q"
		change(&r, &quota)
		if phase("q", base, hour) == phase(quota, r, hour) {
			t.Errorf("another %s has the same phase", name)
		}
	}
}

func TestNext(t *testing.T) {
	for name, c := range map[string]struct {
		reason           string
		now, phase, want time.Duration // since the epoch
	}{
		"before the phase": {"later in this interval", 61 * time.Second, 2 * time.Second, 62 * time.Second},
		"at the phase":     {"never now: this turn is over", 62 * time.Second, 2 * time.Second, 122 * time.Second},
		"after the phase":  {"in the next interval", 63 * time.Second, 2 * time.Second, 122 * time.Second},
		"phase 0":          {"the border belongs to the next", 60 * time.Second, 0, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			got := next(time.Unix(0, int64(c.now)), time.Minute, c.phase)
			if want := time.Unix(0, int64(c.want)); !got.Equal(want) {
				t.Errorf("%s: %s, want %s", c.reason, got, want)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	big := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		reason string
		cache  int
		value  string
	}{
		"cached":                {"one more read, of the other", 1 << 20, ""},
		"one fits":              {"what was dropped is not read for each of them", 1500, big},
		"larger than the bound": {"it is delivered all the same", 100, big},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, memory.Options{}, Options{CacheBytes: c.cache}, func(t *testing.T, w *world) {
				objects := names("o", 20)
				w.set("1"+c.value, "p", "q")
				for _, o := range objects {
					w.sync(sub(o, hour, "p", "q"))
				}
				before := w.memory.Reads("p") + w.memory.Reads("q")
				w.set("2"+c.value, "p")
				w.forgetWakes()
				w.pass(hour)
				for _, o := range objects {
					w.wantWoken(o, 1, "its secret changed")
					s := w.now(o)
					w.wantText(s, at("p"), "2"+c.value, "the new value")
					w.wantText(s, at("q"), "1"+c.value, "the one that did not change comes along")
				}
				if got := w.memory.Reads("p") + w.memory.Reads("q") - before; got != 3 {
					t.Errorf("%s: %d reads, want one of each in its turn, and one because the other one changed", c.reason, got)
				}
				w.forgetWakes()
				before = w.memory.Reads("p") + w.memory.Reads("q")
				w.pass(5 * hour)
				for _, o := range objects {
					w.wantWoken(o, 0, "nothing changed since")
				}
				if got := w.memory.Reads("p") + w.memory.Reads("q") - before; got != 10 {
					t.Errorf("%d reads in five intervals of two secrets: is there a loop?", got)
				}
				if used := w.feed.cache.used; used > c.cache {
					t.Errorf("the cache holds %d bytes, want at most %d", used, c.cache)
				}
			})
		})
	}
}

// What came for an object that still waits for something else may be old by
// the time it has everything.
func TestAnswerThatWasOvertaken(t *testing.T) {
	in(t, memory.Options{}, Options{Timeout: 10 * hour}, func(t *testing.T, w *world) {
		w.set("1", "p", "q")
		release := w.memory.Hold("q")
		w.follow(sub("a", hour, "p").and(other("slow"), `{"login":"slow"}`, "q"))
		w.ask("a")
		synctest.Wait()
		w.set("2", "p")
		w.pass(hour)
		w.wantReads("p", 2, "it is polled while the object waits for another secret")
		w.wantWoken("a", 0, "there is nothing to be had yet")
		release()
		synctest.Wait()
		w.wantWoken("a", 1, "now there is")
		s, ok := w.ask("a")
		if !ok {
			t.Fatal("no answer")
		}
		w.wantText(s, at("p"), "2", "not what it was when the object began to wait")
		w.wantText(s, plan.Key{Store: other("slow"), Ref: backend.Ref{Path: "q"}}, "1", "the one it waited for")
	})
}

func TestCache(t *testing.T) {
	c := cache{limit: 3 * (256 + 10)}
	value := func(n int) backend.Secret {
		return backend.Secret{Payload: backend.NewValue([]byte(strings.Repeat("x", n)))}
	}
	refs := map[string]*ref{"a": {}, "b": {}, "c": {}, "d": {}}
	kept := func() string {
		out := ""
		for _, name := range []string{"a", "b", "c", "d"} {
			if refs[name].value != nil {
				out += name
			}
		}
		return out
	}
	for _, step := range []struct {
		reason string
		do     func()
		want   string
	}{
		{"there is room for three", func() { c.put(refs["a"], value(10)); c.put(refs["b"], value(10)); c.put(refs["c"], value(10)) }, "abc"},
		{"a was used", func() { c.touch(refs["a"]) }, "abc"},
		{"b was not used for the longest time", func() { c.put(refs["d"], value(10)) }, "acd"},
		{"a larger value drops as many as it must: c and a are older than d", func() { c.put(refs["b"], value(276)) }, "bd"},
		{"a value too large is not kept, and drops nobody", func() { c.put(refs["a"], value(5000)) }, "bd"},
		{"nor is the older one of the same secret", func() { c.put(refs["b"], value(5000)) }, "d"},
		{"in a ring of one", func() { c.touch(refs["d"]); c.drop(refs["d"]); c.drop(refs["d"]) }, ""},
	} {
		step.do()
		if got := kept(); got != step.want {
			t.Errorf("%s: kept %q, want %q", step.reason, got, step.want)
		}
	}
	if c.used != 0 || c.oldest != nil || c.newest != nil {
		t.Errorf("%d bytes used by nothing", c.used)
	}
}

func TestDigest(t *testing.T) {
	v := func(s string) backend.Value { return backend.NewValue([]byte(s)) }
	fields := func(kv ...string) backend.Secret {
		out := backend.Secret{Fields: map[string]backend.Value{}}
		for i := 0; i < len(kv); i += 2 {
			out.Fields[kv[i]] = v(kv[i+1])
		}
		return out
	}
	secrets := map[string]backend.Secret{
		"nothing":       {},
		"empty":         {Payload: v("")},
		"text":          {Payload: v("ab")},
		"field":         fields("a", "b"),
		"empty field":   fields("ab", ""),
		"two fields":    fields("a", "b", "c", "d"),
		"shifted":       fields("a", "bc", "d", ""),
		"absent field":  {Fields: map[string]backend.Value{"ab": {}}},
		"text as field": fields("", "ab"),
		"two empty":     fields("a", "", "b", ""),
		"forged name":   fields("a\x01\x00\x00\x00\x00\x00\x00\x00\x00b", ""),
	}
	for a, x := range secrets {
		for b, y := range secrets {
			if same := digestOf([]byte("k"), x) == digestOf([]byte("k"), y); same != (a == b) {
				t.Errorf("%s and %s: same digest %t", a, b, same)
			}
		}
		if digestOf([]byte("k"), x) == digestOf([]byte("other"), x) {
			t.Errorf("%s: the digest does not depend on the key", a)
		}
	}
	labelled := secrets["text"]
	labelled.Labels, labelled.Version = map[string]string{"l": "1"}, "7"
	if digestOf([]byte("k"), labelled) != digestOf([]byte("k"), secrets["text"]) {
		t.Error("labels and versions are no change of the secret")
	}
}
