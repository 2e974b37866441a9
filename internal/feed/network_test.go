// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// zone is a DNS server for a Network.
type zone struct {
	conn net.PacketConn

	mu        sync.Mutex
	addresses map[string][]netip.Addr
}

func newZone(t *testing.T) *zone {
	t.Helper()
	c, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	z := &zone{conn: c, addresses: map[string][]netip.Addr{}}
	go z.serve()
	return z
}

func (z *zone) set(name string, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.addresses[name] = nil
	for _, a := range addresses {
		z.addresses[name] = append(z.addresses[name], netip.MustParseAddr(a))
	}
}

func (z *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", z.conn.LocalAddr().String())
	}}
}

func (z *zone) serve() {
	query := make([]byte, 1500)
	for {
		size, from, err := z.conn.ReadFrom(query)
		if err != nil {
			return
		}
		_, _ = z.conn.WriteTo(z.answer(query[:size]), from)
	}
}

// answer answers one question of RFC 1035 for addresses.
func (z *zone) answer(query []byte) []byte {
	const header, typeA, typeAAAA, nxDomain = 12, 1, 28, 3
	var labels []string
	i := header
	for query[i] != 0 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	kind := binary.BigEndian.Uint16(query[i+1:])
	z.mu.Lock()
	found, known := z.addresses[strings.Join(labels, ".")]
	z.mu.Unlock()
	var records []byte
	count := byte(0)
	for _, a := range found {
		if a.Is4() != (kind == typeA) || a.Is6() != (kind == typeAAAA) {
			continue
		}
		count++
		raw := a.AsSlice()
		records = append(records, 0xc0, header, 0, query[i+2], 0, 1, 0, 0, 0, 0, 0, byte(len(raw))) //nolint:gosec // 4 or 16
		records = append(records, raw...)
	}
	code := byte(0)
	if !known {
		code = nxDomain
	}
	out := append([]byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0}, query[header:i+5]...)
	return append(out, records...)
}

// trap is a server that counts who reached it.
type trap struct {
	*httptest.Server
	reached atomic.Int32
}

func newTrap(t *testing.T, address string) *trap {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &trap{}
	s.Server = &httptest.Server{Listener: l, Config: &http.Server{ //nolint:gosec // no slow clients here
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") }),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.reached.Add(1)
			}
		},
	}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// at is the URL of a server under another host.
func (s *trap) at(host string) string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "http://" + host + ":" + port
}

func (n Network) client(tenant bool, t *tls.Config) *http.Client {
	return &http.Client{Transport: n.Transport(tenant, t), CheckRedirect: sameHost}
}

