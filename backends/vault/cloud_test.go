// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

// TestCloudIdentity: stores that log in as somebody else share nothing.
func TestCloudIdentity(t *testing.T) {
	a := newAmazon(t)
	creds := a.keys()
	creds.texts["gcp/a"], creds.texts["gcp/b"] = strings.TrimSpace(googleKey(t, "a", nil)), googleKey(t, "b", nil)
	t.Setenv(envKeyID, "AKIAANN")
	t.Setenv(envKey, "canary-ann")
	t.Setenv(envIRSAFile, "")
	t.Setenv(envPodURL, "")
	reader := map[string]any{"serviceAccountRef": map[string]any{"name": "reader"}}
	google := func(key string) map[string]any {
		return map[string]any{"secretAccessKeySecretRef": map[string]any{"name": "gcp", "key": key}}
	}
	seen := map[string]string{}
	for name, c := range map[string]struct {
		kind   string
		auth   map[string]any
		shared bool
	}{
		"ann": {"iam", map[string]any{"secretRef": annKeys}, false}, "bob": {"iam", map[string]any{"secretRef": awsRefs("bob", "bobkey", "")}, false},
		"bob with ann's key": {"iam", map[string]any{"secretRef": awsRefs("bob", "annkey", "")}, false},
		"session":            {"iam", map[string]any{"secretRef": awsRefs("ann", "annkey", "session")}, false},
		"region":             {"iam", map[string]any{"secretRef": annKeys, "region": "eu-west-1"}, false},
		"server":             {"iam", map[string]any{"secretRef": annKeys, "vaultAwsIamServerID": "v"}, false},
		"role":               {"iam", map[string]any{"secretRef": annKeys, "role": appRoleA}, false},
		"external":           {"iam", map[string]any{"secretRef": annKeys, "role": appRoleA, "externalID": "x"}, false},
		"other role":         {"iam", map[string]any{"secretRef": annKeys, "role": farRoleA}, false},
		"vault role":         {"iam", map[string]any{"secretRef": annKeys, "vaultRole": "other"}, false},
		"path":               {"iam", map[string]any{"secretRef": annKeys, "path": "aws2"}, false},
		"reader":             {"iam", map[string]any{"jwt": reader, "role": appRoleA}, false},
		"reader far":         {"iam", map[string]any{"jwt": reader, "role": farRoleA}, false},
		"writer":             {"iam", map[string]any{"jwt": map[string]any{"serviceAccountRef": map[string]any{"name": "writer"}}, "role": appRoleA}, false},
		"controller":         {"iam", nil, true},
		"google a":           {"gcp", map[string]any{"role": "app", "secretRef": google("a")}, false},
		"google b":           {"gcp", map[string]any{"role": "app", "secretRef": google("b")}, false},
		"google role":        {"gcp", map[string]any{"role": "other", "secretRef": google("a")}, false},
		"google machine":     {"gcp", map[string]any{"role": "app"}, true},
		"google a as a JWT":  {"jwt", map[string]any{"role": "app", "path": "gcp", "secretRef": map[string]any{"name": "gcp", "key": "a"}}, false},
	} {
		m := map[string]any{"vaultRole": "app"}
		for k, v := range c.auth {
			m[k] = v
		}
		cfg := settings(t, map[string]any{"server": "https://vault.example.com", "path": "kv", "auth": map[string]any{c.kind: m}})
		cfg.Shared = c.shared
		var logins []string
		for range 2 {
			b, id, err := Open(t.Context(), cfg, creds, a.client())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_ = b.Close()
			logins = append(logins, id.Login)
		}
		if logins[0] != logins[1] {
			t.Errorf("%s: the same store is two logins", name)
		}
		if strings.Contains(logins[0], "canary") || strings.Contains(logins[0], "AKIA") {
			t.Errorf("%s: a credential is in the identity", name)
		}
		if other, ok := seen[logins[0]]; ok {
			t.Errorf("%s and %s are one login", name, other)
		}
		seen[logins[0]] = name
	}
}

// TestNodeIsAskedWithoutProxy: what the services of a node answer is as good as
// a password, and goes through no proxy in the clear.
func TestNodeIsAskedWithoutProxy(t *testing.T) {
	const agent = "169.254.170.23"
	for name, c := range map[string]struct {
		reason         string
		proxy, without string
		refused        bool
	}{
		"None":     {"the usual", "", "", false},
		"Proxy":    {"it could read the token", "http://proxy.example.com:3128", "", true},
		"Garbage":  {"nobody knows where it leads", "http://proxy example", "", true},
		"Excluded": {"the operator says so", "http://proxy.example.com:3128", agent + "," + metadataAddress, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", envMetadata, envPodTokenFile, envPodToken} {
				t.Setenv(v, "")
			}
			t.Setenv("HTTP_PROXY", c.proxy)
			t.Setenv("NO_PROXY", c.without)
			t.Setenv(envPodURL, "http://"+agent+"/v1/credentials")
			var asked atomic.Int64
			client := &http.Client{Transport: through(func(*http.Request) (*http.Response, error) {
				asked.Add(1)
				return nil, http.ErrServerClosed
			})}
			_, errOfMachine := machineToken(t.Context(), client, "app")
			_, errOfPod := tokenService{client: client, field: "iam"}.podIdentity(t.Context())
			want, requests := backend.Unavailable, int64(2)
			if c.refused {
				want, requests = backend.Unauthenticated, 0
			}
			for service, err := range map[string]error{metadataAddress: errOfMachine, agent: errOfPod} {
				if backend.CodeOf(err) != want || c.refused != strings.Contains(err.Error(), "add "+service+" to NO_PROXY") {
					t.Errorf("%s: %s: %v, want %q", c.reason, service, err, want)
				}
			}
			if n := asked.Load(); n != requests {
				t.Errorf("%s: %d requests, want %d", c.reason, n, requests)
			}
		})
	}
}

// TestNodeIsAskedAtOnePlace: what a service of the node is shown goes to nobody
// it names.
func TestNodeIsAskedAtOnePlace(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("what was for the node went elsewhere") }))
	defer elsewhere.Close()
	agent := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer agent.Close()
	t.Setenv(envMetadata, strings.TrimPrefix(agent.URL, "http://"))
	t.Setenv(envPodURL, agent.URL)
	t.Setenv(envPodTokenFile, "")
	t.Setenv(envPodToken, "canary")
	_, errOfMachine := machineToken(t.Context(), newClient(nil), "app")
	_, errOfPod := tokenService{client: newClient(nil), field: "iam"}.podIdentity(t.Context())
	for _, err := range []error{errOfMachine, errOfPod} {
		if backend.CodeOf(err) != backend.Unavailable || !strings.Contains(err.Error(), "(302)") {
			t.Errorf("a redirect: %v", err)
		}
	}
}
