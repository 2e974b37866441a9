// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/config"
)

// TestAddresses has stores of a namespace point at what only the controller's
// machine can reach (row 23), in every spelling, without --permit-addresses. The
// controller of this test looks after this one namespace, and after stores of a
// class that the other one leaves alone.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	class := "strict-" + w.id
	access, err := w.plane.Lockstep(t.Context())
	must(t, err)
	end := control(t.Context(), access, &audit{}, config.Controller{Class: class, Namespaces: []string{w.atk}})
	t.Cleanup(func() { noError(t, end()) })
	h := newHook(t, map[string]string{"db": w.canary})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(h.Server.URL, "http://"))
	must(t, err)
	const (
		never    = "where Lockstep never connects to for a namespace"
		loopback = "leads to a loopback address"
	)
	for name, tc := range map[string]struct{ host, told string }{
		"metadata":          {"169.254.169.254", never},
		"metadata-v6":       {"[fd00:ec2::254]", never},
		"metadata-alibaba":  {"100.100.100.200", never},
		"metadata-azure":    {"168.63.129.16", never},
		"metadata-mapped":   {"[::ffff:169.254.169.254]", never},
		"metadata-mapped16": {"[::ffff:a9fe:a9fe]", never},
		"metadata-nat64":    {"[64:ff9b::a9fe:a9fe]", never},
		"link-local":        {"[fe80::1]", never},
		"unspecified":       {"0.0.0.0:" + port, never},
		"unspecified-v6":    {"[::]:" + port, never},
		"multicast":         {"224.0.0.1", never},
		"loopback":          {"127.0.0.1:" + port, loopback},
		"loopback-other":    {"127.8.9.10:" + port, loopback},
		"loopback-v6":       {"[::1]:" + port, loopback},
		"loopback-mapped":   {"[::ffff:127.0.0.1]:" + port, loopback},
		"localhost":         {"localhost:" + port, loopback},
		"localhost-capital": {"LOCALHOST:" + port, loopback},
		// Spellings that some resolvers take for addresses. Where this one does
		// not, there is no such host.
		"hexadecimal":      {"0xa9fea9fe", ""},
		"decimal":          {"2852039166", ""},
		"octal":            {"0251.0376.0251.0376", ""},
		"short":            {"169.16689662", ""},
		"decimal-loopback": {"2130706433:" + port, ""},
		"short-loopback":   {"127.1:" + port, ""},
	} {
		for what, provider := range map[string]string{
			"hook": fmt.Sprintf(`webhook: {url: "http://%s%s/secrets/db", timeout: 5s}`, tc.host, h.path),
			"made": fmt.Sprintf(`webhook: {url: "http://{{ \"%s\" }}%s/secrets/db", timeout: 5s}`, tc.host, h.path),
			"k8s":  fmt.Sprintf(`kubernetes: {server: {url: "https://%s"}, auth: {token: {bearerToken: {name: login, key: token}}}}`, tc.host),
		} {
			if what != "hook" && !strings.HasPrefix(name, "metadata") && !strings.HasPrefix(name, "local") {
				continue
			}
			t.Run(name+" "+what, func(t *testing.T) {
				w := w.at(t)
				store := name + "-" + what
				w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {token: t}\n---\n"+
					fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: %s}\nspec: {controller: %s, provider: {%s}}\n---", store, class, provider)+
					externalSecret(store, store, "db", rarely, ""))
				host, _, err := net.SplitHostPort(strings.ToLower(tc.host))
				if err != nil {
					host = strings.Trim(tc.host, "[]")
				}
				parts := []string{tc.told}
				if tc.told != "" {
					parts = append(parts, host, "InvalidRef")
				}
				w.failed(w.atk, store, parts...)
				w.becomes(ss, w.atk, store, "False", parts...)
				w.none(w.atk, store)
			})
		}
	}
	if n := h.reads(""); n != 0 {
		t.Errorf("the manager on a loopback address was asked %d times", n)
	}
}

// TestLoopbackOfTheOperator has the same address in a store of a namespace and in
// one of the cluster: the latter is the operator's, who may.
func TestLoopbackOfTheOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:0") // not one that is permitted
	must(t, err)
	h := newHook(t, map[string]string{"db": "x"})
	other := &httptest.Server{Listener: l, Config: &http.Server{Handler: h, ReadHeaderTimeout: patience}}
	other.Start()
	t.Cleanup(other.Close)
	own := strings.Replace(h.store(ss, "s", "", ""), h.Server.URL, other.URL, 1)
	shared := strings.Replace(h.store(css, "s-"+w.id, "", ""), h.Server.URL, other.URL, 1)
	w.in(w.atk, own+"---"+externalSecret("own", "s", "db", rarely, "")+"---"+shared+"---"+externalSecretOf(css, "shared", "s-"+w.id, "db", rarely, ""))
	w.failed(w.atk, "own", "InvalidRef", "127.0.0.2 leads to a loopback address", "--permit-addresses")
	w.none(w.atk, "own")
	w.secret(w.atk, "shared", map[string]string{"password": "x"})
}

// TestRedirects has a manager send the controller elsewhere (rows 24 and 25).
func TestRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.holds = true
	sink := newHook(t, map[string]string{"db": w.canary})
	for name, tc := range map[string]struct {
		status int
		host   string
		told   string
	}{
		"other port":      {302, sink.URL, "another host"},
		"other, kept":     {307, sink.URL, "another host"},
		"metadata":        {302, "http://169.254.169.254", "another host"},
		"metadata, other": {308, "http://[::ffff:169.254.169.254]", "another host"},
		"file":            {302, "file:///etc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			h := newHook(t, nil)
			h.instead(redirect(tc.host+"/secrets/db", tc.status))
			w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: login, labels: {external-secrets.io/type: webhook}}\n"+
				fmt.Sprintf("stringData: {token: %q}\n---", w.canary)+
				h.store(ss, slug(name), "", `, headers: {Authorization: "{{ .login.token }}"}, secrets: [{name: login, secretRef: {name: login}}]`)+
				"---"+externalSecret(slug(name), slug(name), "db", rarely, ""))
			w.failed(w.atk, slug(name), "Unavailable", tc.told)
			w.none(w.atk, slug(name))
		})
	}
	if sink.reads("") != 0 {
		t.Error("the other server was asked")
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
