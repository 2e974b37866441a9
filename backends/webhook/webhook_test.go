// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
)

// The tokens of the tests.
const (
	goodToken    = "canary-token-good-5b1e"
	otherToken   = "canary-token-other-77c0"
	unknownToken = "canary-token-unknown-ee12"
)

// render is the smallest Render. Its functions are those of text/template, and
// one that undoes the escaping, for the attacks.
func render(name, text string, data map[string]map[string]string) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"unslash": func(s string) string { return strings.ReplaceAll(s, "%2F", "/") }}).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, data)
	return b.String(), err
}

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// secret is a Kubernetes Secret of the tests.
type secret struct {
	label string // of typeLabel
	data  map[string]string
}

// cluster holds the Secrets of one namespace, and its ConfigMaps as name/key.
type cluster struct {
	secrets    map[string]secret
	configMaps map[string]string
}

func (c cluster) In(namespace string) (backend.Credentials, error) {
	if namespace != "" && namespace != "own" {
		return nil, backend.Errorf(backend.InvalidRef, "another namespace")
	}
	return c, nil
}

func (c cluster) All(_ context.Context, name string) (backend.Secret, error) {
	s, ok := c.secrets[name]
	if !ok {
		return backend.Secret{}, backend.Errorf(backend.NotFound, "no Secret %q", name)
	}
	out := backend.Secret{Fields: map[string]backend.Value{}, Labels: map[string]string{typeLabel: s.label}}
	for k, v := range s.data {
		out.Fields[k] = backend.NewValue([]byte(v))
	}
	return out, nil
}

func (c cluster) Secret(ctx context.Context, name, key string) (backend.Value, error) {
	s, _ := c.All(ctx, name)
	if v := s.Fields[key]; v.IsSet() {
		return v, nil
	}
	return backend.Value{}, backend.Errorf(backend.NotFound, "no key %q", key)
}

func (c cluster) ConfigMap(_ context.Context, name, key string) (string, error) {
	if v, ok := c.configMaps[name+"/"+key]; ok {
		return v, nil
	}
	return "", backend.Errorf(backend.NotFound, "no key %q", key)
}

func (c cluster) Token(context.Context, string, []string) (backend.Value, time.Time, error) {
	return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "none")
}

func labelled(kv ...string) secret {
	s := secret{label: typeValue, data: map[string]string{}}
	for i := 0; i < len(kv); i += 2 {
		s.data[kv[i]] = kv[i+1]
	}
	return s
}

