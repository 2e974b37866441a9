// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// awsRefs are the fields of secretRef, for keys of the Secret "aws".
func awsRefs(id, key, session string) map[string]any {
	m := map[string]any{
		"accessKeyIDSecretRef":     map[string]any{"name": "aws", "key": id},
		"secretAccessKeySecretRef": map[string]any{"name": "aws", "key": key},
	}
	if session != "" {
		m["sessionTokenSecretRef"] = map[string]any{"name": "aws", "key": session}
	}
	return m
}

var annKeys = awsRefs("ann", "annkey", "")

// keys are the credentials of the stores that log in with AWS.
func (a *amazon) keys() keys {
	return keys{
		texts: map[string]string{
			"aws/ann": "AKIAANN\n", "aws/annkey": "canary-ann\n", "aws/bob": "AKIABOB", "aws/bobkey": "canary-bob",
			"aws/temp": "ASIAANN", "aws/tempkey": "canary-temporary", "aws/session": "canary-session", "aws/lines": "a\nb",
		},
		tokens: func(name string, audiences []string) (backend.Value, time.Time, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.asked = append(a.asked, "token of "+name+" for "+strings.Join(audiences, " "))
			return textValue(a.token(name, audiences)), time.Now().Add(10 * time.Minute), nil
		},
	}
}

// iam opens a store with this login.
func (w *world) iam(a *amazon, auth map[string]any, shared bool) backend.Backend {
	w.t.Helper()
	m := map[string]any{"path": w.mount + "-aws", "vaultRole": "app"}
	for k, v := range auth {
		m[k] = v
	}
	cfg := settings(w.t, w.manifest(map[string]any{"auth": map[string]any{"iam": m}}))
	cfg.Shared = shared
	b, _, err := Open(w.t.Context(), cfg, a.keys(), a.client())
	w.must(err)
	w.t.Cleanup(func() { _ = b.Close() })
	return b
}

// trusting mounts the method aws, which asks the stand-in, and lets some
// identities in.
func (w *world) trusting(a *amazon, settings map[string]any) string {
	w.t.Helper()
	mount := w.method("aws")
	config := map[string]any{"sts_endpoint": a.server.URL, "iam_endpoint": a.server.URL, "max_retries": 0}
	for k, v := range settings {
		config[k] = v
	}
	w.admin(http.MethodPost, "auth/"+mount+"/config/client", config)
	w.admin(http.MethodPost, "auth/"+mount+"/role/app", map[string]any{
		"auth_type": "iam", "bound_iam_principal_arn": []string{annARN, appRoleA, farRoleA, podRoleA}, "resolve_aws_unique_ids": false,
		"token_policies": w.policy("all"), "token_ttl": "1h",
	})
	return "auth/" + mount + "/login"
}

