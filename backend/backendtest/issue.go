// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-secrets/lockstep/backend"
)

var issueChecks = []Check{
	{Name: "issue/issue", Needs: backend.CanIssue, Skip: noIssueRef, Run: issueIssue},
	{Name: "issue/renew", Needs: backend.CanIssue, Skip: noIssueRef, Run: issueRenew},
	{Name: "issue/revoke", Needs: backend.CanIssue, Skip: noIssueRef, Run: issueRevoke},
}

// issueIssue: each credential is new, and lives under a lease of its own.
func issueIssue(ctx context.Context, h Harness) error {
	seen := map[string]bool{}
	var secrets []backend.Secret
	for range 2 {
		s, lease, err := h.Backend.Issuer.Issue(ctx, h.IssueRef)
		if err != nil {
			return fmt.Errorf("issuing: %w", err)
		}
		if lease.ID == "" || seen[lease.ID] {
			return errors.New("a credential without a lease of its own")
		}
		if !s.Payload.IsSet() && len(s.Fields) == 0 {
			return errors.New("a credential without a value")
		}
		seen[lease.ID] = true
		secrets = append(secrets, s)
	}
	if secrets[0].Equal(secrets[1]) {
		return errors.New("two credentials are one")
	}
	return nil
}

// issueRenew: renewing keeps the lease and does not shorten it.
func issueRenew(ctx context.Context, h Harness) error {
	_, lease, err := h.Backend.Issuer.Issue(ctx, h.IssueRef)
	if err != nil {
		return fmt.Errorf("issuing: %w", err)
	}
	if !lease.Renewable {
		return nil
	}
	renewed, err := h.Backend.Issuer.Renew(ctx, lease.ID)
	if err != nil {
		return fmt.Errorf("renewing: %w", err)
	}
	if renewed.ID != lease.ID || renewed.Expires.Before(lease.Expires) {
		return errors.New("renewing makes another lease or a shorter one")
	}
	return nil
}

// issueRevoke: a lease ends once, and stays ended.
func issueRevoke(ctx context.Context, h Harness) error {
	_, lease, err := h.Backend.Issuer.Issue(ctx, h.IssueRef)
	if err != nil {
		return fmt.Errorf("issuing: %w", err)
	}
	for range 2 {
		if err := h.Backend.Issuer.Revoke(ctx, lease.ID); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
	}
	_, err = h.Backend.Issuer.Renew(ctx, lease.ID)
	return coded("renewing what was revoked", err, backend.NotFound)
}
