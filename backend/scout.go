// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
)

// A Scout tells what a Read would change.
type Scout interface {
	// Scout returns for each ref, in order, nil where a Read changes nothing,
	// and otherwise what to say in place of the read: Untouched where it would
	// change something, or where that cannot be told. It changes nothing itself.
	// The error is for calls that failed as a whole.
	Scout(ctx context.Context, refs []Ref) ([]error, error)
}

// ErrUntouched is behind every Untouched.
var ErrUntouched = errors.New("not looked at, because reading changes it")

// Untouched is the error for a secret that is not read because that would change
// it, or may do so. Its code is PermissionDenied: we do not permit it ourselves,
// and nothing is removed for it.
func Untouched(ref Ref, because string) error {
	e := &Error{Code: PermissionDenied, Message: ref.String() + " is not looked at, because reading changes it", Err: ErrUntouched}
	if because != "" {
		e.Message = ref.String() + " is not looked at, because reading may change it: " + because
	}
	return e
}
