// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Go reads proxies and the system's CAs once in a process, so each case has a
// process of its own: this program, which with the variable askURL only asks.
// Names in .test lead to the address in askAddress when no proxy is used.
const (
	askURL     = "FEED_TEST_URL"
	askAddress = "FEED_TEST_ADDRESS"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(askURL); url != "" {
		_, _ = fmt.Fprint(os.Stdout, askOnce(url))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// askOnce makes one request and returns the body, or the error.
func askOnce(url string) string {
	tr := Transport()
	if b, ok := tr.(bounded); ok {
		base := b.base.(*http.Transport)
		dial := base.DialContext
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(addr); strings.HasSuffix(host, ".test") {
				addr = os.Getenv(askAddress)
			}
			return dial(ctx, network, addr)
		}
	}
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get(url) //nolint:gosec // a server of this test
	if err != nil {
		return "error: " + err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(body)
}

// child asks in a process of its own, whose environment is env alone.
func child(t *testing.T, url, address string, env map[string]string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self) //nolint:gosec // this very program
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", askURL + "=" + url, askAddress + "=" + address}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// secure is a TLS server for names in .test with a CA of its own.
type secure struct {
	*httptest.Server
	ca string // name of a PEM file
}

func newSecure(t *testing.T, says string) secure {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of " + says},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"store.test"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, says) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail here
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600))
	return secure{s, file}
}

func (s secure) address() string { return s.Listener.Addr().String() }

// proxy forwards every connection to one address, whatever it is asked for.
type proxy struct {
	*httptest.Server
	to      string
	refuses int

	mu   sync.Mutex
	seen []string // method, target and credentials of each request
}

func newProxy(t *testing.T, to string, refuses int) *proxy {
	t.Helper()
	p := &proxy{to: to, refuses: refuses}
	p.Server = httptest.NewServer(http.HandlerFunc(p.forward))
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, strings.TrimSpace(r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization")))
	p.mu.Unlock()
	if p.refuses != 0 {
		w.WriteHeader(p.refuses)
		_, _ = io.WriteString(w, "canary")
		return
	}
	if r.Method != http.MethodConnect {
		_, _ = io.WriteString(w, "by the proxy")
		return
	}
	upstream, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = upstream.Close() }()
	conn, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, early) // with what the server has read already
		_ = upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// TestProxies asks through a real proxy, as the environment says.
