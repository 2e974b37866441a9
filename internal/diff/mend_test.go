// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestMend(t *testing.T) {
	object := spec.Object{APIVersion: "external-secrets.io/v1", Kind: "ExternalSecret", Namespace: "a", Name: "es", UID: "new"}
	ref := func(version, kind, name, uid string, controller bool) spec.OwnerRef {
		return spec.OwnerRef{APIVersion: version, Kind: kind, Name: name, UID: uid, Controller: controller}
	}
	stale := ref("external-secrets.io/v1", "ExternalSecret", "es", "old", true)
	live := ref("external-secrets.io/v1", "ExternalSecret", "es", "new", true)
	other := ref("apps/v1", "Deployment", "d", "x", false)
	cases := map[string]struct {
		reason   string
		creation spec.Creation
		secret   spec.Secret
		none     bool
		want     []spec.OwnerRef
	}{
		"Stale":   {reason: "a restored Secret", secret: spec.Secret{Owners: []spec.OwnerRef{stale}}, want: []spec.OwnerRef{live}},
		"Live":    {reason: "nothing to do", none: true, secret: spec.Secret{Owners: []spec.OwnerRef{live}}},
		"Nobody":  {reason: "that is for a sync to decide", none: true, secret: spec.Secret{}},
		"Another": {reason: "it is not ours", none: true, secret: spec.Secret{Owners: []spec.OwnerRef{ref("external-secrets.io/v1", "ExternalSecret", "es2", "old", true)}}},
		"Kind":    {reason: "an object of another kind may have the name", none: true, secret: spec.Secret{Owners: []spec.OwnerRef{ref("v1", "ConfigMap", "es", "old", true)}}},
		"Group": {
			reason: "the other dialect has objects of the same kind", none: true,
			secret: spec.Secret{Owners: []spec.OwnerRef{ref("kubernetes-client.io/v1", "ExternalSecret", "es", "old", true)}},
		},
		"Version": {
			reason: "an older version of the same kind", secret: spec.Secret{Owners: []spec.OwnerRef{ref("external-secrets.io/v1beta1", "ExternalSecret", "es", "old", true)}},
			want: []spec.OwnerRef{ref("external-secrets.io/v1beta1", "ExternalSecret", "es", "new", true)},
		},
		"Beside": {
			reason: "owners of others stay, in their places", secret: spec.Secret{Owners: []spec.OwnerRef{other, stale}}, want: []spec.OwnerRef{other, live},
		},
		"Twice": {
			reason: "one owner, not two", secret: spec.Secret{Owners: []spec.OwnerRef{stale, other, live}}, want: []spec.OwnerRef{live, other},
		},
		"NoController": {
			reason: "it stays what it was, and does not become ours by that",
			secret: spec.Secret{Owners: []spec.OwnerRef{ref("external-secrets.io/v1", "ExternalSecret", "es", "old", false)}},
			want:   []spec.OwnerRef{ref("external-secrets.io/v1", "ExternalSecret", "es", "new", false)},
		},
		"Immutable": {
			reason: "only its data is", secret: spec.Secret{Owners: []spec.OwnerRef{stale}, Immutable: new(true)}, want: []spec.OwnerRef{live},
		},
		"Deleting": {reason: "too late", none: true, secret: spec.Secret{Owners: []spec.OwnerRef{stale}, Deleting: true}},
		"Token": {
			reason: "whoever may write such a Secret could have us keep it", none: true,
			secret: spec.Secret{Owners: []spec.OwnerRef{stale}, Type: "kubernetes.io/service-account-token"},
		},
		"None": {reason: "no Secret is written at all", creation: spec.None, none: true, secret: spec.Secret{Owners: []spec.OwnerRef{stale}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Object: object, Target: spec.Target{Namespace: "a", Name: "s", Creation: tc.creation}}
			tc.secret.Data = map[string]backend.Value{"k": backend.NewValue([]byte("v"))}
			before := tc.secret
			before.Owners = append([]spec.OwnerRef(nil), tc.secret.Owners...)
			c, ok := diff.Mend(s, &tc.secret)
			if ok == tc.none {
				t.Fatalf("%s: mended is %t", tc.reason, ok)
			}
			if d := cmp.Diff(before.Owners, tc.secret.Owners); d != "" {
				t.Errorf("the current Secret changed:\n%s", d)
			}
			if tc.none {
				return
			}
			if d := cmp.Diff(tc.want, c.Secret.Owners); d != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, d)
			}
			if c.Verb != diff.Update || !c.Secret.Data["k"].Equal(tc.secret.Data["k"]) {
				t.Error("more changes than the owners")
			}
			if _, again := diff.Mend(s, &c.Secret); again {
				t.Error("it is mended twice")
			}
		})
	}
}
