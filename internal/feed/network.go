// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Network says where requests to stores may go. Its zero value is the rule that
// holds without configuration.
type Network struct {
	// Permit are addresses that the operator permits to stores of tenants, which
	// they otherwise may not use: loopback addresses. What is never permitted is
	// not permitted by being named here.
	Permit []netip.Prefix

	resolver *net.Resolver                         // of tests; nil is the system's
	proxy    func(*http.Request) (*url.URL, error) // of tests; nil is the environment's
}

// Transport makes a transport that carries requests to stores: TLS 1.2 and
// later, and a bound on each answer. What the process's environment says of
// proxies (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) and of CAs (SSL_CERT_FILE,
// SSL_CERT_DIR, NODE_EXTRA_CA_CERTS) holds; when the file of the last cannot be
// used, every request fails and says so.
//
// A tenant is a store whose address comes from someone who may not be trusted
// with the network of this process. Its requests do not reach loopback addresses
// that the operator did not permit, and never link-local addresses, metadata
// services, multicast, broadcast or unspecified addresses. That is decided for
// the very address that is dialled, after names are resolved, so another answer
// of the DNS or another spelling changes nothing. Private networks and the
// cluster's own are allowed: stores are there. Through a proxy, this process
// dials and resolves nothing but the proxy, so only addresses and the name
// localhost are judged, and where other names lead is the proxy's business.
//
// t may be nil. It is used as it is, but for TLS before 1.2; without RootCAs
// those of the environment hold. One that does not verify certificates makes
// every request fail.
//
// Connections are kept for later requests, so make one and keep it. What is
// returned has CloseIdleConnections.
func (n Network) Transport(tenant bool, t *tls.Config) http.RoundTripper {
	config, err := clientTLS(t)
	if err != nil {
		return refusing{err}
	}
	proxy := n.proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	if !tenant {
		return bounded{transport(config, proxy, n.dialer().DialContext)}
	}
	return bounded{guarded{
		network: n,
		proxy:   proxy,
		direct:  transport(config, nil, n.dial),
		proxied: transport(config, proxy, n.dialer().DialContext),
	}}
}

// clientTLS is t made safe, as a copy.
func clientTLS(t *tls.Config) (*tls.Config, error) {
	if t == nil {
		t = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.InsecureSkipVerify {
		return nil, backend.Errorf(backend.InvalidRef, "the certificate of the store is not to be verified, which Lockstep does not do: give it the CA of the store")
	}
	t = t.Clone()
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	if t.RootCAs == nil {
		roots, err := Roots(os.Getenv(ExtraCA))
		if err != nil {
			return nil, backend.Errorf(backend.Unavailable, "%s", err)
		}
		t.RootCAs = roots
	}
	return t, nil
}

func transport(t *tls.Config, proxy func(*http.Request) (*url.URL, error), dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: letThrough,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        t.Clone(), // the transport changes it
	}
}

func (n Network) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: n.resolver}
}

// dial connects to an address that a tenant gave. Its errors, and those of the
// connection, do not have the addresses that are in them otherwise: they would
// tell what there is in networks that the tenant cannot see.
func (n Network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := n.dialer()
	d.Control = func(_, resolved string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return err
		}
		return n.judge(host, to.Addr())
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, quiet(err)
	}
	return conn{c}, nil
}

// quiet is an error of package net without addresses.
func quiet(err error) error {
	var (
		ours *backend.Error
		op   *net.OpError
		dns  *net.DNSError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return ours
	case !errors.As(err, &op):
		return err
	}
	out := *op
	out.Source, out.Addr = nil, nil
	if errors.As(op.Err, &dns) {
		d := *dns
		d.Server = ""
		if !d.IsNotFound {
			d.Err = "no answer"
		}
		out.Err = &d
	}
	return &out
}

// conn is a connection whose errors have no addresses.
type conn struct{ net.Conn }

// Read reads.
func (c conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, quiet(err)
}

// Write writes.
func (c conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, quiet(err)
}

// guarded carries the requests of tenants. Those that go through a proxy have
// connections of their own: to the proxy, wherever the operator has it.
type guarded struct {
	network Network
	proxy   func(*http.Request) (*url.URL, error)
	direct  *http.Transport
	proxied *http.Transport
}

