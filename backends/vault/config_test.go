// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// opening opens a store that nobody answers for.
func opening(t *testing.T, bao bool, manifest string, creds keys) (backend.Backend, backend.Identity, error) {
	t.Helper()
	cfg := settings(t, nil)
	cfg.Raw = []byte(manifest)
	open := Open
	if bao {
		open = OpenBaoStore
	}
	return open(t.Context(), cfg, creds, newClient(nil))
}

const somewhere = `"server": "https://vault.example.com", "path": "kv"`

func TestOpenRefuses(t *testing.T) {
	token := `"auth": {"tokenSecretRef": {"name": "login", "key": "token"}}`
	for name, c := range map[string]struct {
		reason   string
		bao      bool
		manifest string
		want     backend.Code
	}{
		"NoJSON":       {"not even an object", false, `["canary"]`, backend.InvalidRef},
		"Type":         {"another type", false, `{"server": 1}`, backend.InvalidRef},
		"NoServer":     {"nowhere", false, `{` + token + `}`, backend.InvalidRef},
		"Unix":         {"the library would open a socket of this machine", false, `{"server": "unix:///run/vault.sock", ` + token + `}`, backend.InvalidRef},
		"Password":     {"a URL is shown to people", false, `{"server": "https://u:canary@vault", ` + token + `}`, backend.InvalidRef},
		"Query":        {"a URL with more in it", false, `{"server": "https://vault/?x=1", ` + token + `}`, backend.InvalidRef},
		"Version":      {"no such version", false, `{` + somewhere + `, "version": "v3", ` + token + `}`, backend.InvalidRef},
		"Path":         {"out of the API", false, `{"server": "https://vault", "path": "../x", ` + token + `}`, backend.InvalidRef},
		"CAS":          {"version 1 has no check-and-set", false, `{` + somewhere + `, "version": "v1", "checkAndSet": {"required": true}, ` + token + `}`, backend.InvalidRef},
		"Namespace":    {"a namespace that is more than one header", false, `{` + somewhere + `, "namespace": "a\r\nX-Vault-Token: t", ` + token + `}`, backend.InvalidRef},
		"AuthSpace":    {"nor that of the login", false, `{` + somewhere + `, "auth": {"namespace": "a\n", "tokenSecretRef": {"name": "login", "key": "token"}}}`, backend.InvalidRef},
		"HeaderValue":  {"a header that is two", false, `{` + somewhere + `, "headers": {"A": "b\r\nX-Vault-Token: t"}, ` + token + `}`, backend.InvalidRef},
		"HeaderName":   {"a name that is two", false, `{` + somewhere + `, "headers": {"A: b\r\nC": "d"}, ` + token + `}`, backend.InvalidRef},
		"HeaderToken":  {"the token is the login's", false, `{` + somewhere + `, "headers": {"x-vault-token": "t"}, ` + token + `}`, backend.InvalidRef},
		"HeaderSpace":  {"the namespace has a field of its own", false, `{` + somewhere + `, "headers": {"X-Vault-Namespace": "t"}, ` + token + `}`, backend.InvalidRef},
		"HeaderHost":   {"the host is the server's", false, `{` + somewhere + `, "headers": {"Host": "t"}, ` + token + `}`, backend.InvalidRef},
		"HalfTLS":      {"a certificate without its key", false, `{` + somewhere + `, "tls": {"certSecretRef": {"name": "login"}}, ` + token + `}`, backend.InvalidRef},
		"NoLogin":      {"a login that is none", false, `{` + somewhere + `, "auth": {}}`, backend.InvalidRef},
		"TwoLogins":    {"which of them", false, `{` + somewhere + `, "auth": {"tokenSecretRef": {"name": "login", "key": "token"}, "jwt": {}}}`, backend.InvalidRef},
		"IAM":          {"not served", false, `{` + somewhere + `, "auth": {"iam": {"vaultRole": "r"}}}`, backend.InvalidRef},
		"GCP":          {"not served", false, `{` + somewhere + `, "auth": {"gcp": {"role": "r"}}}`, backend.InvalidRef},
		"NoRoleID":     {"of which role", false, `{` + somewhere + `, "auth": {"appRole": {"secretRef": {"name": "login", "key": "token"}}}}`, backend.InvalidRef},
		"NoJWT":        {"with which token", false, `{` + somewhere + `, "auth": {"jwt": {"role": "r"}}}`, backend.InvalidRef},
		"OwnPod":       {"a tenant is not the controller", false, `{` + somewhere + `, "auth": {"kubernetes": {"role": "r"}}}`, backend.InvalidRef},
		"UserSlash":    {"a user that is another path", false, `{` + somewhere + `, "auth": {"userPass": {"username": "a/../../../sys/x", "secretRef": {"name": "login", "key": "token"}}}}`, backend.InvalidRef},
		"LoginPath":    {"a mount that is another path", false, `{` + somewhere + `, "auth": {"jwt": {"path": "../sys", "role": "r", "secretRef": {"name": "login", "key": "token"}}}}`, backend.InvalidRef},
		"NoKey":        {"of which key", false, `{` + somewhere + `, "auth": {"tokenSecretRef": {"name": "login"}}}`, backend.InvalidRef},
		"Missing":      {"the key is not there", false, `{` + somewhere + `, "auth": {"tokenSecretRef": {"name": "login", "key": "none"}}}`, backend.Unauthenticated},
		"NoToken":      {"no token has a line in it", false, `{` + somewhere + `, "auth": {"tokenSecretRef": {"name": "login", "key": "lines"}}}`, backend.Unauthenticated},
		"Elsewhere":    {"another namespace", false, `{` + somewhere + `, "auth": {"tokenSecretRef": {"name": "login", "key": "token", "namespace": "other"}}}`, backend.InvalidRef},
		"NotGranted":   {"tokens are a power", false, `{` + somewhere + `, "auth": {"kubernetes": {"role": "r", "serviceAccountRef": {"name": "a"}}}}`, backend.Unauthenticated},
		"NoCA":         {"no certificate", false, `{` + somewhere + `, "caProvider": {"type": "Secret", "name": "login", "key": "token"}, ` + token + `}`, backend.Unauthenticated},
		"CAType":       {"of what", false, `{` + somewhere + `, "caProvider": {"type": "Pod", "name": "login", "key": "token"}, ` + token + `}`, backend.InvalidRef},
		"CAElsewhere":  {"another namespace", false, `{` + somewhere + `, "caProvider": {"type": "ConfigMap", "name": "ca", "key": "ca", "namespace": "other"}, ` + token + `}`, backend.InvalidRef},
		"NoPair":       {"a certificate that is none", false, `{` + somewhere + `, "auth": {"cert": {"clientCert": {"name": "login", "key": "token"}, "secretRef": {"name": "login", "key": "token"}}}}`, backend.Unauthenticated},
		"BaoJWT":       {"as External Secrets Operator has it", true, `{` + somewhere + `, "auth": {"jwt": {"role": "r", "secretRef": {"name": "login", "key": "token"}}}}`, backend.InvalidRef},
		"BaoToken":     {"good", true, `{"server": "https://vault", ` + token + `}`, ""},
		"Token":        {"good", false, `{` + somewhere + `, ` + token + `}`, ""},
		"NoAuthAtAll":  {"a proxy logs in", false, `{` + somewhere + `}`, ""},
		"PlainHTTP":    {"allowed, as External Secrets Operator does", false, `{"server": "http://vault:8200", ` + token + `}`, ""},
		"UnknownField": {"left alone", false, `{` + somewhere + `, "later": {"a": 1}, ` + token + `}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			creds := keys{texts: map[string]string{"login/token": "canary", "login/lines": "a\nb"}, closed: true}
			b, _, err := opening(t, c.bao, c.manifest, creds)
			if backend.CodeOf(err) != c.want {
				t.Errorf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error has a secret in it: %s", c.reason, err)
			}
			if b.Close != nil {
				_ = b.Close()
			}
		})
	}
}

// TestIdentity: whatever makes an answer another one makes a login another one.
// TestOwnPod: only the operator's stores log in as the controller, for whoever
// writes a store says where its credentials go.
func TestOwnPod(t *testing.T) {
	for shared, want := range map[bool]backend.Code{true: "", false: backend.InvalidRef} {
		cfg := settings(t, map[string]any{
			"server": "https://vault.example.com", "auth": map[string]any{"kubernetes": map[string]any{"mountPath": "kubernetes", "role": "r"}},
		})
		cfg.Shared = shared
		if _, _, err := Open(t.Context(), cfg, nil, newClient(nil)); backend.CodeOf(err) != want {
			t.Errorf("shared %t: %v, want %q", shared, err, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	base := map[string]any{"server": "https://vault.example.com", "path": "kv", "auth": map[string]any{"appRole": map[string]any{"roleId": "r", "secretRef": map[string]any{"name": "login", "key": "token"}}}}
	creds := keys{texts: map[string]string{"login/token": "canary", "login/other": "canary2"}}
	identity := func(name string, bao bool, change map[string]any) backend.Identity {
		m := map[string]any{}
		for _, from := range []map[string]any{base, change} {
			for k, v := range from {
				m[k] = v
			}
		}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		b, id, err := opening(t, bao, string(raw), creds)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = b.Close()
		if strings.Contains(id.Login+id.Quota, "canary") {
			t.Errorf("%s: a secret is in the identity", name)
		}
		return id
	}
	appRole := func(fields map[string]any) map[string]any {
		m := map[string]any{"roleId": "r", "secretRef": map[string]any{"name": "login", "key": "token"}}
		for k, v := range fields {
			m[k] = v
		}
		return map[string]any{"auth": map[string]any{"appRole": m}}
	}
	first := identity("base", false, nil)
	if again := identity("again", false, map[string]any{"server": "https://VAULT.example.com/"}); again != first {
		t.Errorf("the same store: %+v, want %+v", again, first)
	}
	seen := map[string]string{first.Login: "base"}
	for name, change := range map[string]map[string]any{
		"server": {"server": "https://other.example.com"}, "path": {"path": "kv2"}, "version": {"version": "v1"}, "namespace": {"namespace": "a"},
		"headers": {"headers": map[string]string{"A": "b"}}, "reads": {"readYourWrites": true},
		"role": appRole(map[string]any{"roleId": "s"}), "secret": appRole(map[string]any{"secretRef": map[string]any{"name": "login", "key": "other"}}),
		"mount": appRole(map[string]any{"path": "team/approle"}), "token": {"auth": map[string]any{"tokenSecretRef": map[string]any{"name": "login", "key": "token"}}},
		"login space": {"auth": map[string]any{"namespace": "b", "appRole": map[string]any{"roleId": "r", "secretRef": map[string]any{"name": "login", "key": "token"}}}},
		"nobody":      {"auth": nil},
	} {
		id := identity(name, false, change)
		if other, ok := seen[id.Login]; ok {
			t.Errorf("%s and %s are one login", name, other)
		}
		seen[id.Login] = name
	}
	if id := identity("bao", true, nil); seen[id.Login] != "" {
		t.Errorf("a store of OpenBao, whose keys mean something else, is %s", seen[id.Login])
	}
}

// TestEnvironment: what the operator's own environment says of Vault is not for
// the servers of stores.
func TestEnvironment(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "canary-of-the-operator")
	t.Setenv("VAULT_NAMESPACE", "canary-namespace")
	t.Setenv("VAULT_HEADERS", `{"X-Canary": "canary"}`)
	t.Setenv("VAULT_WRAP_TTL", "5m")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	t.Setenv("VAULT_MFA", "canary")
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	var leaked []string
	w.say(func(_ http.ResponseWriter, r *http.Request) bool {
		for name, values := range r.Header {
			if strings.Contains(strings.ToLower(strings.Join(values, " ")), "canary") || name == "X-Vault-Wrap-Ttl" || name == headerNamespace {
				leaked = append(leaked, name)
			}
		}
		return false
	})
	w.reads(w.open(nil, holding(root)))
	b, _ := w.appRole(map[string]any{"token_policies": w.policy("all")})
	w.reads(b)
	w.fails(w.open(map[string]any{"auth": nil}, nil), backend.PermissionDenied)
	if len(leaked) > 0 {
		t.Errorf("headers from the environment: %q", leaked)
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, 2)
	token := w.token(w.policy("all"), nil)
	spaces := map[string]string{}
	w.say(func(rw http.ResponseWriter, r *http.Request) bool {
		spaces[r.URL.Path] = r.Header.Get(headerNamespace)
		if strings.HasSuffix(r.URL.Path, "/login") {
			answerJSON(rw, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": 60}})
			return true
		}
		r.Header.Del(headerNamespace) // of the enterprise edition, as is the next
		r.Header.Del(headerInconsistent)
		return false
	})
	w.put("app", map[string]any{"k": "v"})
	w.reads(w.open(map[string]any{
		"namespace": "team", "headers": map[string]string{"X-Custom": "yes"}, "readYourWrites": true, "forwardInconsistent": true,
		"auth": map[string]any{"namespace": "logins", "jwt": map[string]any{"path": "jwt", "role": "r", "secretRef": map[string]any{"name": "login"}}},
	}, holding("jwt")))
	h := w.header()
	for name, want := range map[string]string{"X-Custom": "yes", headerInconsistent: "forward-active-node", headerRequest: "true", headerToken: token} {
		if h.Get(name) != want {
			t.Errorf("header %s is %q, want %q", name, h.Get(name), want)
		}
	}
	for path, want := range map[string]string{"/v1/auth/jwt/login": "logins", "/v1/" + w.data("app"): "team"} {
		if spaces[path] != want {
			t.Errorf("%s is asked in namespace %q, want %q", path, spaces[path], want)
		}
	}
}

// TestRedirects: the token goes nowhere else.
func TestRedirects(t *testing.T) {
	w := newWorld(t, 2)
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		w.say(func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Location", other.URL+r.URL.Path)
			rw.WriteHeader(status)
			return true
		})
		w.fails(w.open(nil, holding(root)), backend.Unavailable)
		w.fails(w.open(map[string]any{"auth": map[string]any{"jwt": map[string]any{"role": "r", "secretRef": map[string]any{"name": "login"}}}}, holding("canary")), backend.Unavailable)
	}
	if asked > 0 {
		t.Errorf("%d requests went elsewhere", asked)
	}
}

// TestTLS: a server that wants a certificate, and a login with one.
func TestTLS(t *testing.T) {
	s, err := startServer("-tls-dir", t.TempDir(), "-mtls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	texts := map[string]string{"login/token": root}
	for name, file := range map[string]string{"ca/ca.crt": s.CA, "login/tls.crt": s.ClientCert, "login/tls.key": s.ClientKey} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	creds := keys{texts: texts}
	open := func(change map[string]any) backend.Backend {
		m := map[string]any{
			"server": s.Address, "path": "secret", "auth": map[string]any{"tokenSecretRef": map[string]any{"name": "login", "key": "token"}},
			"caBundle": []byte(texts["ca/ca.crt"]),
			"tls":      map[string]any{"certSecretRef": map[string]any{"name": "login"}, "keySecretRef": map[string]any{"name": "login"}},
		}
		for k, v := range change {
			m[k] = v
		}
		b, _, err := Open(t.Context(), settings(t, m), creds, newClient(nil))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	good := open(nil)
	_, err = good.Writer.Write(t.Context(), writing("me", "v"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change map[string]any
		want   backend.Code
	}{
		"both":           {nil, ""},
		"CA by provider": {map[string]any{"caBundle": nil, "caProvider": map[string]any{"type": "ConfigMap", "name": "ca", "key": "ca.crt"}}, ""},
		"no CA":          {map[string]any{"caBundle": nil}, backend.Unavailable},
		"no certificate": {map[string]any{"tls": nil}, backend.Unavailable},
	} {
		if _, err := read(t.Context(), open(c.change), ref); backend.CodeOf(err) != c.want {
			t.Errorf("%s: code %q, want %q: %v", name, backend.CodeOf(err), c.want, err)
		}
	}
	// The administrator lets the certificate in.
	admin := session0(t, good).held.data.Logical()
	for path, in := range map[string]map[string]any{
		"sys/auth/cert":         {"type": "cert"},
		"sys/policies/acl/read": {"policy": `path "secret/*" { capabilities = ["read"] }`},
	} {
		if _, err := admin.WriteWithContext(t.Context(), path, in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.WriteWithContext(t.Context(), "auth/cert/certs/app", map[string]any{"certificate": texts["ca/ca.crt"], "token_policies": "read"}); err != nil {
		t.Fatal(err)
	}
	cert := map[string]any{"tls": nil, "auth": map[string]any{"cert": map[string]any{
		"vaultRole": "app", "clientCert": map[string]any{"name": "login"}, "secretRef": map[string]any{"name": "login"},
	}}}
	if _, err := read(t.Context(), open(cert), ref); err != nil {
		t.Errorf("a login with the certificate: %v", err)
	}
}

func TestReadEnv(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		env    map[string]string
		want   environment
		code   backend.Code
	}{
		"Nothing":   {"the defaults of KES", nil, environment{server: defaultServer, mount: "kubernetes", threshold: 30 * time.Second, tokenFile: podToken}, ""},
		"All":       {"as KES read it", map[string]string{envAddress: "https://v/", envNamespace: "n", envMount: "/team/k8s", envRole: "r", envThreshold: "60"}, environment{"https://v", "n", "team/k8s", "r", time.Minute, podToken, backend.Value{}}, ""},
		"Interval":  {"three polls", map[string]string{envInterval: "1000"}, environment{server: defaultServer, mount: "kubernetes", threshold: 3 * time.Second, tokenFile: podToken}, ""},
		"Skip":      {"anybody could answer", map[string]string{envSkipVerify: "1"}, environment{}, backend.InvalidRef},
		"NoSkip":    {"it says no", map[string]string{envSkipVerify: "false"}, environment{server: defaultServer, mount: "kubernetes", threshold: 30 * time.Second, tokenFile: podToken}, ""},
		"Token":     {"of its library", map[string]string{envToken: " t "}, environment{server: defaultServer, mount: "kubernetes", threshold: 30 * time.Second, tokenFile: podToken, token: textValue("t")}, ""},
		"Tokens":    {"two headers", map[string]string{envToken: "a\r\nb"}, environment{}, backend.InvalidRef},
		"Address":   {"no URL", map[string]string{envAddress: "vault:8200"}, environment{}, backend.InvalidRef},
		"Mount":     {"out of the API", map[string]string{envMount: "../sys"}, environment{}, backend.InvalidRef},
		"Threshold": {"no number", map[string]string{envThreshold: "soon"}, environment{}, backend.InvalidRef},
		"Namespace": {"two headers", map[string]string{envNamespace: "a\r\nb"}, environment{}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readEnv(backend.NewEnv(c.env))
			diff := cmp.Diff(c.want, got, cmp.AllowUnexported(environment{}))
			if backend.CodeOf(err) != c.code || err == nil && diff != "" {
				t.Errorf("%s: %v, want %q; -want, +got:\n%s", c.reason, err, c.code, diff)
			}
		})
	}
}

// TestOpenBao: keys are below the mount, whatever they begin with, and nothing
// is written.
func TestOpenBao(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	w.put(w.mount+"/app", map[string]any{"k": "other"})
	b, _, err := OpenBaoStore(t.Context(), settings(t, w.manifest(nil)), holding(root), newClient(nil))
	w.must(err)
	t.Cleanup(func() { _ = b.Close() })
	for path, want := range map[string]string{"app": "v", w.mount + "/app": "other"} {
		s, err := read(t.Context(), b, backend.Ref{Path: path})
		if err != nil || string(plain(ref, s).Fields["k"].Reveal()) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b.Writer != nil {
		t.Error("a store of OpenBao writes")
	}
}