func prefixes(s string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range strings.Fields(s) {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestJudge(t *testing.T) {
	const everything = "0.0.0.0/0 ::/0"
	for name, c := range map[string]struct {
		reason  string
		permit  string
		address string
		want    string // what the message names; "" is allowed
	}{
		"public":              {"where products are", "", "93.184.216.34", ""},
		"public IPv6":         {"where products are", "", "2606:2800:220:1::1", ""},
		"private 10":          {"where Vault is", "", "10.1.2.3", ""},
		"private 172":         {"where services are", "", "172.20.0.1", ""},
		"private 192":         {"where Vault is", "", "192.168.1.1", ""},
		"unique local":        {"where Vault is", "", "fd12:3456::1", ""},
		"shared":              {"nodes of some clouds have these", "", "100.64.0.1", ""},
		"loopback":            {"inside our own pod", "", "127.0.0.1", "a loopback address"},
		"all loopback":        {"all of 127", "", "127.255.255.254", "a loopback address"},
		"loopback IPv6":       {"inside our own pod", "", "::1", "a loopback address"},
		"loopback mapped":     {"another spelling", "", "::ffff:127.0.0.1", "a loopback address"},
		"loopback NAT64":      {"another spelling", "", "64:ff9b::7f00:1", "a loopback address"},
		"permitted":           {"the operator says so", "127.0.0.0/8", "127.0.0.1", ""},
		"permitted mapped":    {"another spelling of it", "127.0.0.0/8", "::ffff:127.0.0.1", ""},
		"permitted IPv6":      {"the operator says so", "10.0.0.0/8 ::1/128", "::1", ""},
		"permitted other":     {"the other one was permitted", "::1/128", "127.0.0.1", "a loopback address"},
		"metadata":            {"credentials of the node", everything, "169.254.169.254", "a metadata service"},
		"metadata mapped":     {"another spelling", everything, "::ffff:169.254.169.254", "a metadata service"},
		"metadata NAT64":      {"another spelling", everything, "64:ff9b::a9fe:a9fe", "a metadata service"},
		"metadata AWS":        {"over IPv6", everything, "fd00:ec2::254", "a metadata service"},
		"pod identity":        {"over IPv6", everything, "fd00:ec2::23", "a metadata service"},
		"pod identity IPv4":   {"hands out credentials of pods", everything, "169.254.170.23", "a link-local address"},
		"metadata Alibaba":    {"not link-local", everything, "100.100.100.200", "a metadata service"},
		"metadata Alibaba 6":  {"over IPv6", everything, "fd00:100::100:200", "a metadata service"},
		"metadata Oracle":     {"not link-local", everything, "192.0.0.192", "a metadata service"},
		"metadata Oracle 6":   {"over IPv6", everything, "fd00:c1::a9fe:a9fe", "a metadata service"},
		"metadata Azure":      {"the wire server, a public address", everything, "168.63.129.16", "a metadata service"},
		"metadata Google":     {"over IPv6", everything, "fd20:ce::254", "a metadata service"},
		"metadata Scaleway":   {"over IPv6", everything, "fd00:42::42", "a metadata service"},
		"metadata Akamai":     {"over IPv6", everything, "fd00:a9fe:a9fe::1", "a metadata service"},
		"link-local":          {"the node and its neighbours", everything, "169.254.0.1", "a link-local address"},
		"link-local IPv6":     {"the node and its neighbours", everything, "fe80::1", "a link-local address"},
		"link-local zone":     {"on one interface", everything, "fe80::1%eth0", "a link-local address"},
		"unspecified":         {"Linux takes it for loopback", everything, "0.0.0.0", "an unspecified address"},
		"this network":        {"as above", everything, "0.1.2.3", "an unspecified address"},
		"unspecified IPv6":    {"as above", everything, "::", "an unspecified address"},
		"unspecified mapped":  {"as above", everything, "::ffff:0.0.0.0", "an unspecified address"},
		"multicast":           {"no store is there", everything, "224.0.0.251", "a multicast address"},
		"multicast IPv6":      {"no store is there", everything, "ff02::1", "a multicast address"},
		"broadcast":           {"no store is there", everything, "255.255.255.255", "a broadcast address"},
		"permitted, in never": {"named or not", "169.254.169.254/32", "169.254.169.254", "a metadata service"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Network{Permit: prefixes(c.permit)}.judge("store.test", netip.MustParseAddr(c.address))
			if (err == nil) != (c.want == "") {
				t.Fatalf("%s: got %v", c.reason, err)
			}
			if err == nil {
				return
			}
			if backend.CodeOf(err) != backend.InvalidRef || !strings.HasPrefix(err.Error(), "store.test leads to "+c.want+",") || !strings.Contains(err.Error(), "--permit-addresses") {
				t.Errorf("%s: got %s: %v", c.reason, backend.CodeOf(err), err)
			}
		})
	}
}

const (
	isLoopback = "%s leads to a loopback address, which is inside Lockstep's own pod: use another address, or have the operator permit it with --permit-addresses"
	isMetadata = "%s leads to a metadata service, where Lockstep never connects to for a namespace, whatever --permit-addresses says: use the address of the store itself"
	isOdd      = "%q is neither a name nor an address in its usual form: write four decimal numbers, IPv6 in brackets, or an international name as xn--"
)

// TestTenantDials dials for real. What is not allowed is not even connected to.
func TestTenantDials(t *testing.T) {
	dns := newZone(t)
	dns.set("four.test", "127.0.0.1")
	dns.set("six.test", "::1")
	dns.set("both.test", "127.0.0.1", "::1")
	dns.set("mapped.test", "::ffff:127.0.0.1")
	dns.set("metadata.test", "169.254.169.254")
	dns.set("mixed.test", "127.0.0.2", "127.0.0.1")
	dns.set("localhost", "127.0.0.1")
	dns.set("0x7f000001", "127.0.0.1") // as libraries in C understand it
	v4, v6 := newTrap(t, "127.0.0.1:0"), newTrap(t, "[::1]:0")
	for name, c := range map[string]struct {
		reason string
		to     *trap
		host   string
		permit string
		want   string // an error of ours; "" reaches the server
	}{
		"address":           {"a loopback address", v4, "127.0.0.1", "", isLoopback},
		"address IPv6":      {"a loopback address", v6, "[::1]", "", isLoopback},
		"mapped address":    {"another spelling", v4, "[::ffff:127.0.0.1]", "", isLoopback},
		"mapped in hex":     {"another spelling", v4, "[0:0:0:0:0:ffff:7f00:1]", "", isLoopback},
		"fullwidth":         {"another spelling, which net/http understands", v4, "１２７.0.0.1", "", strings.Replace(isLoopback, "%s", "127.0.0.1", 1)},
		"hex":               {"another spelling, which some resolvers understand", v4, "0x7f000001", "", isLoopback},
		"unspecified":       {"Linux takes it for loopback", v4, "0.0.0.0", "", "%s leads to an unspecified address, where"},
		"localhost":         {"the name of it", v4, "localhost", "", isLoopback},
		"name":              {"anybody's name can lead there", v4, "four.test", "", isLoopback},
		"name IPv6":         {"over IPv6 too", v6, "six.test", "", isLoopback},
		"name with both":    {"with either", v4, "both.test", "", isLoopback},
		"name mapped":       {"another spelling in the answer", v4, "mapped.test", "", isLoopback},
		"name metadata":     {"never", v4, "metadata.test", "0.0.0.0/0 ::/0", isMetadata},
		"permitted":         {"the operator says so", v4, "127.0.0.1", "127.0.0.0/8", ""},
		"permitted IPv6":    {"the operator says so", v6, "[::1]", "::1/128", ""},
		"permitted name":    {"addresses count, not names", v4, "four.test", "127.0.0.1/32", ""},
		"permitted other":   {"addresses count, not names", v6, "six.test", "127.0.0.1/32", isLoopback},
		"permitted, partly": {"the one that is permitted is used", v4, "mixed.test", "127.0.0.1/32", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.to.reached.Load()
			n := Network{Permit: prefixes(c.permit), resolver: dns.resolver(), proxy: noProxy}
			body, err := get(t, n.client(true, nil), c.to.at(c.host))
			if c.want == "" {
				if body != "reached" {
					t.Errorf("%s: got %q, %v", c.reason, body, err)
				}
				return
			}
			refused(t, err, strings.Replace(c.want, "%s", strings.Trim(c.host, "[]"), 1))
			if c.to.reached.Load() != before {
				t.Errorf("%s: the server was reached", c.reason)
			}
		})
	}
}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil } //nolint:nilnil // as http.Transport has it