// try opens a store of some settings.
func try(ctx context.Context, t testing.TB, settings map[string]any, c cluster) (backend.Backend, backend.Identity, error) {
	t.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cfg := backend.Config{
		Name: "SecretStore own/hook", Raw: raw, Fingerprint: fingerprint,
		Client: func(tc *tls.Config) *http.Client {
			return &http.Client{Transport: &http.Transport{TLSClientConfig: tc}}
		},
	}
	b, id, err := New(render).Open(ctx, cfg, c, &http.Client{Transport: &http.Transport{}})
	if err == nil {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, id, err
}

func open(t testing.TB, settings map[string]any, c cluster) backend.Backend {
	t.Helper()
	b, _, err := try(t.Context(), t, settings, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get reads one secret.
func get(ctx context.Context, b backend.Backend, ref backend.Ref) (string, error) {
	results, err := b.Reader.Read(ctx, []backend.Ref{ref})
	if err != nil {
		return "", err
	}
	return string(results[0].Secret.Payload.Reveal()), results[0].Err
}

// refOf is the Ref of a key and a property.
func refOf(t testing.TB, key, property string) backend.Ref {
	t.Helper()
	ref, err := New(render).Ref(backend.ESO, backend.Key{Key: key, Args: map[string]string{"property": property}})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// serve runs a server until the test ends.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// failed checks code and text of an error, and that none of its causes holds a
// canary. An empty text is any.
func failed(t testing.TB, err error, code backend.Code, text string) {
	t.Helper()
	if got := backend.CodeOf(err); got != code {
		t.Errorf("code %q (%v), want %q", got, err, code)
	}
	if err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("the text is\n%s\nwhich lacks\n%s", err, text)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if shown := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(shown, "canary") {
			t.Errorf("an error of type %T contains a canary", e)
		}
	}
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness { return newServer(t).harness() })
}

// server is a small server of secrets: GET /secrets/{name} with a token.
type server struct {
	t   testing.TB
	url string

	mu       sync.Mutex
	values   map[string][]byte
	faults   map[string]backendtest.Fault
	holds    map[string]chan struct{}
	calls    int
	requests int
}

func newServer(t testing.TB) *server {
	s := &server{t: t, values: map[string][]byte{}, faults: map[string]backendtest.Fault{}, holds: map[string]chan struct{}{}}
	s.url = serve(t, s.serve)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/secrets/")
	s.mu.Lock()
	s.requests++
	if r.Method == http.MethodGet {
		s.calls++
	}
	value, there := s.values[name]
	fault, fails := s.faults[name]
	if !fails {
		fault = s.faults[""]
	}
	hold := s.holds[name]
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	code := http.StatusOK
	switch token := r.Header.Get("Authorization"); {
	case fault.Code != "":
		code = statuses[fault.Code]
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
		}
		value = []byte(fault.Canary + token)
	case r.Method == http.MethodHead:
		return
	case token != "Bearer "+goodToken && token != "Bearer "+otherToken:
		code, value = http.StatusUnauthorized, []byte(token)
	case !there:
		code = http.StatusNotFound
	}
	w.WriteHeader(code)
	_, _ = w.Write(value) //nolint:gosec // a server of the tests, which no browser asks
}

// statuses are how the server says what the suite wants to hear.
var statuses = map[backend.Code]int{
	backend.NotFound:         http.StatusNotFound,
	backend.PermissionDenied: http.StatusForbidden,
	backend.Unauthenticated:  http.StatusUnauthorized,
	backend.RateLimited:      http.StatusTooManyRequests,
	backend.Unavailable:      http.StatusServiceUnavailable,
	backend.Unknown:          http.StatusBadRequest,
}

func (s *server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) login(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
	name := map[backendtest.Login]string{backendtest.Same: "good", backendtest.Other: "other", backendtest.Refused: "refused", backendtest.Missing: "missing"}[l]
	return try(ctx, s.t, map[string]any{
		"url":     s.url + "/secrets/{{ .remoteRef.key }}",
		"headers": map[string]string{"Authorization": "Bearer {{ .login.token }}"},
		"secrets": []any{map[string]any{"name": "login", "secretRef": map[string]string{"name": name}}},
	}, cluster{secrets: map[string]secret{
		"good": labelled("token", goodToken), "other": labelled("token", otherToken), "refused": labelled("token", unknownToken),
	}})
}

func (s *server) harness() backendtest.Harness {
	b, _, err := s.login(s.t.Context(), backendtest.Same)
	if err != nil {
		s.t.Fatal(err)
	}
	set := func(name string, v backend.Value) { s.locked(func() { s.values[name] = v.Reveal() }) }
	return backendtest.Harness{
		Name:    "webhook",
		Backend: b,
		Seed: func(name string, v backend.Secret) backend.Ref {
			set(name, v.Payload)
			return backend.Ref{Path: name}
		},
		Payloads: true,
		Open:     s.login,
		Rotate:   func(r backend.Ref, v backend.Secret) { set(r.Path, v.Payload) },
		Remove:   func(r backend.Ref) { s.locked(func() { delete(s.values, r.Path) }) },
		Fail: func(r backend.Ref, f backendtest.Fault) bool {
			if f.Code != "" && statuses[f.Code] == 0 || r == (backend.Ref{}) && f.Code == backend.PermissionDenied {
				return false
			}
			s.locked(func() { s.faults[r.Path] = f })
			return true
		},
		Hold: func(r backend.Ref) func() {
			held := make(chan struct{})
			s.locked(func() { s.holds[r.Path] = held })
			return sync.OnceFunc(func() { close(held) })
		},
		Calls:    func() (n int) { s.locked(func() { n = s.calls }); return n },
		Requests: func() (n int) { s.locked(func() { n = s.requests }); return n },
		Canary:   "canary-token",
		Skips: map[string]string{
			"read/version":        "HTTP has no versions of a secret",
			"check/refused-login": "no request is harmless to every server but one without credentials",
		},
	}
}

// TestBounds reads answers that are too long, too slow or packed.
func TestBounds(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	slow := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("a"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		path    string
		code    backend.Code
		text    string
	}{
		"Endless": {"a server must not fill the memory", endless, "", backend.Unknown, "gives a longer answer than is read"},
		"Slow":    {"a server must not hold a place for ever", slow, "", backend.Unavailable, "does not answer in time"},
		"Largest": {
			"as much as may be", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, maxAnswer) },
			"", "", "",
		},
		"ManyValues": {
			"small values are large in memory",
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "["+strings.Repeat("1,", maxValues)+"1]")
			},
			"$[0]", backend.Unknown, "gives a longer answer than is read",
		},
		"ManyCommas": {
			"in a text they are none",
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"a":"\"`+strings.Repeat("1,", maxValues)+`"}`)
			},
			"$.a", "", "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := open(t, map[string]any{
				"url": serve(t, c.handler), "timeout": map[bool]string{true: "50ms", false: "30s"}[name == "Slow"],
				"result": map[string]string{"jsonPath": c.path},
			}, cluster{})
			_, err := get(t.Context(), b, backend.Ref{Path: "x"})
			if failed(t, err, c.code, c.text); t.Failed() {
				t.Log(c.reason)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRedirects: what is sent goes to one host.
func TestRedirects(t *testing.T) {
	var leaked sync.Map
	var rounds atomic.Int32
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { leaked.Store(r.Header.Get("X-Token"), true) })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other+"/canary", http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/round":
			rounds.Add(1)
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/there":
			_, _ = io.WriteString(w, r.Header.Get("X-Token")) //nolint:gosec // as above
		default:
			http.Redirect(w, r, other, http.StatusFound)
		}
	})
	b := open(t, map[string]any{
		"url": base + "/{{ .remoteRef.key }}", "headers": map[string]string{"X-Token": "{{ .s.t }}"},
		"secrets": []any{map[string]any{"name": "s", "secretRef": map[string]string{"name": "s", "namespace": "own"}}},
	}, cluster{secrets: map[string]secret{"s": labelled("t", "canary")}})
	_, err := get(t.Context(), b, backend.Ref{Path: "away"})
	failed(t, err, backend.Unavailable, "redirects to another host")
	_, err = get(t.Context(), b, backend.Ref{Path: "round"})
	failed(t, err, backend.Unavailable, "redirects more than 3 times")
	if n := rounds.Load(); n != 4 {
		t.Errorf("%d requests before that", n)
	}
	if got, err := get(t.Context(), b, backend.Ref{Path: "here"}); err != nil || got != "canary" {
		t.Errorf("a redirect within the host is not followed with what is sent: %v", err)
	}
	if err := b.Checker.Check(t.Context()); err != nil {
		t.Errorf("a root that redirects: %v", err)
	}
	leaked.Range(func(any, any) bool { t.Error("another host was asked"); return false })
}

// TestCheck asks for no secret and shows no credentials.
func TestCheck(t *testing.T) {
	for code, want := range map[int]backend.Code{
		200: "", 301: "", 401: "", 403: "", 404: "", 405: "", 500: "", 501: "", 304: "",
		429: backend.RateLimited, 502: backend.Unavailable, 503: backend.Unavailable, 504: backend.Unavailable,
	} {
		asked := make(chan *http.Request, 2)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { asked <- r; w.WriteHeader(code) })
		b := open(t, map[string]any{"url": url + "/x?token=canary", "headers": map[string]string{"Authorization": "canary"}}, cluster{})
		if got := backend.CodeOf(b.Checker.Check(t.Context())); got != want {
			t.Errorf("%d: code %q, want %q", code, got, want)
		}
		if r := <-asked; r.Method != http.MethodHead || r.URL.String() != "/" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s with login %t", r.Method, r.URL, r.Header.Get("Authorization") != "")
		}
	}
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	failed(t, open(t, map[string]any{"url": dead.URL}, cluster{}).Checker.Check(t.Context()), backend.Unavailable, "it refuses the connection")
}
