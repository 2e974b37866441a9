// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// canary is in every value; no refusal may show it.
const canary = "c4n4ry-5ecret"

func object() spec.Object {
	return spec.Object{Dialect: backend.KES, APIVersion: "kubernetes-client.io/v1", Kind: "ExternalSecret", Namespace: "ns", Name: "app", UID: "uid-1"}
}

func manifest() spec.Spec {
	return spec.Spec{Object: object(), Target: spec.Target{Namespace: "ns", Name: "app"}}
}

func values(kv ...string) map[string]backend.Value {
	out := map[string]backend.Value{}
	for i := 0; i < len(kv); i += 2 {
		out[kv[i]] = backend.NewValue([]byte(kv[i+1] + canary))
	}
	return out
}

func desired(kv ...string) render.Desired { return render.Desired{Data: values(kv...)} }

// secret is one that stands in the cluster and has no owner.
func secret(edit func(*spec.Secret), kv ...string) *spec.Secret {
	s := &spec.Secret{
		UID: "secret-uid", ResourceVersion: "7", Namespace: "ns", Name: "app", Type: "Opaque", Data: values(kv...),
	}
	if edit != nil {
		edit(s)
	}
	return s
}

// mine is one that the object controls.
func mine(edit func(*spec.Secret), kv ...string) *spec.Secret {
	return secret(func(s *spec.Secret) {
		s.Owners = []spec.OwnerRef{spec.OwnerRefTo(object())}
		if edit != nil {
			edit(s)
		}
	}, kv...)
}

func ptr(b bool) *bool { return &b }

// change is the one change that is wanted, made from the Secret that stands.
func update(current *spec.Secret, edit func(*spec.Secret)) []diff.Change {
	next := *current
	next.Data, next.Labels, next.Annotations = maps.Clone(next.Data), maps.Clone(next.Labels), maps.Clone(next.Annotations)
	edit(&next)
	return []diff.Change{{Verb: diff.Update, Secret: next}}
}

// stable are the ways in which nil and empty mean the same.
var stable = cmpopts.EquateEmpty()

type computeCase struct {
	reason  string
	spec    func(*spec.Spec)
	current *spec.Secret
	want    render.Desired
	adopt   diff.Adopt
	changes []diff.Change
	refused *spec.Issue
}

func (tc computeCase) run(t *testing.T) {
	t.Helper()
	s := manifest()
	if tc.spec != nil {
		tc.spec(&s)
	}
	if tc.adopt == "" {
		tc.adopt = diff.AdoptMerge
	}
	before := fmt.Sprintf("%+v %v", tc.current, tc.want)
	changes, refused := compute(s, tc.current, tc.want, tc.adopt)
	if d := cmp.Diff(tc.changes, changes, stable); d != "" {
		t.Errorf("%s: changes\n-want, +got:\n%s", tc.reason, d)
	}
	if d := cmp.Diff(tc.refused, refused); d != "" {
		t.Errorf("%s: refusal\n-want, +got:\n%s", tc.reason, d)
	}
	if refused != nil && strings.Contains(refused.Message, canary) {
		t.Error("the canary is in the refusal")
	}
	if after := fmt.Sprintf("%+v %v", tc.current, tc.want); before != after {
		t.Errorf("the input changed:\nbefore %s\nafter  %s", before, after)
	}
	if refused == nil && len(changes) > 0 {
		settled(t, s, changes, tc.want, tc.adopt)
	}
}

// settled holds that after the changes there are none left.
func settled(t *testing.T, s spec.Spec, changes []diff.Change, want render.Desired, adopt diff.Adopt) {
	t.Helper()
	last := changes[len(changes)-1]
	if last.Verb == diff.Delete {
		t.Fatal("the last change is a deletion")
	}
	stands := last.Secret
	stands.UID, stands.ResourceVersion = "new-uid", "8"
	again, refused := compute(s, &stands, want, adopt)
	if len(again) > 0 || refused != nil {
		t.Errorf("a second sync is not quiet: %v, %v", again, refused)
	}
}

func conflict(message string) *spec.Issue {
	where := diff.WhereSecret
	switch {
	case strings.Contains(message, " belongs to "):
		where = diff.WhereOwner
	case strings.Contains(message, "immutable"):
		where = diff.WhereImmutable
	}
	return &spec.Issue{Where: where, Code: backend.Conflict, Message: message}
}