// refused checks for an error of ours in what the client of a backend returns.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var (
		ours  *backend.Error
		outer *url.Error
	)
	if !errors.As(err, &outer) || !errors.As(outer, &ours) || ours.Code != backend.InvalidRef || !strings.HasPrefix(ours.Message, want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if outer != nil && ours != nil && outer.Err.Error() != ours.Message {
		t.Errorf("around it is more: %v", err)
	}
}

func TestOperatorDials(t *testing.T) {
	s := newTrap(t, "127.0.0.1:0")
	if body, err := get(t, Network{proxy: noProxy}.client(false, nil), s.URL); body != "reached" {
		t.Errorf("got %q, %v: an operator's store may be anywhere", body, err)
	}
}

// TestRebinding: a name that leads elsewhere the second time is judged again.
func TestRebinding(t *testing.T) {
	dns, s := newZone(t), newTrap(t, "127.0.0.1:0")
	c := Network{Permit: prefixes("127.0.0.1/32"), resolver: dns.resolver(), proxy: noProxy}.client(true, nil)
	dns.set("store.test", "127.0.0.1")
	if body, err := get(t, c, s.at("store.test")); body != "reached" {
		t.Fatalf("got %q, %v", body, err)
	}
	c.CloseIdleConnections()
	for _, a := range []string{"127.0.0.2", "::1"} {
		dns.set("store.test", a)
		_, err := get(t, c, s.at("store.test"))
		refused(t, err, strings.Replace(isLoopback, "%s", "store.test", 1))
	}
	dns.set("store.test", "169.254.169.254")
	_, err := get(t, c, s.at("store.test"))
	refused(t, err, strings.Replace(isMetadata, "%s", "store.test", 1))
}

