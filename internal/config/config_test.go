// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
)

func TestValidate(t *testing.T) {
	good := Controller{Dialects: []string{KES}, Adopt: "merge"}
	for name, tc := range map[string]struct {
		reason string
		change func(*Controller)
		want   string // begins the error; "" is none
	}{
		"Good":         {reason: "the defaults", change: func(*Controller) {}},
		"NoDialect":    {reason: "there would be nothing to do", change: func(c *Controller) { c.Dialects = nil }, want: "--dialects: "},
		"OtherDialect": {reason: "not served yet", change: func(c *Controller) { c.Dialects = []string{"csi"} }, want: `--dialects: "csi"`},
		"Adopt":        {reason: "neither of the two", change: func(c *Controller) { c.Adopt = "" }, want: "--adopt: "},
		"EmptyName":    {reason: "an empty name would mean all namespaces", change: func(c *Controller) { c.Namespaces = []string{"a", ""} }, want: "--namespaces: "},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tc.change(&c)
			err := c.Validate()
			if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func TestKESSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		environ []string
		want    kes.Settings
		wrong   bool
	}{
		"Defaults": {
			reason: "what KES did without any variable",
			want: kes.Settings{
				Every:            10 * time.Second,
				RoleAnnotation:   "iam.amazonaws.com/permitted",
				NamingAnnotation: "externalsecrets.kubernetes-client.io/permitted-key-name",
			},
		},
		"All": {
			reason: "presence counts for two of them, whatever the value",
			environ: []string{
				"POLLER_INTERVAL_MILLISECONDS=1500", "INSTANCE_ID=blue", "DISABLE_POLLING=", "ENFORCE_NAMESPACE_ANNOTATIONS=false",
				"ROLE_PERMITTED_ANNOTATION=example.com/roles", "NAMING_PERMITTED_ANNOTATION=example.com/keys",
			},
			want: kes.Settings{
				Every: 1500 * time.Millisecond, InstanceID: "blue", Pinned: true, Enforce: true,
				RoleAnnotation: "example.com/roles", NamingAnnotation: "example.com/keys",
			},
		},
		"TooOften": {reason: "a load test is not a configuration", environ: []string{"POLLER_INTERVAL_MILLISECONDS=999"}, wrong: true},
		"NoNumber": {reason: "a duration is no number", environ: []string{"POLLER_INTERVAL_MILLISECONDS=10s"}, wrong: true},
		"TooLong":  {reason: "it would overflow", environ: []string{"POLLER_INTERVAL_MILLISECONDS=9223372036854775807"}, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := KESSettings(Parse(tc.environ), nil)
			if (err != nil) != tc.wrong {
				t.Fatalf("%s: got error %v", tc.reason, err)
			}
			got.Env = nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNamespaces(t *testing.T) {
	env := Parse([]string{"A= a, b ,,c", "B=", "not a variable"})
	if diff := cmp.Diff([]string{"a", "b", "c"}, env.Namespaces("A")); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"B", "C"} {
		if got := env.Namespaces(name); got != nil {
			t.Errorf("%s: got %v, want none", name, got)
		}
	}
}
