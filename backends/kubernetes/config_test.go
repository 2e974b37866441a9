// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// canary is what no error may repeat.
const canary = "canary-2a7d-in-the-credentials"

// withAuth is a manifest with a login, and something more.
func withAuth(auth, more string) string { return `{"auth": {` + auth + `}` + more + `}` }

const tokenAuth = `"token": {"bearerToken": {"name": "login", "key": "token"}}`

func TestOpenConfig(t *testing.T) {
	w := newWorld(t)
	ca, err := json.Marshal(w.ca())
	w.must(err)
	twice, err := json.Marshal([]byte(base64.StdEncoding.EncodeToString(w.ca())))
	w.must(err)
	creds := vault{closed: true, keys: map[string]string{
		"login/token": "good-token\n", "login/broken": canary + "\nX-Injected: yes", "login/empty": "", "login/text": canary, "login/ca": string(w.ca()), "cm/ca.crt": string(w.ca()),
	}}
	for name, c := range map[string]struct {
		reason string
		raw    string
		want   string // of the login's identity, or
		code   backend.Code
		says   string
	}{
		"defaults":        {"as External Secrets Operator has them", withAuth(tokenAuth, ``), "https://kubernetes.default default ", "", ""},
		"bare host":       {"https, as kubectl reads it", withAuth(tokenAuth, `, "server": {"url": "API.example.com:6443/"}`), "https://api.example.com:6443 default ", "", ""},
		"behind a path":   {"as some managers of clusters have it", withAuth(tokenAuth, `, "server": {"url": "https://m/k8s/clusters/c"}, "remoteNamespace": "ns"`), "https://m/k8s/clusters/c ns ", "", ""},
		"bundle":          {"in base64 of JSON", withAuth(tokenAuth, `, "server": {"caBundle": `+string(ca)+`}`), "https://kubernetes.default", "", ""},
		"bundle twice":    {"in base64 once more", withAuth(tokenAuth, `, "server": {"caBundle": `+string(twice)+`}`), "https://kubernetes.default", "", ""},
		"config map":      {"as every namespace has one", withAuth(tokenAuth, `, "server": {"caProvider": {"type": "ConfigMap", "name": "cm", "key": "ca.crt"}}`), "https://kubernetes.default", "", ""},
		"secret":          {"likewise", withAuth(tokenAuth, `, "server": {"caProvider": {"type": "Secret", "name": "login", "key": "ca"}}`), "https://kubernetes.default", "", ""},
		"unknown fields":  {"are left alone", withAuth(tokenAuth, `, "later": 1`), "https://kubernetes.default", "", ""},
		"no form":         {"text of the manifest stays inside", `{"auth": "` + canary + `"}`, "", backend.InvalidRef, where},
		"no login":        {"nobody asks", `{}`, "", backend.InvalidRef, "exactly one"},
		"empty login":     {"nobody asks", withAuth(``, ``), "", backend.InvalidRef, "exactly one"},
		"two logins":      {"which of them", withAuth(tokenAuth+`, "serviceAccount": {"name": "x"}`, ``), "", backend.InvalidRef, "exactly one"},
		"login and file":  {"which of them", withAuth(tokenAuth, `, "authRef": {"name": "a", "key": "b"}`), "", backend.InvalidRef, "exactly one"},
		"http":            {"readable on the way", withAuth(tokenAuth, `, "server": {"url": "http://api"}`), "", backend.InvalidRef, "server.url"},
		"another scheme":  {"reads files", withAuth(tokenAuth, `, "server": {"url": "file:///etc/passwd"}`), "", backend.InvalidRef, "server.url"},
		"password in URL": {"is not repeated", withAuth(tokenAuth, `, "server": {"url": "https://u:`+canary+`@api"}`), "", backend.InvalidRef, "server.url"},
		"query in URL":    {"would end the path", withAuth(tokenAuth, `, "server": {"url": "https://api/?x="}`), "", backend.InvalidRef, "server.url"},
		"namespace":       {"leaves the path", withAuth(tokenAuth, `, "remoteNamespace": "a/../b"`), "", backend.InvalidRef, "remoteNamespace"},
		"no name":         {"of what", withAuth(`"token": {"bearerToken": {"key": "token"}}`, ``), "", backend.InvalidRef, "auth.token.bearerToken"},
		"no key":          {"of it", withAuth(`"token": {"bearerToken": {"name": "login"}}`, ``), "", backend.InvalidRef, "auth.token.bearerToken"},
		"elsewhere":       {"a namespace that is not ours", withAuth(`"token": {"bearerToken": {"name": "login", "key": "token", "namespace": "kube-system"}}`, ``), "", backend.InvalidRef, "auth.token.bearerToken.namespace"},
		"no token":        {"names field, Secret and key", withAuth(`"token": {"bearerToken": {"name": "login", "key": "missing"}}`, ``), "", backend.Unauthenticated, `auth.token.bearerToken: there is no key "missing" in Secret "login"`},
		"broken token":    {"would be another header", withAuth(`"token": {"bearerToken": {"name": "login", "key": "broken"}}`, ``), "", backend.Unauthenticated, "auth.token.bearerToken"},
		"empty token":     {"asks as nobody", withAuth(`"token": {"bearerToken": {"name": "login", "key": "empty"}}`, ``), "", backend.Unauthenticated, "auth.token.bearerToken"},
		"no certificate":  {"names what is missing", withAuth(`"cert": {"clientCert": {"name": "x", "key": "c"}, "clientKey": {"name": "x", "key": "k"}}`, ``), "", backend.Unauthenticated, "auth.cert.clientCert"},
		"no pair":         {"says so, and not what they hold", withAuth(`"cert": {"clientCert": {"name": "login", "key": "ca"}, "clientKey": {"name": "login", "key": "text"}}`, ``), "", backend.Unauthenticated, "auth.cert"},
		"no bundle":       {"trusts nobody", withAuth(tokenAuth, `, "server": {"caBundle": "`+base64.StdEncoding.EncodeToString([]byte(canary))+`"}`), "", backend.Unauthenticated, "server.caBundle"},
		"no CA":           {"names what is missing", withAuth(tokenAuth, `, "server": {"caProvider": {"type": "ConfigMap", "name": "x", "key": "y"}}`), "", backend.Unauthenticated, `server.caProvider: there is no key "y" in ConfigMap "x"`},
		"CA of a kind":    {"which nobody knows", withAuth(tokenAuth, `, "server": {"caProvider": {"type": "Pod", "name": "x", "key": "y"}}`), "", backend.InvalidRef, "server.caProvider.type"},
		"CA elsewhere":    {"a namespace that is not ours", withAuth(tokenAuth, `, "server": {"caProvider": {"type": "ConfigMap", "name": "cm", "key": "ca.crt", "namespace": "x"}}`), "", backend.InvalidRef, "server.caProvider.namespace"},
		"no grant":        {"tokens are a power", withAuth(`"serviceAccount": {"name": "x"}`, ``), "", backend.Unauthenticated, "not granted"},
		"no account name": {"whose", withAuth(`"serviceAccount": {}`, ``), "", backend.InvalidRef, "auth.serviceAccount"},
	} {
		t.Run(name, func(t *testing.T) {
			_, id, err := open(t.Context(), c.raw, creds)
			if backend.CodeOf(err) != c.code || !strings.HasPrefix(id.Login, c.want) {
				t.Fatalf("%s: code %q and identity %q, want %q and %q", c.reason, backend.CodeOf(err), id.Login, c.code, c.want)
			}
			if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary)) {
				t.Errorf("%s: %q, want it to say %q", c.reason, err, c.says)
			}
		})
	}
}