// TestTenantThroughProxy: the proxy may be on loopback, for the operator has put
// it there. Addresses are judged before it is asked, names are its business.
func TestTenantThroughProxy(t *testing.T) {
	loopback, metadata := strings.Replace(isLoopback, "%s", "HOST", 1), strings.Replace(isMetadata, "%s", "HOST", 1)
	odd := strings.Replace(isOdd, "%q", `"HOST"`, 1)
	for name, c := range map[string]struct {
		reason string
		host   string
		permit string
		want   string
	}{
		"name":             {"is the proxy's business", "store.test", "", ""},
		"private":          {"is allowed", "10.1.2.3", "", ""},
		"IPv6":             {"is allowed", "[fd12:3456::1]", "", ""},
		"number in a name": {"is a name", "127.0.0.1.store.test", "", ""},
		"digits at first":  {"is a name", "1.2.3.4x", "", ""},
		"international":    {"in the usual form", "xn--bcher-kva.test", "", ""},
		"loopback":         {"the proxy's pod may be ours", "127.0.0.1", "", loopback},
		"loopback IPv6":    {"as above", "[::1]", "", loopback},
		"mapped":           {"another spelling", "[::ffff:127.0.0.1]", "", loopback},
		"dot":              {"another spelling", "127.0.0.1.", "", loopback},
		"localhost":        {"the name of it", "localhost", "", loopback},
		"LOCALHOST.":       {"another spelling", "LOCALHOST.", "", loopback},
		"below localhost":  {"leads there too", "a.localhost", "", loopback},
		"permitted":        {"the operator says so", "127.0.0.1", "127.0.0.0/8", ""},
		"localhost, too":   {"is the same", "localhost", "127.0.0.0/8", ""},
		"metadata":         {"never", "169.254.169.254", "0.0.0.0/0", metadata},
		"metadata mapped":  {"another spelling", "[::ffff:a9fe:a9fe]", "::/0", metadata},
		"metadata AWS":     {"never", "[fd00:ec2::254]", "::/0", metadata},
		"decimal":          {"the proxy may understand it", "2852039166", "", odd},
		"octal":            {"as above", "0251.0376.0251.0376", "", odd},
		"zeros":            {"octal to some and decimal to others", "0169.0254.0169.0254", "", odd},
		"hex":              {"as above", "0xa9fea9fe", "", odd},
		"hex at the end":   {"as above", "169.254.0XA9FE", "", odd},
		"short":            {"as above", "127.1", "", odd},
		"fullwidth":        {"net/http would make digits of it", "１６９.254.169.254", "", odd},
		"fullwidth name":   {"net/http would make localhost of it", "ｌocalhost", "", odd},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, "", 0)
			n := Network{Permit: prefixes(c.permit), proxy: func(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }}
			host := strings.Trim(c.host, "[]")
			want := strings.Replace(c.want, "HOST", host, 1)
			for _, scheme := range []string{"http", "https"} {
				_, err := get(t, n.client(true, nil), scheme+"://"+c.host)
				if c.want != "" {
					refused(t, err, want)
				}
			}
			if got := len(p.requests()); (got == 0) != (c.want != "") {
				t.Errorf("%s: the proxy saw %d requests", c.reason, got)
			}
		})
	}
}

