// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/google/go-cmp/cmp"
)

const (
	crToken    = "service-account-token"
	profileCRN = "crn:v1:bluemix:public:iam-identity::a/account::profile:Profile-1"
)

func withProfiles(t *testing.T) (*Server, *httptest.Server) {
	t.Helper()
	return start(t, Options{
		Profiles: map[string]Role{"Profile-1": SecretsReader, "named": Reader}, CRTokens: []string{crToken},
		Clients: map[string]string{"client": "client-secret"},
	})
}

// withAuth is IBM's SDK with one of its authenticators.
func withAuth(t *testing.T, hs *httptest.Server, auth core.Authenticator) *sm.SecretsManagerV2 {
	t.Helper()
	c, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{URL: hs.URL, Authenticator: auth})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestContainerGrant(t *testing.T) {
	s, hs := withProfiles(t)
	id := put(t, s, "a-secret", "v")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(crToken), 0o600); err != nil {
		t.Fatal(err)
	}
	builder := func() *core.ContainerAuthenticatorBuilder {
		return core.NewContainerAuthenticatorBuilder().SetCRTokenFilename(file).SetURL(hs.URL)
	}
	for name, tc := range map[string]struct {
		reason  string
		builder *core.ContainerAuthenticatorBuilder
		status  int
	}{
		"by id":    {"a profile that reads values", builder().SetIAMProfileID("Profile-1"), 200},
		"by name":  {"a profile that does not", builder().SetIAMProfileName("named"), 403},
		"client":   {"with an OAuth client", builder().SetIAMProfileID("Profile-1").SetClientIDSecret("client", "client-secret"), 200},
		"stranger": {"an unknown client", builder().SetIAMProfileID("Profile-1").SetClientIDSecret("client", "wrong"), 400},
		"unknown":  {"an unknown profile", builder().SetIAMProfileID("Profile-2"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			auth, err := tc.builder.Build()
			if err != nil {
				t.Fatal(err)
			}
			_, r, err := withAuth(t, hs, auth).GetSecret(&sm.GetSecretOptions{ID: &id})
			if got := code(t, r, err); got != tc.status {
				t.Errorf("%s: %d %v", tc.reason, got, err)
			}
		})
	}
	s.AcceptCRToken(crToken, false)
	auth, err := builder().SetIAMProfileID("Profile-1").Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, r, err := withAuth(t, hs, auth).ListSecrets(&sm.ListSecretsOptions{}); code(t, r, err) != 400 || strings.Contains(err.Error(), crToken) {
		t.Errorf("a token that is no longer accepted: %v", err)
	}
	if d := cmp.Diff(map[string]int{"cr-token": 6}, s.Stats().Grants); d != "" {
		t.Error(d)
	}
}

func TestAssumeGrant(t *testing.T) {
	s, hs := withProfiles(t)
	id := put(t, s, "a-secret", "v")
	builder := func(key string) *core.IamAssumeAuthenticatorBuilder {
		return core.NewIamAssumeAuthenticatorBuilder().SetApiKey(key).SetURL(hs.URL)
	}
	for name, tc := range map[string]struct {
		reason  string
		builder *core.IamAssumeAuthenticatorBuilder
		status  int
	}{
		"by id":   {"the profile's role counts, not the key's", builder(nobodyKey).SetIAMProfileID("Profile-1"), 200},
		"by crn":  {"the id is the end of the CRN", builder(nobodyKey).SetIAMProfileCRN(profileCRN), 200},
		"by name": {"a name needs an account", builder(managerKey).SetIAMProfileName("named").SetIAMAccountID("account"), 403},
		"unknown": {"an unknown profile", builder(managerKey).SetIAMProfileID("Profile-2"), 400},
		"no key":  {"the first token must be had", builder("unknown").SetIAMProfileID("Profile-1"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			auth, err := tc.builder.Build()
			if err != nil {
				t.Fatal(err)
			}
			_, r, err := withAuth(t, hs, auth).GetSecret(&sm.GetSecretOptions{ID: &id})
			if got := code(t, r, err); got != tc.status {
				t.Errorf("%s: %d %v", tc.reason, got, err)
			}
		})
	}
	if d := cmp.Diff(map[string]int{"apikey": 5, "assume": 4}, s.Stats().Grants); d != "" {
		t.Error(d)
	}
}

func TestGrantErrors(t *testing.T) {
	s, hs := withProfiles(t)
	token := tokenFor(t, s, managerKey)
	for name, tc := range map[string]struct {
		reason string
		form   string
		code   string
	}{
		"cr-token missing": {"the token is required", "cr-token&profile_id=Profile-1", "BXNIM0109E"},
		"no profile":       {"there are two to choose from", "cr-token&cr_token=" + crToken, "BXNIM0517E"},
		"assume missing":   {"the token is required", "assume&profile_id=Profile-1", "BXNIM0109E"},
		"assume name":      {"a name is one of an account", "assume&profile_name=named&access_token=" + token, "BXNIM0109E"},
		"assume stranger":  {"the token must be IAM's", "assume&profile_id=Profile-1&access_token=x", "BXNIM0408E"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := hs.Client().Post(hs.URL+"/identity/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type="+grantPrefix+tc.form))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			b := new(strings.Builder)
			if err := resp.Write(b); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusBadRequest || !strings.Contains(b.String(), tc.code) || strings.Contains(b.String(), crToken) {
				t.Errorf("%s: got %d, want %s", tc.reason, resp.StatusCode, tc.code)
			}
		})
	}
}

func TestOnlyProfileNeedsNoName(t *testing.T) {
	is := newIssuer(Options{Profiles: map[string]Role{"one": Reader}})
	if who, apiErr := is.profile(nil); apiErr != nil || who.role != Reader {
		t.Errorf("got %v", apiErr)
	}
}

func TestAnonymous(t *testing.T) {
	s, hs := start(t, Options{Anonymous: Reader})
	id := put(t, s, "a-secret", "v")
	api := withAuth(t, hs, &core.NoAuthAuthenticator{})
	if _, r, err := api.ListSecrets(&sm.ListSecretsOptions{}); code(t, r, err) != 200 {
		t.Errorf("a list: %v", err)
	}
	if _, r, err := api.GetSecret(&sm.GetSecretOptions{ID: &id}); code(t, r, err) != 403 {
		t.Errorf("a value, beyond the role: %v", err)
	}
	bad := withAuth(t, hs, &core.BearerTokenAuthenticator{BearerToken: "x"})
	if _, r, err := bad.ListSecrets(&sm.ListSecretsOptions{}); code(t, r, err) != 401 {
		t.Errorf("a bad token is not anonymous: %v", err)
	}
	if got := s.Stats().Kinds[KindToken]; got != 0 {
		t.Errorf("%d token requests", got)
	}
}
