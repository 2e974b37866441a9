// SPDX-License-Identifier: Apache-2.0

package fake

import "github.com/lockstep-secrets/lockstep/backend"

// parseRef takes keys and versions as they are. There is no metadata: who asks
// for it gets the value, as from External Secrets Operator.
func parseRef(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
	r := backend.Ref{Path: k.Key, Version: k.Version}
	return r, sound(r)
}

// sound finds refs that cannot be right, whatever the store holds.
func sound(r backend.Ref) error {
	if r.Path == "" {
		return backend.Errorf(backend.InvalidRef, "the key is empty")
	}
	return nil
}
