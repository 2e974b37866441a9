// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// byFile is a manifest that logs in with a kubeconfig.
func (w *world) byFile() string {
	return fmt.Sprintf(`{"authRef": {"name": "login", "key": "config"}, "remoteNamespace": %q}`, w.ns)
}

func withFile(text string) vault { return vault{keys: map[string]string{"login/config": text}} }

func TestKubeconfig(t *testing.T) {
	w := newWorld(t)
	token, err := plane.KubeconfigFor(&rest.Config{Host: w.server.URL, BearerToken: w.user("reader", everything), TLSClientConfig: rest.TLSClientConfig{CAData: w.ca()}})
	w.must(err)
	w.put("db", fields("user", "somebody"))
	for name, text := range map[string][]byte{"token": token, "certificate": shared.Kubeconfig} {
		t.Run(name, func(t *testing.T) {
			b := w.open(w.byFile(), withFile(string(text)))
			s, err := read(t.Context(), b, backend.Ref{Path: "db"})
			if err != nil || !s.Equal(fields("user", "somebody")) {
				t.Errorf("error %v, or another value", err)
			}
		})
	}
}

// A kubeconfig is a tenant's text. It must not make this process run programs,
// read files or connect to anything but the server.
func TestKubeconfigReachesNothing(t *testing.T) {
	w := newWorld(t)
	file := func(cluster, user string) string {
		return "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n" +
			"clusters: [{name: a, cluster: {server: 'https://api.example.com', " + cluster + "}}]\n" +
			"users: [{name: u, user: {" + user + "}}]\n"
	}
	for name, c := range map[string]struct {
		reason string
		text   string
		code   backend.Code
		says   string
	}{
		"good":              {"token only", file("", "token: t"), "", ""},
		"certificate name":  {"is no file", file("tls-server-name: api", "token: t"), "", ""},
		"exec":              {"runs a program", file("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}"), backend.InvalidRef, "exec"},
		"exec and token":    {"runs it all the same", file("", "token: t, exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}"), backend.InvalidRef, "exec"},
		"auth provider":     {"runs a program", file("", "auth-provider: {name: gcp}"), backend.InvalidRef, "auth-provider"},
		"token file":        {"reads a file", file("", "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token"), backend.InvalidRef, "tokenFile"},
		"key file":          {"reads a file", file("", "token: t, client-key: /etc/key"), backend.InvalidRef, "client-key"},
		"certificate file":  {"reads a file", file("", "token: t, client-certificate: /etc/cert"), backend.InvalidRef, "client-certificate"},
		"CA file":           {"reads a file", file("certificate-authority: /etc/ca", "token: t"), backend.InvalidRef, "certificate-authority"},
		"insecure":          {"shows the token to anybody", file("insecure-skip-tls-verify: true", "token: t"), backend.InvalidRef, "insecure-skip-tls-verify"},
		"proxy":             {"connects elsewhere", file("proxy-url: 'http://169.254.169.254'", "token: t"), backend.InvalidRef, "proxy-url"},
		"password":          {"is not served", file("", "username: u, password: "+canary), backend.InvalidRef, "password"},
		"impersonation":     {"is not served", file("", "token: t, as: admin"), backend.InvalidRef, "as"},
		"nobody":            {"asks", file("", ""), backend.Unauthenticated, "neither a token nor a certificate"},
		"http":              {"readable on the way", strings.Replace(file("", "token: t"), "https://", "http://", 1), backend.InvalidRef, "https"},
		"no server":         {"the default is of another cluster", strings.Replace(file("", "token: t"), "'https://api.example.com'", "''", 1), backend.InvalidRef, "server"},
		"no context":        {"which of them", strings.Replace(file("", "token: t"), "current-context: c", "current-context: d", 1), backend.Unauthenticated, "current context"},
		"no cluster":        {"where", strings.Replace(file("", "token: t"), "cluster: a", "cluster: b", 1), backend.Unauthenticated, "lacks"},
		"not a kubeconfig":  {"its text stays inside", "token: [" + canary, backend.Unauthenticated, "not a kubeconfig"},
		"another object":    {"its text stays inside", `{"apiVersion": "v1", "kind": "` + canary + `"}`, backend.Unauthenticated, "not a kubeconfig"},
		"no bundle":         {"trusts nobody", file("certificate-authority-data: Y2FuYXJ5", "token: t"), backend.Unauthenticated, "certificate-authority-data"},
		"half a key pair":   {"is none", file("", "client-certificate-data: Y2FuYXJ5"), backend.Unauthenticated, "no pair"},
		"an empty document": {"is none", "", backend.Unauthenticated, "current context"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := open(t.Context(), w.byFile(), withFile(c.text))
			if backend.CodeOf(err) != c.code {
				t.Fatalf("%s: code %q, want %q (%v)", c.reason, backend.CodeOf(err), c.code, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary)) {
				t.Errorf("%s: %q, want it to say %q", c.reason, err, c.says)
			}
		})
	}
}
