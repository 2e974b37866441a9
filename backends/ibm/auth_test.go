// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// clock is set by hand. IAM, the instance and the backend go by it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// by makes the backend go by the clock.
func (c *clock) by(b backend.Backend) backend.Backend {
	b.Checker.(*login).now = c.Now
	return b
}

// mustRead reads a secret that holds "p".
func mustRead(t *testing.T, b backend.Backend, ref backend.Ref) {
	t.Helper()
	s, err := read(t.Context(), b, ref)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Payload.Reveal()) != "p" {
		t.Fatal("the secret holds something else")
	}
}

func (w *world) wantTokens(n int) {
	w.t.Helper()
	if got := w.tokens(); got != n {
		w.t.Fatalf("%d token requests, want %d", got, n)
	}
}

// TestOneToken: many readers who come at once share one login, whether IAM
// gives a token or refuses.
func TestOneToken(t *testing.T) {
	for name, status := range map[string]int{"Granted": 0, "Failed": 500} {
		t.Run(name, func(t *testing.T) {
			const readers = 50
			w := start(t, ibmsm.Options{})
			b := w.open(nil)
			ref := w.arbitrary("p")
			release := w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Hold: true, Status: status})
			errs := make(chan error, readers)
			waiting := runtime.NumGoroutine()
			for range readers {
				go func() {
					_, err := read(context.WithoutCancel(t.Context()), b, ref)
					errs <- err
				}()
			}
			eventually(t, "all readers wait", func() bool { return runtime.NumGoroutine() >= waiting+readers && w.tokens() == 1 })
			release()
			for range readers {
				if err := <-errs; (err != nil) != (status != 0) {
					t.Errorf("error %v", err)
				}
			}
			if status == 0 {
				w.wantTokens(1)
				return
			}
			// A reader that came a moment late asked once more; fifty did not.
			if n := w.tokens(); n > readers/2 {
				t.Errorf("%d token requests of %d readers", n, readers)
			}
		})
	}
}

// TestRenewal: a token is renewed in the background before it expires, and
// nobody waits for that.
func TestRenewal(t *testing.T) {
	clock := newClock()
	w := start(t, ibmsm.Options{Now: clock.Now})
	b := clock.by(w.open(nil))
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	clock.advance(47 * time.Minute)
	mustRead(t, b, ref)
	w.wantTokens(1)

	clock.advance(2 * time.Minute) // 49 of 60: past four fifths
	release := w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Hold: true})
	for range 3 {
		mustRead(t, b, ref) // with the old token, while IAM hangs
	}
	eventually(t, "a new token is asked for", func() bool { return w.tokens() == 2 })
	release()
	l := b.Checker.(*login)
	eventually(t, "the new token is there", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pending == nil
	})
	clock.advance(20 * time.Minute) // the old token has expired by now
	mustRead(t, b, ref)
	w.wantTokens(2)
}

// TestRenewalFails: while the old token holds, a renewal that fails is
// repeated after a pause and harms nobody.
func TestRenewalFails(t *testing.T) {
	clock := newClock()
	w := start(t, ibmsm.Options{Now: clock.Now})
	b := clock.by(w.open(nil))
	l := b.Checker.(*login)
	settled := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pending == nil
	}
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Status: 500})
	clock.advance(50 * time.Minute)
	for range 5 {
		mustRead(t, b, ref)
		eventually(t, "the renewal ends", settled)
	}
	w.wantTokens(2)
	clock.advance(renewPause)
	mustRead(t, b, ref)
	eventually(t, "the renewal ends", settled)
	w.wantTokens(3)

	clock.advance(9 * time.Minute) // expired
	_, err := read(t.Context(), b, ref)
	failed(t, err, backend.Unavailable, "IBM Cloud IAM is out of order (500)")
	w.ClearFaults()
	mustRead(t, b, ref)
}

// TestShortLife: with a life as short as the margin, each read logs in.
func TestShortLife(t *testing.T) {
	w := start(t, ibmsm.Options{TokenTTL: margin})
	b := w.open(nil)
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	mustRead(t, b, ref)
	w.wantTokens(2)
}

// TestTokenRefused: a token that the instance refuses is not used again.
func TestTokenRefused(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	w.ExpireTokens()
	_, err := read(t.Context(), b, ref)
	failed(t, err, backend.Unauthenticated, "IBM Cloud Secrets Manager refuses the token of the API key (401)")
	w.wantTokens(1) // a Read is one request, whatever the answer
	mustRead(t, b, ref)
	w.wantTokens(2)

	// A late 401 for the old token does not throw the new one away.
	b.Checker.(*login).refused("the-old-token")
	mustRead(t, b, ref)
	w.wantTokens(2)
}

