// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lockstep-secrets/lockstep/backend"
)

// ref is a secret that the tests of logins read.
var ref = backend.Ref{Path: "app"}

// method mounts a login in Vault and returns its mount.
func (w *world) method(kind string) string {
	w.t.Helper()
	mount := w.mount + "-" + kind
	w.admin(http.MethodPost, "sys/auth/"+mount, map[string]any{"type": kind})
	return mount
}

// reads fails the test unless the secret can be read.
func (w *world) reads(b backend.Backend) {
	w.t.Helper()
	if _, err := read(w.t.Context(), b, ref); err != nil {
		w.t.Fatalf("reading: %v (%s)", err, backend.CodeOf(err))
	}
}

// fails fails the test unless reading comes to a code.
func (w *world) fails(b backend.Backend, want backend.Code) string {
	w.t.Helper()
	_, err := read(w.t.Context(), b, ref)
	if backend.CodeOf(err) != want {
		w.t.Fatalf("reading: code %q, want %q: %v", backend.CodeOf(err), want, err)
	}
	return err.Error()
}

// signer signs tokens that a mount of the method jwt takes, by the role "app".
type signer struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	path string // of the login
}

func (w *world) signer(role map[string]any) signer {
	w.t.Helper()
	s := signer{t: w.t, path: w.method("jwt")}
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	w.must(err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	w.admin(http.MethodPost, "auth/"+s.path+"/config", map[string]any{"jwt_validation_pubkeys": []string{string(public)}})
	w.role(s, "app", role)
	return s
}

func (w *world) role(s signer, name string, role map[string]any) {
	w.t.Helper()
	in := map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}, "token_ttl": "1h"}
	for k, v := range role {
		in[k] = v
	}
	w.admin(http.MethodPost, "auth/"+s.path+"/role/"+name, in)
}

