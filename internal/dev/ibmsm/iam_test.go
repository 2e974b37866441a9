// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

func TestTokenRequests(t *testing.T) {
	s := New(Options{Keys: allKeys, TokenTTL: 90 * time.Second})
	const grant = "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey"
	cases := map[string]struct {
		reason string
		form   string
		status int
		code   string
	}{
		"known":       {"a known key gets a token", grant + "&apikey=" + readerKey, 200, ""},
		"no role":     {"IAM knows nothing of roles", grant + "&apikey=" + nobodyKey, 200, ""},
		"unknown":     {"IAM's own code", grant + "&apikey=unknown", 400, "BXNIM0415E"},
		"no key":      {"a missing key is not an unknown one", grant, 400, "BXNIM0109E"},
		"no grant":    {"a grant type is required", "apikey=" + readerKey, 400, "BXNIM0109E"},
		"other grant": {"the refresh grant is not served", "grant_type=refresh_token&refresh_token=x", 400, "BXNIM0137E"},
		"no form":     {"an unreadable form", "a=%zz", 400, "BXNIM0109E"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/identity/token", strings.NewReader(tc.form)))
			var body struct {
				ErrorCode   string `json:"errorCode"`
				AccessToken string `json:"access_token"`
				TokenType   string `json:"token_type"`
				ExpiresIn   int    `json:"expires_in"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != tc.status || body.ErrorCode != tc.code {
				t.Errorf("%s: got %d %q", tc.reason, w.Code, body.ErrorCode)
			}
			if ok := tc.status == 200; ok && (body.TokenType != "Bearer" || body.ExpiresIn != 90 || strings.Count(body.AccessToken, ".") != 2) {
				t.Errorf("%s: the token response is incomplete", tc.reason)
			}
			if strings.Contains(w.Body.String(), readerKey) {
				t.Errorf("%s: the response contains the API key", tc.reason)
			}
		})
	}
}

func TestUnknownKeyThroughSDK(t *testing.T) {
	_, hs := start(t, Options{})
	_, r, err := client(t, hs, "unknown-key").ListSecrets(&sm.ListSecretsOptions{})
	if err == nil || code(t, r, err) != 400 || !strings.Contains(err.Error(), "Provided API key could not be found.") {
		t.Errorf("got %v", err)
	}
}

func TestTokenExpires(t *testing.T) {
	c := newClock()
	s, hs := start(t, Options{TokenTTL: time.Minute, Now: c.Now})
	api := client(t, hs, readerKey)
	list := func() int {
		_, r, err := api.ListSecrets(&sm.ListSecretsOptions{})
		return code(t, r, err)
	}
	if got := list(); got != 200 {
		t.Fatalf("a fresh token: %d", got)
	}
	c.advance(59 * time.Second)
	if got := list(); got != 200 {
		t.Errorf("a token before its end: %d", got)
	}
	c.advance(time.Second)
	if got := list(); got != 401 {
		t.Errorf("a token at its end: %d", got)
	}
	api = client(t, hs, readerKey)
	if got := list(); got != 200 {
		t.Errorf("a new token: %d", got)
	}
	s.ExpireTokens()
	if got := list(); got != 401 {
		t.Errorf("after ExpireTokens: %d", got)
	}
}

func TestRemovedKeyKeepsItsToken(t *testing.T) {
	s, hs := start(t, Options{})
	api := client(t, hs, readerKey)
	for range 2 {
		if _, _, err := api.ListSecrets(&sm.ListSecretsOptions{}); err != nil {
			t.Fatal(err)
		}
		s.RemoveKey(readerKey)
	}
	if _, _, err := client(t, hs, readerKey).ListSecrets(&sm.ListSecretsOptions{}); err == nil {
		t.Error("a removed key got a new token")
	}
}

func TestUnauthorized(t *testing.T) {
	s := New(Options{Keys: allKeys})
	for name, header := range map[string]string{
		"no header": "", "unknown token": "Bearer x.y.z", "no scheme": tokenFor(t, s, managerKey), "basic": "Basic eDp5",
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/api/v2/secrets", http.NoBody)
			r.Header.Set("Authorization", header)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != 401 {
				t.Errorf("got %d", w.Code)
			}
		})
	}
}

// TestRoles goes through every route: the least role gets past the gate, the next lower one gets 403.
func TestRoles(t *testing.T) {
	s := New(Options{Keys: allKeys})
	byRole := map[Role]string{}
	for key, role := range allKeys {
		byRole[role] = key
	}
	for _, rt := range routes {
		if rt.kind == KindToken || rt.role == NoRole {
			continue
		}
		method, path, found := strings.Cut(rt.pattern, " ")
		if !found {
			method, path = "GET", rt.pattern
		}
		path = strings.NewReplacer("{", "", "}", "").Replace(path)
		for _, role := range []Role{rt.role - 1, rt.role} {
			r := httptest.NewRequest(method, path, http.NoBody)
			r.Header.Set("Authorization", "Bearer "+tokenFor(t, s, byRole[role]))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if refused := w.Code == 403; refused != (role < rt.role) {
				t.Errorf("%s as %s: %d", rt.pattern, role, w.Code)
			}
		}
	}
}

func TestRolesThroughSDK(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "a-secret", "value")
	type calls map[string]func(*sm.SecretsManagerV2) int
	do := calls{
		"list": func(c *sm.SecretsManagerV2) int {
			_, r, err := c.ListSecrets(&sm.ListSecretsOptions{})
			return code(t, r, err)
		},
		"get": func(c *sm.SecretsManagerV2) int {
			_, r, err := c.GetSecret(&sm.GetSecretOptions{ID: &id})
			return code(t, r, err)
		},
		"metadata": func(c *sm.SecretsManagerV2) int {
			_, r, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id})
			return code(t, r, err)
		},
		"delete": func(c *sm.SecretsManagerV2) int {
			r, err := c.DeleteSecret(&sm.DeleteSecretOptions{ID: &id})
			return code(t, r, err)
		},
	}
	cases := map[string]struct {
		reason string
		key    string
		want   map[string]int
	}{
		"none":    {"a key without a role can do nothing", nobodyKey, map[string]int{"list": 403, "get": 403, "metadata": 403, "delete": 403}},
		"reader":  {"a reader sees no values", readerKey, map[string]int{"list": 200, "get": 403, "metadata": 200, "delete": 403}},
		"secrets": {"a secrets reader does", secretsKey, map[string]int{"list": 200, "get": 200, "metadata": 200, "delete": 403}},
		"writer":  {"a writer does not delete", writerKey, map[string]int{"get": 200, "delete": 403}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := client(t, hs, tc.key)
			for what, want := range tc.want {
				if got := do[what](c); got != want {
					t.Errorf("%s: %s got %d, want %d", tc.reason, what, got, want)
				}
			}
		})
	}
	c := client(t, hs, readerKey)
	if got := do["get"](c); got != 403 {
		t.Fatalf("before the role changed: %d", got)
	}
	s.SetRole(readerKey, SecretsReader)
	if got := do["get"](c); got != 200 {
		t.Errorf("a changed role holds for tokens already given out: %d", got)
	}
}

func TestParseRole(t *testing.T) {
	for _, want := range []Role{NoRole, Reader, SecretsReader, Writer, Manager} {
		if got, err := ParseRole(want.String()); err != nil || got != want {
			t.Errorf("%s: got %v, %v", want, got, err)
		}
	}
	if _, err := ParseRole("Admin"); err == nil {
		t.Error("an unknown role was parsed")
	}
}