// RoundTrip makes the request.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	proxy, err := g.proxy(r)
	if err != nil {
		return refusing{backend.Errorf(backend.Unavailable, "what the environment says of proxies cannot be used for %s", r.URL.Host)}.RoundTrip(r)
	}
	if proxy == nil {
		return g.direct.RoundTrip(r)
	}
	// A proxy is asked for the one or, where it is there, the other.
	for _, host := range []string{r.URL.Hostname(), (&url.URL{Host: r.Host}).Hostname()} {
		if err := g.network.judgeName(host); err != nil {
			return refusing{err}.RoundTrip(r)
		}
	}
	return g.proxied.RoundTrip(r)
}

// CloseIdleConnections closes the connections that no request uses.
func (g guarded) CloseIdleConnections() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// judgeName says whether a tenant may send a proxy to a host, as far as its name
// tells. Spellings that programs disagree about (2130706433, 0177.1, fullwidth
// digits) are refused whatever they mean.
func (n Network) judgeName(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(name); err == nil {
		return n.judge(host, addr)
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case name == "": // no Host header
		return nil
	case last == "localhost":
		return n.judge(host, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	case numeric(last) || strings.ContainsFunc(name, func(c rune) bool { return c > '~' }):
		return backend.Errorf(backend.InvalidRef, "%q is neither a name nor an address in its usual form: write four decimal numbers, IPv6 in brackets, or an international name as xn--", host)
	}
	return nil
}

// numeric reports whether the last part of a host makes it an address, as the
// URL Standard has it (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func numeric(last string) bool {
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// judge says whether a tenant may have a connection to an address, where host is
// what it asked for.
func (n Network) judge(host string, to netip.Addr) error {
	to = plain(to)
	for _, rule := range never {
		if rule.addresses.Contains(to) {
			return backend.Errorf(backend.InvalidRef, "%s leads to %s, where Lockstep never connects to for a namespace, whatever --permit-addresses says: use the address of the store itself", host, rule.what)
		}
	}
	if !to.IsLoopback() {
		return nil
	}
	for _, permitted := range n.Permit {
		if permitted.Contains(to) {
			return nil
		}
	}
	return backend.Errorf(backend.InvalidRef, "%s leads to a loopback address, which is inside Lockstep's own pod: use another address, or have the operator permit it with --permit-addresses", host)
}

// plain is the address that an address with another one inside stands for.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// nat64 is where gateways in networks with IPv6 only have all of IPv4 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// never are the addresses that no tenant's request goes to.
var never = []struct {
	what      string
	addresses netip.Prefix
}{
	// A metadata service hands the credentials of the machine to whoever asks.
	{"a metadata service", netip.MustParsePrefix("169.254.169.254/32")},     // all clouds
	{"a metadata service", netip.MustParsePrefix("100.100.100.200/32")},     // Alibaba Cloud
	{"a metadata service", netip.MustParsePrefix("168.63.129.16/32")},       // Azure's wire server
	{"a metadata service", netip.MustParsePrefix("192.0.0.192/32")},         // Oracle Cloud
	{"a metadata service", netip.MustParsePrefix("fd00:ec2::/32")},          // AWS: with ::254 metadata, with ::23 EKS Pod Identity
	{"a metadata service", netip.MustParsePrefix("fd20:ce::254/128")},       // Google Cloud
	{"a metadata service", netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128")}, // Oracle Cloud
	{"a metadata service", netip.MustParsePrefix("fd00:42::42/128")},        // Scaleway
	{"a metadata service", netip.MustParsePrefix("fd00:a9fe:a9fe::1/128")},  // Akamai
	{"a metadata service", netip.MustParsePrefix("fd00:100::100:200/128")},  // Alibaba Cloud
	{"a link-local address", netip.MustParsePrefix("169.254.0.0/16")},
	{"a link-local address", netip.MustParsePrefix("fe80::/10")},
	{"an unspecified address", netip.MustParsePrefix("0.0.0.0/8")}, // Linux takes 0.0.0.0 for loopback
	{"an unspecified address", netip.MustParsePrefix("::/128")},    // and this one
	{"a multicast address", netip.MustParsePrefix("224.0.0.0/4")},
	{"a multicast address", netip.MustParsePrefix("ff00::/8")},
	{"a broadcast address", netip.MustParsePrefix("255.255.255.255/32")},
}