func (s signer) sign(subject string) string {
	s.t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := jwt.Signed(sig).Claims(jwt.Claims{
		Issuer: "cluster", Subject: subject, Audience: jwt.Audience{"vault"}, IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func TestLogins(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	policy := w.policy("all")
	named := func(name, key string) map[string]any { return map[string]any{"name": name, "key": key} }

	approle := w.method("approle")
	w.admin(http.MethodPost, "auth/"+approle+"/role/app", map[string]any{"token_policies": policy})
	roleID := text(w.admin(http.MethodGet, "auth/"+approle+"/role/app/role-id", nil), "data", "role_id")
	secretID := text(w.admin(http.MethodPost, "auth/"+approle+"/role/app/secret-id", map[string]any{}), "data", "secret_id")
	userpass := w.method("userpass")
	w.admin(http.MethodPost, "auth/"+userpass+"/users/ann", map[string]any{"password": "canary-p", "token_policies": policy})
	s := w.signer(map[string]any{"token_policies": policy})
	creds := keys{
		texts: map[string]string{
			"login/id": roleID + "\n", "login/secret": secretID + "\n", "login/password": "canary-p", "login/wrong": "canary-wrong",
			"login/jwt": s.sign("ann"), "login/token": s.sign("ann"),
		},
		tokens: func(name string, audiences []string) (backend.Value, time.Time, error) {
			if name != "reader" {
				return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "no such account")
			}
			return textValue(s.sign("system:serviceaccount:ns:" + name + strings.Join(audiences, ","))), time.Now().Add(10 * time.Minute), nil
		},
	}
	for name, c := range map[string]struct {
		reason string
		auth   map[string]any
		want   backend.Code
	}{
		"AppRole":       {"the ID of the role in the manifest", map[string]any{"appRole": map[string]any{"path": approle, "roleId": roleID, "secretRef": named("login", "secret")}}, ""},
		"AppRoleRef":    {"the ID of the role in a Secret", map[string]any{"appRole": map[string]any{"path": approle, "roleRef": named("login", "id"), "secretRef": named("login", "secret")}}, ""},
		"AppRoleWrong":  {"a secret ID that is none", map[string]any{"appRole": map[string]any{"path": approle, "roleId": roleID, "secretRef": named("login", "wrong")}}, backend.Unauthenticated},
		"UserPass":      {"a user of Vault", map[string]any{"userPass": map[string]any{"path": userpass, "username": "ann", "secretRef": named("login", "password")}}, ""},
		"UserPassWrong": {"a password that is none", map[string]any{"userPass": map[string]any{"path": userpass, "username": "ann", "secretRef": named("login", "wrong")}}, backend.Unauthenticated},
		"UserPassMount": {"a mount that is none", map[string]any{"userPass": map[string]any{"path": "nowhere", "username": "ann", "secretRef": named("login", "password")}}, backend.Unauthenticated},
		"JWT":           {"a token in a Secret", map[string]any{"jwt": map[string]any{"path": s.path, "role": "app", "secretRef": named("login", "jwt")}}, ""},
		"JWTNoRole":     {"a role that is none", map[string]any{"jwt": map[string]any{"path": s.path, "role": "none", "secretRef": named("login", "jwt")}}, backend.Unauthenticated},
		"JWTAccount":    {"a token that is made", map[string]any{"jwt": map[string]any{"path": s.path, "role": "app", "kubernetesServiceAccountToken": map[string]any{"serviceAccountRef": map[string]any{"name": "reader"}}}}, ""},
		"Kubernetes":    {"a token that is made", map[string]any{"kubernetes": map[string]any{"mountPath": s.path, "role": "app", "serviceAccountRef": map[string]any{"name": "reader", "audiences": []string{"vault"}}}}, ""},
		"KubernetesRef": {"a token in a Secret, under the usual key", map[string]any{"kubernetes": map[string]any{"mountPath": "/" + s.path + "/", "role": "app", "secretRef": map[string]any{"name": "login"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(map[string]any{"auth": c.auth}, creds)
			_, err := read(t.Context(), b, ref)
			if backend.CodeOf(err) != c.want {
				t.Fatalf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error has a credential in it", c.reason)
			}
			if checked := b.Checker.Check(t.Context()); backend.CodeOf(checked) != c.want {
				t.Errorf("%s: Check has code %q, want %q", c.reason, backend.CodeOf(checked), c.want)
			}
		})
	}
}

// TestLDAP has no directory: what is asked of Vault is looked at.
func TestLDAP(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	token := w.token(w.policy("all"), nil)
	w.say(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/auth/ldap/login/ann smith" {
			return false
		}
		answerJSON(rw, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": 60}})
		return true
	})
	b := w.open(map[string]any{"auth": map[string]any{"ldap": map[string]any{
		"path": "ldap", "username": "ann smith", "secretRef": map[string]any{"name": "login", "key": "p"},
	}}}, keys{texts: map[string]string{"login/p": "x"}})
	w.reads(b)
}

// TestOneLogin: whoever asks at the same time waits for the same login, and
// whoever asks later uses its token.
func TestOneLogin(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b, login := w.appRole(map[string]any{"token_policies": w.policy("all"), "token_ttl": "1h"})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := read(t.Context(), b, ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.reads(b)
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if n := w.requests.Load(); n != 52 {
		t.Errorf("%d requests, want a login and 51 reads", n)
	}
}

// appRole opens a store that logs in to a role with these settings.
func (w *world) appRole(role map[string]any) (backend.Backend, string) {
	w.t.Helper()
	open, path := w.appRoles(role)
	return open(), path
}

// appRoles makes a role, and returns what opens a store by it.
func (w *world) appRoles(role map[string]any) (open func() backend.Backend, path string) {
	w.t.Helper()
	mount := w.method("approle")
	w.admin(http.MethodPost, "auth/"+mount+"/role/app", role)
	id := text(w.admin(http.MethodGet, "auth/"+mount+"/role/app/role-id", nil), "data", "role_id")
	secret := text(w.admin(http.MethodPost, "auth/"+mount+"/role/app/secret-id", map[string]any{}), "data", "secret_id")
	return func() backend.Backend {
		return w.open(map[string]any{"auth": map[string]any{"appRole": map[string]any{
			"path": mount, "roleId": id, "secretRef": map[string]any{"name": "login", "key": "token"},
		}}}, holding(secret))
	}, "auth/" + mount + "/login"
}

// session is the one session of a store.
func session0(t testing.TB, b backend.Backend) *session {
	t.Helper()
	r, ok := b.Reader.(*reader)
	if !ok {
		t.Fatal("not a backend of this package")
	}
	s, err := r.api.session("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// later lets time pass for a session.
func later(s *session, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now().Add(d)
	s.now = func() time.Time { return at }
}

const renewSelf = "auth/token/renew-self"

// eventually fails the test unless what happens within the patience.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not happen", what)
		}
	}
}

func TestTokenIsRenewed(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b, login := w.appRole(map[string]any{"token_policies": w.policy("all"), "token_ttl": "1h"})
	w.reads(b)
	s := session0(t, b)
	later(s, 30*time.Minute)
	w.reads(b)
	if n := w.count(renewSelf); n != 0 {
		t.Errorf("renewed at half of its life")
	}
	later(s, 11*time.Minute) // past two thirds, whatever the jitter
	w.reads(b)
	eventually(t, "a renewal", func() bool { return w.count(renewSelf) == 1 })
	eventually(t, "the end of it", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.pending == nil })
	later(s, 30*time.Minute) // beyond the first life
	w.reads(b)
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	later(s, 2*time.Hour) // nobody asked for too long
	w.reads(b)
	if n := w.count(login); n != 2 {
		t.Errorf("%d logins after the token ended, want 2", n)
	}
}

// TestTokenIsMadeAnew: one that gets no more life is replaced, before it ends.
func TestTokenIsMadeAnew(t *testing.T) {
	for name, role := range map[string]map[string]any{
		"batch":    {"token_ttl": "1h", "token_type": "batch"},
		"last":     {"token_ttl": "1h", "token_explicit_max_ttl": "1h"},
		"explicit": {"token_ttl": "1h", "token_max_ttl": "61m"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			w.put("app", map[string]any{"k": "v"})
			role["token_policies"] = w.policy("all")
			b, login := w.appRole(role)
			w.reads(b)
			s := session0(t, b)
			if name != "batch" {
				w.say(func(rw http.ResponseWriter, r *http.Request) bool { // as it is near the longest life
					if r.URL.Path != "/v1/"+renewSelf {
						return false
					}
					answerJSON(rw, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": "x", "lease_duration": 600, "renewable": true}})
					return true
				})
			}
			later(s, 45*time.Minute)
			w.reads(b)
			eventually(t, "another login", func() bool { return w.count(login) == 2 })
			w.reads(b)
		})
	}
}

func TestRefusedToken(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b, login := w.appRole(map[string]any{"token_policies": w.policy("all"), "token_ttl": "1h"})
	w.reads(b)
	held := string(session0(t, b).held.token.Reveal())
	w.admin(http.MethodPost, "auth/token/revoke", map[string]any{"token": held})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := read(t.Context(), b, ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.count(login); n != 2 {
		t.Errorf("%d logins after the token was revoked, want 2", n)
	}
	held = string(session0(t, b).held.token.Reveal())
	w.admin(http.MethodPost, "auth/token/revoke", map[string]any{"token": held})
	if err := b.Checker.Check(t.Context()); err != nil || w.count(login) != 3 {
		t.Errorf("Check after the token was revoked: %v, %d logins, want 3", err, w.count(login))
	}
	w.reads(b)
}

// TestForbiddenKeepsToken: what a policy does not allow is no reason to log in.
func TestForbiddenKeepsToken(t *testing.T) {
	w := newWorld(t, 2)
	policy := w.policy("all")
	b, login := w.appRole(map[string]any{"token_policies": policy, "token_ttl": "1h"})
	w.put("app", map[string]any{"k": "v"})
	w.reads(b)
	w.admin(http.MethodPut, "sys/policies/acl/"+policy, map[string]any{"policy": `path "x/*" { capabilities = ["read"] }`})
	for range 3 {
		if text := w.fails(b, backend.PermissionDenied); !strings.Contains(text, w.data("app")) {
			t.Errorf("the error does not say what: %s", text)
		}
	}
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	w.policy("all")
	w.reads(b)
}

// TestBlindToken: a token that may not look itself up is not taken for one that
// has ended again and again.
func TestBlindToken(t *testing.T) {
	w := newWorld(t, 2)
	b, login := w.appRole(map[string]any{
		"token_policies": w.policy("other", `path "`+w.mount+`/data/app" { capabilities = ["deny"] }`), "token_ttl": "1h", "token_no_default_policy": true,
	})
	for range 4 {
		w.fails(b, backend.PermissionDenied)
	}
	if n := w.count(login); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	later(session0(t, b), 6*time.Minute)
	w.fails(b, backend.PermissionDenied)
	if n := w.count(login); n != 3 {
		t.Errorf("%d logins after some minutes, want 3", n)
	}
}

func TestRefusedLoginIsLeftAlone(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	mount := w.method("userpass")
	w.admin(http.MethodPost, "auth/"+mount+"/users/ann", map[string]any{"password": "good", "token_policies": w.policy("all")})
	b := w.open(map[string]any{"auth": map[string]any{"userPass": map[string]any{
		"path": mount, "username": "ann", "secretRef": map[string]any{"name": "login", "key": "token"},
	}}}, holding("canary-bad"))
	login, s := "auth/"+mount+"/login/ann", session0(t, b)
	for range 20 {
		w.fails(b, backend.Unauthenticated)
	}
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins at once with a wrong password, want 1: Vault locks the user out", n)
	}
	for range 4 {
		later(s, 15*time.Second)
		w.fails(b, backend.Unauthenticated)
	}
	if n := w.count(login); n != 3 {
		t.Errorf("%d logins in a minute, want 3", n)
	}
	w.admin(http.MethodPost, "auth/"+mount+"/users/ann", map[string]any{"password": "canary-bad"})
	later(s, 2*time.Minute)
	w.reads(b)
}

func TestCloseRevokes(t *testing.T) {
	w := newWorld(t, 1)
	w.put("app", map[string]any{"k": "v"})
	dynamic := backend.Ref{Path: w.database(), Kind: kindPath}
	lookup := func(token string) int {
		_, status := w.try(http.MethodPost, "auth/token/lookup", map[string]any{"token": token})
		return status
	}
	b, _ := w.appRole(map[string]any{"token_policies": w.policy("all", everything...), "token_ttl": "1h"})
	w.reads(b)
	made := string(session0(t, b).held.token.Reveal())
	w.must(b.Close())
	eventually(t, "the end of the token", func() bool { return lookup(made) == http.StatusForbidden })

	fixed := w.token(w.policy("all"), nil)
	b = w.open(nil, holding(fixed))
	w.reads(b)
	w.must(b.Close())

	w2 := newWorld(t, 1)
	b, _ = w2.appRole(map[string]any{"token_policies": w2.policy("all", everything...), "token_ttl": "1h"})
	if _, err := read(t.Context(), b, dynamic); err != nil {
		t.Fatal(err)
	}
	leased := string(session0(t, b).held.token.Reveal())
	session0(t, b).close()
	for what, token := range map[string]string{"that somebody gave us": fixed, "that a lease hangs on": leased} {
		if status := lookup(token); status != http.StatusOK {
			t.Errorf("a token %s is revoked when the store is closed (%d)", what, status)
		}
	}
}

// TestRolesOfKES: each role at each mount has a token of its own.
func TestRolesOfKES(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	s := w.signer(map[string]any{"token_policies": w.policy("all")})
	w.role(s, "narrow", map[string]any{"token_policies": "default"})
	file := filepath.Join(t.TempDir(), "token")
	w.must(os.WriteFile(file, []byte(s.sign("lockstep")+"\n"), 0o600))
	cfg := settings(t, nil)
	cfg.Env = backend.NewEnv(map[string]string{envAddress: w.server.URL, envMount: s.path})
	e, err := readEnv(cfg.Env)
	w.must(err)
	e.tokenFile = file
	b, _, err := e.open(t.Context(), cfg, newClient(nil))
	w.must(err)
	t.Cleanup(func() { _ = b.Close() })
	of := func(role string) backend.Ref {
		r, err := parseRef(backend.KES, backend.Key{Key: w.data("app"), Args: map[string]string{argRole: role}})
		w.must(err)
		return r
	}
	for range 3 {
		for role, want := range map[string]backend.Code{"app": "", "narrow": backend.PermissionDenied, "none": backend.Unauthenticated, "": backend.InvalidRef} {
			_, err := read(t.Context(), b, of(role))
			if backend.CodeOf(err) != want {
				t.Errorf("role %q: code %q, want %q: %v", role, backend.CodeOf(err), want, err)
			}
		}
	}
	if n := w.count("auth/" + s.path + "/login"); n != 3 { // one of them is refused, and left alone for a while
		t.Errorf("%d logins, want 3", n)
	}
	if _, err := read(t.Context(), b, of("")); err.Error() != "Invalid type: null (expected string)" {
		t.Errorf("no role: %s", err)
	}
	if _, err := read(t.Context(), b, of("narrow")); err.Error() != deniedInKES {
		t.Errorf("denied: %s", err)
	}
	gone := of("app")
	gone.Path = w.data("gone")
	if _, err := read(t.Context(), b, gone); err.Error() != "Status 404" || backend.CodeOf(err) != backend.NotFound {
		t.Errorf("missing: %v", err)
	}

	// The pod's token is replaced while we run; the old one is no good any more.
	w.must(os.WriteFile(file, []byte("not a token"), 0o600))
	later(sessionOf(t, b, of("app").Args), 2*time.Hour)
	if _, err := read(t.Context(), b, of("app")); backend.CodeOf(err) != backend.Unauthenticated {
		t.Errorf("with a pod token that is none: %v", err)
	}
	w.must(os.WriteFile(file, []byte(s.sign("lockstep")), 0o600))
	later(sessionOf(t, b, of("app").Args), 10*time.Second)
	if _, err := read(t.Context(), b, of("app")); err != nil {
		t.Errorf("with the next one: %v", err)
	}
}

// TestTokenOfKES: the operator's token replaces all logins.
func TestTokenOfKES(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	cfg := settings(t, nil)
	cfg.Env = backend.NewEnv(map[string]string{envAddress: w.server.URL, envToken: root})
	b, _, err := Open(t.Context(), cfg, nil, newClient(nil))
	w.must(err)
	t.Cleanup(func() { _ = b.Close() })
	for _, role := range []string{"", "app"} {
		ref, err := parseRef(backend.KES, backend.Key{Key: w.data("app"), Args: map[string]string{argRole: role}})
		w.must(err)
		if _, err := read(t.Context(), b, ref); err != nil {
			t.Errorf("role %q: %v", role, err)
		}
	}
	if b.Checker == nil || b.Watcher == nil {
		t.Error("there is somebody to ask as, also without a role")
	}
}

func sessionOf(t testing.TB, b backend.Backend, args string) *session {
	t.Helper()
	s, err := b.Reader.(*reader).api.session(args)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
