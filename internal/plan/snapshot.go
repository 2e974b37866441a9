// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Snapshot answers a Plan: every secret the object needs, together.
type Snapshot map[Key]Answer

// Plain begins the version of a secret that reading does not change, where a
// status keeps it beside those of others.
const Plain = "current "

// Answer is what is known of one secret.
//
//	Err   Stale   meaning
//	nil   nil     Secret is current
//	nil   set     the store does not answer; Secret is the last good one
//	set   nil     there is no Secret, and Err says why
type Answer struct {
	Secret backend.Secret
	Found  []backend.Found // of a listing
	// Partial says that the listing may have left out something.
	Partial bool
	Err     error
	Stale   error
	// Failing is for how long the store has given no good answer.
	Failing time.Duration
}
