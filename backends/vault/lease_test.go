// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestLease(t *testing.T) {
	w := newWorld(t, 1)
	dynamic := backend.Ref{Path: w.database()}
	b := w.open(map[string]any{"path": nil}, holding(root))
	s, err := read(t.Context(), b, dynamic)
	w.must(err)
	if !s.ReadMutates || !s.Lease.Renewable || time.Until(s.Lease.Expires) < 50*time.Minute || len(plain(ref, s).Fields) != 2 {
		t.Errorf("a credential: mutates %t, lease %+v", s.ReadMutates, s.Lease)
	}
	renewed, err := b.Lessor.Renew(t.Context(), s.Lease.ID)
	if err != nil || renewed.ID != s.Lease.ID || !renewed.Renewable {
		t.Errorf("renewed: %+v, %v", renewed, err)
	}
	w.must(b.Lessor.Revoke(t.Context(), s.Lease.ID))
	if _, err := b.Lessor.Renew(t.Context(), s.Lease.ID); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("renewing what was revoked: %v", err)
	}
}

// TestLeaseHangsOnToken: a lease ends with the token that it was made with.
func TestLeaseHangsOnToken(t *testing.T) {
	w := newWorld(t, 1)
	dynamic := backend.Ref{Path: w.database(), Kind: kindPath}
	role := map[string]any{"token_policies": w.policy("all", everything...), "token_ttl": "30m"}
	open, _ := w.appRoles(role)
	b := open()
	s, err := read(t.Context(), b, dynamic)
	w.must(err)
	if left := time.Until(s.Lease.Expires); left > 30*time.Minute {
		t.Errorf("the lease is to last %s, and its token half an hour", left)
	}

	// The token is renewed before the lease is.
	session := session0(t, b)
	later(session, 20*time.Minute)
	renewed, err := b.Lessor.Renew(t.Context(), s.Lease.ID)
	if err != nil || renewed.Expires.Sub(s.Lease.Expires) < 15*time.Minute {
		t.Errorf("renewed until %s: %v", renewed.Expires, err)
	}
	if n := w.count(renewSelf); n != 1 {
		t.Errorf("the token was renewed %d times, want once", n)
	}
	if _, err := b.Lessor.Renew(t.Context(), s.Lease.ID); err != nil || w.count(renewSelf) != 1 {
		t.Errorf("a token that was renewed just now is renewed again: %v", err)
	}

	// A new process does not know the token, and has a third of its life.
	next := open()
	kept, err := next.Lessor.Renew(t.Context(), s.Lease.ID)
	if left := time.Until(kept.Expires); err != nil || kept.Renewable || left > 10*time.Minute || left < 9*time.Minute {
		t.Errorf("a lease of an earlier process lasts %s, renewable %t: %v", left, kept.Renewable, err)
	}
	later(session0(t, next), 11*time.Minute)
	if _, err := next.Lessor.Renew(t.Context(), s.Lease.ID); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("after a third of the life of a token: %v", err)
	}

	// Once the login has another token, there is to be another lease.
	old := session.held
	_, err = session.again(t.Context(), old)
	w.must(err)
	if _, err := b.Lessor.Renew(t.Context(), s.Lease.ID); backend.CodeOf(err) != backend.NotFound {
		t.Errorf("on a token that was replaced: %v", err)
	}
}

// TestLeaseUnderNarrowPolicy: a token that may not renew itself is no reason to
// log in for each lease.
func TestLeaseUnderNarrowPolicy(t *testing.T) {
	w := newWorld(t, 1)
	dynamic := backend.Ref{Path: w.database(), Kind: kindPath}
	b, _ := w.appRole(map[string]any{
		"token_policies": w.policy("all", everything...), "token_no_default_policy": true, "token_ttl": "1h",
	})
	s, err := read(t.Context(), b, dynamic)
	w.must(err)
	session := session0(t, b)
	later(session, 15*time.Minute)
	for range 3 {
		if _, err := b.Lessor.Renew(t.Context(), s.Lease.ID); backend.CodeOf(err) == backend.NotFound {
			t.Fatalf("the lease is given up: %v", err)
		}
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.serial != 1 {
		t.Errorf("%d logins, want one", session.serial)
	}
}

// TestLeaseOfRole: a lease is looked after by the role that made it.
func TestLeaseOfRole(t *testing.T) {
	l := &lessor{api: &api{session: func(args string) (*session, error) {
		return &session{words: words{field: args}}, nil
	}}}
	for id, want := range map[string][2]string{
		"database/creds/app/1":               {"", "database/creds/app/1"},
		"vaultRole=app#database/creds/app/1": {"vaultRole=app", "database/creds/app/1"},
	} {
		s, lease, err := l.of(id)
		if err != nil || s.words.field != want[0] || lease != want[1] {
			t.Errorf("%s: as %q, %q, %v", id, s.words.field, lease, err)
		}
	}
	if _, _, err := l.of(strings.TrimSuffix("vaultRole=app#", "x")); backend.CodeOf(err) != backend.InvalidRef {
		t.Errorf("no lease: %v", err)
	}
}
