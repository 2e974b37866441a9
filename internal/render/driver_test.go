// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// productWith is the drivers with one thing changed.
func productWith(change func(*backend.Driver)) spec.Drivers {
	out := drivers()
	for name, d := range out {
		change(&d)
		out[name] = d
	}
	return out
}

func TestConvertFound(t *testing.T) {
	hits := plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "team/db"}, Secret: &backend.Secret{Payload: backend.NewValue([]byte("v"))}}}}
	e := find(spec.Rewrite{Regexp: &spec.Replace{Source: "/", Target: "-"}})
	e.Convert = spec.ConvertDefault
	for name, tc := range map[string]struct {
		reason string
		change func(*backend.Driver)
		want   string
	}{
		"Most": {"a rewrite sees the name as it is", func(*backend.Driver) {}, "team-db"},
		"Some": {"there is no slash left to replace", func(d *backend.Driver) { d.ConvertFound = true }, "team_db"},
	} {
		got := world{found: hits, drivers: productWith(tc.change)}.one(e)
		if diff := cmp.Diff(map[string]string{tc.want: "v"}, texts(got.Data)); diff != "" || len(got.Problems) > 0 {
			t.Errorf("%s: %s: %v; -want, +got:\n%s", name, tc.reason, got.Problems, diff)
		}
	}
}

func TestOwnProperties(t *testing.T) {
	w := world{answers: map[string]plan.Answer{"k": text("no JSON at all")}, drivers: productWith(func(d *backend.Driver) { d.OwnProperties = true })}
	got := w.one(property("x", "k", "a.b"))
	if diff := cmp.Diff(map[string]string{"x": "no JSON at all"}, texts(got.Data)); diff != "" || len(got.Problems) > 0 {
		t.Errorf("the product was asked for the property, and nobody looks for it again: %v; -want, +got:\n%s", got.Problems, diff)
	}
}
