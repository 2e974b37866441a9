// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const canary = "CANARY"

func data(pairs ...string) map[string]backend.Value {
	out := map[string]backend.Value{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = backend.NewValue([]byte(canary + pairs[i+1]))
	}
	return out
}

func TestPredict(t *testing.T) {
	ready := outcome.Outcome{Ready: outcome.IsReady}
	current := &spec.Secret{
		Name: "s", Type: "Opaque", Data: data("a", "1", "b", "1", "c", "1"),
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"hash": "1"},
		Owners: []spec.OwnerRef{{Kind: "ExternalSecret", Name: "es", UID: "1", Controller: true}},
	}
	changed := func(f func(*spec.Secret)) *spec.Secret {
		s := *current
		f(&s)
		return &s
	}
	change := func(verb diff.Verb, s *spec.Secret) diff.Decision {
		return diff.Decision{Changes: []diff.Change{{Verb: verb, Secret: *s}}}
	}
	cases := map[string]struct {
		reason    string
		current   *spec.Secret
		decision  diff.Decision
		outcome   outcome.Outcome
		untouched error
		want      shadow.Object
	}{
		"Unchanged": {reason: "nothing is written", current: current, outcome: ready, want: shadow.Object{Result: shadow.Unchanged}},
		"Create": {
			reason: "what it would have", outcome: ready, decision: change(diff.Create, current),
			want: shadow.Object{
				Result: shadow.Create, Data: shadow.Names{Added: []string{"a", "b", "c"}}, Labels: shadow.Names{Added: []string{"l"}},
				Annotations: shadow.Names{Added: []string{"hash"}}, Owner: &shadow.FromTo{To: "ExternalSecret/es"},
			},
		},
		"Update": {
			reason: "what workloads see", current: current, outcome: ready,
			decision: change(diff.Update, changed(func(s *spec.Secret) { s.Data = data("a", "1", "b", "2", "d", "1") })),
			want: shadow.Object{
				Result: shadow.Update, Data: shadow.Names{Added: []string{"d"}, Changed: []string{"b"}, Removed: []string{"c"}},
			},
		},
		"Metadata": {
			reason: "the operator's hash goes, and workloads see nothing of it", current: current, outcome: ready,
			decision: change(diff.Update, changed(func(s *spec.Secret) { s.Annotations = nil })),
			want:     shadow.Object{Result: shadow.Metadata, Annotations: shadow.Names{Removed: []string{"hash"}}},
		},
		"Owner": {
			reason: "taken over", current: changed(func(s *spec.Secret) { s.Owners = nil }), outcome: ready, decision: change(diff.Update, current),
			want: shadow.Object{Result: shadow.Metadata, Owner: &shadow.FromTo{To: "ExternalSecret/es"}},
		},
		"UID": {
			reason: "restored from a backup", outcome: ready, decision: change(diff.Update, current),
			current: changed(func(s *spec.Secret) {
				s.Owners = []spec.OwnerRef{{Kind: "ExternalSecret", Name: "es", UID: "0", Controller: true}}
			}),
			want: shadow.Object{
				Result: shadow.Metadata, Owner: &shadow.FromTo{From: "ExternalSecret/es with another UID", To: "ExternalSecret/es"},
			},
		},
		"Replace": {
			reason: "a type cannot change", current: current, outcome: ready,
			decision: diff.Decision{Changes: []diff.Change{
				{Verb: diff.Delete, Secret: *current},
				{Verb: diff.Create, Secret: *changed(func(s *spec.Secret) { s.Type = "kubernetes.io/tls" })},
			}},
			want: shadow.Object{Result: shadow.Replace, Type: &shadow.FromTo{From: "Opaque", To: "kubernetes.io/tls"}},
		},
		"Delete": {
			reason: "all of it goes", current: current, outcome: ready, decision: change(diff.Delete, current),
			want: shadow.Object{
				Result: shadow.Delete, Data: shadow.Names{Removed: []string{"a", "b", "c"}}, Labels: shadow.Names{Removed: []string{"l"}},
				Annotations: shadow.Names{Removed: []string{"hash"}}, Owner: &shadow.FromTo{From: "ExternalSecret/es"},
			},
		},
		"Former": {
			reason: "another name than before", current: current, outcome: ready,
			decision: change(diff.Delete, changed(func(s *spec.Secret) { s.Name = "old" })),
			want:     shadow.Object{Result: shadow.Delete, FormerSecrets: []string{"old"}},
		},
		"Immutable": {
			reason: "it could not be changed any more", current: current, outcome: ready,
			decision: change(diff.Update, changed(func(s *spec.Secret) { s.Immutable = new(true) })),
			want:     shadow.Object{Result: shadow.Metadata, Immutable: true},
		},
		"Retained": {
			reason: "nothing was found", current: current, outcome: ready, decision: diff.Decision{State: diff.Retained},
			want: shadow.Object{Result: shadow.Unchanged, Message: "nothing was found in the store, and the Secret would stay"},
		},
		"Refused": {
			reason: "by the diff", current: current, decision: diff.Decision{Refused: &spec.Issue{}},
			outcome: outcome.Outcome{Code: backend.Conflict, Where: "Secret", Message: "no"},
			want:    shadow.Object{Result: shadow.Refused, Code: "Conflict", Where: "Secret", Message: "no"},
		},
		"NotReady": {
			reason:  "by the store",
			outcome: outcome.Outcome{Code: backend.NotFound, Where: "spec.data[0]", Store: spec.StoreKey{Kind: "SecretStore", Name: "x"}, Message: "no"},
			want:    shadow.Object{Result: shadow.NotReady, Code: "NotFound", Where: `spec.data[0], SecretStore "x"`, Message: "no"},
		},
		"Untouched": {
			reason: "by ourselves", outcome: outcome.Outcome{Code: backend.PermissionDenied, Message: "no"}, untouched: errors.New("reading changes it"),
			want: shadow.Object{Result: shadow.Untouched, Message: "reading changes it"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Object: spec.Object{Dialect: backend.ESO, Namespace: "ns", Name: "es"}, Target: spec.Target{Name: "s"}}
			tc.want.Dialect, tc.want.Namespace, tc.want.Name, tc.want.Secret = "eso", "ns", "es", "s"
			got := shadow.Predict(s, tc.current, tc.decision, tc.outcome, tc.untouched)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, d)
			}
			if strings.Contains(fmt.Sprintf("%+v", got), canary) {
				t.Error("a value is in the report")
			}
			if got.Differs() != (tc.want.Result != shadow.Unchanged) {
				t.Error("what differs is another thing")
			}
		})
	}
}

// TestBound: an object takes a bounded part of the memory, whatever is in it.
func TestBound(t *testing.T) {
	many := map[string]backend.Value{}
	for i := range 1000 {
		many[fmt.Sprintf("k%04d", i)] = backend.NewValue(nil)
	}
	d := diff.Decision{Changes: []diff.Change{{Verb: diff.Create, Secret: spec.Secret{Name: "s", Data: many}}}}
	s := spec.Spec{Target: spec.Target{Name: "s"}}
	got := shadow.Predict(s, nil, d, outcome.Outcome{Ready: outcome.IsReady}, nil).Data
	if len(got.Added)+got.More != 1000 || len(got.Added) > 50 {
		t.Errorf("%d names and %d more", len(got.Added), got.More)
	}
	long := shadow.Predict(s, nil, diff.Decision{}, outcome.Outcome{Message: strings.Repeat("é", 5000)}, nil)
	if len(long.Message) > 1100 {
		t.Errorf("a message of %d bytes", len(long.Message))
	}
}
