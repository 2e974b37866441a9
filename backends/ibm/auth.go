// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"net/http"
	"sync"
	"time"

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

// login holds one IAM token. IBM's SDK is not used for it: its cache takes no
// context, and while one token is under way it locks out every other login of
// the process. What is asked of IAM is in grants.go.
type login struct {
	config config
	client *http.Client
	now    func() time.Time
	until  context.Context    //nolint:containedctx // token requests belong to the login and not to a caller
	cancel context.CancelFunc // ends the request under way

	mu      sync.Mutex
	held    token
	user    token  // of the API key, with which a profile is assumed
	pending *grant // the request under way, or nil
}

// token is valid until expires. From renew on the next one is asked for, in
// the background.
type token struct {
	text           backend.Value
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
	l := &login{config: c, client: wire{who: iam}.client(client), now: time.Now}
	l.until, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// checker returns the login where there is somebody to ask about it.
func (l *login) checker() backend.Checker {
	if l.config.static() {
		return nil
	}
	return l
}

// token returns a token that the API should accept, and "" where it wants none.
func (l *login) token(ctx context.Context) (string, error) {
	if l.config.static() {
		return string(l.config.bearer.Reveal()), nil
	}
	l.mu.Lock()
	now, held := l.now(), l.held
	valid := now.Before(held.expires)
	var g *grant
	if !valid || !now.Before(held.renew) {
		g = l.ask() //nolint:contextcheck // the request serves all who wait
	}
	l.mu.Unlock()
	if valid {
		return string(held.text.Reveal()), nil
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
		return string(g.token.text.Reveal()), g.err
	case <-ctx.Done():
		return "", given(iam, ctx.Err())
	}
}

// refused forgets a token that the API did not accept, so that the next call
// logs in anew.
func (l *login) refused(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if string(l.held.text.Reveal()) == text {
		l.held, l.user = token{}, token{}
	}
}

// Check tells whether IAM accepts the credentials now. It does not ask the
// instance: what they may read there is known for each secret only.
func (l *login) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return given(iam, err)
	}
	l.mu.Lock()
	l.user = token{} // the API key too may have been deleted since
	g := l.ask()     //nolint:contextcheck // the request serves all who wait
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
