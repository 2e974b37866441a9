// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const (
	mark      = "example.com/managed"
	ownerMark = "example.com/by"
)

// byField is a manifest whose keys are told by the field manager.
func byField(creation spec.Creation) spec.Spec {
	s := manifest()
	s.Target.ByField, s.Target.Creation = true, creation
	s.Target.Marks, s.Target.OwnerMarks = map[string]string{mark: "true"}, map[string]string{ownerMark: "app"}
	return s
}

// fields are what the field manager wrote.
func fields(list ...string) map[string]bool {
	out := map[string]bool{}
	for _, f := range list {
		out[f] = true
	}
	return out
}

var (
	marks      = map[string]string{mark: "true"}
	ownerMarks = map[string]string{mark: "true", ownerMark: "app"}
)

func TestPolicies(t *testing.T) {
	us := []spec.OwnerRef{spec.OwnerRefTo(object())}
	other := spec.OwnerRef{APIVersion: object().APIVersion, Kind: object().Kind, Name: "other", UID: "u", Controller: true}
	certificate := spec.OwnerRef{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: "c", UID: "u", Controller: true}
	cases := map[string]struct {
		reason   string
		creation spec.Creation
		current  *spec.Secret
		edit     func(*spec.Spec)
		want     render.Desired
		changes  []diff.Change // UID and so on are filled in from current
		state    diff.State
		refused  string // begins the message
		where    string
	}{
		"OwnerCreates": {
			reason: "with an owner and both marks", creation: spec.Owner, want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Create, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Labels: ownerMarks, Owners: us}}},
		},
		"OrphanCreates": {
			reason: "without an owner", creation: spec.Orphan, want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Create, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Labels: marks}}},
		},
		"CreateOrMergeCreates": {
			reason: "without an owner", creation: spec.CreateOrMerge, want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Create, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Labels: marks}}},
		},
		"MergeWaits": {reason: "the Secret is not ours to make", creation: spec.Merge, want: desired("k", "v"), state: diff.Missing},
		"NoneIgnores": {
			reason: "nobody wants a Secret, and what stands there is nobody's business", creation: spec.None,
			current: secret(nil, "k", "old"), want: desired("k", "v"), state: diff.Ignored,
		},
		"MergeFills": {
			reason: "its keys, labels and annotations, and nothing else", creation: spec.Merge,
			current: secret(func(s *spec.Secret) {
				s.Labels, s.Annotations = map[string]string{"team": "blue"}, map[string]string{"note": "mine"}
			}, "foreign", "f", "k", "old"),
			want: render.Desired{Data: values("k", "v"), Labels: map[string]string{"a": "1"}},
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("foreign", "f", "k", "v"), Labels: map[string]string{"team": "blue", "a": "1", mark: "true"},
				Annotations: map[string]string{"note": "mine"},
			}}},
		},
		"MergeDropsItsOwn": {
			reason: "what it wrote and wants no more goes, what others wrote stays", creation: spec.Merge,
			current: secret(func(s *spec.Secret) {
				s.Labels, s.Fields = map[string]string{mark: "true", "a": "1", "b": "2"}, fields("data:k", "data:gone", "label:"+mark, "label:a")
			}, "foreign", "f", "k", "v", "gone", "g"),
			want:    desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("foreign", "f", "k", "v"), Labels: map[string]string{mark: "true", "b": "2"}}}},
		},
		"MergeQuiet": {
			reason: "nothing to do", creation: spec.Merge,
			current: secret(func(s *spec.Secret) { s.Labels, s.Fields = marks, fields("data:k") }, "foreign", "f", "k", "v"), want: desired("k", "v"),
		},
		"MergeIntoHelm": {
			reason: "an explicit Merge may: it touches its own keys only", creation: spec.Merge,
			current: secret(func(s *spec.Secret) { s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }, "foreign", "f"),
			want:    desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("foreign", "f", "k", "v"), Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm", mark: "true"},
			}}},
		},
		"MergeIntoCertificate": {
			reason: "an explicit Merge may", creation: spec.Merge,
			current: secret(func(s *spec.Secret) { s.Owners, s.Labels = []spec.OwnerRef{certificate}, marks }, "k", "v"), want: desired("k", "v"),
		},
		"MergeIntoAnothers": {
			reason: "two objects of one kind would fight", creation: spec.Merge,
			current: secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{other} }), want: desired("k", "v"),
			refused: `Secret "app" belongs to ExternalSecret "other"`, where: diff.WhereOwner,
		},
		"MergeIntoToken": {
			reason: "no policy touches a token", creation: spec.Merge,
			current: secret(func(s *spec.Secret) { s.Type = "kubernetes.io/service-account-token" }), want: desired("k", "v"),
			refused: `Secret "app" is of type`, where: diff.WhereSecret,
		},
		"OrphanOfAnother": {
			reason: "what another object controls is refused", creation: spec.Orphan,
			current: secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{certificate} }), want: desired("k", "v"),
			refused: `Secret "app" belongs to Certificate "c"`, where: diff.WhereOwner,
		},
		"OwnerOfHelm": {
			reason: "what another program manages is not taken over", creation: spec.Owner,
			current: secret(func(s *spec.Secret) { s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }), want: desired("k", "v"),
			refused: `Secret "app" is managed by somebody else`, where: diff.WhereSecret,
		},
		"OrphanKeepsForeign": {
			reason: "foreign keys stay", creation: spec.Orphan,
			current: secret(nil, "foreign", "f", "k", "old"), want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("foreign", "f", "k", "v"), Labels: marks}}},
		},
		"OwnerKeepsForeign": {
			reason: "foreign keys stay, and are listed, because they could not be told later; labels can", creation: spec.Owner,
			current: secret(func(s *spec.Secret) { s.Labels = map[string]string{"team": "blue"} }, "foreign", "f", "k", "old"), want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("foreign", "f", "k", "v"), Owners: us, Annotations: map[string]string{diff.KeptAnnotation: "data:foreign"},
				Labels: map[string]string{"team": "blue", mark: "true", ownerMark: "app"},
			}}},
		},
		"OwnerAfterMerge": {
			reason: "what we merged in is ours, what was there is not", creation: spec.Owner,
			current: secret(func(s *spec.Secret) { s.Labels, s.Fields = marks, fields("data:k", "data:gone", "label:"+mark) }, "foreign", "f", "k", "v", "gone", "g"),
			want:    desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("foreign", "f", "k", "v"), Owners: us, Labels: ownerMarks, Annotations: map[string]string{diff.KeptAnnotation: "data:foreign"},
			}}},
		},
		"MergeAfterOwner": {
			reason: "the reference and the mark of the owner go", creation: spec.Merge,
			current: mine(func(s *spec.Secret) {
				s.Labels, s.Fields = ownerMarks, fields("data:k", "label:"+mark, "label:"+ownerMark)
			}, "k", "v"),
			want:    desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Labels: marks}}},
		},
		"OwnerDropsForeign": {
			reason: "in a Secret that is ours, a key that somebody adds goes; a label stays", creation: spec.Owner,
			current: mine(func(s *spec.Secret) {
				s.Labels = map[string]string{mark: "true", ownerMark: "app", "team": "blue"}
			}, "k", "v", "extra", "x"),
			want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("k", "v"), Owners: us, Labels: map[string]string{mark: "true", ownerMark: "app", "team": "blue"},
			}}},
		},
		"DataHashGoes": {
			reason: "an annotation of the predecessor, which wrote under the same name, is a stale one of ours", creation: spec.Owner,
			current: mine(func(s *spec.Secret) {
				s.Labels, s.Annotations, s.Fields = ownerMarks, map[string]string{"example.com/data-hash": "h"}, fields("annotation:example.com/data-hash")
			}, "k", "v"),
			want:    desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Owners: us, Labels: ownerMarks}}},
		},
		"PredecessorsReference": {
			reason: "a reference that says the same and blocks besides is left alone", creation: spec.Owner,
			current: mine(func(s *spec.Secret) { s.Labels, s.Owners[0].Block = ownerMarks, true }, "k", "v"), want: desired("k", "v"),
		},
		"TypeStays": {
			reason: "a manifest that names no type takes the one there is", creation: spec.Owner,
			current: secret(func(s *spec.Secret) { s.Type = "kubernetes.io/basic-auth" }, "username", "u"), want: desired("username", "u"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "kubernetes.io/basic-auth", Data: values("username", "u"), Owners: us, Labels: ownerMarks}}},
		},
		"OrphanRetype": {
			reason: "only an owner may replace it", creation: spec.Orphan,
			current: secret(func(s *spec.Secret) { s.Fields = fields("data:k") }, "k", "v"), want: render.Desired{Type: "example.com/t", Data: values("k", "v")},
			refused: `Secret "app" exists with type`, where: diff.WhereSecret,
		},
		"FreezeCreates": {
			reason: "immutable from the start", creation: spec.Owner, edit: func(s *spec.Spec) { s.Target.Freeze = true }, want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Create, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Labels: ownerMarks, Owners: us, Immutable: ptr(true)}}},
		},
		"FrozenStays": {
			reason: "the data of a frozen Secret is never made again", creation: spec.Owner, edit: func(s *spec.Spec) { s.Target.Freeze = true },
			current: mine(func(s *spec.Secret) { s.Labels, s.Immutable = ownerMarks, ptr(true) }, "k", "old"), want: desired("k", "v", "n", "n"),
		},
		"FrozenLabels": {
			reason: "but its labels are", creation: spec.Owner, edit: func(s *spec.Spec) { s.Target.Freeze = true },
			current: mine(func(s *spec.Secret) { s.Labels, s.Immutable = ownerMarks, ptr(true) }, "k", "old"),
			want:    render.Desired{Data: values("k", "v"), Labels: map[string]string{"a": "1"}},
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{
				Type: "Opaque", Data: values("k", "old"), Owners: us, Immutable: ptr(true), Labels: map[string]string{mark: "true", ownerMark: "app", "a": "1"},
			}}},
		},
		"Freezing": {
			reason: "what is ours is frozen as it is", creation: spec.Owner, edit: func(s *spec.Spec) { s.Target.Freeze = true },
			current: mine(func(s *spec.Secret) { s.Labels = ownerMarks }, "k", "old"), want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("k", "old"), Owners: us, Labels: ownerMarks, Immutable: ptr(true)}}},
		},
		"FreezingForeign": {
			reason: "what was not ours gets our data first", creation: spec.Owner, edit: func(s *spec.Spec) { s.Target.Freeze = true },
			current: secret(nil, "k", "old"), want: desired("k", "v"),
			changes: []diff.Change{{Verb: diff.Update, Secret: spec.Secret{Type: "Opaque", Data: values("k", "v"), Owners: us, Labels: ownerMarks, Immutable: ptr(true)}}},
		},
		"Unfreezing": {
			reason: "cannot be done", creation: spec.Owner,
			current: mine(func(s *spec.Secret) { s.Labels, s.Immutable = ownerMarks, ptr(true) }, "k", "old"), want: desired("k", "v"),
			refused: `Secret "app" is invalid`, where: diff.WhereImmutable,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := byField(tc.creation)
			if tc.edit != nil {
				tc.edit(&s)
			}
			got := diff.Compute(s, spec.Inputs{Current: tc.current}, tc.want, diff.AdoptMerge)
			wantRefusal(t, tc.reason, got, tc.where, tc.refused)
			wantFilled(t, tc.reason, tc.current, tc.want, got)
			for i := range tc.changes {
				c := &tc.changes[i].Secret
				c.Namespace, c.Name = "ns", "app"
				if tc.current != nil && tc.changes[i].Verb == diff.Update {
					c.UID, c.ResourceVersion = tc.current.UID, tc.current.ResourceVersion
				}
			}
			if diff := cmp.Diff(tc.changes, got.Changes, stable); diff != "" || got.State != tc.state {
				t.Errorf("%s: state %d, want %d; -want, +got:\n%s", tc.reason, got.State, tc.state, diff)
			}
			if len(got.Changes) != 1 {
				return
			}
			stands := got.Changes[0].Secret
			stands.UID = "secret-uid"
			if tc.current != nil {
				stands.Fields = maps.Clone(tc.current.Fields)
			}
			if again := diff.Compute(s, spec.Inputs{Current: &stands}, tc.want, diff.AdoptMerge); len(again.Changes) > 0 || again.Refused != nil {
				t.Errorf("%s: a second sync is not quiet: %v", tc.reason, again)
			}
		})
	}
}

