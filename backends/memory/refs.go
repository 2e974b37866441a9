// SPDX-License-Identifier: Apache-2.0

package memory

import "github.com/lockstep-secrets/lockstep/backend"

// previous as a version is the one before the current.
const previous = "previous"

// ref takes keys as they are, in every dialect. Args mean nothing here and are
// left out, so that keys that differ in them are one read.
func ref(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
	r := backend.Ref{Path: k.Key, Version: k.Version, Kind: k.Kind, Part: k.Part}
	return r, valid(r)
}

// valid finds refs that cannot be right, whatever the store holds.
func valid(r backend.Ref) error {
	if r.Path == "" {
		return backend.Errorf(backend.InvalidRef, "the key is empty")
	}
	return nil
}
