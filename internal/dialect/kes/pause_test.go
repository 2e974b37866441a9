// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
)

// TestPause: what a status said before a pause comes back after it, and counts
// meanwhile.
func TestPause(t *testing.T) {
	for _, before := range []string{"SUCCESS", "ERROR, no; before: noon", ""} {
		es := object(t, `{}`)
		es.Status.Status, es.Status.ObservedGeneration = before, es.Generation
		synced := kes.Synced(es)
		for _, by := range []string{"paused by a", "paused by b"} {
			es.Status = kes.Pause(es, by)
			want := "PAUSED, " + by
			if before != "" {
				want += "; before: " + before
			}
			if es.Status.Status != want || !kes.Paused(es) {
				t.Errorf("the status is %q, want %q", es.Status.Status, want)
			}
			if kes.Synced(es) != synced {
				t.Errorf("%q: a pause changes whether the Secret is in place", before)
			}
		}
		if es.Status = kes.Pause(es, ""); es.Status.Status != before || kes.Paused(es) {
			t.Errorf("after the pause the status is %q, want %q", es.Status.Status, before)
		}
	}
}
