// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Issue implements backend.Issuer: the secret under the ref is the role, and
// each credential has a user name and a password of its own.
func (s *session) Issue(ctx context.Context, r backend.Ref) (backend.Secret, backend.Lease, error) {
	if err := valid(r); err != nil {
		return backend.Secret{}, backend.Lease{}, err
	}
	var secret backend.Secret
	var lease backend.Lease
	err := s.request(ctx, func(m *Memory) error {
		if _, _, err := m.find(r); err != nil {
			return err
		}
		id := m.fresh("lease-")
		lease = m.extend(id)
		secret = backend.Secret{
			Fields: map[string]backend.Value{
				"username": backend.NewValue([]byte("user-of-" + id)),
				"password": backend.NewValue([]byte("password-of-" + id)),
			},
			Version: id,
			Expires: lease.Expires,
		}
		return nil
	})
	if err != nil {
		return backend.Secret{}, backend.Lease{}, err
	}
	return secret, lease, nil
}

// Renew implements backend.Issuer.
func (s *session) Renew(ctx context.Context, id string) (backend.Lease, error) {
	var lease backend.Lease
	err := s.request(ctx, func(m *Memory) error {
		expires, ok := m.leases[id]
		if !ok || !time.Now().Before(expires) {
			return backend.Errorf(backend.NotFound, "the lease ended")
		}
		lease = m.extend(id)
		return nil
	})
	if err != nil {
		return backend.Lease{}, err
	}
	return lease, nil
}

// Revoke implements backend.Issuer.
func (s *session) Revoke(ctx context.Context, id string) error {
	return s.request(ctx, func(m *Memory) error {
		delete(m.leases, id)
		return nil
	})
}

// extend gives a lease a whole life from now. The caller holds the lock.
func (m *Memory) extend(id string) backend.Lease {
	m.leases[id] = time.Now().Add(m.options.Lease)
	return backend.Lease{ID: id, Expires: m.leases[id], Renewable: true}
}
