// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// firstBackoff is the pause after a first failure; it doubles from there.
const firstBackoff = time.Second

// maxBackoff caps the pause where there is no interval to cap it.
const maxBackoff = 5 * time.Minute

// Again says when a remote secret is looked at again after a failure.
type Again uint8

// The ways.
const (
	AtRefresh  Again = iota // at its next turn, as if it had succeeded
	AfterPause              // after a back-off, or what the store asked for
	OnChange                // only when the manifest or the store changes
)

// retries is the table of what is looked at again when.
var retries = map[backend.Code]Again{
	"":                       AtRefresh,
	backend.NotFound:         AtRefresh,
	backend.PermissionDenied: AtRefresh,
	backend.Unauthenticated:  AtRefresh,
	backend.RateLimited:      AfterPause,
	backend.Unavailable:      AfterPause,
	backend.InvalidRef:       OnChange,
	backend.Conflict:         AfterPause,
	backend.Unknown:          AfterPause,
}

// Retry returns what the table says of a code.
func Retry(c backend.Code) Again { return retries[c] }

// Transient reports whether a failure says nothing about the secret: the last
// good one stays as good as it was.
func Transient(c backend.Code) bool {
	return c == backend.RateLimited || c == backend.Unavailable
}

// Pause returns how long to wait after the n-th failure in a row, n from 1.
// It is what the store asked for, or else doubles from a second and is capped
// at the refresh interval, so that failing costs no more calls than
// succeeding. jitter is from [0, 1) and takes away up to half of it.
func Pause(n int, every, retryAfter time.Duration, jitter float64) time.Duration {
	if retryAfter > 0 {
		return retryAfter + time.Duration(jitter*float64(time.Second))
	}
	limit := every
	if limit <= 0 {
		limit = maxBackoff
	}
	d := limit
	if n < 30 {
		d = min(limit, firstBackoff<<max(0, n-1))
	}
	return d - time.Duration(jitter*float64(d)/2)
}
