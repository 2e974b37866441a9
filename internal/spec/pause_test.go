// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestPausedBy(t *testing.T) {
	const odd = ", whose value is neither true nor false and counts as true"
	vault := spec.StoreKey{Kind: "SecretStore", Namespace: "a", Name: "vault"}
	cases := map[string]struct {
		reason, value, store, want string
	}{
		"None":  {"nobody asked for it", "", "", ""},
		"False": {"somebody asked for the opposite", "false", "", ""},
		"True":  {"by itself", "true", "", "paused by the annotation lockstep-secrets.dev/paused"},
		"Yes":   {"who writes yes means it", "yes", "", "paused by the annotation lockstep-secrets.dev/paused" + odd},
		"Store": {"by its store", "", "true", `paused by the annotation lockstep-secrets.dev/paused of SecretStore "vault"`},
		"Both":  {"the nearer one is told", "true", "true", "paused by the annotation lockstep-secrets.dev/paused"},
		"FalseStore": {
			"an object cannot overrule its store", "false", "true", `paused by the annotation lockstep-secrets.dev/paused of SecretStore "vault"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			annotations := func(value string) map[string]string {
				if value == "" {
					return nil
				}
				return map[string]string{spec.PauseAnnotation: value}
			}
			stores := map[spec.StoreKey]spec.Store{vault: {Paused: spec.Paused(annotations(tc.store))}}
			if got := spec.PausedBy(annotations(tc.value), []spec.Entry{{Store: vault}}, stores); got != tc.want {
				t.Errorf("%s\n got %q\nwant %q", tc.reason, got, tc.want)
			}
		})
	}
}
