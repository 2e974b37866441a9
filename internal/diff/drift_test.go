// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestDrifted(t *testing.T) {
	entries := []spec.Entry{{Name: "k"}, {}} // one key by name, and others that only the store knows
	ours := fields("data:k", "data:more")
	with := func(s *spec.Secret, f map[string]bool) *spec.Secret {
		s.Fields = f
		return s
	}
	cases := map[string]struct {
		reason   string
		creation spec.Creation
		edit     func(*spec.Spec)
		current  *spec.Secret
		want     bool
	}{
		"Ours":        {reason: "every key is ours", current: with(mine(nil, "k", "v", "more", "m"), ours)},
		"Edited":      {reason: "somebody else wrote a key last", current: with(mine(nil, "k", "v", "more", "m"), fields("data:more")), want: true},
		"Added":       {reason: "somebody else added a key", current: with(mine(nil, "k", "v", "x", "x"), ours), want: true},
		"Removed":     {reason: "a key that the manifest names is gone", current: with(mine(nil, "more", "m"), fields("data:more")), want: true},
		"Kept":        {reason: "what was kept is not ours", current: with(mine(func(s *spec.Secret) { s.Annotations = map[string]string{diff.KeptAnnotation: "data:x"} }, "k", "v", "x", "x"), ours)},
		"Predecessor": {reason: "written under another name: it cannot be told", current: with(mine(nil, "k", "v"), nil)},
		"Nothing":     {reason: "there is no Secret to look at"},
		"Template":    {reason: "a template's key is gone", edit: func(s *spec.Spec) { s.Target.Program = &spec.Program{Data: map[string]string{"t": ""}} }, current: with(mine(nil, "k", "v"), ours), want: true},
		"Templated":   {reason: "with a template the manifest's keys are not the Secret's", edit: func(s *spec.Spec) { s.Target.Program = &spec.Program{Data: map[string]string{"t": ""}} }, current: with(mine(nil, "t", "v"), fields("data:t"))},
		"Dropped":     {reason: "a key that may be missing is not missed", edit: func(s *spec.Spec) { s.Target.Deletion = spec.DropMissing }, current: with(mine(nil, "more", "m"), fields("data:more"))},
		"Merged":      {reason: "foreign keys are no drift", creation: spec.Merge, current: with(secret(nil, "foreign", "f", "k", "v"), fields("data:k"))},
		"MergeEdited": {reason: "somebody else wrote our key last", creation: spec.Merge, current: with(secret(nil, "k", "v"), fields("label:a")), want: true},
		"None":        {reason: "nobody wants a Secret", creation: spec.None, current: with(secret(nil), fields("data:k"))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := byField(tc.creation)
			s.Entries = entries
			if tc.edit != nil {
				tc.edit(&s)
			}
			if got := diff.Drifted(s, tc.current); got != tc.want {
				t.Errorf("%s: %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
