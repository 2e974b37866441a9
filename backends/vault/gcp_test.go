// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Keys of RSA take long to make, so there are three for all tests.
var rsaKeys = sync.OnceValues(func() (map[string]*rsa.PrivateKey, error) {
	out := map[string]*rsa.PrivateKey{}
	for _, name := range []string{"a", "b", "google"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		out[name] = key
	}
	return out, nil
})

func rsaFor(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	all, err := rsaKeys()
	if err != nil {
		t.Fatal(err)
	}
	return all[name]
}

const robot = "robot@project.iam.gserviceaccount.com"

// googleKey is the file that Google gives for a key of the account robot.
func googleKey(t testing.TB, name string, change map[string]any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(rsaFor(t, name))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{
		"type": "service_account", "project_id": "project", "private_key_id": "kid-a", "client_email": robot, "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://evil.example/canary",
	}
	for k, v := range change {
		m[k] = v
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// certificate is the public half of a key as Google shows it.
func certificate(t testing.TB, key *rsa.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// newGoogle is a stand-in for what Vault asks of Google: certificates, accounts
// and machines; and for the metadata service that Vault and we ask.
func newGoogle(t *testing.T) *httptest.Server {
	t.Helper()
	certs := map[string]map[string]any{
		"/oauth2/v1/certs": {"kid-google": certificate(t, rsaFor(t, "google"))},
		"/service_accounts/v1/metadata/x509/" + robot: {"kid-a": certificate(t, rsaFor(t, "a"))},
	}
	created := time.Now().Add(-time.Hour).Truncate(time.Second)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case certs[path] != nil:
			answerJSON(w, http.StatusOK, certs[path])
		case strings.HasPrefix(path, "/computeMetadata/") && r.Header.Get("Metadata-Flavor") != "Google":
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(path, "/service-accounts/default/identity"):
			_, _ = w.Write([]byte(machineJWT(t, r.URL.Query().Get("audience"), created)))
		case strings.HasSuffix(path, "/service-accounts/default/token"):
			answerJSON(w, http.StatusOK, map[string]any{"access_token": "of-vault", "expires_in": 3600, "token_type": "Bearer"})
		case strings.HasPrefix(path, "/computeMetadata/"):
			_, _ = w.Write([]byte("project"))
		case r.Header.Get("Authorization") != "Bearer of-vault":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(path, "/serviceAccounts/"+robot):
			answerJSON(w, http.StatusOK, map[string]any{"email": robot, "uniqueId": "1", "projectId": "project"})
		case strings.HasSuffix(path, "/projects/project/zones/us-central1-a/instances/box"):
			answerJSON(w, http.StatusOK, map[string]any{"name": "box", "id": "7", "status": "RUNNING", "zone": "https://www.googleapis.com/compute/v1/projects/project/zones/us-central1-a", "creationTimestamp": created.Format(time.RFC3339)})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

// machineJWT is the token of a machine, as the metadata service makes it.
func machineJWT(t testing.TB, audience string, created time.Time) string {
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: rsaFor(t, "google"), KeyID: "kid-google"}}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	out, err := jwt.Signed(sig).Claims(map[string]any{
		"iss": "https://accounts.google.com", "sub": robot, "aud": audience, "exp": time.Now().Add(10 * time.Minute).Unix(),
		"google": map[string]any{"compute_engine": map[string]any{
			"project_id": "project", "zone": "us-central1-a", "instance_id": "7", "instance_name": "box", "instance_creation_timestamp": created.Unix(),
		}},
	}).Serialize()
	if err != nil {
		t.Error(err)
	}
	return out
}

// TestGCP has a Vault of its own, whose Google is the stand-in.
func TestGCP(t *testing.T) {
	google := newGoogle(t)
	t.Setenv(envMetadata, strings.TrimPrefix(google.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	s, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	w := &world{t: t, vault: s, mount: "world-gcp", version: 2}
	w.door = newDoor(t, s.Address, w)
	w.admin(http.MethodPost, "sys/mounts/"+w.mount, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	w.put("app", map[string]any{"k": "v"})
	policy, mount := w.policy("all"), w.method("gcp")
	w.admin(http.MethodPost, "auth/"+mount+"/config", map[string]any{
		"custom_endpoint": map[string]string{"api": google.URL, "iam": google.URL, "compute": google.URL, "crm": google.URL},
	})
	for name, role := range map[string]map[string]any{
		"app":      {"type": "iam", "bound_service_accounts": []string{robot}, "token_ttl": "1h"},
		"strict":   {"type": "iam", "bound_service_accounts": []string{robot}, "max_jwt_exp": "5m"},
		"stranger": {"type": "iam", "bound_service_accounts": []string{"other@project.iam.gserviceaccount.com"}},
		"machine":  {"type": "gce", "bound_projects": []string{"project"}},
	} {
		role["token_policies"] = policy
		w.admin(http.MethodPost, "auth/"+mount+"/role/"+name, role)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaFor(t, "a"))}))
	creds := keys{texts: map[string]string{
		"gcp/key": googleKey(t, "a", nil) + "\n", "gcp/old": googleKey(t, "a", map[string]any{"private_key": pkcs1}),
		"gcp/forged": googleKey(t, "b", nil), "gcp/unknown": googleKey(t, "b", map[string]any{"private_key_id": "kid-b"}),
	}}
	key := func(name string) map[string]any {
		return map[string]any{"secretAccessKeySecretRef": map[string]any{"name": "gcp", "key": name}}
	}
	for name, c := range map[string]struct {
		reason string
		auth   map[string]any
		shared bool
		want   backend.Code
	}{
		"Key":         {"the usual", map[string]any{"role": "app", "projectID": "project", "location": "here", "secretRef": key("key")}, false, ""},
		"PKCS1":       {"a key in its other form", map[string]any{"role": "app", "secretRef": key("old")}, false, ""},
		"Strict":      {"a role that wants short lives", map[string]any{"role": "strict", "secretRef": key("key")}, false, ""},
		"Forged":      {"a key that is not the account's", map[string]any{"role": "app", "secretRef": key("forged")}, false, backend.Unauthenticated},
		"Unknown":     {"nor one of its keys", map[string]any{"role": "app", "secretRef": key("unknown")}, false, backend.Unauthenticated},
		"Stranger":    {"a role for others", map[string]any{"role": "stranger", "secretRef": key("key")}, false, backend.Unauthenticated},
		"NoRole":      {"a role that is none", map[string]any{"role": "none", "secretRef": key("key")}, false, backend.Unauthenticated},
		"KeyNoGCE":    {"a key is no machine", map[string]any{"role": "machine", "secretRef": key("key")}, false, backend.Unauthenticated},
		"Machine":     {"the machine of the controller", map[string]any{"role": "machine"}, true, ""},
		"Inferred":    {"as the account of the machine", map[string]any{"role": "app"}, true, ""},
		"MachineNone": {"a role for other accounts", map[string]any{"role": "stranger"}, true, backend.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			c.auth["path"] = mount
			cfg := settings(t, w.manifest(map[string]any{"auth": map[string]any{"gcp": c.auth}}))
			cfg.Shared = c.shared
			b := w.opened(cfg, creds)
			for range 3 {
				_, err := read(t.Context(), b, ref)
				if backend.CodeOf(err) != c.want {
					t.Fatalf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
				}
				if err != nil && (strings.Contains(err.Error(), "PRIVATE") || strings.Contains(err.Error(), robot)) {
					t.Errorf("%s: the error has what it should not: %s", c.reason, err)
				}
			}
		})
	}
	t.Run("Session", func(t *testing.T) {
		login := "auth/" + mount + "/login"
		b := w.open(map[string]any{"auth": map[string]any{"gcp": map[string]any{"path": mount, "role": "app", "secretRef": key("key")}}}, creds)
		before := w.count(login)
		for range 5 {
			w.reads(b)
		}
		w.admin(http.MethodPost, "auth/token/revoke", map[string]any{"token": string(session0(t, b).held.token.Reveal())})
		w.reads(b)
		if n := w.count(login) - before; n != 2 {
			t.Errorf("%d logins, want one, and one more after the token was revoked", n)
		}
	})
}

// TestGCPToken: what is signed, as Vault's documentation of the login wants it.
func TestGCPToken(t *testing.T) {
	creds := keys{texts: map[string]string{"gcp/key": googleKey(t, "a", nil)}}
	l := logins{config: config{where: "spec.provider.vault"}, creds: creds, http: &http.Client{Transport: through(func(r *http.Request) (*http.Response, error) {
		t.Errorf("somebody is asked: %s", r.URL)
		return nil, http.ErrServerClosed
	})}}
	a := gcpAuth{Role: "app"}
	if err := json.Unmarshal([]byte(`{"role": "app", "secretRef": {"secretAccessKeySecretRef": {"name": "gcp", "key": "key"}}}`), &a); err != nil {
		t.Fatal(err)
	}
	m, err := l.gcp(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := m.material(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(sent["jwt"], []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(&rsaFor(t, "a").PublicKey, &claims); err != nil {
		t.Fatal(err)
	}
	if token.Headers[0].KeyID != "kid-a" || claims.Subject != robot || len(claims.Audience) != 1 || claims.Audience[0] != "vault/app" || sent["role"] != "app" {
		t.Errorf("signed: %+v %+v for role %q", token.Headers[0], claims, sent["role"])
	}
	if left := time.Until(claims.Expiry.Time()); left > 15*time.Minute || left < time.Minute {
		t.Errorf("it holds for %s", left)
	}
}

// hugeKey is an RSA key of 8,192 bits, as far as reading it tells: its primes
// are not, which would take long to find.
func hugeKey(t testing.TB) string {
	t.Helper()
	one := big.NewInt(1)
	for {
		p, q := randomOdd(t, 4096), randomOdd(t, 4096)
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		d := new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(p1, q1))
		coefficient := new(big.Int).ModInverse(q, p)
		if d == nil || coefficient == nil {
			continue
		}
		der, err := asn1.Marshal(struct {
			Version            int
			N                  *big.Int
			E                  int
			D, P, Q, Dp, Dq, C *big.Int
		}{0, new(big.Int).Mul(p, q), 65537, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), coefficient})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x509.ParsePKCS1PrivateKey(der); err != nil {
			t.Fatalf("the key cannot be read, and proves nothing: %v", err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
}

// randomOdd is an odd number of so many bits, the first two of which are set.
func randomOdd(t testing.TB, bits int) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	if err != nil {
		t.Fatal(err)
	}
	return n.SetBit(n, bits-1, 1).SetBit(n, bits-2, 1).SetBit(n, 0, 1)
}

func TestGCPRefuses(t *testing.T) {
	file := func(change map[string]any) string { return googleKey(t, "a", change) }
	creds := keys{closed: true, texts: map[string]string{
		"gcp/key": file(nil), "gcp/text": "canary", "gcp/user": file(map[string]any{"type": "authorized_user"}), "gcp/external": file(map[string]any{"type": "external_account"}),
		"gcp/nobody": file(map[string]any{"client_email": ""}), "gcp/noid": file(map[string]any{"private_key_id": ""}), "gcp/nokey": file(map[string]any{"private_key": "canary"}),
		"gcp/type": file(map[string]any{"private_key": 1}), "gcp/huge": file(map[string]any{"private_key": hugeKey(t)}),
		"gcp/badkey": file(map[string]any{"private_key": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n"}),
	}}
	key := func(name string) map[string]any {
		return map[string]any{"role": "app", "secretRef": map[string]any{"secretAccessKeySecretRef": map[string]any{"name": "gcp", "key": name}}}
	}
	account := map[string]any{"name": "reader"}
	for name, c := range map[string]struct {
		reason string
		auth   map[string]any
		shared bool
		want   backend.Code
		says   string
	}{
		"Text":      {"no JSON", key("text"), false, backend.Unauthenticated, "secretAccessKeySecretRef"},
		"Type":      {"another type", key("type"), false, backend.Unauthenticated, "secretAccessKeySecretRef"},
		"User":      {"the login of a person", key("user"), false, backend.Unauthenticated, "service account"},
		"External":  {"one that names whom to ask", key("external"), false, backend.Unauthenticated, "service account"},
		"Nobody":    {"whose", key("nobody"), false, backend.Unauthenticated, "service account"},
		"NoID":      {"which of its keys", key("noid"), false, backend.Unauthenticated, "service account"},
		"NoKey":     {"no PEM", key("nokey"), false, backend.Unauthenticated, "RSA key"},
		"BadKey":    {"no key", key("badkey"), false, backend.Unauthenticated, "RSA key"},
		"Huge":      {"it would sign for minutes", key("huge"), false, backend.Unauthenticated, "RSA key"},
		"Missing":   {"not there", key("none"), false, backend.Unauthenticated, "secretAccessKeySecretRef"},
		"NoRole":    {"into what", map[string]any{}, true, backend.InvalidRef, "role"},
		"Path":      {"a mount that is another path", map[string]any{"role": "app", "path": "../sys"}, true, backend.InvalidRef, "path"},
		"Tenant":    {"a tenant is not the controller", map[string]any{"role": "app"}, false, backend.InvalidRef, "secretRef"},
		"Workload":  {"its annotation is not read", map[string]any{"role": "app", "workloadIdentity": map[string]any{"serviceAccountRef": account}}, true, backend.InvalidRef, "workloadIdentity"},
		"Account":   {"it would be the controller", map[string]any{"role": "app", "serviceAccountRef": account}, true, backend.InvalidRef, "serviceAccountRef"},
		"Elsewhere": {"a key of another namespace", map[string]any{"role": "app", "secretRef": map[string]any{"secretAccessKeySecretRef": map[string]any{"name": "gcp", "key": "key", "namespace": "other"}}}, false, backend.InvalidRef, "namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings(t, map[string]any{"server": "https://vault.example.com", "path": "kv", "auth": map[string]any{"gcp": c.auth}})
			cfg.Shared = c.shared
			_, _, err := Open(t.Context(), cfg, creds, newClient(nil))
			if backend.CodeOf(err) != c.want {
				t.Fatalf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error is %q, want %q in it", c.reason, err, c.says)
			}
		})
	}
}

// TestMetadata: what the metadata service says when it does not say a token.
func TestMetadata(t *testing.T) {
	for _, v := range []string{envMetadata, "HTTP_PROXY", "http_proxy"} {
		t.Setenv(v, "")
	}
	for name, c := range map[string]struct {
		reason string
		status int
		body   string
		want   backend.Code
	}{
		"None":    {"no account", http.StatusNotFound, "canary", backend.Unauthenticated},
		"Broken":  {"it will be back", http.StatusInternalServerError, "canary", backend.Unavailable},
		"Garbage": {"no token", http.StatusOK, "<canary>", backend.Unavailable},
		"Lines":   {"nor this", http.StatusOK, "a.b\nc.canary", backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var asked *http.Request
			_, err := machineToken(t.Context(), &http.Client{Transport: through(func(r *http.Request) (*http.Response, error) {
				asked = r
				rec := httptest.NewRecorder()
				rec.WriteHeader(c.status)
				_, _ = rec.WriteString(c.body)
				return rec.Result(), nil
			})}, "a b")
			if backend.CodeOf(err) != c.want || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v, want %q", c.reason, err, c.want)
			}
			if asked.URL.Host != metadataAddress || asked.URL.Query().Get("audience") != "http://vault/a b" {
				t.Errorf("%s: %s is asked", c.reason, asked.URL)
			}
		})
	}
}
