// SPDX-License-Identifier: Apache-2.0

package outcome_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestRetry(t *testing.T) {
	cases := map[backend.Code]struct {
		reason    string
		want      outcome.Again
		transient bool
		stalled   bool
		backoff   bool
	}{
		"":                       {reason: "success", want: outcome.AtRefresh},
		backend.NotFound:         {reason: "it may be created", want: outcome.AtRefresh},
		backend.PermissionDenied: {reason: "it may be granted", want: outcome.AtRefresh},
		backend.Unauthenticated:  {reason: "the key may be renewed", want: outcome.AtRefresh},
		backend.RateLimited:      {reason: "the store says when; the feed keeps to it", want: outcome.AfterPause, transient: true},
		backend.Unavailable:      {reason: "the feed probes it", want: outcome.AfterPause, transient: true},
		backend.InvalidRef:       {reason: "asking again would be answered the same", want: outcome.OnChange, stalled: true},
		backend.Conflict:         {reason: "the other party may let go", want: outcome.AfterPause, backoff: true},
		backend.Unknown:          {reason: "nobody knows, so with care", want: outcome.AfterPause, backoff: true},
	}
	for code, tc := range cases {
		t.Run(string(code), func(t *testing.T) {
			if got := outcome.Retry(code); got != tc.want {
				t.Errorf("%s: Retry = %d, want %d", tc.reason, got, tc.want)
			}
			if got := outcome.Transient(code); got != tc.transient {
				t.Errorf("%s: Transient = %t, want %t", tc.reason, got, tc.transient)
			}
			if code == "" {
				return
			}
			got := outcome.Decide(outcome.Facts{Issues: []spec.Issue{{Code: code}}})
			if got.Stalled != tc.stalled || got.Backoff != tc.backoff {
				t.Errorf("%s: stalled %t, backoff %t, want %t, %t", tc.reason, got.Stalled, got.Backoff, tc.stalled, tc.backoff)
			}
		})
	}
	if got := outcome.Retry("Surprise"); got != outcome.AtRefresh {
		t.Errorf("a code that nobody knows is retried %d, want at the next refresh", got)
	}
}

func TestPause(t *testing.T) {
	const hour = time.Hour
	cases := map[string]struct {
		reason            string
		n                 int
		every, retryAfter time.Duration
		jitter            float64
		want              time.Duration
	}{
		"First":         {reason: "a second", n: 1, every: hour, want: time.Second},
		"Doubles":       {reason: "then twice as long", n: 4, every: hour, want: 8 * time.Second},
		"Cap":           {reason: "failing costs no more calls than succeeding", n: 9, every: 10 * time.Second, want: 10 * time.Second},
		"CapFarOut":     {reason: "no overflow", n: 1 << 40, every: hour, want: hour},
		"CapAt29":       {reason: "the largest shift", n: 29, every: 1 << 62, want: time.Second << 28},
		"CapAt30":       {reason: "beyond it, the cap", n: 30, every: 1 << 62, want: 1 << 62},
		"Short":         {reason: "an interval below a second is a cap too", n: 1, every: time.Second / 4, want: time.Second / 4},
		"NoInterval":    {reason: "five minutes where there is no interval", n: 20, want: 5 * time.Minute},
		"Zero":          {reason: "no failures count as one", n: 0, every: hour, want: time.Second},
		"Negative":      {reason: "and so does nonsense", n: -3, every: hour, want: time.Second},
		"Jitter":        {reason: "jitter takes away up to half", n: 2, every: hour, jitter: 0.5, want: 1500 * time.Millisecond},
		"Asked":         {reason: "what the store asked for, not less", n: 1, every: time.Second, retryAfter: time.Minute, want: time.Minute},
		"AskedJittered": {reason: "and not all callers at the same time", n: 7, every: time.Second, retryAfter: time.Minute, jitter: 0.5, want: time.Minute + time.Second/2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := outcome.Pause(tc.n, tc.every, tc.retryAfter, tc.jitter); got != tc.want {
				t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestPauseProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same numbers every time
	for range 20_000 {
		n, jitter := 1+rnd.IntN(100), rnd.Float64()
		every := time.Duration(rnd.Int64N(int64(24 * time.Hour)))
		limit := every
		if limit == 0 {
			limit = 5 * time.Minute
		}
		full := outcome.Pause(n, every, 0, 0)
		got := outcome.Pause(n, every, 0, jitter)
		switch {
		case full <= 0 || full > limit:
			t.Fatalf("Pause(%d, %v) = %v, beyond the cap %v", n, every, full, limit)
		case got > full || got < full/2:
			t.Fatalf("Pause(%d, %v) with jitter %v = %v, not from half of %v to all of it", n, every, jitter, got, full)
		case outcome.Pause(n+1, every, 0, jitter) < got:
			t.Fatalf("Pause(%d, %v) with jitter %v is shorter than the one before", n+1, every, jitter)
		}
		asked := time.Duration(1 + rnd.Int64N(int64(time.Hour)))
		if got := outcome.Pause(n, every, asked, jitter); got < asked || got >= asked+time.Second {
			t.Fatalf("a store that asked for %v is asked again after %v", asked, got)
		}
	}
}
