// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// renewPause is how long a renewal that failed is left, while the token still
// holds.
const renewPause = time.Minute

// login is who asks: with a fixed token, with tokens that are made when they
// are needed, or, without either, by the certificate of the connection.
type login struct {
	field    string          // of the manifest, for messages
	identity []backend.Value // what makes it differ from others
	fixed    backend.Value

	// mint makes a token and says when it expires; nil where there is none to
	// make.
	mint func(context.Context) (backend.Value, time.Time, error)
	now  func() time.Time
	turn chan struct{} // held by the one caller who makes a token

	mu   sync.Mutex
	held token
}

// token is valid until expires. From renew on the next one is made.
type token struct {
	text           backend.Value
	renew, expires time.Time
}

// fixed is the login with a token that does not change.
func fixed(field string, text backend.Value) (*login, error) {
	trimmed := strings.TrimSpace(string(text.Reveal())) // the line end of a file is nobody's intention
	if trimmed == "" || strings.ContainsFunc(trimmed, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, backend.Errorf(backend.Unauthenticated, "%s is not a token: it is empty, or has a character in it that no token has", field)
	}
	v := backend.NewValue([]byte(trimmed))
	return &login{field: field, fixed: v, identity: []backend.Value{v}}, nil
}

// token returns the token to show, which is absent where a certificate does.
func (l *login) token(ctx context.Context) (backend.Value, error) {
	if l.mint == nil {
		return l.fixed, nil
	}
	held, due := l.state()
	if !due {
		return held.text, nil
	}
	if l.now().Before(held.expires) && !l.idle() {
		return held.text, nil // it holds until somebody else has the next one
	}
	if err := l.renew(ctx); err != nil {
		return backend.Value{}, err
	}
	held, _ = l.state()
	return held.text, nil
}

// state returns the token that is held, and whether the next one is due.
func (l *login) state() (token, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held, !l.now().Before(l.held.renew)
}

// idle reports whether nobody makes a token.
func (l *login) idle() bool { return len(l.turn) == 0 }

// renew makes a token, unless somebody else just did. A failure counts only
// when the one that is held does not hold any more.
func (l *login) renew(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	held, due := l.state()
	if !due {
		return nil
	}
	text, expires, err := l.mint(ctx)
	now := l.now()
	next := token{text, now.Add(expires.Sub(now) * 4 / 5), expires}
	if err != nil {
		if !now.Before(held.expires) {
			return err
		}
		next = held
		next.renew = now.Add(renewPause)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = next
	return nil
}

// refused forgets a token that the server did not accept, so that the next call
// makes another.
func (l *login) refused(text backend.Value) {
	if l.mint == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.text.Equal(text) {
		l.held = token{}
	}
}

// subject is whose a service account token is: the same for all tokens of the
// account, and another for an account of that name in another namespace or
// after it was made anew. The token comes from our own API server, so what it
// says needs no proof. One that says nothing is its own subject.
func subject(text backend.Value) backend.Value {
	var claims struct {
		Issuer     string `json:"iss"`
		Subject    string `json:"sub"`
		Kubernetes struct {
			ServiceAccount struct {
				UID string `json:"uid"`
			} `json:"serviceaccount"`
		} `json:"kubernetes.io"`
	}
	parts := strings.Split(string(text.Reveal()), ".")
	if len(parts) != 3 {
		return text
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Subject == "" {
		return text
	}
	return backend.NewValue([]byte(strings.Join([]string{claims.Issuer, claims.Subject, claims.Kubernetes.ServiceAccount.UID}, "\n")))
}
