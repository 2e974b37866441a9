// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"iter"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Versions implements backend.Versioner. Every version stays readable until
// the secret is removed.
func (s *session) Versions(ctx context.Context, r backend.Ref) iter.Seq2[backend.Version, error] {
	return func(yield func(backend.Version, error) bool) {
		if err := valid(r); err != nil {
			yield(backend.Version{}, err)
			return
		}
		var out []backend.Version
		err := s.request(ctx, func(m *Memory) error {
			e, _, err := m.find(backend.Ref{Path: r.Path, Kind: r.Kind})
			if err != nil {
				return err
			}
			for i := len(e.versions) - 1; i >= 0; i-- {
				out = append(out, backend.Version{ID: e.versions[i].id, Created: e.versions[i].created, Available: true})
			}
			return nil
		})
		if err != nil {
			yield(backend.Version{}, err)
			return
		}
		for _, v := range out {
			if !yield(v, nil) {
				return
			}
		}
	}
}
