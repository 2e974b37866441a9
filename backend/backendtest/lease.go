// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

var leaseChecks = []Check{
	{Name: "lease/own", Needs: backend.CanLease, Skip: noLeaseRef, Run: leaseOwn},
	{Name: "lease/renew", Needs: backend.CanLease, Skip: noLeaseRef, Run: leaseRenew},
	{Name: "lease/revoke", Needs: backend.CanLease, Skip: noLeaseRef, Run: leaseRevoke},
}

// leased reads what makes a lease.
func (h Harness) leased(ctx context.Context) (backend.Secret, error) {
	s, err := h.readOne(ctx, h.LeaseRef)
	if err != nil {
		return s, fmt.Errorf("reading what makes a lease: %w", err)
	}
	switch {
	case s.Lease.ID == "" || !s.ReadMutates:
		return s, errors.New("a credential without a lease, or one that may be polled")
	case !time.Now().Before(s.Lease.Expires):
		return s, errors.New("a lease that has ended already")
	case !s.Payload.IsSet() && len(s.Fields) == 0:
		return s, errors.New("a credential without a value")
	}
	return s, nil
}

// leaseOwn: each read makes a credential, under a lease of its own.
func leaseOwn(ctx context.Context, h Harness) error {
	one, err := h.leased(ctx)
	if err != nil {
		return err
	}
	if err := h.scouts(ctx, h.LeaseRef, true); err != nil {
		return err
	}
	owned := h.LeaseRef
	owned.Owner = "one"
	out, err := h.Backend.Reader.Read(ctx, []backend.Ref{owned})
	if err != nil || len(out) != 1 || out[0].Err != nil || out[0].Ref != owned {
		return errors.New("reading for an owner does not work")
	}
	switch other := out[0].Secret; {
	case one.Lease.ID == other.Lease.ID:
		return errors.New("two credentials under one lease")
	case one.Equal(other):
		return errors.New("two credentials are one")
	}
	return nil
}

// leaseRenew: renewing keeps the lease and does not shorten it.
func leaseRenew(ctx context.Context, h Harness) error {
	s, err := h.leased(ctx)
	if err != nil || !s.Lease.Renewable {
		return err
	}
	renewed, err := h.Backend.Lessor.Renew(ctx, s.Lease.ID)
	if err != nil {
		return fmt.Errorf("renewing: %w", err)
	}
	if renewed.ID != s.Lease.ID || renewed.Expires.Before(s.Lease.Expires) {
		return errors.New("renewing makes another lease or a shorter one")
	}
	return nil
}

// leaseRevoke: a lease ends once, and stays ended.
func leaseRevoke(ctx context.Context, h Harness) error {
	s, err := h.leased(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		if err := h.Backend.Lessor.Revoke(ctx, s.Lease.ID); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
	}
	_, err = h.Backend.Lessor.Renew(ctx, s.Lease.ID)
	return coded("renewing what was revoked", err, backend.NotFound)
}