// TestForbiddenKeepsToken: only a 401 speaks of the token.
func TestForbiddenKeepsToken(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(map[string]string{"APIKEY": readerKey})
	ref := w.arbitrary("p")
	for range 2 {
		if _, err := read(t.Context(), b, ref); backend.CodeOf(err) != backend.PermissionDenied {
			t.Fatalf("code %q", backend.CodeOf(err))
		}
	}
	w.wantTokens(1)
	w.SetRole(readerKey, ibmsm.SecretsReader)
	mustRead(t, b, ref)
}

// TestCancelledLogin: a caller who gives up does not wait for IAM, and the
// token still comes for the next one.
func TestCancelledLogin(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := w.arbitrary("p")
	release := w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Hold: true})
	readIt := func(ctx context.Context) error { _, err := read(ctx, b, ref); return err }
	cases := []struct {
		name    string
		ask     func(context.Context) error
		timeout time.Duration // none is cancelled by hand
		text    string
	}{
		{"read, cancelled", readIt, 0, " was given up"},
		{"read, late", readIt, 10 * time.Millisecond, "IBM Cloud IAM does not answer in time"},
		{"check, cancelled", b.Checker.Check, 0, "the request to IBM Cloud IAM was given up"},
		{"check, late", b.Checker.Check, 10 * time.Millisecond, "IBM Cloud IAM does not answer in time"},
	}
	for _, c := range cases {
		ctx, cancel := context.WithCancel(t.Context())
		if c.timeout > 0 {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), c.timeout)
		}
		done := make(chan error, 1)
		go func() { done <- c.ask(ctx) }()
		eventually(t, "IAM is asked", func() bool { return w.tokens() > 0 })
		if c.timeout == 0 {
			cancel()
		}
		select {
		case err := <-done:
			if backend.CodeOf(err) != backend.Unavailable || !strings.HasSuffix(err.Error(), c.text) {
				t.Errorf("%s: %s: %v", c.name, backend.CodeOf(err), err)
			}
		case <-time.After(patience):
			t.Fatal(c.name + ": waits for IAM")
		}
		cancel()
	}
	w.wantTokens(1)
	release()
	mustRead(t, b, ref)
	w.wantTokens(1)
}

// TestEndedContext: nobody is asked for a caller who has gone.
func TestEndedContext(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := read(ctx, b, w.arbitrary("p"))
	failed(t, err, backend.Unavailable, "the request to IBM Cloud Secrets Manager was given up")
	failed(t, b.Checker.Check(ctx), backend.Unavailable, "the request to IBM Cloud IAM was given up")
	if n := w.Stats().Total; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestCheckAsks: the key may have been deleted since the last login.
func TestCheckAsks(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := w.arbitrary("p")
	mustRead(t, b, ref)
	if err := b.Checker.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.RemoveKey(goodKey)
	failed(t, b.Checker.Check(t.Context()), backend.Unauthenticated,
		"IBM Cloud IAM refuses the API key (400): check IBM_CLOUD_SECRETS_MANAGER_API_APIKEY")
	mustRead(t, b, ref) // the token holds
}

// TestHangingNeighbour: an IAM that hangs holds up its own store only. IBM's
// SDK has one lock for the token requests of the whole process.
func TestHangingNeighbour(t *testing.T) {
	hanging, good := start(t, ibmsm.Options{}), start(t, ibmsm.Options{})
	hanging.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Hold: true})
	stuck := hanging.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stuck.Checker.Check(ctx)
	}()
	eventually(t, "the first IAM hangs", func() bool { return hanging.tokens() == 1 })
	mustRead(t, good.open(nil), good.arbitrary("p"))
	cancel()
	<-done
}

// TestClose: nothing is left behind, not even of a login under way.
func TestClose(t *testing.T) {
	w := start(t, ibmsm.Options{})
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	server := httptest.NewUnstartedServer(w.Server)
	server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		conns[c] = true
		if s == http.StateClosed || s == http.StateHijacked {
			delete(conns, c)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	env := w.env(map[string]string{"ENDPOINT": server.URL, "AUTH_URL": server.URL})
	ref := w.arbitrary("p")
	for name, hold := range map[string]bool{"Idle": false, "LoggingIn": true} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(w.ClearFaults)
			before := runtime.NumGoroutine()
			b := open(t, env, nil)
			if hold {
				w.ResetStats()
				w.Fail(ibmsm.Match{Kind: ibmsm.KindToken}, ibmsm.Fault{Hold: true})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				_ = b.Checker.Check(ctx)
				eventually(t, "IAM hangs", func() bool { return w.tokens() == 1 })
			}
			if !hold {
				mustRead(t, b, ref)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all connections are closed", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(conns) == 0
			})
			eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
			_, err := read(t.Context(), b, ref)
			if !hold { // the token is still there, and so is the client
				return
			}
			_, host, _ := strings.Cut(server.URL, "://")
			failed(t, err, backend.Unavailable, "the request to IBM Cloud IAM at "+host+" was given up")
		})
	}
}
