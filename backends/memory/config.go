// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/lockstep-secrets/lockstep/backend"
)

// config is the provider's part of a manifest. Fields it does not know are
// left alone.
type config struct {
	Store string `json:"store"` // as in Named
	Login string `json:"login"` // who asks; "default" unless given
	Quota string `json:"quota"` // the account; "default" unless given
	// Secret is a key of a Kubernetes Secret that the login needs.
	Secret struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	} `json:"secret"`
}

// Driver returns what the rest of Lockstep knows about the store. Every
// dialect sees its secrets as they are.
func (m *Memory) Driver() backend.Driver {
	return backend.Driver{Open: m.Open, Ref: ref}
}

// Open is a backend.Open. It speaks no HTTP, so it needs no client.
func (m *Memory) Open(ctx context.Context, cfg backend.Config, creds backend.Credentials, _ *http.Client) (backend.Backend, backend.Identity, error) {
	var c config
	if len(cfg.Raw) > 0 {
		if err := json.Unmarshal(cfg.Raw, &c); err != nil {
			return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "the configuration of the memory store is not a JSON object of strings")
		}
	}
	login := cmp.Or(c.Login, "default")
	identity := backend.Identity{Login: "memory/" + c.Store + "/" + login, Quota: "memory/" + cmp.Or(c.Quota, "default")}
	if c.Secret.Name != "" {
		token, err := fingerprint(ctx, cfg, creds, c)
		if err != nil {
			return backend.Backend{}, backend.Identity{}, err
		}
		identity.Login += "/" + token
	}
	n := m.Named(c.Store)
	s := n.session(login, cfg.Spend)
	return backend.Backend{
		Reader:    s,
		Checker:   s,
		Finder:    s,
		Prober:    s,
		Versioner: s,
		Writer:    s,
		Watcher:   s,
		Lessor:    s,
		Scout:     s,
		Limits: backend.Limits{
			Batch:    n.options.Batch,
			Parallel: n.options.Parallel,
			Rate:     n.options.Rate,
			Payload:  n.options.Payload,
		},
		Close: s.close,
	}, identity, nil
}

// fingerprint makes the credential a part of the identity.
func fingerprint(ctx context.Context, cfg backend.Config, creds backend.Credentials, c config) (string, error) {
	v, err := creds.Secret(ctx, c.Secret.Name, c.Secret.Key)
	if backend.CodeOf(err) == backend.NotFound {
		return "", backend.Errorf(backend.Unauthenticated, "no key %q in Secret %q", c.Secret.Key, c.Secret.Name)
	}
	if err != nil {
		return "", err
	}
	return cfg.Fingerprint(v), nil
}

// A session is the store as one login sees it.
type session struct {
	memory *Memory
	login  string
	spend  func(context.Context) error
	closed bool // the store's lock guards it
}

// session opens a session, which is counted until it is closed.
func (m *Memory) session(login string, spend func(context.Context) error) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions++
	return &session{memory: m, login: login, spend: spend}
}

// close ends the session. There is nothing to let go of, but who asks
// afterwards has a bug, and is told.
func (s *session) close() error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.memory.sessions--
	}
	return nil
}

// begin makes one request: it waits for the quota and counts.
func (s *session) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.spend != nil {
		if err := s.spend(ctx); err != nil {
			return err
		}
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.requests++
	return nil
}

// admit says whether the store answers this login at all. The caller holds the
// lock.
func (s *session) admit() error {
	if s.closed {
		return backend.Errorf(backend.Unknown, "the memory store was closed")
	}
	if err := s.memory.faults[""]; err != nil {
		return err
	}
	if s.memory.refused[s.login] {
		return backend.Errorf(backend.Unauthenticated, "the memory store refuses login %q", s.login)
	}
	return nil
}

// request makes one request that an answer under the lock completes.
func (s *session) request(ctx context.Context, answer func(m *Memory) error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if err := s.admit(); err != nil {
		return err
	}
	return answer(s.memory)
}

// Check asks whether the login works.
func (s *session) Check(ctx context.Context) error {
	return s.request(ctx, func(*Memory) error { return nil })
}

// fresh makes an id. The caller holds the lock.
func (m *Memory) fresh(prefix string) string {
	m.serial++
	return prefix + strconv.Itoa(m.serial)
}
