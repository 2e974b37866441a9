// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/tls"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// tenant reports whether a store is configured by somebody other than the
// operator.
func tenant(s spec.Store) bool { return !s.Shared && s.Env == nil }

// transports carry the requests of all stores that need no certificates of
// their own.
type transports struct{ tenants, operator http.RoundTripper }

func (o Options) transports() transports {
	if o.Transport != nil {
		return transports{o.Transport, o.Transport}
	}
	return transports{o.Network.Transport(true, nil), o.Network.Transport(false, nil)}
}

func (t transports) of(tenant bool) http.RoundTripper {
	if tenant {
		return t.tenants
	}
	return t.operator
}

// clients makes the HTTP clients of one store. All of them spend one quota,
// which is known only when the store is open.
type clients struct {
	feed   *Feed
	tenant bool
	common backend.Metered // with the certificates that everybody trusts
	login  atomic.Pointer[login]

	mu    sync.Mutex
	quota *backend.Quota
	own   []*backend.Metered // with others, and no quota yet
}

func (f *Feed) clients(tenant bool) *clients {
	c := &clients{feed: f, tenant: tenant}
	c.common = backend.Metered{Base: f.transports.of(tenant), Observe: c.observe}
	return c
}

// observe tells of a request. Those of a store that is being opened, of which
// there should be none, are nobody's.
func (c *clients) observe(o backend.Observation) {
	if l := c.login.Load(); l != nil {
		c.feed.seen(l, o)
	}
}

// client makes a client with the certificates of t, which may be nil.
func (c *clients) client(t *tls.Config) *http.Client {
	if t == nil || c.feed.opts.Transport != nil {
		return &http.Client{Transport: &c.common, CheckRedirect: sameHost}
	}
	m := &backend.Metered{Base: c.feed.opts.Network.Transport(c.tenant, t), Observe: c.observe}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quota == nil {
		c.own = append(c.own, m)
	} else {
		m.Use(c.quota)
	}
	return &http.Client{Transport: closer{m}, CheckRedirect: sameHost}
}

// use makes all clients spend q, also those that are made later.
func (c *clients) use(q *backend.Quota) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quota = q
	c.common.Use(q)
	for _, m := range c.own {
		m.Use(q)
	}
	c.own = nil
}

// closer lets a backend close the connections that are its alone.
type closer struct{ *backend.Metered }

// CloseIdleConnections closes those that no request uses.
func (c closer) CloseIdleConnections() {
	if base, ok := c.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}
