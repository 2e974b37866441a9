// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestVersions(t *testing.T) {
	versioned := func(a plan.Answer, version string, mutates bool) plan.Answer {
		a.Secret.Version, a.Secret.ReadMutates = version, mutates
		return a
	}
	got := rendered(spec.Spec{Entries: []spec.Entry{data("a", "plain"), data("b", "mutates"), data("c", "nameless")}}, map[string]plan.Answer{
		"plain":    versioned(text("x"), "7", false),
		"mutates":  versioned(text("y"), "8", true),
		"nameless": versioned(text("z"), "", true),
	}, drivers())
	want := map[string]string{"mutates": "8"}
	if diff := cmp.Diff(want, got.Versions); diff != "" {
		t.Errorf("only what reading changes, and only where there is a version:\n-want, +got:\n%s", diff)
	}
}

// TestVersionsWithALease: the next process knows by them that nothing changed,
// and need not have another secret made.
func TestVersionsWithALease(t *testing.T) {
	leased, plain, nameless := text("x"), text("y"), text("z")
	leased.Secret.ReadMutates, leased.Secret.Version, leased.Secret.Lease.ID = true, "lease 60 id", "id"
	plain.Secret.Version = "7"
	got := rendered(spec.Spec{Entries: []spec.Entry{data("a", "leased"), data("b", "plain"), data("c", "nameless")}}, map[string]plan.Answer{
		"leased": leased, "plain": plain, "nameless": nameless,
	}, drivers())
	want := map[string]string{"leased": "lease 60 id", "plain": "current 7"}
	if diff := cmp.Diff(want, got.Versions); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestFieldsAndPayload has a secret with named fields and a value of its own:
// properties and whole objects are the fields', the rest is the value.
func TestFieldsAndPayload(t *testing.T) {
	a := text("bare-key")
	a.Secret.Fields = values("api_key", "bare-key", "note", `with "quotes"`)
	got := rendered(spec.Spec{Entries: []spec.Entry{
		from("iam"), data("whole", "iam"), property("one", "iam", "note"),
	}}, map[string]plan.Answer{"iam": a}, drivers())
	want := map[string]string{"api_key": "bare-key", "note": `with "quotes"`, "whole": "bare-key", "one": `with "quotes"`}
	if diff := cmp.Diff(want, texts(got.Data)); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
