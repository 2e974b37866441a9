// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// standInLock is the name of the lock that Lock sets.
const standInLock = "stand-in"

// PutMany creates n arbitrary secrets in the default group, for load: prefix-000000 and so on, each with its name for a
// value. It is many times as quick as Put. None of the names may be taken.
func (s *Server) PutMany(n int, prefix string) error {
	if why := checkName(fmt.Sprintf("%s-%06d", prefix, max(0, n-1)), time.Time{}); why != "" {
		return fmt.Errorf("prefix %q: a name %s", prefix, why)
	}
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%06d", prefix, i)
		if _, taken := s.store.names[nameKey{"arbitrary", names[i]}]; taken {
			return errExists("secret", names[i])
		}
	}
	for _, name := range names {
		sec := &secret{
			id: uuid.NewString(), name: name, typ: "arbitrary", group: defaultGroup, createdBy: backdoorUser,
			created: now, state: stateActive,
		}
		s.store.add(sec, &version{id: uuid.NewString(), createdBy: backdoorUser, created: now, data: fields{"payload": name}}, now)
		s.store.insert(sec)
	}
	return nil
}

// with runs f on a secret under the lock.
func (s *Server) with(id string, f func(sec *secret, now time.Time) *apiError) error {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, apiErr := s.store.get(id, now)
	if apiErr != nil {
		return apiErr
	}
	if apiErr := f(sec, now); apiErr != nil {
		return fmt.Errorf("secret %q: %w", sec.name, apiErr)
	}
	return nil
}

// Touch moves a secret's updated_at forward, by a millisecond at least, as an edit of its metadata does. Its versions stay.
func (s *Server) Touch(id string) error {
	return s.with(id, func(sec *secret, now time.Time) *apiError {
		if next := sec.updated.Add(time.Millisecond); now.Before(next) {
			now = next
		}
		sec.updated = now
		return nil
	})
}

// Issue issues the public certificate that is on order.
func (s *Server) Issue(id string) error { return s.with(id, s.store.fulfil) }

// Expire ends a secret now: it is Destroyed and its data is gone, locked or not.
func (s *Server) Expire(id string) error {
	return s.with(id, func(sec *secret, now time.Time) *apiError {
		for _, v := range sec.versions {
			v.unlock(nil)
		}
		sec.expires = now
		s.store.settle(sec, now)
		return nil
	})
}

// Deactivate makes a secret Deactivated; its data stays. The next version makes it Active again.
func (s *Server) Deactivate(id string) error {
	return s.with(id, func(sec *secret, now time.Time) *apiError {
		if sec.state != stateActive {
			return errInvalid("/", "the secret is not active")
		}
		sec.state, sec.updated = stateDeactivated, now
		return nil
	})
}

// Lock locks the current version.
func (s *Server) Lock(id string) error {
	return s.with(id, func(sec *secret, now time.Time) *apiError {
		sec.current().lock(lock{name: standInLock, createdBy: backdoorUser, created: now, updated: now})
		return nil
	})
}

// Unlock removes all locks of all versions.
func (s *Server) Unlock(id string) error {
	return s.with(id, func(sec *secret, _ time.Time) *apiError {
		for _, v := range sec.versions {
			v.unlock(nil)
		}
		return nil
	})
}

// Rename gives a secret another name.
func (s *Server) Rename(id, name string) error {
	return s.with(id, func(sec *secret, now time.Time) *apiError {
		if why := checkName(name, now); why != "" {
			return errInvalid("/name", why)
		}
		if apiErr := s.store.rename(sec, name); apiErr != nil {
			return apiErr
		}
		sec.updated = now
		return nil
	})
}

// DenyList forbids an API key to list secrets, whatever its role, or permits it again; reads go on. It holds for tokens
// already given out too. An unknown key is made known, without a role.
func (s *Server) DenyList(apiKey string, deny bool) {
	s.tokens.edit(apiKey, func(who *identity) { who.noList = deny })
}

// SetGroupRole gives an API key a role in one secret group, by the group's name, on top of the one it has in the instance.
// It holds for requests about one secret; lists show the groups in which there is a role. Creating needs a role in the
// instance. An unknown key is made known.
func (s *Server) SetGroupRole(apiKey, group string, role Role) {
	s.tokens.edit(apiKey, func(who *identity) {
		if who.groups == nil {
			who.groups = map[string]Role{}
		}
		who.groups[group] = role
	})
}

// AcceptCRToken makes IAM accept a compute resource token, or refuse it again.
func (s *Server) AcceptCRToken(token string, accept bool) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.crTokens[token] = accept
}
