// SPDX-License-Identifier: Apache-2.0

// Package memorytest describes the memory backend to the conformance suite:
// for its own test, for the tests of the suite, and as an example for the
// tests of other backends.
package memorytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/backends/memory"
)

// Password is what the store is logged in to with.
const Password = "correct-horse-battery-staple"

// New returns an empty store and its Harness. open is the Open to test,
// usually m.Open itself.
func New(t testing.TB, m *memory.Memory, open backend.Open) backendtest.Harness {
	t.Helper()
	s := store{m, open}
	b, _, err := s.login(t.Context(), backendtest.Same)
	if err != nil {
		t.Fatal(err)
	}
	m.Refuse("refused", true)
	m.Set("role", backend.Secret{Payload: backend.NewValue(nil)})
	m.SetLends("role", true)
	return backendtest.Harness{
		Name:         "memory",
		Backend:      b,
		Seed:         s.seed,
		Payloads:     true,
		Fields:       true,
		Open:         s.login,
		Rotate:       func(r backend.Ref, s backend.Secret) { m.Set(r.Path, s) },
		Previous:     func(r backend.Ref) backend.Ref { r.Version = "previous"; return r },
		Remove:       func(r backend.Ref) { m.Remove(r.Path) },
		Fail:         s.fail,
		Hold:         func(r backend.Ref) func() { return m.Hold(r.Path) },
		Calls:        m.Calls,
		Requests:     m.Requests,
		SeedMutating: s.seedMutating,
		LeaseRef:     backend.Ref{Path: "role"},
		Page:         3,
		Canary:       Password,
	}
}

// Options are those that New is written for.
func Options() memory.Options { return memory.Options{Page: 3} }

type store struct {
	memory *memory.Memory
	open   backend.Open
}

func (s store) seed(name string, secret backend.Secret) backend.Ref {
	s.memory.Set(name, secret)
	return backend.Ref{Path: name}
}

func (s store) seedMutating(name string) backend.Ref {
	s.memory.Set(name, backend.Secret{Payload: backend.NewValue([]byte("once"))})
	s.memory.SetReadMutates(name, true)
	return backend.Ref{Path: name}
}

// fail makes the errors that the store answers. It has no server behind it
// whose text could be repeated.
func (s store) fail(r backend.Ref, f backendtest.Fault) bool {
	if f.Code == "" {
		s.memory.Unfail(r.Path)
		return true
	}
	s.memory.Fail(r.Path, &backend.Error{Code: f.Code, Message: "made to fail", RetryAfter: f.RetryAfter})
	return true
}

func (s store) login(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
	raw := map[backendtest.Login]string{
		backendtest.Same:    `{"secret": {"name": "login", "key": "password"}}`,
		backendtest.Other:   `{"secret": {"name": "login", "key": "other"}}`,
		backendtest.Refused: `{"login": "refused", "secret": {"name": "login", "key": "password"}}`,
		backendtest.Missing: `{"secret": {"name": "login", "key": "missing"}}`,
	}[l]
	cfg := backend.Config{
		Raw:         []byte(raw),
		Fingerprint: fingerprint,
		Spend:       func(ctx context.Context) error { return ctx.Err() },
	}
	return s.open(ctx, cfg, credentials{"login/password": Password, "login/other": "other"}, nil)
}

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// credentials are the keys of Secrets as name/key.
type credentials map[string]string

func (c credentials) In(string) (backend.Credentials, error) { return c, nil }

func (c credentials) All(_ context.Context, name string) (backend.Secret, error) {
	return backend.Secret{}, backend.Errorf(backend.NotFound, "no Secret %q", name)
}

func (c credentials) Secret(_ context.Context, name, key string) (backend.Value, error) {
	v, ok := c[name+"/"+key]
	if !ok {
		return backend.Value{}, backend.Errorf(backend.NotFound, "no key %q in Secret %q", key, name)
	}
	return backend.NewValue([]byte(v)), nil
}

func (c credentials) ConfigMap(_ context.Context, name, key string) (string, error) {
	return "", backend.Errorf(backend.NotFound, "no key %q in ConfigMap %q", key, name)
}

func (c credentials) Token(_ context.Context, serviceAccount string, _ []string) (backend.Value, time.Time, error) {
	return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "no service account %q", serviceAccount)
}