// TestProxyIsToldTheHost: for http, a proxy goes by the Host header.
func TestProxyIsToldTheHost(t *testing.T) {
	p := newProxy(t, "", 0)
	n := Network{proxy: func(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }}
	for host, want := range map[string]string{"127.0.0.1:80": "127.0.0.1", "[::1]": "::1", "localhost:1": "localhost"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://store.test", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := n.client(true, nil).Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		refused(t, err, strings.Replace(isLoopback, "%s", want, 1))
	}
	if got := p.requests(); len(got) > 0 {
		t.Errorf("the proxy saw %q", got)
	}
}

func TestUnusableProxy(t *testing.T) {
	n := Network{proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("parse " + "http://user:canary@proxy") }}
	_, err := get(t, n.client(true, nil), "https://store.test")
	if backend.CodeOf(err) != backend.Unavailable || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

// TestErrorsWithoutAddresses: what a name of a tenant leads to is not told.
func TestErrorsWithoutAddresses(t *testing.T) {
	dns := newZone(t)
	dns.set("store.test", "127.0.0.1")
	c := Network{Permit: prefixes("127.0.0.0/8"), resolver: dns.resolver(), proxy: noProxy}.client(true, nil)
	gone := newTrap(t, "127.0.0.1:0")
	gone.Close()
	reset := func(w http.ResponseWriter) {
		raw, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = raw.Close()
	}
	atOnce := &trap{Server: server(t, func(w http.ResponseWriter, _ *http.Request) { reset(w) })}
	within := &trap{Server: server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_ = http.NewResponseController(w).Flush()
		reset(w)
	})}
	for name, e := range map[string]struct {
		reason string
		url    string
		is     error
		want   string
	}{
		"closed port":  {"dialling", gone.at("store.test"), syscall.ECONNREFUSED, "dial tcp: connect: connection refused"},
		"closed":       {"waiting", atOnce.at("store.test"), syscall.ECONNRESET, "read tcp: read: connection reset by peer"},
		"closed later": {"reading", within.at("store.test"), syscall.ECONNRESET, "read tcp: read: connection reset by peer"},
		"no name":      {"resolving", "http://none.test", nil, "dial tcp: lookup none.test: no such host"},
		"decimal":      {"no name either", gone.at("2130706433"), nil, "dial tcp: lookup 2130706433: no such host"},
		"octal":        {"no name either", gone.at("0177.0.0.1"), nil, "dial tcp: lookup 0177.0.0.1: no such host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, c, e.url)
			if err == nil || e.is != nil && !errors.Is(err, e.is) || !strings.HasSuffix(err.Error(), e.want) {
				t.Fatalf("%s: got %v", e.reason, err)
			}
			if strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%s: the address is in %q", e.reason, err)
			}
			if dns := (*net.DNSError)(nil); errors.As(err, &dns) != (e.is == nil) {
				t.Errorf("%s: not what backends look for: %#v", e.reason, err)
			}
		})
	}
	dns.set("store.test")
	_ = dns.conn.Close()
	if _, err := get(t, c, gone.at("store.test")); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("without a DNS server: %v", err)
	}
}

