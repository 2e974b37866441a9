// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// method is a way to log in.
type method struct {
	path      string // below /v1/; "" where there is nobody to ask: a fixed token, or none
	namespace string // of Vault, where the login is
	// material makes what is sent, each time anew, for it may have been replaced.
	material func(context.Context) (map[string]string, error)
	token    backend.Value // the fixed one
	role     string        // for messages
	password bool          // wrong ones lock a user out
	identity []backend.Value
}

// renewed gives a token more life.
func (s *session) renewed(ctx context.Context, held *grant) (*grant, error) {
	asked := s.now()
	a, err := send(backend.WithOperation(ctx, backend.OpLogin), held.auth, question{path: "auth/token/renew-self", body: map[string]any{}})
	if err != nil {
		return nil, s.words.classify(err, task{"renew", "its token"})
	}
	if a.Auth == nil {
		return nil, unreadable("the renewal of a token")
	}
	g := *held
	s.lives(&g, asked, a.Auth.Lease, a.Auth.Renewable)
	return &g, nil
}

// login makes a token.
func (s *session) login(ctx context.Context) (*grant, error) {
	if s.method.path == "" {
		return nil, s.words.expired(http.StatusForbidden)
	}
	ctx = backend.WithOperation(ctx, backend.OpLogin)
	material, err := s.method.material(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.clients.as(backend.Value{}, s.method.namespace)
	if err != nil {
		return nil, err
	}
	asked := s.now()
	a, err := send(ctx, c, question{path: s.method.path, body: material})
	if err != nil {
		return nil, s.loginError(err)
	}
	if a.Auth == nil || a.Auth.Token == "" || !inHeader(a.Auth.Token) {
		if a.Auth != nil && len(a.Auth.MFA) > 0 && string(a.Auth.MFA) != "null" {
			return nil, backend.Errorf(backend.Unauthenticated, "the login of %s needs a second factor, which a controller has not", s.words.field)
		}
		return nil, unreadable(s.method.path)
	}
	g, err := s.granted(backend.NewValue([]byte(a.Auth.Token)))
	if err != nil {
		return nil, err
	}
	s.lives(g, asked, a.Auth.Lease, a.Auth.Renewable)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	g.serial = s.serial
	return g, nil
}

// granted makes the clients that show a token.
func (s *session) granted(token backend.Value) (*grant, error) {
	g := &grant{token: token}
	var err error
	if g.data, err = s.clients.as(token, s.namespace); err != nil {
		return nil, err
	}
	g.auth, err = s.clients.as(token, s.method.namespace)
	return g, err
}

// loginError says what a login that failed comes to.
func (s *session) loginError(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return given(err)
	}
	switch {
	case r.code != http.StatusBadRequest && r.code != http.StatusForbidden && r.code != http.StatusNotFound && r.code != http.StatusUnauthorized:
		e := r.elsewhere()
		if e == nil {
			e = backend.Errorf(backend.Unknown, "Vault does not accept the login of %s (%d)", s.words.field, r.code)
		}
		if text := r.inKES(task{"log in", s.method.path}); s.words.kes && text != "" {
			return reworded(e, text)
		}
		return e
	case !r.vault:
		return backend.Errorf(backend.Unavailable, "a server answers %d to the login of %s, and not as Vault does: check the URL of Vault", r.code, s.words.field)
	case s.words.kes:
		return s.loginInKES(r)
	case r.code == http.StatusNotFound:
		return backend.Errorf(backend.Unauthenticated, "Vault has no login at %s (404): check the mount of %s", s.method.path, s.words.field)
	case r.says("invalid role name") || r.says("role") && r.says("not found"):
		return backend.Errorf(backend.Unauthenticated, "Vault has no role %q at %s (%d)", s.method.role, s.method.path, r.code)
	}
	return backend.Errorf(backend.Unauthenticated, "Vault refuses the login of %s at %s (%d)", s.words.field, s.method.path, r.code)
}

// loginInKES is the status that Kubernetes External Secrets showed.
func (s *session) loginInKES(r *refusal) error {
	text := "permission denied"
	switch {
	case r.says("invalid role name"):
		text = `invalid role name "` + s.method.role + `"`
	case r.says("1 error occurred"):
		text = deniedInKES
	case r.code == http.StatusNotFound:
		text = cmp.Or(r.inKES(task{"log in", s.method.path}), "Status 404")
	case r.code == http.StatusBadRequest:
		text = "Status 400"
	}
	return backend.Errorf(backend.Unauthenticated, "%s", text)
}

// ended reports whether the token of g has ended, which is one of two things
// that a 403 may mean. Where the login cannot be made again, or it cannot be
// told, why is the error.
func (s *session) ended(ctx context.Context, g *grant, err error) (ended bool, why error) {
	var r *refusal
	if !errors.As(err, &r) || !r.vault || !g.token.IsSet() || r.code != http.StatusForbidden && !r.invalidToken() {
		return false, nil
	}
	if !r.invalidToken() {
		s.mu.Lock()
		blind := s.blind
		s.mu.Unlock()
		if blind && s.now().Sub(g.made) < blindPause {
			return false, nil
		}
		if !blind {
			if holds, err := s.holds(ctx, g); holds || err != nil {
				return false, err
			}
		}
	}
	if s.method.path == "" {
		return false, s.words.expired(r.code)
	}
	return true, nil
}

// holds asks whether a token is good.
func (s *session) holds(ctx context.Context, g *grant) (bool, error) {
	_, err := send(backend.WithOperation(ctx, backend.OpLogin), g.auth, question{path: "auth/token/lookup-self"})
	var r *refusal
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &r) && (r.code == http.StatusForbidden || r.invalidToken()):
		return false, nil
	}
	return false, s.words.classify(err, task{"look up", "its token"})
}

// unsighted remembers that the token may not look itself up.
func (s *session) unsighted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = true
}

// inHeader reports whether a text can be sent as a token.
func inHeader(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
