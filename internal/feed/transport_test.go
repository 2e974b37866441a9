// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// client returns what a backend is given to make its requests with.
func client(t *testing.T) *http.Client {
	t.Helper()
	var given *http.Client
	open := func(_ context.Context, _ backend.Config, _ backend.Credentials, c *http.Client) (backend.Backend, backend.Identity, error) {
		given = c
		return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "seen enough")
	}
	f := New(Options{Drivers: spec.Drivers{"memory": {Open: open}}})
	f.Follow(t.Context(), sub("a", hour, "p"), credentials)
	return given
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// get asks with a credential, as backends do.
func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	req.Header.Set("X-Vault-Token", "token")
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestRedirectToAnotherHost(t *testing.T) {
	asked := 0
	elsewhere := server(t, func(http.ResponseWriter, *http.Request) { asked++ })
	for name, target := range map[string]string{
		"another port":   elsewhere.URL,
		"another name":   strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1),
		"another scheme": "https" + strings.TrimPrefix(elsewhere.URL, "http"),
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, target, http.StatusTemporaryRedirect)
			})
			if _, err := get(t, client(t), s.URL); !errors.Is(err, errRedirect) {
				t.Errorf("got %v", err)
			}
			if asked != 0 {
				t.Error("the other host was asked")
			}
		})
	}
}

// The scheme alone is enough to refuse: behind it may be no encryption.
func TestRedirectToAnotherScheme(t *testing.T) {
	from := httptest.NewRequest(http.MethodGet, "https://store.example/a", nil)
	to := httptest.NewRequest(http.MethodGet, "http://store.example/a", nil)
	if err := sameHost(to, []*http.Request{from}); !errors.Is(err, errRedirect) {
		t.Errorf("got %v", err)
	}
}

func TestRedirectWithinTheHost(t *testing.T) {
	hops := 0
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if n > 0 {
			hops++
			http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "welcome")
	})
	if body, err := get(t, client(t), s.URL+"/2"); err != nil || body != "welcome" || hops != 2 {
		t.Errorf("%q after %d redirects, %v", body, hops, err)
	}
	if _, err := get(t, client(t), s.URL+"/50"); err == nil || hops > 10 {
		t.Errorf("%d redirects, %v: want an end", hops, err)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		size   int
		want   error
	}{
		"at the bound":   {"it is allowed", maxBody, nil},
		"over the bound": {"it would fill our memory", maxBody + 1, errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(bytes.Repeat([]byte("x"), c.size))
			})
			body, err := get(t, client(t), s.URL)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.reason, err, c.want)
			}
			if len(body) > maxBody {
				t.Errorf("%d bytes were read", len(body))
			}
		})
	}
}

// TestAnswerIsBoundedWhenOpened: what counts is what is read, not what was sent.
func TestAnswerIsBoundedWhenOpened(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		size   int
		want   error
	}{
		"at the bound":   {"it is allowed", maxBody, nil},
		"over the bound": {"a small answer would fill our memory", 4 * maxBody, errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var bomb bytes.Buffer
			w := gzip.NewWriter(&bomb)
			_, _ = w.Write(make([]byte, c.size))
			_ = w.Close()
			if bomb.Len() > maxBody/100 {
				t.Fatalf("%d bytes are sent: no bomb", bomb.Len())
			}
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "gzip" {
					t.Error("the client does not open it")
				}
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(bomb.Bytes())
			})
			body, err := get(t, client(t), s.URL)
			if !errors.Is(err, c.want) || len(body) > maxBody || c.want == nil && len(body) != c.size {
				t.Errorf("%s: %d bytes, %v", c.reason, len(body), err)
			}
		})
	}
}

// TestEndlessAnswer: the server notices that nobody reads on.
func TestEndlessAnswer(t *testing.T) {
	ended := make(chan struct{})
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	if body, err := get(t, client(t), s.URL); !errors.Is(err, errTooLarge) || len(body) > maxBody {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
}

// TestSlowAnswer: reading ends with the context, however little has come.
func TestSlowAnswer(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHeaderIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		size   int
		ok     bool
	}{
		"below": {"larger than any that we know", maxHeader / 2, true},
		"above": {"it would fill our memory", maxHeader + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, func(w http.ResponseWriter, _ *http.Request) {
				for range c.size / 1024 {
					w.Header().Add("X", strings.Repeat("x", 1024))
				}
			})
			if _, err := get(t, client(t), s.URL); (err == nil) != c.ok {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}

func TestFailedRequest(t *testing.T) {
	s := server(t, func(http.ResponseWriter, *http.Request) {})
	s.Close()
	if _, err := get(t, client(t), s.URL); err == nil {
		t.Error("an answer from nobody")
	}
}

func TestTransportRefusesOldTLS(t *testing.T) {
	b, ok := Transport().(bounded)
	if !ok {
		t.Fatal("answers are not bounded")
	}
	base, ok := b.base.(*http.Transport)
	if !ok || base.TLSClientConfig.MinVersion < tls.VersionTLS12 {
		t.Error("TLS before 1.2 is allowed")
	}
	if base.TLSClientConfig.InsecureSkipVerify {
		t.Error("certificates are not checked")
	}
}