// wantFilled requires that a decision says whether the Secret holds the wanted
// data after it, such as a password whose predecessor may be revoked then.
func wantFilled(t *testing.T, reason string, current *spec.Secret, want render.Desired, got diff.Decision) {
	t.Helper()
	after := current
	for i, c := range got.Changes {
		if after = &got.Changes[i].Secret; c.Verb == diff.Delete {
			after = nil
		}
	}
	holds := after != nil && got.Refused == nil && got.State == diff.Synced && len(want.Problems) == 0
	for k, v := range want.Data {
		holds = holds && after.Data[k].Equal(v)
	}
	if got.Filled != holds {
		t.Errorf("%s: filled %t, and it holds the data: %t", reason, got.Filled, holds)
	}
}

func wantRefusal(t *testing.T, reason string, got diff.Decision, where, message string) {
	t.Helper()
	switch {
	case message == "" && got.Refused == nil:
	case got.Refused == nil || !strings.HasPrefix(got.Refused.Message, message) || message == "" || got.Refused.Where != where:
		t.Errorf("%s: refused with %v, want %s: %s", reason, got.Refused, where, message)
	case len(got.Changes) > 0:
		t.Errorf("%s: refused, and changes %v", reason, got.Changes)
	case strings.Contains(got.Refused.Message, canary):
		t.Error("the canary is in the refusal")
	}
}

