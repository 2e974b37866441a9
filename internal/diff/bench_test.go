// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// BenchmarkCompute is what it costs to decide what to write, for a Secret of
// five keys.
func BenchmarkCompute(b *testing.B) {
	keys := []string{"a", "1", "b", "2", "c", "3", "d", "4", "e", "5"}
	kes := manifest()
	eso := kes
	eso.Object.Dialect = backend.ESO
	eso.Target.ByField, eso.Target.Manager = true, "externalsecrets.external-secrets.io/app"
	eso.Target.Marks = map[string]string{"reconcile.external-secrets.io/managed": "true"}
	eso.Target.OwnerMarks = map[string]string{"reconcile.external-secrets.io/created-by": "0123456789"}
	labels := map[string]string{"app": "a", "team": "t"}
	for name, s := range map[string]spec.Spec{"KES": kes, "ESO": eso} {
		want := desired(keys...)
		want.Labels = labels
		current := made(b, s, want)
		changed := desired(append(keys[:9:9], "6")...)
		changed.Labels = labels
		for what, c := range map[string]struct {
			current *spec.Secret
			want    render.Desired
			changes int
		}{
			"Nothing": {current, want, 0},
			"OneKey":  {current, changed, 1},
			"Create":  {nil, want, 1},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				in := spec.Inputs{Current: c.current}
				if d := diff.Compute(s, in, c.want, diff.AdoptMerge); len(d.Changes) != c.changes || d.Refused != nil {
					b.Fatalf("%d changes, refused: %v", len(d.Changes), d.Refused)
				}
				b.ReportAllocs()
				for b.Loop() {
					diff.Compute(s, in, c.want, diff.AdoptMerge)
				}
			})
		}
	}
}

// made is the Secret as it stands once it was created, with what the API server
// notes of who wrote it.
func made(b *testing.B, s spec.Spec, want render.Desired) *spec.Secret {
	b.Helper()
	d := diff.Compute(s, spec.Inputs{}, want, diff.AdoptMerge)
	if len(d.Changes) != 1 || d.Changes[0].Verb != diff.Create {
		b.Fatalf("%d changes, refused: %v", len(d.Changes), d.Refused)
	}
	out := d.Changes[0].Secret
	out.UID, out.ResourceVersion, out.Fields = "uid", "1", map[string]bool{}
	for k := range out.Data {
		out.Fields["data:"+k] = true
	}
	for k := range out.Labels {
		out.Fields["label:"+k] = true
	}
	return &out
}
