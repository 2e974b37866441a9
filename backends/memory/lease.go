// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// lease is the life of one credential.
type lease struct{ expires, last time.Time }

// lend makes a credential out of a role: each one has a user name and a
// password of its own. The caller holds the lock.
func (m *Memory) lend() backend.Secret {
	id := m.fresh("lease-")
	m.leases[id] = &lease{last: time.Now().Add(m.options.LongestLease)}
	granted := m.extend(id)
	return backend.Secret{
		Fields: map[string]backend.Value{
			"username": backend.NewValue([]byte("user-of-" + id)),
			"password": backend.NewValue([]byte("password-of-" + id)),
		},
		Version: id, Expires: granted.Expires, ReadMutates: true, Lease: granted,
	}
}

// extend gives a lease a whole life from now, as far as it may live that long.
// The caller holds the lock.
func (m *Memory) extend(id string) backend.Lease {
	l := m.leases[id]
	l.expires = time.Now().Add(m.options.Lease)
	if m.options.LongestLease > 0 && l.last.Before(l.expires) {
		l.expires = l.last
	}
	return backend.Lease{ID: id, Expires: l.expires, Renewable: !m.options.FixedLease}
}

// Renew implements backend.Lessor.
func (s *session) Renew(ctx context.Context, id string) (backend.Lease, error) {
	var renewed backend.Lease
	err := s.request(ctx, func(m *Memory) error {
		l, ok := m.leases[id]
		if !ok || m.options.FixedLease || !time.Now().Before(l.expires) {
			return backend.Errorf(backend.NotFound, "the lease ended")
		}
		renewed = m.extend(id)
		return nil
	})
	if err != nil {
		return backend.Lease{}, err
	}
	return renewed, nil
}

// Revoke implements backend.Lessor.
func (s *session) Revoke(ctx context.Context, id string) error {
	return s.request(ctx, func(m *Memory) error {
		delete(m.leases, id)
		return nil
	})
}

// Leases returns the ids of the leases that have not ended, sorted.
func (m *Memory) Leases() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for id, l := range m.leases {
		if time.Now().Before(l.expires) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
