// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestController(t *testing.T) {
	ours := spec.OwnerRef{APIVersion: "v1", Kind: "K", Name: "n", UID: "u", Controller: true}
	plain := spec.OwnerRef{APIVersion: "v1", Kind: "K", Name: "other"}
	cases := map[string]struct {
		reason string
		owners []spec.OwnerRef
		want   spec.OwnerRef
		ok     bool
	}{
		"None":        {reason: "an orphan has no controller"},
		"OwnersOnly":  {reason: "an owner is no controller", owners: []spec.OwnerRef{plain}},
		"Last":        {reason: "the place in the list does not matter", owners: []spec.OwnerRef{plain, ours}, want: ours, ok: true},
		"SecondOfTwo": {reason: "the API server allows one; should there be two, the first counts", owners: []spec.OwnerRef{ours, {Name: "x", Controller: true}}, want: ours, ok: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := (&spec.Secret{Owners: tc.owners}).Controller()
			if got != tc.want || ok != tc.ok {
				t.Errorf("%s: got %v, %t, want %v, %t", tc.reason, got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestOwnerRefTo(t *testing.T) {
	o := spec.Object{Dialect: backend.KES, APIVersion: "g/v1", Kind: "K", Namespace: "ns", Name: "n", UID: "u", Generation: 3}
	want := spec.OwnerRef{APIVersion: "g/v1", Kind: "K", Name: "n", UID: "u", Controller: true}
	if got := spec.OwnerRefTo(o); got != want {
		t.Errorf("OwnerRefTo = %v, want %v", got, want)
	}
	if got := o.ID().String(); got != "ns/n" {
		t.Errorf("ID = %q, want ns/n", got)
	}
	later := o
	later.Generation, later.UID = 4, "v"
	if o.ID() != later.ID() {
		t.Error("the ID changed with the generation or the UID")
	}
}
