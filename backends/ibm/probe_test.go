// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// asked counts the requests that f makes of the API.
func (w *world) asked(f func()) int {
	count := func() int { return w.Stats().Total - w.tokens() }
	before := count()
	f()
	return count() - before
}

// probeAll probes and returns the tokens and what it cost.
func (w *world) probeAll(b backend.Backend, refs ...backend.Ref) (tokens []string, requests int) {
	w.t.Helper()
	requests = w.asked(func() {
		var err error
		if tokens, err = b.Prober.Probe(w.t.Context(), refs); err != nil {
			w.t.Fatal(err)
		}
	})
	if len(tokens) != len(refs) {
		w.t.Fatalf("%d tokens for %d refs", len(tokens), len(refs))
	}
	return tokens, requests
}

// told counts the tokens that are not empty.
func told(tokens []string) (n int) {
	for _, token := range tokens {
		if token != "" {
			n++
		}
	}
	return n
}

// TestProbeIsVersion: a probe says what a read would say.
func TestProbeIsVersion(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	arb, key := w.arbitrary("p"), w.mutating("key")
	byGroup := named("grouped")
	byGroup.Args += ":team"
	w.seed(ibmsm.Seed{Name: "grouped", Group: "team"})
	pinned, moved := key, arb
	pinned.Version, moved.Version = "current", "current"
	otherType := arb
	otherType.Kind = typeKV
	refs := []backend.Ref{arb, key, named("some-secret"), byGroup, pinned, moved, otherType, named("none"), {Path: "none", Kind: typeKV}}
	tokens, _ := w.probeAll(b, refs...)
	made := w.Stats().KeysMade[key.Path]
	if made != 0 {
		t.Error("probing changes a secret")
	}
	for i, ref := range refs {
		s, err := read(t.Context(), b, ref)
		want := s.Version
		if err != nil || ref == moved {
			want = ""
		}
		if tokens[i] != want {
			t.Errorf("%#v: the probe says %q, the read %q (%v)", ref, tokens[i], want, err)
		}
	}
	after, _ := w.probeAll(b, refs...)
	if after[1] != tokens[1] || after[4] != tokens[4] {
		t.Error("reading a secret that reading changes changes its token")
	}
	if _, err := w.Rotate(arb.Path, map[string]any{"payload": "new"}); err != nil {
		t.Fatal(err)
	}
	after, _ = w.probeAll(b, refs...)
	if after[0] == tokens[0] || after[2] == tokens[2] {
		t.Error("a new version keeps its token")
	}
}

// TestProbeExpired: a read would say that it is gone.
func TestProbeExpired(t *testing.T) {
	clock := newClock()
	w := start(t, ibmsm.Options{Now: clock.Now, TokenTTL: 100 * time.Hour})
	ref := w.seed(ibmsm.Seed{Name: "expiring", Expires: clock.Now().Add(time.Hour)})
	b := w.open(nil)
	for _, want := range []int{1, 0} {
		if tokens, _ := w.probeAll(b, ref); told(tokens) != want {
			t.Errorf("%d tokens, want %d", told(tokens), want)
		}
		clock.advance(2 * time.Hour)
	}
}

