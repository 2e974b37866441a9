// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// role is what Helm prints of one, with a rule that others may look like.
const role = `---
# Source: lockstep/templates/role.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: lockstep
  namespace: "watched-namespace"
  labels:
    a: b
    c: d
rules:
  # First line,
  # and the second one.
  # Off: x.y=false, with z=1
  - apiGroups: ["", events.k8s.io]
    resources: [events]
    resourceNames: [one]
    verbs: [create, patch]
  # Always.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get]
---
# Source: lockstep/templates/crds.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: left.out
`

func TestPlain(t *testing.T) {
	objects, err := parse(role)
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}
	want := `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: lockstep
rules:
  # First line,
  # and the second one.
  - apiGroups: ["", events.k8s.io]
    resources: [events]
    resourceNames: [one]
    verbs: [create, patch]
  # Always.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get]
`
	if diff := cmp.Diff(want, plain(objects[0].text)); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	objects, err := parse(role)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := objects[0].write(&out, false); err != nil {
		t.Fatal(err)
	}
	want := "\nRole `lockstep`\n\n| may | of | why | turned off by |\n|---|---|---|---|\n" +
		"| create, patch | `events`, `events.k8s.io/events` named `one` | First line, and the second one. | `x.y=false`, with `z=1` |\n" +
		"| get | `secrets` | Always. | nothing: it cannot work without |\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestIncomplete holds what would leave somebody without a reason or a role.
func TestIncomplete(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"NoReason":     {"  # Always.\n", "", "no comment says why"},
		"OnlySwitches": {"  # Always.\n", "  # Off: x=1\n", "no comment says why"},
		"NoRole":       {"name: lockstep\n", "name: other\n", "does not render"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := parse(strings.Replace(role, tc.from, tc.to, 1))
			if err != nil {
				t.Fatal(err)
			}
			_, err = objects[0].rules()
			if name == "NoRole" {
				_, err = file{objects: []string{"Role/lockstep"}, from: scoped}.text(map[string][]object{scoped: objects})
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	objects, err := parse(role)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table(objects, objects); err == nil {
		t.Error("a page without the roles of the cluster was made")
	}
}
