// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

func TestStatus(t *testing.T) {
	const before, moved = "2022-03-23T10:00:00.000Z", "2026-11-22T05:06:07.008Z"
	now := time.Date(2026, 11, 22, 6, 6, 7, 8_999_999, time.FixedZone("CET", 3600))
	good := v1.ExternalSecretStatus{LastSync: before, Status: "SUCCESS", ObservedGeneration: 3}
	bad := v1.ExternalSecretStatus{LastSync: before, Status: "ERROR, no", ObservedGeneration: 3}
	versioned := good
	versioned.Versions = map[string]string{"iam_credentials x": "1"}
	cases := map[string]struct {
		reason  string
		stands  v1.ExternalSecretStatus
		outcome outcome.Outcome
		want    v1.ExternalSecretStatus
	}{
		"First": {
			reason: "the first success", outcome: outcome.Outcome{Ready: outcome.IsReady, Written: true},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3},
		},
		"FirstError": {
			reason: "the first failure", outcome: outcome.Outcome{Message: "no"},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "ERROR, no", ObservedGeneration: 3},
		},
		"Quiet": {
			reason: "nothing to tell, nothing written", stands: good, outcome: outcome.Outcome{Ready: outcome.IsReady}, want: good,
		},
		"QuietError": {
			reason: "the same failure once more", stands: bad, outcome: outcome.Outcome{Message: "no"}, want: bad,
		},
		"Written": {
			reason: "the Secret changed", stands: good, outcome: outcome.Outcome{Ready: outcome.IsReady, Written: true},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3},
		},
		"WrittenAndFailed": {
			reason: "the Secret changed, and the failure is the same", stands: bad, outcome: outcome.Outcome{Message: "no", Written: true},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "ERROR, no", ObservedGeneration: 3},
		},
		"Failed": {
			reason: "another outcome", stands: good, outcome: outcome.Outcome{Message: "no"},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "ERROR, no", ObservedGeneration: 3},
		},
		"OtherError": {
			reason: "another failure", stands: bad, outcome: outcome.Outcome{Message: "not this either"},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "ERROR, not this either", ObservedGeneration: 3},
		},
		"Recovered": {
			reason: "it works again", stands: bad, outcome: outcome.Outcome{Ready: outcome.IsReady},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3},
		},
		"Generation": {
			reason: "another generation was looked at", outcome: outcome.Outcome{Ready: outcome.IsReady},
			stands: v1.ExternalSecretStatus{LastSync: before, Status: "SUCCESS", ObservedGeneration: 2},
			want:   v1.ExternalSecretStatus{LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3},
		},
		"Versions": {
			reason: "the Secret holds a secret that reading changes", stands: good,
			outcome: outcome.Outcome{Ready: outcome.IsReady, Versions: map[string]string{"iam_credentials x": "2"}},
			want: v1.ExternalSecretStatus{
				LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3, Versions: map[string]string{"iam_credentials x": "2"},
			},
		},
		"VersionsStay": {
			reason: "after a failure the Secret still holds what it held", stands: versioned, outcome: outcome.Outcome{Message: "no"},
			want: v1.ExternalSecretStatus{
				LastSync: moved, Status: "ERROR, no", ObservedGeneration: 3, Versions: map[string]string{"iam_credentials x": "1"},
			},
		},
		"VersionsGo": {
			reason: "the entry was taken out of the manifest", stands: versioned, outcome: outcome.Outcome{Ready: outcome.IsReady},
			want: v1.ExternalSecretStatus{LastSync: moved, Status: "SUCCESS", ObservedGeneration: 3},
		},
		"Unchanged": {
			reason: "the store is at fault, and what there is is not old yet", stands: good,
			outcome: outcome.Outcome{Ready: outcome.Unchanged, Message: "no"}, want: good,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			es := object(t, `{}`)
			es.Status = tc.stands
			if diff := cmp.Diff(tc.want, kes.Status(es, tc.outcome, now)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if !kes.SameStatus(es.Status, tc.stands) {
				t.Error("the object itself changed")
			}
		})
	}
}

func TestStatusText(t *testing.T) {
	cases := map[string]struct{ reason, message, want string }{
		"KES":      {"as KES was observed to do it", "line1\nline2\r\n  a\tb   c", "ERROR, line1line2 a b c"},
		"Returns":  {"a carriage return alone", "a\rb", "ERROR, ab"},
		"Runs":     {"runs of spaces, tabs among them, are one", "a \t  b", "ERROR, a b"},
		"Plain":    {"nothing to do", "Could not find property a in b", "ERROR, Could not find property a in b"},
		"Empty":    {"an error without a message", "", "ERROR, "},
		"Leading":  {"the first space is part of the run", "  a", "ERROR, a"},
		"Trailing": {"the last one stays", "a ", "ERROR, a "},
		"NoBreak":  {"other signs that look like spaces stay", "a\u00a0 b", "ERROR, a\u00a0 b"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := kes.Status(object(t, `{}`), outcome.Outcome{Message: tc.message}, time.Time{}).Status
			if got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestSynced(t *testing.T) {
	for _, tc := range []struct {
		reason string
		status v1.ExternalSecretStatus
		want   bool
	}{
		{"never looked at", v1.ExternalSecretStatus{}, false},
		{"in place", v1.ExternalSecretStatus{Status: "SUCCESS", ObservedGeneration: 3}, true},
		{"an older generation is", v1.ExternalSecretStatus{Status: "SUCCESS", ObservedGeneration: 2}, false},
		{"it failed", v1.ExternalSecretStatus{Status: "ERROR, SUCCESS", ObservedGeneration: 3}, false},
	} {
		es := object(t, `{}`)
		es.Status = tc.status
		if got := kes.Synced(es); got != tc.want {
			t.Errorf("%s: Synced = %t, want %t", tc.reason, got, tc.want)
		}
	}
}