func TestProxies(t *testing.T) {
	s := newSecure(t, "welcome")
	const through = "CONNECT store.test:443"
	type env = map[string]string
	for name, c := range map[string]struct {
		reason  string
		url     string
		env     env // PROXY is its address
		refuses int
		want    string
		seen    []string
	}{
		"None":       {"without a proxy the name is what counts", "https://store.test", env{}, 0, "welcome", nil},
		"HTTPS":      {"for https", "https://store.test", env{"HTTPS_PROXY": "http://PROXY"}, 0, "welcome", []string{through}},
		"LowerCase":  {"as curl spells it", "https://store.test", env{"https_proxy": "http://PROXY"}, 0, "welcome", []string{through}},
		"NoScheme":   {"people leave it out", "https://store.test", env{"HTTPS_PROXY": "PROXY"}, 0, "welcome", []string{through}},
		"HTTP":       {"for http", "http://store.test/a", env{"HTTP_PROXY": "http://PROXY"}, 0, "by the proxy", []string{"GET store.test"}},
		"OtherKind":  {"the proxy for http is not for https", "https://store.test", env{"HTTP_PROXY": "http://PROXY"}, 0, "welcome", nil},
		"NoProxy":    {"by name", "https://store.test", env{"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "a.test,store.test"}, 0, "welcome", nil},
		"NoProxySub": {"by domain", "https://store.test", env{"HTTPS_PROXY": "http://PROXY", "no_proxy": ".test"}, 0, "welcome", nil},
		"Others":     {"others do not count", "https://store.test", env{"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "other.test"}, 0, "welcome", []string{through}},
		"Login": {
			"the proxy's own login", "https://store.test",
			env{"HTTPS_PROXY": "http://user:canary@PROXY"},
			0, "welcome",
			[]string{through + " Basic dXNlcjpjYW5hcnk="},
		},
		"Refused": {
			"in our words, and it is seen that the proxy refuses", "https://store.test",
			env{"HTTPS_PROXY": "http://user:canary@PROXY"},
			407,
			`error: Get "https://store.test": the proxy does not connect us to store.test:443 (407)`,
			[]string{through + " Basic dXNlcjpjYW5hcnk="},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, s.address(), c.refuses)
			env := env{"SSL_CERT_FILE": s.ca}
			for k, v := range c.env {
				env[k] = strings.Replace(v, "PROXY", p.Listener.Addr().String(), 1)
			}
			if got := child(t, c.url, s.address(), env); got != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
			if diff := cmp.Diff(c.seen, p.requests()); diff != "" {
				t.Errorf("%s: the proxy saw (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestCAs asks servers whose CA the environment names.
func TestCAs(t *testing.T) {
	a, b := newSecure(t, "a"), newSecure(t, "b")
	type env = map[string]string
	const untrusted = "error: Get \"https://store.test\": tls: failed to verify certificate: x509: certificate signed by unknown authority"
	for name, c := range map[string]struct {
		reason string
		env    env
		a, b   string // what each answers
	}{
		"None":    {"a CA that nobody named", env{"SSL_CERT_FILE": os.DevNull, "SSL_CERT_DIR": t.TempDir()}, untrusted, untrusted},
		"File":    {"instead of the system's", env{"SSL_CERT_FILE": a.ca}, "a", untrusted},
		"Dir":     {"as above", env{"SSL_CERT_FILE": os.DevNull, "SSL_CERT_DIR": filepath.Dir(b.ca)}, untrusted, "b"},
		"Extra":   {"without anything else", env{ExtraCA: b.ca}, untrusted, "b"},
		"Both":    {"the extra one comes on top", env{"SSL_CERT_FILE": a.ca, ExtraCA: b.ca}, "a", "b"},
		"Missing": {"never silently without", env{"SSL_CERT_FILE": a.ca, ExtraCA: "none.pem"}, "error: Get \"https://store.test\": NODE_EXTRA_CA_CERTS: open none.pem: no such file or directory", "error: Get \"https://store.test\": NODE_EXTRA_CA_CERTS: open none.pem: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			got := []string{child(t, "https://store.test", a.address(), c.env), child(t, "https://store.test", b.address(), c.env)}
			if diff := cmp.Diff([]string{c.a, c.b}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRoots(t *testing.T) {
	good := newSecure(t, "a").ca
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reason string
		file   string
		pool   bool
		err    string
	}{
		"None":    {"the system's are crypto/tls's own business", "", false, ""},
		"Good":    {"a pool of both", good, true, ""},
		"Missing": {"whoever names a file needs it", text + "-none", false, "NODE_EXTRA_CA_CERTS: open " + text + "-none: no such file or directory"},
		"NoPEM":   {"the file is not shown", text, false, "NODE_EXTRA_CA_CERTS: " + text + " has no certificate in PEM in it"},
	} {
		t.Run(name, func(t *testing.T) {
			pool, err := Roots(c.file)
			if (pool != nil) != c.pool || (err != nil) != (c.err != "") || err != nil && err.Error() != c.err {
				t.Errorf("%s: a pool: %t, %v", c.reason, pool != nil, err)
			}
		})
	}
}

// TestRefusingTransport: the error is one that a backend passes on.
func TestRefusingTransport(t *testing.T) {
	t.Setenv(ExtraCA, "none.pem")
	r := httptest.NewRequest(http.MethodPost, "https://store.test", strings.NewReader("body"))
	resp, err := Transport().RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("a request was made")
	}
	var ours *backend.Error
	if !errors.As(err, &ours) || ours.Code != backend.Unavailable {
		t.Errorf("got %v", err)
	}
}
