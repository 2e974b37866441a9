// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"

	"github.com/lockstep-secrets/lockstep/backend"
)

// scout tells which secrets a read would change: API keys that are made anew for
// each read. Their metadata says so.
type scout struct{ api *api }

// Scout implements backend.Scout, by one request for each secret of the one type
// that may be so, and one more where its name has to be looked up.
func (s *scout) Scout(ctx context.Context, refs []backend.Ref) ([]error, error) {
	out := make([]error, len(refs))
	for i, ref := range refs {
		if ref.Kind == mutatingType && readable(ref) == nil {
			out[i] = s.one(ctx, ref)
		}
	}
	return out, nil
}

func (s *scout) one(ctx context.Context, ref backend.Ref) error {
	return s.api.locate(ctx, ref, func(id string) error {
		i, err := s.api.metadata(ctx, id, ref)
		if err != nil {
			return err
		}
		if _, named := byName(ref); named && i.Name != ref.Path {
			return renamed(ref)
		}
		if i.mutates() {
			return backend.Untouched(ref, "")
		}
		return nil
	})
}
