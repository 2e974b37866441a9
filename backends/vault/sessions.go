// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	vault "github.com/hashicorp/vault/api"

	"github.com/lockstep-secrets/lockstep/backend"
)

const (
	// loginTimeout bounds a login. It belongs to everybody who waits for the
	// token, so no caller's context ends it.
	loginTimeout = 20 * time.Second
	// revokeTimeout bounds what Close does.
	revokeTimeout = 5 * time.Second
	// renewPause is how long a renewal that failed is left, while the token
	// still holds.
	renewPause = 30 * time.Second
	// A login that was refused is left for refusedPause and, with passwords,
	// twice as long each time up to lockoutPause: Vault locks a user out after
	// five wrong ones.
	refusedPause = 2 * time.Second
	lockoutPause = time.Minute
	// blindPause is how often a login whose policies do not let it look itself
	// up is made again when something is forbidden.
	blindPause = 5 * time.Minute
)

// session is who asks: one login, whose token is renewed after two thirds of
// its life when somebody asks, and made again when it ended.
type session struct {
	method    method
	clients   *clients
	words     words
	namespace string        // of Vault, where the secrets are
	threshold time.Duration // a token with less left is renewed, too
	now       func() time.Time
	born      time.Time
	until     context.Context    //nolint:containedctx // logins belong to the session and not to a caller
	cancel    context.CancelFunc // ends the login under way

	mu       sync.Mutex
	held     *grant
	pending  *attempt // the login under way, or nil
	refusal  error    // why the last login was refused
	failures int      // in a row that were refused
	waits    time.Time
	blind    bool           // the policies do not let the token look itself up
	leased   bool           // credentials hang on the token, and would end with it
	leases   map[string]int // on which token each of them hangs
	serial   int            // of the last token that was made
}

// grant is a token and who shows it. It holds until expires, or for good when
// that is zero. From renew on it is renewed.
type grant struct {
	token          backend.Value
	data, auth     *vault.Client
	serial         int // tells tokens apart; a renewal keeps it
	made           time.Time
	renew, expires time.Time
	renewable      bool
	life           time.Duration
}

// attempt is one login or renewal, for everybody who waits for it. The result
// is there once done is closed.
type attempt struct {
	done  chan struct{}
	grant *grant
	err   error
}

func newSession(ctx context.Context, m method, c *clients, w words, namespace string) *session {
	s := &session{method: m, clients: c, words: w, namespace: namespace, now: time.Now, born: time.Now()}
	s.until, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// grant returns a token that the server should accept.
func (s *session) grant(ctx context.Context) (*grant, error) {
	s.mu.Lock()
	now, held := s.now(), s.held
	valid := held != nil && (held.expires.IsZero() || now.Before(held.expires))
	if valid && (held.renew.IsZero() || now.Before(held.renew)) {
		s.mu.Unlock()
		return held, nil
	}
	if !valid && s.pending == nil && s.refusal != nil && now.Before(s.waits) {
		defer s.mu.Unlock()
		return nil, s.refusal
	}
	a := s.ask() //nolint:contextcheck // the login serves all who wait
	s.mu.Unlock()
	if valid {
		return held, nil
	}
	return a.wait(ctx)
}

// again returns another token than the one of g, which the server refused.
func (s *session) again(ctx context.Context, g *grant) (*grant, error) {
	s.mu.Lock()
	if s.held != nil && s.held.token.Equal(g.token) {
		s.held = nil
	}
	s.mu.Unlock()
	return s.grant(ctx)
}

// ask returns the attempt that is under way, and starts one when there is
// none. s.mu is held.
func (s *session) ask() *attempt {
	if s.pending != nil {
		return s.pending
	}
	a := &attempt{done: make(chan struct{})}
	s.pending = a
	held := s.held
	go func() {
		ctx, cancel := context.WithTimeout(s.until, loginTimeout)
		defer cancel()
		g, err := s.next(ctx, held)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pending = nil
		s.settle(g, err)
		a.grant, a.err = g, err
		close(a.done)
	}()
	return a
}

// settle takes the result of an attempt. s.mu is held.
func (s *session) settle(g *grant, err error) {
	now := s.now()
	if err == nil {
		s.held, s.refusal, s.failures = g, nil, 0
		return
	}
	if s.held != nil {
		kept := *s.held
		kept.renew = now.Add(renewPause)
		s.held = &kept
	}
	s.refusal = nil
	if backend.CodeOf(err) != backend.Unauthenticated {
		return
	}
	pause := refusedPause
	if s.method.password {
		pause = min(lockoutPause, 5*refusedPause<<min(s.failures, 10))
	}
	s.failures++
	s.refusal, s.waits = err, now.Add(pause)
}

// wait returns the token, or an error when ctx ends first. The attempt goes on
// for the next caller.
func (a *attempt) wait(ctx context.Context) (*grant, error) {
	select {
	case <-a.done:
		return a.grant, a.err
	case <-ctx.Done():
		return nil, given(ctx.Err())
	}
}

// next renews a token that still holds, and else logs in. A token near its
// longest life gets little more: then it is time for another.
func (s *session) next(ctx context.Context, held *grant) (*grant, error) {
	if held != nil && held.renewable && (held.expires.IsZero() || s.now().Before(held.expires)) {
		g, err := s.renewed(ctx, held)
		if err == nil && g.life >= held.life/2 {
			return g, nil
		}
		switch code := backend.CodeOf(err); {
		case code == backend.Unavailable || code == backend.RateLimited:
			return nil, err
		case code == backend.PermissionDenied && s.now().Sub(held.made) < held.life/2:
			// It holds, but its policies do not let it renew itself.
			fixed := *held
			fixed.renewable = false
			return &fixed, nil
		}
	}
	return s.login(ctx)
}

// lives sets how long a grant holds, from when it was asked for, by our own
// clock.
func (s *session) lives(g *grant, asked time.Time, seconds int, renewable bool) {
	g.made, g.renewable = asked, renewable
	g.life = time.Duration(seconds) * time.Second
	if g.life <= 0 {
		return // for good
	}
	g.expires = asked.Add(g.life - min(10*time.Second, g.life/10)) // it must outlive the request that carries it
	jitter := time.Duration(rand.Float64() * float64(g.life) / 10) //nolint:gosec // jitter
	g.renew = asked.Add(g.life*2/3 - jitter)
	if early := asked.Add(g.life - s.threshold); s.threshold > 0 && early.Before(g.renew) {
		g.renew = asked.Add(max(g.life-s.threshold, g.life/3))
	}
}

// close ends the login under way, and revokes the token that was made by it.
func (s *session) close() {
	s.cancel()
	s.mu.Lock()
	a := s.pending
	s.mu.Unlock()
	if a != nil {
		<-a.done
	}
	s.mu.Lock()
	g, leased := s.held, s.leased
	s.held = nil
	s.mu.Unlock()
	if g == nil || s.method.path == "" || leased {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.until), revokeTimeout)
	defer cancel()
	_, _ = send(backend.WithOperation(ctx, backend.OpLogin), g.auth, question{path: "auth/token/revoke-self", body: map[string]any{}}) // it ends by itself, too
}
