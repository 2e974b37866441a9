// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

const (
	// loginTimeout bounds a token request. It belongs to everybody who waits
	// for the token, so no caller's context ends it.
	loginTimeout = 20 * time.Second
	// margin is the end of a token's life, which is not used: the token must
	// outlive the request that carries it. IBM's SDK leaves as much.
	margin = 10 * time.Second
	// renewPause is how long a renewal that failed is left, while the token
	// still holds.
	renewPause = time.Minute
	// longestLife of a token that is believed, in seconds; IAM's live an hour.
	longestLife = 24 * 60 * 60
)

// login holds one IAM token. IBM's SDK makes the token requests and reads the
// answers, but keeps no token: its cache takes no context, and while one token
// is under way it locks out every other login of the process.
type login struct {
	config config
	client *http.Client
	now    func() time.Time
	cancel context.CancelFunc // ends the request under way

	mu      sync.Mutex
	held    token
	pending *grant // the request under way, or nil
}

// token is valid until expires. From renew on the next one is asked for, in
// the background.
type token struct {
	text           string
	renew, expires time.Time
}

// grant is one token request, for everybody who waits for it. The result is
// there once done is closed.
type grant struct {
	done  chan struct{}
	token token
	err   error
}

func newLogin(ctx context.Context, c config, client *http.Client) *login {
	until, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := wire{who: iam, until: until, limit: loginTimeout}
	return &login{config: c, client: w.client(client), now: time.Now, cancel: cancel}
}

// token returns a token that the API should accept.
func (l *login) token(ctx context.Context) (string, error) {
	l.mu.Lock()
	now, held := l.now(), l.held
	valid := now.Before(held.expires)
	var g *grant
	if !valid || !now.Before(held.renew) {
		g = l.ask()
	}
	l.mu.Unlock()
	if valid {
		return held.text, nil
	}
	return g.wait(ctx)
}

// ask returns the token request that is under way, and starts one when there
// is none. l.mu is held.
func (l *login) ask() *grant {
	if l.pending != nil {
		return l.pending
	}
	g := &grant{done: make(chan struct{})}
	l.pending = g
	go func() {
		t, err := l.request()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = nil
		if err == nil {
			l.held = t
		} else {
			l.held.renew = l.now().Add(renewPause)
		}
		g.token, g.err = t, err
		close(g.done)
	}()
	return g
}

// wait returns the token, or an error when ctx ends first. The request goes on
// for the next caller.
func (g *grant) wait(ctx context.Context) (string, error) {
	select {
	case <-g.done:
		return g.token.text, g.err
	case <-ctx.Done():
		return "", given(iam, ctx.Err())
	}
}

// request asks IAM for a token.
func (l *login) request() (token, error) {
	auth, err := core.NewIamAuthenticatorBuilder().
		SetApiKey(string(l.config.apiKey.Reveal())).
		SetURL(l.config.iam).
		SetClient(l.client).
		Build()
	if err != nil {
		return token{}, backend.Errorf(backend.Unauthenticated, "%sAPIKEY is not an API key", envPrefix)
	}
	// The life is counted from here by our own clock, so that it does not
	// matter when IAM's shows another time.
	asked := l.now()
	answer, err := auth.RequestToken()
	if err != nil {
		var refused *core.AuthenticationError
		if errors.As(err, &refused) && refused.HTTPProblem != nil {
			return token{}, classifyLogin(refused.Response, err)
		}
		return token{}, classifyLogin(nil, err)
	}
	// The SDK does not say when the answer was no JSON.
	if answer.AccessToken == "" || strings.ContainsFunc(answer.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return token{}, backend.Errorf(backend.Unavailable, "%s gave an answer that cannot be read", iam)
	}
	life := time.Duration(min(answer.ExpiresIn, longestLife)) * time.Second
	return token{text: answer.AccessToken, renew: asked.Add(life * 4 / 5), expires: asked.Add(life - margin)}, nil
}

// refused forgets a token that the API did not accept, so that the next call
// logs in anew.
func (l *login) refused(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.text == text {
		l.held = token{}
	}
}

// Check tells whether IAM accepts the API key now. It does not ask the
// instance: what the key may read there is known for each secret only.
func (l *login) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return given(iam, err)
	}
	l.mu.Lock()
	g := l.ask()
	l.mu.Unlock()
	_, err := g.wait(ctx)
	return err
}

// close ends the request under way, and those that anybody makes later.
func (l *login) close() {
	l.cancel()
	l.mu.Lock()
	g := l.pending
	l.mu.Unlock()
	if g != nil {
		<-g.done
	}
}
