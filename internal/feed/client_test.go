// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func TestTenant(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		store  spec.Store
		want   bool
	}{
		"tenant":      {"somebody wrote it in a namespace", spec.Store{Raw: []byte("{}")}, true},
		"shared":      {"the operator's, for all", spec.Store{Shared: true}, false},
		"environment": {"the operator's own", spec.Store{Env: backend.NewEnv(map[string]string{"A": "b"})}, false},
		"empty":       {"an environment without variables is one too", spec.Store{Env: backend.Env{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tenant(c.store); got != c.want {
				t.Errorf("%s: %t", c.reason, got)
			}
		})
	}
}

// What logs in the same way is not the same login where one of the two may go
// where the other may not.
func TestTenantsAndTheOperatorAreApart(t *testing.T) {
	in(t, memory.Options{}, Options{}, func(t *testing.T, w *world) {
		w.set("v", "p")
		shared := tenants("1", "")
		shared.Shared = true
		for name, store := range map[string]spec.Store{"tenant": tenants("1", ""), "shared": shared, "environment": operators("")} {
			s := only(name, hour, other(name), "", "p")
			s.Stores[other(name)] = store
			w.sync(s)
		}
		w.wantReads("p", 2, "one for the tenant, one for the operator's two")
		if n := w.memory.Sessions(); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
		if n := len(w.feed.accounts); n != 1 {
			t.Errorf("%d accounts: what the product allows, it allows to all of us together", n)
		}
	})
}

// opened is what a store was opened with.
type opened struct {
	cfg    backend.Config
	client *http.Client
}

// openedAs opens a store and returns what the driver got.
func openedAs(t *testing.T, o Options, s spec.Store) opened {
	t.Helper()
	var out opened
	o.Drivers = spec.Drivers{"memory": {Open: func(_ context.Context, cfg backend.Config, _ backend.Credentials, c *http.Client) (backend.Backend, backend.Identity, error) {
		out = opened{cfg, c}
		return backend.Backend{}, backend.Identity{Login: "l", Quota: "q"}, nil
	}}}
	New(o).Follow(t.Context(), sub("a", hour, "p").through(s), credentials)
	return out
}

// outcomeOf asks with a client, and returns what came of it.
func outcomeOf(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestWhereStoresMayConnectTo(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(plain.Config.Handler)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	permit := Options{Network: Network{Permit: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	for name, c := range map[string]struct {
		reason  string
		options Options
		store   spec.Store
		works   bool
	}{
		"tenant":    {"loopback is ours", Options{}, tenants("1", ""), false},
		"permitted": {"the operator says so", permit, tenants("1", ""), true},
		"operator":  {"who may do what the process may", Options{}, operators(""), true},
	} {
		t.Run(name, func(t *testing.T) {
			o := openedAs(t, c.options, c.store)
			for url, client := range map[string]*http.Client{
				plain.URL:        o.client,
				plain.URL + "/x": o.cfg.Client(nil),
				secure.URL:       o.cfg.Client(trust),
			} {
				body, err := outcomeOf(t, client, url)
				if (err == nil) != c.works || c.works && body != "hello" {
					t.Errorf("%s: %s: %q, %v", c.reason, url, body, err)
				}
				client.CloseIdleConnections()
			}
			if _, err := outcomeOf(t, o.client, secure.URL); err == nil {
				t.Error("the certificates of one client are those of all")
			}
		})
	}
}

// All clients of a store spend one quota, also those that are made later, and
// none of them follows a redirect to another host.
func TestAllClientsSpendTheQuota(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "http://localhost.example/", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	var early *http.Client
	var late func(*tls.Config) *http.Client
	own := &tls.Config{MinVersion: tls.VersionTLS12}
	f := New(Options{Drivers: spec.Drivers{"memory": {Open: func(_ context.Context, cfg backend.Config, _ backend.Credentials, _ *http.Client) (backend.Backend, backend.Identity, error) {
		early, late = cfg.Client(own), cfg.Client
		return backend.Backend{}, backend.Identity{Login: "l", Quota: "q"}, nil
	}}}})
	f.Follow(t.Context(), sub("a", hour, "p"), credentials)
	all := map[string]*http.Client{"early": early, "late": late(own), "common": late(nil)}
	for name, c := range all {
		if _, err := outcomeOf(t, c, s.URL); !errors.Is(err, errRedirect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := asked
	f.accounts["memory\x00q"].quota.Silence(time.Hour)
	for name, c := range all {
		if _, err := outcomeOf(t, c, s.URL); backend.CodeOf(err) != backend.RateLimited {
			t.Errorf("%s: %v, want it to be silent", name, err)
		}
	}
	if asked != before {
		t.Errorf("%d requests of a quota that is silent", asked-before)
	}
}

// tripper notes that it was used.
type tripper struct{ used int }

func (c *tripper) RoundTrip(*http.Request) (*http.Response, error) {
	c.used++
	return nil, errDown
}

func TestGivenTransportCarriesAll(t *testing.T) {
	for name, store := range map[string]spec.Store{"tenant": tenants("1", ""), "operator": operators("")} {
		t.Run(name, func(t *testing.T) {
			given := &tripper{}
			o := openedAs(t, Options{Transport: given}, store)
			for _, c := range []*http.Client{o.client, o.cfg.Client(nil), o.cfg.Client(&tls.Config{MinVersion: tls.VersionTLS12})} {
				_, _ = outcomeOf(t, c, "http://store.example")
			}
			if given.used != 3 {
				t.Errorf("%d of 3 requests", given.used)
			}
		})
	}
}

// A backend that makes clients of its own closes them, and so their idle
// connections.
func TestCloser(t *testing.T) {
	closed := 0
	c := http.Client{Transport: closer{&backend.Metered{Base: closing{closes: &closed}}}}
	c.CloseIdleConnections()
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
	c = http.Client{Transport: closer{&backend.Metered{Base: &tripper{}}}}
	c.CloseIdleConnections() // one that has none to close
}

type closing struct {
	tripper
	closes *int
}

func (c closing) RoundTrip(r *http.Request) (*http.Response, error) { return c.tripper.RoundTrip(r) }

func (c closing) CloseIdleConnections() { *c.closes++ }