// pool holds the CA of a server.
func (s secure) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func TestTLSConfig(t *testing.T) {
	a, b := newSecure(t, "a"), newSecure(t, "b")
	asking := &trap{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].DNSNames[0]) //nolint:gosec // no browser asks
	}))}
	asking.TLS = a.TLS.Clone()
	asking.TLS.ClientAuth = tls.RequireAnyClientCert
	asking.TLS.MaxVersion = tls.VersionTLS12 // later ones refuse after the handshake
	asking.Config.ErrorLog = log.New(io.Discard, "", 0)
	asking.StartTLS()
	t.Cleanup(asking.Close)
	untrusted := "tls: failed to verify certificate: x509: certificate signed by unknown authority"
	for name, c := range map[string]struct {
		reason string
		url    string
		extra  string // NODE_EXTRA_CA_CERTS
		config *tls.Config
		want   string // or the end of the error
	}{
		"none":              {"the name is that of the URL", a.URL, "", nil, "because it doesn't contain any IP SANs"},
		"no roots":          {"the CA is not the system's", a.URL, "", &tls.Config{ServerName: "store.test"}, untrusted},
		"roots":             {"and the name", a.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test"}, "a"},
		"other roots":       {"of another server", b.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test"}, untrusted},
		"other name":        {"another server's", a.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "other.test"}, "x509: certificate is valid for store.test, not other.test"},
		"roots only":        {"those given are all", b.URL, b.ca, &tls.Config{RootCAs: a.pool(t), ServerName: "store.test"}, untrusted},
		"extra":             {"without roots those of the environment hold", b.URL, b.ca, &tls.Config{ServerName: "store.test"}, "b"},
		"certificate":       {"who we are", asking.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test", Certificates: b.TLS.Certificates}, "store.test"},
		"no certificate":    {"is asked for", asking.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test"}, "remote error: tls: handshake failure"},
		"old":               {"never", a.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "tls: no supported versions satisfy MinVersion and MaxVersion"}, //nolint:gosec // that it is refused
		"not verified":      {"never", a.URL, "", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test", InsecureSkipVerify: true}, "which Lockstep does not do: give it the CA of the store"},                                        //nolint:gosec // that it is refused
		"not there":         {"never silently without", a.URL, "none.pem", &tls.Config{}, "NODE_EXTRA_CA_CERTS: open none.pem: no such file or directory"},
		"not there, unused": {"roots were given", a.URL, "none.pem", &tls.Config{RootCAs: a.pool(t), ServerName: "store.test"}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(ExtraCA, c.extra)
			n := Network{Permit: prefixes("127.0.0.0/8"), proxy: noProxy}
			before := c.config.Clone()
			for _, tenant := range []bool{true, false} {
				got, err := get(t, n.client(tenant, c.config), c.url)
				if err != nil {
					got = err.Error()
				}
				if !strings.HasSuffix(got, c.want) {
					t.Errorf("%s: got %q, want %q (tenant: %t)", c.reason, got, c.want, tenant)
				}
			}
			if c.config != nil && (c.config.MinVersion != before.MinVersion || c.config.RootCAs != before.RootCAs) {
				t.Error("the configuration of the caller was changed")
			}
		})
	}
}

// TestNotVerifiedIsInvalid: that does not get better by waiting.
func TestNotVerifiedIsInvalid(t *testing.T) {
	_, err := get(t, Network{}.client(true, &tls.Config{InsecureSkipVerify: true}), "https://store.test") //nolint:gosec // that it is refused
	if backend.CodeOf(err) != backend.InvalidRef {
		t.Errorf("got %v", err)
	}
}

// TestCloseIdleConnections: a store that is closed leaves no connections.
func TestCloseIdleConnections(t *testing.T) {
	closed := make(chan struct{}, 8)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	n := Network{Permit: prefixes("127.0.0.0/8"), proxy: noProxy}
	for _, tenant := range []bool{true, false} {
		c := n.client(tenant, nil)
		if _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
		c.CloseIdleConnections()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatal("still open")
		}
	}
}
