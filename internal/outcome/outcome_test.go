// SPDX-License-Identifier: Apache-2.0

package outcome_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const every = 10 * time.Second

// codes are all there are, the most severe first.
var codes = []backend.Code{
	backend.InvalidRef, backend.Unauthenticated, backend.PermissionDenied, backend.NotFound,
	backend.Conflict, backend.Unknown, backend.RateLimited, backend.Unavailable,
}

func problem(code backend.Code, where string) render.Problem {
	return render.Problem{Issue: issue(code, where)}
}

func issue(code backend.Code, where string) spec.Issue {
	return spec.Issue{Where: where, Code: code, Message: string(code) + " at " + where}
}

func failing(p render.Problem, d time.Duration) render.Problem {
	p.Failing = d
	return p
}

func desired(problems ...render.Problem) render.Desired { return render.Desired{Problems: problems} }

func stale(p render.Problem) render.Desired { return render.Desired{Stale: &p} }

func told(i spec.Issue) outcome.Outcome {
	return outcome.Outcome{Code: i.Code, Where: i.Where, Message: i.Message}
}

func TestDecide(t *testing.T) {
	limited := problem(backend.RateLimited, "a")
	down := problem(backend.Unavailable, "a")
	refused := issue(backend.Conflict, "Secret")
	cases := map[string]struct {
		reason string
		facts  outcome.Facts
		want   outcome.Outcome
	}{
		"Good": {
			reason: "nothing to tell",
			facts:  outcome.Facts{Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady},
		},
		"Written": {
			reason: "a write is told",
			facts:  outcome.Facts{Written: true, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, Written: true},
		},
		"Versions": {
			reason: "what the Secret holds now",
			facts:  outcome.Facts{Desired: render.Desired{Versions: map[string]string{"a": "2"}}, Held: map[string]string{"a": "1"}, Filled: true, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, Versions: map[string]string{"a": "2"}},
		},
		"VersionsOfAFrozenSecret": {
			reason: "what it held before, for it does not get the new data",
			facts:  outcome.Facts{Desired: render.Desired{Versions: map[string]string{"a": "2"}}, Held: map[string]string{"a": "1"}, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, Versions: map[string]string{"a": "1"}},
		},
		"VersionsOfRetained": {
			reason: "it stays as it was",
			facts:  outcome.Facts{Held: map[string]string{"a": "1"}, State: diff.Retained, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, State: diff.Retained, Versions: map[string]string{"a": "1"}},
		},
		"VersionsOfNone": {
			reason: "there is no Secret",
			facts:  outcome.Facts{Desired: render.Desired{Versions: map[string]string{"a": "2"}}, Held: map[string]string{"a": "1"}, State: diff.Missing, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, State: diff.Missing},
		},
		"IssueFirst": {
			reason: "what is wrong with the manifest goes before all else, and the first of it",
			facts: outcome.Facts{
				Issues:  []spec.Issue{issue(backend.PermissionDenied, "spec"), issue(backend.InvalidRef, "spec.data[0]")},
				Desired: desired(problem(backend.InvalidRef, "b")), Refused: &refused, Every: every,
			},
			want: told(issue(backend.PermissionDenied, "spec")),
		},
		"InvalidStalls": {
			reason: "nothing happens until the manifest changes",
			facts:  outcome.Facts{Issues: []spec.Issue{issue(backend.InvalidRef, "spec")}, Synced: true, Every: every},
			want:   outcome.Outcome{Stalled: true, Code: backend.InvalidRef, Where: "spec", Message: "InvalidRef at spec"},
		},
		"NotFound": {
			reason: "the store answered: the object is not ready, and is read again at its turn",
			facts:  outcome.Facts{Desired: desired(problem(backend.NotFound, "a")), Synced: true, Every: every},
			want:   told(issue(backend.NotFound, "a")),
		},
		"Unauthenticated": {
			reason: "a refused login is told at once, synced or not",
			facts:  outcome.Facts{Desired: desired(problem(backend.Unauthenticated, "a")), Synced: true, Every: every},
			want:   told(issue(backend.Unauthenticated, "a")),
		},
		"UnknownBacksOff": {
			reason: "what nobody understands is tried again with growing pauses",
			facts:  outcome.Facts{Desired: desired(problem(backend.Unknown, "a")), Synced: true, Every: every},
			want:   outcome.Outcome{Code: backend.Unknown, Where: "a", Message: "Unknown at a", Backoff: true},
		},
		"RefusedBacksOff": {
			reason: "the Secret may be free later",
			facts:  outcome.Facts{Refused: &refused, Every: every},
			want:   outcome.Outcome{Code: backend.Conflict, Where: "Secret", Message: "Conflict at Secret", Backoff: true},
		},
		"ProblemBeforeRefusal": {
			reason: "with a problem nothing was to be written",
			facts:  outcome.Facts{Desired: desired(problem(backend.NotFound, "a")), Refused: &refused, Every: every},
			want:   told(issue(backend.NotFound, "a")),
		},
		"CodeNobodyKnows": {
			reason: "a problem must not pass for none",
			facts:  outcome.Facts{Desired: desired(problem("", "a")), Every: every},
			want:   told(issue("", "a")),
		},

		"TransientNew": {
			reason: "an object that never was in place is not ready, and the feed tries again",
			facts:  outcome.Facts{Desired: desired(down), Every: every},
			want:   told(down.Issue),
		},
		"TransientYoung": {
			reason: "what is in place stays as good as it was; it is looked at when the tolerance ends",
			facts:  outcome.Facts{Desired: desired(failing(limited, 3*time.Second)), Synced: true, Every: every},
			want:   outcome.Outcome{Ready: outcome.Unchanged, Again: 17 * time.Second},
		},
		"TransientLastMoment": {
			reason: "a nanosecond before two intervals it is still good",
			facts:  outcome.Facts{Desired: desired(failing(limited, 2*every-1)), Synced: true, Every: every},
			want:   outcome.Outcome{Ready: outcome.Unchanged, Again: 1},
		},
		"TransientOld": {
			reason: "after exactly two intervals it is not; a zero Again would mean never",
			facts:  outcome.Facts{Desired: desired(failing(limited, 2*every)), Synced: true, Every: every},
			want:   told(limited.Issue),
		},
		"TransientPinned": {
			reason: "without an interval nothing would end the tolerance",
			facts:  outcome.Facts{Desired: desired(down), Synced: true},
			want:   told(down.Issue),
		},
		"TransientAndGone": {
			reason: "one proven failure is enough",
			facts:  outcome.Facts{Desired: desired(down, problem(backend.NotFound, "b")), Synced: true, Every: every},
			want:   told(issue(backend.NotFound, "b")),
		},
		"TransientLongest": {
			reason: "the one that fails longest decides, wherever it stands",
			facts:  outcome.Facts{Desired: desired(failing(down, time.Second), failing(problem(backend.Unavailable, "b"), 2*every)), Synced: true, Every: every},
			want:   told(issue(backend.Unavailable, "b")),
		},

		"StaleYoung": {
			reason: "the last good value is good enough for two intervals",
			facts:  outcome.Facts{Desired: stale(failing(down, every)), Written: true, Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, Written: true, Again: every},
		},
		"StaleLastMoment": {
			reason: "a nanosecond before two intervals it is still good",
			facts:  outcome.Facts{Desired: stale(failing(down, 2*every-1)), Every: every},
			want:   outcome.Outcome{Ready: outcome.IsReady, Again: 1},
		},
		"StaleOld": {
			reason: "after exactly two intervals it is told, and so is that the Secret was written with it",
			facts:  outcome.Facts{Desired: stale(failing(down, 2*every)), Synced: true, Written: true, Every: every},
			want:   outcome.Outcome{Code: backend.Unavailable, Where: "a", Message: "Unavailable at a", Written: true},
		},
		"StaleRefused": {
			reason: "a refusal is told before a delay",
			facts:  outcome.Facts{Desired: stale(down), Refused: &refused, Every: every},
			want:   outcome.Outcome{Code: backend.Conflict, Where: "Secret", Message: "Conflict at Secret", Backoff: true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, outcome.Decide(tc.facts)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSeverity holds that of any two codes the same is told, whichever entry
// stands first.
func TestSeverity(t *testing.T) {
	for i, worse := range codes {
		for _, better := range codes[i+1:] {
			for _, problems := range [][]render.Problem{
				{problem(worse, "w"), problem(better, "b")},
				{problem(better, "b"), problem(worse, "w")},
				{problem(better, "b"), problem(better, "b"), problem(worse, "w"), problem(better, "b")},
			} {
				if got := outcome.Decide(outcome.Facts{Desired: desired(problems...)}); got.Code != worse {
					t.Errorf("of %s and %s, %s is told", worse, better, got.Code)
				}
			}
		}
	}
	for _, c := range codes {
		got := outcome.Decide(outcome.Facts{Desired: desired(problem(c, "first"), problem(c, "second"))})
		if got.Where != "first" {
			t.Errorf("of two %s the one at %s is told, want the first of the manifest", c, got.Where)
		}
	}
}

// TestUnchanged holds that only an object that is in place keeps its status, and
// only while the store gives no answer.
func TestUnchanged(t *testing.T) {
	for _, c := range slices.Concat(codes, []backend.Code{""}) {
		for _, synced := range []bool{true, false} {
			got := outcome.Decide(outcome.Facts{Desired: desired(problem(c, "a")), Synced: synced, Every: every})
			want := outcome.NotReady
			if synced && (c == backend.RateLimited || c == backend.Unavailable) {
				want = outcome.Unchanged
			}
			if got.Ready != want {
				t.Errorf("%q, synced %t: ready is %d, want %d", c, synced, got.Ready, want)
			}
		}
	}
}