// TestTable has at least one case for each row of the table at Compute.
func TestTable(t *testing.T) {
	other := spec.OwnerRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "w", Controller: true}
	created := spec.Secret{
		Namespace: "ns", Name: "app", Type: "Opaque", Data: values("a", "1"), Owners: []spec.OwnerRef{spec.OwnerRefTo(object())},
	}
	old := mine(nil, "a", "0", "gone", "x")
	retyped := created
	retyped.Type = "kubernetes.io/tls"
	tls := desired("a", "1")
	tls.Type = "kubernetes.io/tls"
	free := secret(nil, "a", "0")
	cases := map[string]computeCase{
		"None": {
			reason: "it is created, with our owner reference",
			want:   desired("a", "1"), changes: []diff.Change{{Verb: diff.Create, Secret: created}},
		},
		"BeingDeleted": {
			reason:  "it is let go first",
			current: mine(func(s *spec.Secret) { s.Deleting = true }, "a", "0"), want: desired("a", "1"),
			refused: conflict(`Secret "app" is being deleted`),
		},
		"ControlledByOther": {
			reason:  "two controllers would fight",
			current: secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{other} }, "a", "0"), want: desired("a", "1"),
			refused: conflict(`Secret "app" belongs to Deployment "web"; choose another name, or delete one of the two`),
		},
		"ControlledBySameName": {
			reason: "an object of another API is another object",
			current: secret(func(s *spec.Secret) {
				s.Owners = []spec.OwnerRef{{APIVersion: "external-secrets.io/v1", Kind: "ExternalSecret", Name: "app", Controller: true}}
			}, "a", "0"),
			want:    desired("a", "1"),
			refused: conflict(`Secret "app" belongs to ExternalSecret "app"; choose another name, or delete one of the two`),
		},
		"ControlledByOtherReplace": {
			reason: "--adopt=replace is about content and not about owners", adopt: diff.AdoptReplace,
			current: secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{other} }, "a", "0"), want: desired("a", "1"),
			refused: conflict(`Secret "app" belongs to Deployment "web"; choose another name, or delete one of the two`),
		},
		"Token": {
			reason:  "whoever owns the token is its service account",
			current: secret(func(s *spec.Secret) { s.Type = "kubernetes.io/service-account-token" }), want: desired("a", "1"),
			refused: conflict(`Secret "app" is of type "kubernetes.io/service-account-token", which is never taken over; choose another name`),
		},
		"TokenOfOurs": {
			reason:  "an owner reference can be set by anybody who may patch, and would have the token deleted",
			current: mine(func(s *spec.Secret) { s.Type = "kubernetes.io/service-account-token" }), want: desired("a", "1"),
			refused: conflict(`Secret "app" is of type "kubernetes.io/service-account-token", which is never taken over; choose another name`),
		},
		"Release": {
			reason:  "Helm's memory",
			current: secret(func(s *spec.Secret) { s.Type = "helm.sh/release.v1" }), want: desired("a", "1"),
			refused: conflict(`Secret "app" is of type "helm.sh/release.v1", which is never taken over; choose another name`),
		},
		"MineDiffers": {
			reason: "what is not asked for goes, what differs is brought up to date", current: old, want: desired("a", "1"),
			changes: update(old, func(s *spec.Secret) { s.Data = values("a", "1") }),
		},
		"MineEqual": {
			reason: "nothing is written when nothing changed", current: mine(nil, "a", "1"), want: desired("a", "1"),
		},
		"MineOtherType": {
			reason: "a type cannot be changed", current: old, want: tls,
			changes: []diff.Change{{Verb: diff.Delete, Secret: *old}, {Verb: diff.Create, Secret: retyped}},
		},
		"MineImmutable": {
			reason:  "somebody asked for it to stay",
			current: mine(func(s *spec.Secret) { s.Immutable = ptr(true) }, "a", "0"), want: desired("a", "1"),
			refused: conflict("Secret \"app\" is invalid: [immutable: Forbidden: field is immutable when `immutable` is set, " +
				"data: Forbidden: field is immutable when `immutable` is set]"),
		},
		"OtherManager": {
			reason:  "Helm would put it back",
			current: secret(func(s *spec.Secret) { s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }, "a", "0"),
			want:    desired("a", "1"),
			refused: conflict(`Secret "app" is managed by somebody else (label app.kubernetes.io/managed-by=Helm); ` +
				"remove the label to hand it over, or choose another name"),
		},
		"OtherOperator": {
			reason:  "External Secrets Operator marks Secrets that have no owner, too",
			current: secret(func(s *spec.Secret) { s.Labels = map[string]string{"reconcile.external-secrets.io/managed": "true"} }, "a", "0"),
			want:    desired("a", "1"),
			refused: conflict(`Secret "app" is managed by somebody else (label reconcile.external-secrets.io/managed=true); ` +
				"remove the label to hand it over, or choose another name"),
		},
		"FreeOtherType": {
			reason: "what was not ours is not deleted for its type", current: free, want: tls,
			refused: conflict(`Secret "app" exists with type "Opaque", which cannot be changed to "kubernetes.io/tls": delete it, or ask for its type`),
		},
		"Free": {
			reason: "it is taken over", current: free, want: desired("a", "1"),
			changes: update(free, func(s *spec.Secret) {
				s.Data, s.Owners = values("a", "1"), []spec.OwnerRef{spec.OwnerRefTo(object())}
			}),
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestForbiddenTypes holds that they are not made either, whoever asks, and that
// it is the manifest's fault.
func TestForbiddenTypes(t *testing.T) {
	for _, typ := range []string{"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"} {
		t.Run(typ, func(t *testing.T) {
			if !diff.ForbiddenType(typ) {
				t.Error("not forbidden")
			}
			want := desired("a", "1")
			want.Type = typ
			refused := &spec.Issue{
				Where: "type", Code: backend.InvalidRef,
				Message: fmt.Sprintf("type %q is not allowed: such Secrets give power over the cluster to whoever fills them", typ),
			}
			computeCase{reason: "not created", want: want, refused: refused}.run(t)
			computeCase{reason: "not changed into", current: mine(nil, "a", "0"), want: want, refused: refused}.run(t)
			computeCase{
				reason: "not even where it stands", want: want, refused: refused,
				current: mine(func(s *spec.Secret) { s.Type = typ }, "a", "0"),
			}.run(t)
		})
	}
	for _, typ := range []string{"", "Opaque", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "example.com/own"} {
		if diff.ForbiddenType(typ) {
			t.Errorf("%q is forbidden", typ)
		}
	}
}

func TestNothingToDo(t *testing.T) {
	problem := desired()
	problem.Problems = []render.Problem{{Issue: spec.Issue{Code: backend.NotFound}}}
	forbiddenToo := problem
	forbiddenToo.Type = "helm.sh/release.v1"
	cases := map[string]computeCase{
		"Problem":        {reason: "no partial write", current: mine(nil, "a", "0", "b", "1"), want: problem},
		"ProblemNoneYet": {reason: "no empty Secret either", want: problem},
		"ProblemBeforeRefusal": {
			reason: "the problem is told elsewhere, and goes first", want: forbiddenToo,
		},
		"CreationNone": {
			reason: "the manifest wants no Secret", want: desired("a", "1"),
			spec: func(s *spec.Spec) { s.Target.Creation = spec.None },
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

func TestMetadata(t *testing.T) {
	ours := spec.OwnerRefTo(object())
	stale := ours
	stale.UID = "uid-before-restore"
	plain := ours
	plain.Controller = false
	friend := spec.OwnerRef{APIVersion: "v1", Kind: "ConfigMap", Name: "friend", UID: "f"}
	labelled := desired("a", "1")
	labelled.Labels, labelled.Annotations = map[string]string{"l": "1"}, map[string]string{"n": "2"}
	finalized := desired("a", "1")
	finalized.Finalizers = []string{"x/ours"}
	immutable := desired("a", "1")
	immutable.Immutable = ptr(true)
	mutable := desired("a", "1")
	mutable.Immutable = ptr(false)

	byHand := mine(func(s *spec.Secret) {
		s.Labels, s.Annotations = map[string]string{"l": "changed", "extra": "x"}, map[string]string{"extra": "y"}
	}, "a", "1")
	restored := mine(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{friend, stale} }, "a", "1")
	demoted := secret(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{plain, friend} }, "a", "1")
	guarded := mine(func(s *spec.Secret) { s.Finalizers = []string{"y/theirs"} }, "a", "1")
	both := mine(func(s *spec.Secret) { s.Finalizers = []string{"x/ours", "y/theirs"} }, "a", "1")
	open := mine(nil, "a", "1")
	cases := map[string]computeCase{
		"LabelsByHand": {
			reason: "labels and annotations of ours are put back, others of a Secret that is ours go", current: byHand, want: labelled,
			changes: update(byHand, func(s *spec.Secret) {
				s.Labels, s.Annotations = map[string]string{"l": "1"}, map[string]string{"n": "2"}
			}),
		},
		"StaleUID": {
			reason: "after a restore the object has a new UID; the garbage collector would take the Secret away", current: restored, want: desired("a", "1"),
			changes: update(restored, func(s *spec.Secret) { s.Owners = []spec.OwnerRef{friend, ours} }),
		},
		"NotController": {
			reason: "a reference of ours that does not control is made one that does; others stay", current: demoted, want: desired("a", "1"),
			changes: update(demoted, func(s *spec.Secret) { s.Owners = []spec.OwnerRef{friend, ours} }),
		},
		"OwnerOrder": {
			reason:  "the order of owners is nobody's concern",
			current: mine(func(s *spec.Secret) { s.Owners = []spec.OwnerRef{ours, friend} }, "a", "1"), want: desired("a", "1"),
		},
		"Finalizer": {
			reason: "ours is added, and those of others stay", current: guarded, want: finalized,
			changes: update(guarded, func(s *spec.Secret) { s.Finalizers = []string{"y/theirs", "x/ours"} }),
		},
		"FinalizerThere": {reason: "it is not added twice", current: both, want: finalized},
		"FinalizerGone":  {reason: "one that is asked for no more stays: it may be waited for", current: both, want: desired("a", "1")},
		"Immutable": {
			reason: "a Secret can be made immutable", current: open, want: immutable,
			changes: update(open, func(s *spec.Secret) { s.Immutable = ptr(true) }),
		},
		"NotImmutable": {reason: "false is the same as absent", current: open, want: mutable},
		"NilIsEmpty": {
			reason:  "no labels are no labels",
			current: mine(func(s *spec.Secret) { s.Labels, s.Annotations = map[string]string{}, map[string]string{} }, "a", "1"), want: desired("a", "1"),
		},
		"EmptyValue": {
			reason:  "an empty value is not a missing one",
			current: mine(func(s *spec.Secret) { s.Data["e"] = backend.NewValue(nil) }, "a", "1"), want: desired("a", "1"),
			changes: []diff.Change{{Verb: diff.Update, Secret: *mine(nil, "a", "1")}},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

func TestImmutable(t *testing.T) {
	const field = "field is immutable when `immutable` is set"
	frozen := func(s *spec.Secret) { s.Immutable = ptr(true) }
	asked := func(b *bool, kv ...string) render.Desired {
		d := desired(kv...)
		d.Immutable = b
		return d
	}
	labelled := desired("a", "1")
	labelled.Labels = map[string]string{"l": "1"}
	tls := desired("a", "1")
	tls.Type = "kubernetes.io/tls"
	standing := mine(frozen, "a", "1")
	free := secret(frozen, "a", "1")
	cases := map[string]computeCase{
		"Equal":      {reason: "nothing to refuse", current: standing, want: asked(ptr(true), "a", "1")},
		"SetByHand":  {reason: "the manifest says nothing: what somebody set stays", current: standing, want: desired("a", "1")},
		"Changed":    {reason: "asked for by the manifest", current: standing, want: asked(ptr(true), "a", "2"), refused: conflict(`Secret "app" is invalid: data: Forbidden: ` + field)},
		"KeyAdded":   {reason: "a new key is a change", current: standing, want: asked(ptr(true), "a", "1", "b", "2"), refused: conflict(`Secret "app" is invalid: data: Forbidden: ` + field)},
		"ChangedOff": {reason: "taken back and changed", current: standing, want: asked(ptr(false), "a", "2"), refused: conflict(`Secret "app" is invalid: [immutable: Forbidden: ` + field + `, data: Forbidden: ` + field + `]`)},
		"Off":        {reason: "the API server never takes it back", current: standing, want: asked(ptr(false), "a", "1"), refused: conflict(`Secret "app" is invalid: immutable: Forbidden: ` + field)},
		"Labels": {
			reason: "metadata may change", current: standing, want: labelled,
			changes: update(standing, func(s *spec.Secret) { s.Labels = map[string]string{"l": "1"} }),
		},
		"Type": {
			reason: "deleting it would get around it", current: standing, want: tls,
			refused: conflict(`Secret "app" is immutable and has type "Opaque": delete it to have it made with type "kubernetes.io/tls"`),
		},
		"Adopted": {
			reason: "with the data that is wanted it can be taken over", current: free, want: desired("a", "1"),
			changes: update(free, func(s *spec.Secret) { s.Owners = []spec.OwnerRef{spec.OwnerRefTo(object())} }),
		},
		"NotAdopted": {
			reason: "else not", current: free, want: desired("a", "2"),
			refused: conflict(`Secret "app" is invalid: [immutable: Forbidden: ` + field + `, data: Forbidden: ` + field + `]`),
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

func compute(s spec.Spec, current *spec.Secret, want render.Desired, adopt diff.Adopt) ([]diff.Change, *spec.Issue) {
	d := diff.Compute(s, spec.Inputs{Current: current}, want, adopt)
	return d.Changes, d.Refused
}
