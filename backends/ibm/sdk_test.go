// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// everything makes the backend succeed and fail in the ways in which the SDK
// handles secrets.
func everything(t *testing.T) {
	t.Helper()
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	ref := w.arbitrary(canary)
	ask := func() {
		_, _ = read(t.Context(), b, ref)
		_ = b.Checker.Check(t.Context())
	}
	ask()
	for _, kind := range []ibmsm.Kind{ibmsm.KindToken, ibmsm.KindGet} {
		for _, f := range []ibmsm.Fault{
			{Status: 400, Body: errorBody(canary)},
			{Status: 500, Body: canary},
			{Status: 200, Body: `{"` + canary},
			{Reset: true},
		} {
			w.Fail(ibmsm.Match{Kind: kind}, f)
			ask()
			w.ClearFaults()
		}
	}
	w.ExpireTokens()
	ask()
}

// TestSDKIsSilent: the SDK logs to a logger of the process, which at its level
// debug prints requests and answers with the secrets in them. Nobody may raise
// the level, and at the level it has it must print nothing.
func TestSDKIsSilent(t *testing.T) {
	if level := core.GetLogger().GetLogLevel(); level > core.LevelError {
		t.Errorf("the SDK's logger has level %d, want at most %d", level, core.LevelError)
	}
	if out := outputs(t, func() { everything(t) }); out != "" {
		t.Errorf("%d bytes are printed", len(out))
	}
}

// TestSDKLogsNoError: what the SDK would say one day goes to a logger's error
// side, so that is looked at apart from the process's own outputs.
func TestSDKLogsNoError(t *testing.T) {
	var logged bytes.Buffer
	was := core.GetLogger()
	core.SetLogger(core.NewLogger(core.LevelWarn, log.New(&logged, "", 0), log.New(&logged, "", 0)))
	defer core.SetLogger(was)
	everything(t)
	if strings.Contains(logged.String(), "canary") {
		t.Error("the SDK's log has a canary in it")
	}
	if logged.Len() > 0 {
		t.Errorf("the SDK logs %d bytes", logged.Len())
	}
}

// outputs returns what is written to standard output and standard error while
// f runs.
func outputs(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	read := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r)
		read <- all
	}()
	f()
	_ = w.Close()
	return string(<-read)
}

// counting is a transport that counts.
type counting struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// TestGivenClientOnly: the given client carries every request, so it alone
// decides on names, proxies and certificates, and can count. The host of this
// test exists in it only.
func TestGivenClientOnly(t *testing.T) {
	w := start(t, ibmsm.Options{})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request goes through the proxy of the environment")
	}))
	t.Cleanup(elsewhere.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, elsewhere.URL)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.http.Listener.Addr().String())
	}
	c := &counting{RoundTripper: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	b := open(t, w.env(map[string]string{"ENDPOINT": "http://sm.invalid", "AUTH_URL": "http://iam.invalid"}), c)
	mustRead(t, b, w.arbitrary("p"))
	if err := b.Checker.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := c.n.Load(), int64(w.Stats().Total); got != want || want != 3 {
		t.Errorf("%d requests by the given client, %d arrived, want 3", got, want)
	}
}

// TestProxy: the proxy of the given client sees logins and reads.
func TestProxy(t *testing.T) {
	w := start(t, ibmsm.Options{})
	target, err := url.Parse(w.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int64
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(through)}
	b := open(t, w.env(map[string]string{"ENDPOINT": "http://sm.invalid", "AUTH_URL": "http://iam.invalid"}), transport)
	mustRead(t, b, w.arbitrary("p"))
	if n := seen.Load(); n != 2 {
		t.Errorf("%d requests through the proxy, want 2", n)
	}
}

// TestNoRedirect: neither the token nor the API key goes to another host.
func TestNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect is followed")
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		turn := httptest.NewServer(http.RedirectHandler(other.URL, status))
		t.Cleanup(turn.Close)
		w := start(t, ibmsm.Options{})
		ref := w.arbitrary("p")
		for _, name := range []string{"ENDPOINT", "AUTH_URL"} {
			_, err := read(t.Context(), w.open(map[string]string{name: turn.URL}), ref)
			if backend.CodeOf(err) != backend.Unavailable {
				t.Errorf("%s, %d: code %q", name, status, backend.CodeOf(err))
			}
			clean(t, err)
		}
	}
}

// answered is a transport that notes the context of the request it answers.
type answered struct{ ctx context.Context }

func (a *answered) RoundTrip(r *http.Request) (*http.Response, error) {
	a.ctx = r.Context()
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// TestWireLetsGo: a request with a limit leaves no timer behind, and its answer
// can be read until then.
func TestWireLetsGo(t *testing.T) {
	a := &answered{}
	client := wire{who: product}.client(&http.Client{Transport: a, Timeout: patience})
	resp, err := client.Get("http://sm.invalid")
	if err != nil {
		t.Fatal(err)
	}
	if _, limited := a.ctx.Deadline(); !limited || a.ctx.Err() != nil {
		t.Errorf("before the body is closed: limited %t, %v", limited, a.ctx.Err())
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if a.ctx.Err() == nil {
		t.Error("the context goes on after the body is closed")
	}
}

// TestQuota: what the quota says passes through the SDK as it is.
func TestQuota(t *testing.T) {
	w := start(t, ibmsm.Options{})
	q := backend.NewQuota(0)
	m := &backend.Metered{Base: &http.Transport{}}
	m.Use(q)
	b := open(t, w.env(nil), m)
	ref := w.arbitrary("p")
	q.Silence(patience)
	for _, held := range []bool{false, true} {
		if held {
			holdToken(b)
		}
		_, err := read(t.Context(), b, ref)
		failed(t, err, backend.RateLimited, "the store asked to be left alone for a while")
		if backend.RetryAfterOf(err) <= 0 {
			t.Error("the error does not say for how long")
		}
	}
}