// TestProbeCost: among many secrets of others, a probe costs no more than
// reading would.
func TestProbeCost(t *testing.T) {
	w := start(t, ibmsm.Options{})
	if err := w.PutMany(20000, "foreign"); err != nil {
		t.Fatal(err)
	}
	var ours []backend.Ref
	for _, id := range w.fill("ours", 500) {
		ours = append(ours, backend.Ref{Path: id, Kind: typeArbitrary})
	}
	keys := []backend.Ref{w.mutating("key-1"), w.mutating("key-2")}
	cases := map[string]struct {
		reason   string
		refs     []backend.Ref
		first    int // requests of the first probe
		later    int // of those after it
		toldLast int
	}{
		"Few":      {"a page tells that a list is too long", ours[:10], 1, 0, 0},
		"Many":     {"all pages", ours, 21, 21, 500},
		"Mutating": {"a list of their type", keys, 1, 1, 2},
		"Mixed":    {"they are always told", append(keys[:2:2], ours[:8]...), 3, 2, 2},
		"None":     {"nothing to ask", nil, 0, 0, 0},
		"BadRef":   {"nothing to ask", []backend.Ref{{Path: "..", Kind: typeKV}}, 0, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := w.open(nil)
			for i, want := range []int{c.first, c.later} {
				tokens, n := w.probeAll(b, c.refs...)
				// Fewer, where what is asked for happens to be on the page that was
				// listed: ids are random.
				if n > want || n > len(c.refs) || n == 0 && want > 0 {
					t.Errorf("%s: probe %d makes %d requests for %d refs, want %d", c.reason, i, n, len(c.refs), want)
				}
				if i > 0 && told(tokens) != c.toldLast {
					t.Errorf("%s: probe %d tells %d, want %d", c.reason, i, told(tokens), c.toldLast)
				}
			}
		})
	}
}

// TestProbeRelearns: what was too dear or forbidden is tried again.
func TestProbeRelearns(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(w *world)
		after  func(w *world)
	}{
		"TooDear": {
			"the foreign secrets are gone", func(w *world) { w.fill("foreign", 1500) },
			func(w *world) {
				for _, id := range w.fill("foreign", 1500) {
					w.drop(backend.Ref{Path: id})
				}
			},
		},
		"Forbidden": {
			"the role came", func(w *world) { w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Status: 403}) },
			func(w *world) { w.ClearFaults() },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t, ibmsm.Options{})
			ref := w.arbitrary("p")
			c.before(w)
			b := w.open(nil)
			total := 0
			for range 50 {
				tokens, n := w.probeAll(b, ref)
				total += n
				if told(tokens) != 0 && total > 1 {
					t.Error("a token")
				}
			}
			if total != 1 {
				t.Errorf("%s: %d requests, want 1", c.reason, total)
			}
			c.after(w)
			for range relearn {
				tokens, _ := w.probeAll(b, ref)
				if told(tokens) == 1 {
					return
				}
			}
			t.Errorf("%s: it is not tried again", c.reason)
		})
	}
}

// TestProbeForbidden: those that reading changes are told one by one.
func TestProbeForbidden(t *testing.T) {
	w := start(t, ibmsm.Options{})
	refs := []backend.Ref{w.arbitrary("p"), w.mutating("key-1"), w.mutating("key-2")}
	byName := backend.Ref{Path: "key-1", Kind: mutatingType, Args: "name"}
	b := w.open(nil)
	if _, err := b.Reader.(*reader).api.resolve(t.Context(), byName); err != nil {
		t.Fatal(err)
	}
	refs = append(refs, byName)
	w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Status: 403})
	for _, want := range []int{4, 3} {
		tokens, n := w.probeAll(b, refs...)
		if n != want || told(tokens) != 3 || tokens[0] != "" || tokens[1] != tokens[3] {
			t.Errorf("%d requests, want %d; tokens %q", n, want, tokens)
		}
	}
}

// TestProbeFails: an outage is not a change of everything.
func TestProbeFails(t *testing.T) {
	for _, kind := range []ibmsm.Kind{ibmsm.KindList, ibmsm.KindMetadata} {
		w := start(t, ibmsm.Options{})
		pinned := w.mutating("key")
		pinned.Version = "current"
		w.Fail(ibmsm.Match{Kind: kind}, ibmsm.Fault{Status: 503, Body: errorBody(canary)})
		_, err := w.open(nil).Prober.Probe(t.Context(), []backend.Ref{w.arbitrary("p"), pinned})
		failed(t, err, backend.Unavailable, "IBM Cloud Secrets Manager is out of order (503)")
	}
}
