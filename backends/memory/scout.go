// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Scout implements backend.Scout.
func (s *session) Scout(ctx context.Context, refs []backend.Ref) ([]error, error) {
	out := make([]error, len(refs))
	err := s.request(ctx, func(m *Memory) error {
		for i, ref := range refs {
			if e := m.secrets[ref.Path]; e != nil && (e.mutates || e.lends && ref.Part == backend.Data) {
				out[i] = backend.Untouched(ref, "")
			}
		}
		return nil
	})
	return out, err
}