func TestVanished(t *testing.T) {
	empty, unproven := render.Desired{Empty: true}, render.Desired{Empty: true, Unproven: true}
	deleted := []diff.Change{{Verb: diff.Delete, Secret: *mine(nil, "k", "v")}}
	cases := map[string]struct {
		reason   string
		creation spec.Creation
		deletion spec.Deletion
		current  *spec.Secret
		want     render.Desired
		changes  []diff.Change
		state    diff.State
		refused  string
		where    string
	}{
		"Retain":         {reason: "everything stays", current: mine(nil, "k", "v"), want: empty, state: diff.Retained},
		"RetainNothing":  {reason: "there is nothing to retain, so nobody is told that it is in sync", want: empty, refused: "nothing was found in the store", where: "spec"},
		"Delete":         {reason: "asked for, and proven", deletion: spec.DeleteSecret, current: mine(nil, "k", "v"), want: empty, changes: deleted, state: diff.Deleted},
		"DeleteAgain":    {reason: "it is gone already", deletion: spec.DeleteSecret, want: empty, state: diff.Deleted},
		"DeleteGoing":    {reason: "it is going already", deletion: spec.DeleteSecret, current: mine(func(s *spec.Secret) { s.Deleting = true }), want: empty, state: diff.Deleted},
		"DeleteUnproven": {reason: "a role that was taken away must not delete", deletion: spec.DeleteSecret, current: mine(nil, "k", "v"), want: unproven, refused: "nothing was listed, but", where: "spec.target.deletionPolicy"},
		"DeleteForeign":  {reason: "it is not ours", deletion: spec.DeleteSecret, current: secret(nil, "k", "v"), want: empty, refused: `Secret "app" is not deleted`, where: "spec.target.deletionPolicy"},
		"DeleteOrphan":   {reason: "it is not ours any more", creation: spec.Orphan, deletion: spec.DeleteSecret, current: secret(nil, "k", "v"), want: empty, refused: `Secret "app" is not deleted`, where: "spec.target.deletionPolicy"},
		"DropMissing": {
			reason: "the keys go, the Secret stays", deletion: spec.DropMissing, current: mine(func(s *spec.Secret) { s.Labels = ownerMarks }, "k", "v"), want: empty,
			changes: update(mine(func(s *spec.Secret) { s.Labels = ownerMarks }, "k", "v"), func(s *spec.Secret) { s.Data = values() }),
		},
		"Problem": {reason: "what failed is not what is gone", deletion: spec.DeleteSecret, current: mine(nil, "k", "v"), want: render.Desired{Problems: []render.Problem{{}}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := byField(tc.creation)
			s.Target.Deletion = tc.deletion
			got := diff.Compute(s, spec.Inputs{Current: tc.current}, tc.want, diff.AdoptMerge)
			wantRefusal(t, tc.reason, got, tc.where, tc.refused)
			if diff := cmp.Diff(tc.changes, got.Changes, stable); diff != "" || got.State != tc.state {
				t.Errorf("%s: state %d, want %d; -want, +got:\n%s", tc.reason, got.State, tc.state, diff)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	named := func(name string, edit func(*spec.Secret)) spec.Secret {
		s := mine(edit)
		s.Name = name
		return *s
	}
	in := spec.Inputs{Leftovers: []spec.Secret{
		named("former", nil),
		named("app", nil),
		named("not-ours", func(s *spec.Secret) { s.Owners = nil }),
		named("going", func(s *spec.Secret) { s.Deleting = true }),
	}}
	got := diff.Compute(byField(spec.Owner), in, desired("k", "v"), diff.AdoptMerge)
	if len(got.Changes) != 2 || got.Changes[0].Verb != diff.Create || got.Changes[1].Verb != diff.Delete || got.Changes[1].Secret.Name != "former" {
		t.Errorf("the new one is written, then the old one goes; got %v", got.Changes)
	}
	if got := diff.Compute(byField(spec.Orphan), in, desired("k", "v"), diff.AdoptMerge); len(got.Changes) != 1 {
		t.Errorf("an orphan deletes nothing: %v", got.Changes)
	}
	in.Current = secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{{Kind: "Other", Name: "o", Controller: true}} })
	if got := diff.Compute(byField(spec.Owner), in, desired("k", "v"), diff.AdoptMerge); len(got.Changes) > 0 || got.Refused == nil {
		t.Errorf("while the new name is refused, the old one stays: %v", got)
	}
}
