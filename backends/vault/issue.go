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

// issuer makes credentials that expire, by a GET of the path that makes them.
//
// A lease hangs on the token that it was made with, and ends with it, whatever
// it says itself. So the token is not revoked when the store is closed, and no
// lease outlives the longest life of a token.
type issuer struct{ api *api }

// sep parts the Args of a Ref from a lease in the ID of a Lease: a lease is
// renewed by the role that made it.
const sep = "#"

// Issue implements backend.Issuer.
func (i *issuer) Issue(ctx context.Context, ref backend.Ref) (backend.Secret, backend.Lease, error) {
	p, err := i.api.engine.locate(ref)
	if err == nil && p.versioned {
		err = backend.Errorf(backend.InvalidRef, "%s is in a key-value engine of version 2, which makes no credentials", p.data)
	}
	if err != nil {
		return backend.Secret{}, backend.Lease{}, err
	}
	s, err := i.api.session(ref.Args)
	if err != nil {
		return backend.Secret{}, backend.Lease{}, err
	}
	s.keep()
	asked := s.now()
	a, err := i.api.reading(ctx, s, question{path: p.data}, task{"read", p.data})
	if err != nil {
		return backend.Secret{}, backend.Lease{}, err
	}
	if a.LeaseID == "" {
		return backend.Secret{}, backend.Lease{}, backend.Errorf(backend.InvalidRef, "%s makes no credentials that end with a lease", p.data)
	}
	lease := backend.Lease{ID: a.LeaseID, Expires: asked.Add(time.Duration(a.Lease) * time.Second), Renewable: a.Renewable}
	if ref.Args != "" {
		lease.ID = ref.Args + sep + a.LeaseID
	}
	secret, err := a.plain(p)
	if err != nil {
		return backend.Secret{}, backend.Lease{}, errors.Join(err, i.Revoke(ctx, lease.ID)) // nobody would ever use it
	}
	secret.ReadMutates, secret.Version, secret.Expires = true, a.LeaseID, lease.Expires
	return secret, lease, nil
}

// of returns who made a lease, and its ID in Vault.
func (i *issuer) of(id string) (*session, string, error) {
	args, lease, ok := strings.Cut(id, sep)
	if !ok {
		args, lease = "", id
	}
	if lease == "" {
		return nil, "", backend.Errorf(backend.InvalidRef, "a lease without an ID")
	}
	s, err := i.api.session(args)
	return s, lease, err
}

// Renew implements backend.Issuer.
func (i *issuer) Renew(ctx context.Context, id string) (backend.Lease, error) {
	s, lease, err := i.of(id)
	if err != nil {
		return backend.Lease{}, err
	}
	asked := s.now()
	out, err := i.api.ask(ctx, s, question{path: "sys/leases/renew", body: map[string]string{"lease_id": lease}})
	if err != nil {
		return backend.Lease{}, i.leaseError(err, "renew")
	}
	return backend.Lease{ID: id, Expires: asked.Add(time.Duration(out.Lease) * time.Second), Renewable: out.Renewable}, nil
}

// Revoke implements backend.Issuer. Vault takes the revocation of a lease that
// it does not know for a success.
func (i *issuer) Revoke(ctx context.Context, id string) error {
	s, lease, err := i.of(id)
	if err != nil {
		return err
	}
	body := map[string]any{"lease_id": lease, "sync": true}
	_, err = i.api.ask(ctx, s, question{path: "sys/leases/revoke", body: body})
	if err = i.leaseError(err, "revoke"); backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	return err
}

// leaseError says what a request about a lease comes to. Of one that ended
// Vault says, by a 400, that it was not found.
func (i *issuer) leaseError(err error, verb string) error {
	var r *refusal
	if errors.As(err, &r) && r.code == http.StatusBadRequest && r.vault && (r.says("lease not found") || r.says("lease expired")) {
		return backend.Errorf(backend.NotFound, "the lease ended")
	}
	return i.api.words.classify(err, task{verb, "a lease"})
}
