// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// clock is a minter of tokens that hold an hour, and the time.
type clock struct {
	time time.Time
	made int
	err  error
}

func newClock() *clock { return &clock{time: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) login() *login {
	return &login{now: func() time.Time { return c.time }, turn: make(chan struct{}, 1), mint: func(context.Context) (backend.Value, time.Time, error) {
		if c.err != nil {
			return backend.Value{}, time.Time{}, c.err
		}
		c.made++
		return backend.NewValue(fmt.Appendf(nil, "token-%d", c.made)), c.time.Add(time.Hour), nil
	}}
}

func TestTokenLife(t *testing.T) {
	down := backend.Errorf(backend.Unavailable, "down")
	for name, c := range map[string]struct {
		reason string
		after  time.Duration
		err    error
		want   string
		code   backend.Code
	}{
		"at once":            {"it holds", 0, nil, "token-1", ""},
		"before the renewal": {"it holds", 48*time.Minute - time.Second, nil, "token-1", ""},
		"at the renewal":     {"four fifths are over", 48 * time.Minute, nil, "token-2", ""},
		"expired":            {"a new one", 2 * time.Hour, nil, "token-2", ""},
		"renewal fails":      {"it still holds", 50 * time.Minute, down, "token-1", ""},
		"and expires":        {"there is none", time.Hour, down, "", backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			l := clock.login()
			if _, err := l.token(t.Context()); err != nil {
				t.Fatal(err)
			}
			clock.time, clock.err = clock.time.Add(c.after), c.err
			got, err := l.token(t.Context())
			if string(got.Reveal()) != c.want || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %q with code %q, want %q with %q", c.reason, got.Reveal(), backend.CodeOf(err), c.want, c.code)
			}
		})
	}
}

func TestTokenIsMadeOnce(t *testing.T) {
	clock := newClock()
	l := clock.login()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := l.token(t.Context()); err != nil || string(got.Reveal()) != "token-1" {
				t.Errorf("%q, %v", got.Reveal(), err)
			}
		})
	}
	wg.Wait()
	if clock.made != 1 {
		t.Errorf("%d tokens for callers at one moment", clock.made)
	}
}

func TestTokenWaitsForTheTurnNoLongerThanItsCaller(t *testing.T) {
	l := newClock().login()
	l.turn <- struct{}{} // somebody makes one
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.token(ctx); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("code %q", backend.CodeOf(err))
	}
}

// A token that the server does not accept any more is replaced, for the cluster
// that made it may have forgotten it.
func TestRefusedTokenIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.user("reader", everything)
	made := 0
	creds := vault{tokens: func(ctx context.Context, name string, audiences []string) (backend.Value, time.Time, error) {
		made++
		return mint(ctx, w.ns, name, audiences)
	}}
	ref := w.put("db", fields("user", "somebody"))
	b := w.open(w.manifest(map[string]any{"auth": map[string]any{"serviceAccount": map[string]any{"name": "reader"}}}), creds)
	for range 2 {
		if _, err := read(t.Context(), b, ref); err != nil {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Fatalf("%d tokens for two reads", made)
	}
	w.say(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) })
	if _, err := read(t.Context(), b, ref); backend.CodeOf(err) != backend.Unauthenticated {
		t.Errorf("code %q of a read that is refused", backend.CodeOf(err))
	}
	w.say(nil)
	if _, err := read(t.Context(), b, ref); err != nil || made != 2 {
		t.Errorf("%d tokens, error %v", made, err)
	}
}
