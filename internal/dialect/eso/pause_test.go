// SPDX-License-Identifier: Apache-2.0

package eso_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
)

// TestPause: Ready keeps its status while something is paused, and says again what
// it said when it is not.
func TestPause(t *testing.T) {
	other := v1.Condition{Type: "Deleted", Status: "True", Reason: "r", Message: "m"}
	ready := v1.Condition{Type: "Ready", Status: "True", Reason: "SecretSynced", Message: "secret synced"}
	failed := v1.Condition{Type: "Ready", Status: "False", Reason: "SecretSyncedError", Message: "no: none; before: noon"}
	paused := func(status, message string) v1.Condition {
		return v1.Condition{Type: "Ready", Status: status, Reason: "Paused", Message: message}
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LastTransitionTime" }, cmp.Ignore())
	for name, tc := range map[string]struct {
		before []v1.Condition
		want   v1.Condition
	}{
		"Never":  {nil, paused("Unknown", "by a")},
		"Synced": {[]v1.Condition{other, ready}, paused("True", "by a; before: SecretSynced: secret synced")},
		"Failed": {[]v1.Condition{failed}, paused("False", "by a; before: SecretSyncedError: no: none; before: noon")},
	} {
		t.Run(name, func(t *testing.T) {
			list := eso.Pause(tc.before, "by b", time.Unix(1, 0))
			list = eso.Pause(list, "by a", time.Unix(2, 0))
			if d := cmp.Diff(tc.want, list[len(list)-1], ignore); d != "" || !eso.Paused(list) {
				t.Errorf("-want, +got:\n%s", d)
			}
			after := eso.Pause(list, "", time.Unix(3, 0))
			if d := cmp.Diff(tc.before, after); d != "" && len(after)+len(tc.before) > 0 || eso.Paused(after) {
				t.Errorf("after the pause: -want, +got:\n%s", d)
			}
		})
	}
}
