// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// lessor looks after what engines make for each read.
//
// A lease hangs on the token that it was made with, and ends with it, whatever
// it says itself. Therefore
//
//   - a token on which leases hang is renewed before they are, and not revoked
//     when the store is closed;
//   - a lease is never said to last longer than its token;
//   - once the login has another token, a lease is not renewed any more, so that
//     there is another one before the old token ends;
//   - a lease of an earlier process hangs on a token that nobody renews. When
//     that process ended, it had a third of its life left at least, which is what
//     such a lease is given: it is renewed, and made anew in that time.
type lessor struct{ api *api }

// sep parts the Args of a Ref from a lease in the ID of a Lease: a lease is
// renewed by the role that made it.
const sep = "#"

// lent is the lease of an answer, or the zero Lease.
func (a *answer) lent(s *session, args string, asked time.Time) backend.Lease {
	if a.LeaseID == "" {
		return backend.Lease{}
	}
	s.lend(a.LeaseID, a.grant)
	out := backend.Lease{ID: a.LeaseID, Expires: a.grant.bound(asked.Add(a.life())), Renewable: a.Renewable}
	if args != "" {
		out.ID = args + sep + a.LeaseID
	}
	return out
}

func (a *answer) life() time.Duration { return time.Duration(a.Lease) * time.Second }

// bound is when what hangs on a token ends, at the latest.
func (g *grant) bound(t time.Time) time.Time {
	if !g.expires.IsZero() && g.expires.Before(t) {
		return g.expires
	}
	return t
}

// of returns who made a lease, and its ID in Vault.
func (l *lessor) of(id string) (*session, string, error) {
	args, lease, ok := strings.Cut(id, sep)
	if !ok {
		args, lease = "", id
	}
	if lease == "" {
		return nil, "", backend.Errorf(backend.InvalidRef, "a lease without an ID")
	}
	s, err := l.api.session(args)
	return s, lease, err
}

// Renew implements backend.Lessor.
func (l *lessor) Renew(ctx context.Context, id string) (backend.Lease, error) {
	s, lease, err := l.of(id)
	if err != nil {
		return backend.Lease{}, err
	}
	g, err := s.extended(ctx)
	if err != nil {
		return backend.Lease{}, err
	}
	known, holds := s.lent(lease, g)
	if known && !holds {
		return backend.Lease{}, backend.Errorf(backend.NotFound, "the lease ends with a token that was replaced")
	}
	asked := s.now()
	out, err := l.api.ask(ctx, s, question{path: "sys/leases/renew", body: map[string]string{"lease_id": lease}})
	if err = l.leaseError(err, "renew"); err != nil {
		return backend.Lease{}, err
	}
	renewed := backend.Lease{ID: id, Expires: out.grant.bound(asked.Add(out.life())), Renewable: out.Renewable}
	if known || out.grant.life == 0 {
		return renewed, nil
	}
	last := s.born.Add(out.grant.life / 3)
	if !asked.Before(last) {
		return backend.Lease{}, backend.Errorf(backend.NotFound, "the lease ends with a token of an earlier process")
	}
	if last.Before(renewed.Expires) {
		renewed.Expires = last
	}
	renewed.Renewable = false
	return renewed, nil
}

// Revoke implements backend.Lessor. Vault takes the revocation of a lease that
// it does not know for a success.
func (l *lessor) Revoke(ctx context.Context, id string) error {
	s, lease, err := l.of(id)
	if err != nil {
		return err
	}
	body := map[string]any{"lease_id": lease, "sync": true}
	_, err = l.api.ask(ctx, s, question{path: "sys/leases/revoke", body: body})
	err = l.leaseError(err, "revoke")
	if err == nil || backend.CodeOf(err) == backend.NotFound {
		s.forget(lease)
		return nil
	}
	return err
}

// leaseError says what a request about a lease comes to. Of one that ended
// Vault says, by a 400, that it was not found.
func (l *lessor) leaseError(err error, verb string) error {
	var r *refusal
	if errors.As(err, &r) && r.code == http.StatusBadRequest && r.vault && (r.says("lease not found") || r.says("lease expired")) {
		return backend.Errorf(backend.NotFound, "the lease ended")
	}
	return l.api.words.classify(err, task{verb, "a lease"})
}

// lend remembers on which token a lease hangs.
func (s *session) lend(lease string, g *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leased = true
	if s.leases == nil {
		s.leases = map[string]int{}
	}
	s.leases[lease] = g.serial
}

// lent reports whether it is known on which token a lease hangs, and whether
// that is g.
func (s *session) lent(lease string, g *grant) (known, holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	serial, known := s.leases[lease]
	return known, known && serial == g.serial
}

func (s *session) forget(lease string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, lease)
}

// extended returns a token that was renewed, or made, so recently that most of
// its life is to come: what hangs on it is to last as long as it can.
func (s *session) extended(ctx context.Context) (*grant, error) {
	g, err := s.grant(ctx)
	if err != nil || g.life == 0 || s.method.path == "" {
		return g, err
	}
	age := s.now().Sub(g.made)
	if g.renewable && age < g.life/10 || !g.renewable && age < g.life/2 {
		return g, nil
	}
	s.mu.Lock()
	a := s.ask() //nolint:contextcheck // the login serves all who wait
	s.mu.Unlock()
	return a.wait(ctx)
}