// Equal identities share what they read, so whatever decides about an answer is
// part of them.
func TestIdentity(t *testing.T) {
	w := newWorld(t)
	ca, err := json.Marshal(w.ca())
	w.must(err)
	base := withAuth(tokenAuth, ``)
	_, first, err := open(t.Context(), base, holding("one"))
	w.must(err)
	for name, c := range map[string]struct {
		reason string
		raw    string
		token  string
		same   bool
	}{
		"same":      {"nothing differs", base, "one", true},
		"line end":  {"nothing that counts differs", base, "one\n", true},
		"token":     {"another user", base, "two", false},
		"namespace": {"other Secrets of the same names", withAuth(tokenAuth, `, "remoteNamespace": "other"`), "one", false},
		"server":    {"another cluster", withAuth(tokenAuth, `, "server": {"url": "https://other"}`), "one", false},
		"path":      {"another cluster", withAuth(tokenAuth, `, "server": {"url": "https://kubernetes.default/other"}`), "one", false},
		"CA":        {"who trusts another server must ask it", withAuth(tokenAuth, `, "server": {"caBundle": `+string(ca)+`}`), "one", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, id, err := open(t.Context(), c.raw, holding(c.token))
			if err != nil || (id.Login == first.Login) != c.same {
				t.Errorf("%s: error %v, same is %t", c.reason, err, id.Login == first.Login)
			}
		})
	}
}

func TestServiceAccountIdentity(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	for _, at := range []*world{w, other} {
		at.user("reader", nil)
	}
	w.user("another", nil)
	in := func(w *world) vault {
		return vault{tokens: func(ctx context.Context, name string, audiences []string) (backend.Value, time.Time, error) {
			return mint(ctx, w.ns, name, audiences)
		}}
	}
	_, first, err := open(t.Context(), withAuth(`"serviceAccount": {"name": "reader"}`, ``), in(w))
	w.must(err)
	for name, c := range map[string]struct {
		reason string
		raw    string
		at     *world
		same   bool
		code   backend.Code
	}{
		"same":      {"each token is new, and the account is not", withAuth(`"serviceAccount": {"name": "reader"}`, ``), w, true, ""},
		"name":      {"another account", withAuth(`"serviceAccount": {"name": "another"}`, ``), w, false, ""},
		"namespace": {"an account of that name", withAuth(`"serviceAccount": {"name": "reader"}`, ``), other, false, ""},
		"audience":  {"may be refused", withAuth(`"serviceAccount": {"name": "reader", "audiences": ["x"]}`, ``), w, false, ""},
		"missing":   {"shows when it is opened", withAuth(`"serviceAccount": {"name": "ghost"}`, ``), w, false, backend.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			_, id, err := open(t.Context(), c.raw, in(c.at))
			if backend.CodeOf(err) != c.code || (id.Login == first.Login) != c.same {
				t.Errorf("%s: code %q, same is %t", c.reason, backend.CodeOf(err), id.Login == first.Login)
			}
		})
	}
}