func TestIAM(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	login := w.trusting(a, nil)
	account := func(name string) map[string]any {
		return map[string]any{"serviceAccountRef": map[string]any{"name": name}}
	}
	for name, c := range map[string]struct {
		reason string
		auth   map[string]any
		want   backend.Code
		asked  []string // by us
	}{
		"Keys":         {"the usual", map[string]any{"secretRef": annKeys}, "", nil},
		"Region":       {"signed for another", map[string]any{"region": "eu-west-1", "secretRef": annKeys}, "", nil},
		"Government":   {"of another part of AWS", map[string]any{"region": "us-gov-west-1", "secretRef": annKeys}, "", nil},
		"China":        {"with another domain", map[string]any{"region": "cn-north-1", "secretRef": annKeys}, "", nil},
		"Session":      {"keys with a session", map[string]any{"secretRef": awsRefs("temp", "tempkey", "session")}, "", nil},
		"NoSession":    {"keys without theirs", map[string]any{"secretRef": awsRefs("temp", "tempkey", "")}, backend.Unauthenticated, nil},
		"WrongKey":     {"another user's", map[string]any{"secretRef": awsRefs("ann", "bobkey", "")}, backend.Unauthenticated, nil},
		"Stranger":     {"known to AWS, and not to the role of Vault", map[string]any{"secretRef": awsRefs("bob", "bobkey", "")}, backend.Unauthenticated, nil},
		"NoRole":       {"a role of Vault that is none", map[string]any{"vaultRole": "none", "secretRef": annKeys}, backend.Unauthenticated, nil},
		"Role":         {"ann takes a role", map[string]any{"role": appRoleA, "secretRef": annKeys}, "", []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"RoleRegion":   {"in another region", map[string]any{"region": "ap-southeast-2", "role": appRoleA, "secretRef": annKeys}, "", []string{"sts.ap-southeast-2.amazonaws.com AssumeRole"}},
		"RoleDenied":   {"bob may not", map[string]any{"role": appRoleA, "secretRef": awsRefs("bob", "bobkey", "")}, backend.Unauthenticated, []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"RoleWrongKey": {"nor one with a wrong key", map[string]any{"role": appRoleA, "secretRef": awsRefs("ann", "bobkey", "")}, backend.Unauthenticated, []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"External":     {"with an external ID", map[string]any{"role": farRoleA, "externalID": "x-1", "secretRef": annKeys}, "", []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"NoExternal":   {"or without", map[string]any{"role": farRoleA, "secretRef": annKeys}, backend.Unauthenticated, []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"Account": {"a service account takes a role", map[string]any{"role": appRoleA, "jwt": account("reader")}, "", []string{
			"token of reader for sts.amazonaws.com", "sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity",
		}},
		"AccountDenied": {"another may not", map[string]any{"role": appRoleA, "jwt": account("writer")}, backend.Unauthenticated, []string{
			"token of writer for sts.amazonaws.com", "sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity",
		}},
		"AccountFirst": {"as External Secrets Operator has it", map[string]any{"role": appRoleA, "jwt": account("reader"), "secretRef": awsRefs("bob", "bobkey", "")}, "", []string{
			"token of reader for sts.amazonaws.com", "sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.asked = nil
			a.mu.Unlock()
			before := w.count(login)
			b := w.iam(a, c.auth, false)
			if n := w.count(login); n != before {
				t.Errorf("%s: opening made %d logins", c.reason, n-before)
			}
			_, err := read(t.Context(), b, ref)
			if backend.CodeOf(err) != c.want {
				t.Fatalf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error has a secret in it: %s", c.reason, err)
			}
			if diff := cmp.Diff(c.asked, a.requests()); diff != "" {
				t.Errorf("%s: we asked AWS (-want, +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestIAMServer: a question that is signed for one Vault is good for no other.
func TestIAMServer(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	w.trusting(a, map[string]any{"iam_server_id_header_value": "vault.example.com"})
	for server, want := range map[string]backend.Code{"vault.example.com": "", "other.example.com": backend.Unauthenticated, "": backend.Unauthenticated} {
		_, err := read(t.Context(), w.iam(a, map[string]any{"vaultAwsIamServerID": server, "secretRef": annKeys}, false), ref)
		if backend.CodeOf(err) != want {
			t.Errorf("server %q: %v, want %q", server, err, want)
		}
	}
}

// TestIAMSession: one login and one role for all who read, and both anew when
// the token ended, for a role's keys live an hour.
func TestIAMSession(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	login := w.trusting(a, nil)
	b := w.iam(a, map[string]any{"role": appRoleA, "jwt": map[string]any{"serviceAccountRef": map[string]any{"name": "reader", "audiences": []string{"more"}}}}, false)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := read(t.Context(), b, ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	once := []string{"token of reader for sts.amazonaws.com more", "sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity"}
	if diff := cmp.Diff(once, a.requests()); diff != "" || w.count(login) != 1 {
		t.Errorf("%d logins, want 1; we asked AWS (-want, +got):\n%s", w.count(login), diff)
	}
	s := session0(t, b)
	later(s, 45*time.Minute)
	w.reads(b)
	eventually(t, "a renewal", func() bool { return w.count(renewSelf) == 1 })
	eventually(t, "the end of it", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.pending == nil })
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins after a renewal, want 1", n)
	}
	w.admin(http.MethodPost, "auth/token/revoke", map[string]any{"token": string(s.held.token.Reveal())})
	w.reads(b)
	if diff := cmp.Diff(append(slices.Clone(once), once...), a.requests()); diff != "" || w.count(login) != 2 {
		t.Errorf("%d logins after the token was revoked, want 2; we asked AWS (-want, +got):\n%s", w.count(login), diff)
	}
	if a.heard[0] == a.heard[len(a.heard)-1] { // Vault asks more than once in a login
		t.Error("both logins have the same signature")
	}
}

// TestIAMSignsAnew: a signature holds for a quarter of an hour, a store for
// months.
func TestIAMSignsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, err := json.Marshal(map[string]any{"server": "https://vault", "auth": map[string]any{"iam": map[string]any{"vaultRole": "app", "secretRef": annKeys}}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		l := logins{config: c, creds: (&amazon{}).keys(), http: http.DefaultClient}
		m, err := l.method(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(time.Hour)
			sent, err := m.material(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			text, err := base64.StdEncoding.DecodeString(sent["iam_request_headers"])
			if err != nil {
				t.Fatal(err)
			}
			var headers http.Header
			if err := json.Unmarshal(text, &headers); err != nil {
				t.Fatal(err)
			}
			if got, want := headers.Get("X-Amz-Date"), time.Now().UTC().Format("20060102T150405Z"); got != want {
				t.Errorf("signed at %s, want %s", got, want)
			}
			if strings.Contains(string(text), "canary") {
				t.Error("the secret key is sent")
			}
		}
	})
}

// TestIAMEnvironment: the addresses and the profiles of the process's
// environment are not for stores, and neither are its keys.
func TestIAMEnvironment(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	w.trusting(a, nil)
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_STS_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	t.Setenv("AWS_REGION", "eu-north-1")
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	t.Setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIABOB")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "canary-bob")
	w.reads(w.iam(a, map[string]any{"role": appRoleA, "secretRef": annKeys}, false))
	if diff := cmp.Diff([]string{"sts.us-east-1.amazonaws.com AssumeRole"}, a.requests()); diff != "" {
		t.Errorf("we asked AWS (-want, +got):\n%s", diff)
	}
	if got := os.Getenv("AWS_ACCESS_KEY_ID"); got != "AKIABOB" {
		t.Errorf("a login changes the environment of the process: %s", got)
	}
}

// TestIAMController: stores of the operator log in as Lockstep's own pod.
func TestIAMController(t *testing.T) {
	a, w := newAmazon(t), newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	w.trusting(a, nil)
	agent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "canary-agent" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		answerJSON(rw, http.StatusOK, map[string]any{"AccessKeyId": "ASIAANN", "SecretAccessKey": "canary-temporary", "Token": "canary-session"})
	}))
	defer agent.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	token, agentToken := file("token", a.token("reader", []string{awsAudience})+"\n"), file("agent", "canary-agent\n")
	irsa := map[string]string{envIRSAFile: token, envIRSARole: appRoleA}
	for name, c := range map[string]struct {
		reason string
		env    map[string]string
		auth   map[string]any
		want   backend.Code
		asked  []string
	}{
		"IRSA":         {"a role for its service account", irsa, nil, "", []string{"sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity"}},
		"IRSAChain":    {"and another role by that", irsa, map[string]any{"role": podRoleA}, "", []string{"sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity", "sts.us-east-1.amazonaws.com AssumeRole"}},
		"IRSANoFile":   {"no token", map[string]string{envIRSAFile: token + "x", envIRSARole: appRoleA}, nil, backend.Unauthenticated, nil},
		"Pod":          {"of the agent", map[string]string{envPodURL: agent.URL + "/v1/credentials", envPodTokenFile: agentToken}, nil, "", nil},
		"PodToken":     {"with the token itself", map[string]string{envPodURL: agent.URL, envPodToken: "canary-agent"}, nil, "", nil},
		"PodRole":      {"and a role", map[string]string{envPodURL: agent.URL, envPodTokenFile: agentToken}, map[string]any{"role": appRoleA}, "", []string{"sts.us-east-1.amazonaws.com AssumeRole"}},
		"PodRefused":   {"the agent does not know us", map[string]string{envPodURL: agent.URL}, nil, backend.Unauthenticated, nil},
		"PodElsewhere": {"the token goes to nodes only", map[string]string{envPodURL: "http://example.com/", envPodTokenFile: agentToken}, nil, backend.Unauthenticated, nil},
		"Keys":         {"in the environment", map[string]string{envKeyID: "AKIAANN", envKey: "canary-ann"}, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{envIRSAFile, envIRSARole, envPodURL, envPodTokenFile, envPodToken, envKeyID, envKey, envSession} {
				t.Setenv(v, c.env[v])
			}
			a.mu.Lock()
			a.asked = nil
			a.mu.Unlock()
			_, err := read(t.Context(), w.iam(a, c.auth, true), ref)
			if backend.CodeOf(err) != c.want || err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v, want %q", c.reason, err, c.want)
			}
			if diff := cmp.Diff(c.asked, a.requests()); diff != "" {
				t.Errorf("%s: we asked AWS (-want, +got):\n%s", c.reason, diff)
			}
			cfg := settings(t, w.manifest(map[string]any{"auth": map[string]any{"iam": map[string]any{"vaultRole": "app"}}}))
			if _, _, err := Open(t.Context(), cfg, a.keys(), a.client()); backend.CodeOf(err) != backend.InvalidRef {
				t.Errorf("%s: a tenant's store logs in as the controller: %v", c.reason, err)
			}
		})
	}
}

func TestIAMRefuses(t *testing.T) {
	for _, v := range []string{envIRSAFile, envIRSARole, envPodURL, envKeyID} {
		t.Setenv(v, "")
	}
	with := func(more map[string]any) map[string]any {
		m := map[string]any{"vaultRole": "app", "secretRef": annKeys}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	reader := map[string]any{"serviceAccountRef": map[string]any{"name": "reader"}}
	for name, c := range map[string]struct {
		reason string
		auth   map[string]any
		shared bool
		want   backend.Code
		says   string
	}{
		"RegionHost":   {"a region that is a host", with(map[string]any{"region": "eu-west-1.evil.example"}), false, backend.InvalidRef, "region"},
		"RegionUser":   {"a region that makes another host", with(map[string]any{"region": "x@evil.example/"}), false, backend.InvalidRef, "region"},
		"RegionPort":   {"a port", with(map[string]any{"region": "eu-west-1:1"}), false, backend.InvalidRef, "region"},
		"RegionLine":   {"a line", with(map[string]any{"region": "eu-west-1\nx"}), false, backend.InvalidRef, "region"},
		"RegionFIPS":   {"not a region but an endpoint", with(map[string]any{"region": "us-fips-east-1"}), false, backend.InvalidRef, "region"},
		"Role":         {"no ARN", with(map[string]any{"role": "app"}), false, backend.InvalidRef, "vaultRole"},
		"RoleOther":    {"the ARN of something else", with(map[string]any{"role": annARN}), false, backend.InvalidRef, "role"},
		"Server":       {"a header that is two", with(map[string]any{"vaultAwsIamServerID": "a\r\nb"}), false, backend.InvalidRef, "vaultAwsIamServerID"},
		"Path":         {"a mount that is another path", with(map[string]any{"path": "../sys"}), false, backend.InvalidRef, "path"},
		"NoKey":        {"a key that is not there", with(map[string]any{"secretRef": awsRefs("ann", "none", "")}), false, backend.Unauthenticated, "secretAccessKeySecretRef"},
		"NoSession":    {"a session that is not there", with(map[string]any{"secretRef": awsRefs("ann", "annkey", "none")}), false, backend.Unauthenticated, "sessionTokenSecretRef"},
		"Lines":        {"no key has lines", with(map[string]any{"secretRef": awsRefs("ann", "lines", "")}), false, backend.Unauthenticated, "secretRef"},
		"Nameless":     {"of which Secret", with(map[string]any{"secretRef": map[string]any{}}), false, backend.InvalidRef, "accessKeyIDSecretRef"},
		"JWTEmpty":     {"of which account", with(map[string]any{"jwt": map[string]any{}}), false, backend.InvalidRef, "serviceAccountRef"},
		"JWTNoRole":    {"its annotation is not read", with(map[string]any{"jwt": reader}), false, backend.InvalidRef, "eks.amazonaws.com/role-arn"},
		"JWTExternal":  {"AWS takes none", with(map[string]any{"jwt": reader, "role": appRoleA, "externalID": "x"}), false, backend.InvalidRef, "externalID"},
		"JWTNoName":    {"which account", with(map[string]any{"jwt": map[string]any{"serviceAccountRef": map[string]any{}}, "role": appRoleA}), false, backend.InvalidRef, "name"},
		"JWTElsewhere": {"an account of another namespace", with(map[string]any{"jwt": map[string]any{"serviceAccountRef": map[string]any{"name": "reader", "namespace": "other"}}, "role": appRoleA}), false, backend.InvalidRef, "namespace"},
		"Tenant":       {"a tenant is not the controller", map[string]any{"vaultRole": "app"}, false, backend.InvalidRef, "ClusterSecretStore"},
		"NoIdentity":   {"the pod is nobody, and the node is not asked", map[string]any{"vaultRole": "app"}, true, backend.Unauthenticated, "node"},
		"Type":         {"another type", map[string]any{"secretRef": "canary"}, false, backend.InvalidRef, "iam.secretRef"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings(t, map[string]any{"server": "https://vault.example.com", "path": "kv", "auth": map[string]any{"iam": c.auth}})
			cfg.Shared = c.shared
			creds := (&amazon{}).keys()
			creds.closed = true
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
