// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/google/go-cmp/cmp"
)

// iamSecret creates IAM credentials through the SDK.
func iamSecret(t *testing.T, c *sm.SecretsManagerV2, name string, reuse bool) *sm.IAMCredentialsSecret {
	t.Helper()
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.IAMCredentialsSecretPrototype{
		SecretType: core.StringPtr("iam_credentials"), Name: &name, TTL: core.StringPtr("1h"), ReuseApiKey: &reuse,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got.(*sm.IAMCredentialsSecret)
}

func readIAM(t *testing.T, c *sm.SecretsManagerV2, id string) *sm.IAMCredentialsSecret {
	t.Helper()
	got, _, err := c.GetSecret(&sm.GetSecretOptions{ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	return got.(*sm.IAMCredentialsSecret)
}

// login is the status of a token request with an API key.
func login(s *Server, apiKey string) int {
	form := url.Values{"grant_type": {apiKeyGrant}, "apikey": {apiKey}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/identity/token", strings.NewReader(form.Encode())))
	return w.Code
}

func TestEphemeralIAMCredentials(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	secret := iamSecret(t, c, "fleeting", false)
	id := *secret.ID
	if secret.ApiKey != nil {
		t.Error("there is an API key before the first read")
	}
	first := readIAM(t, c, id)
	if first.ApiKey == nil || login(s, *first.ApiKey) != 200 {
		t.Fatal("a read makes an API key that IAM knows")
	}
	before, _, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ListSecretVersions(&sm.ListSecretVersionsOptions{SecretID: &id}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ListSecrets(&sm.ListSecretsOptions{}); err != nil {
		t.Fatal(err)
	}
	if login(s, *first.ApiKey) != 200 {
		t.Error("reading metadata deleted the API key")
	}
	second := readIAM(t, c, id)
	if *second.ApiKey == *first.ApiKey || login(s, *first.ApiKey) != 400 || login(s, *second.ApiKey) != 200 {
		t.Error("the next read makes a new API key and deletes the former one")
	}
	after, _, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	a, b := before.(*sm.IAMCredentialsSecretMetadata), after.(*sm.IAMCredentialsSecretMetadata)
	if !cmp.Equal(a.UpdatedAt.String(), b.UpdatedAt.String()) || *a.VersionsTotal != 1 || *b.VersionsTotal != 1 || *a.ApiKeyID == *b.ApiKeyID {
		t.Error("a read changes api_key_id, and neither updated_at nor versions_total")
	}
	if got := s.Stats(); got.Reads[id] != 2 || got.KeysMade[id] != 2 {
		t.Errorf("two reads, two keys; counted %d and %d", got.Reads[id], got.KeysMade[id])
	}
	if _, err := s.Rotate(id, nil); err == nil {
		t.Error("IBM does not rotate credentials without reuse")
	}
	byName := call(t, s, "GET", "/api/v2/secret_groups/default/secret_types/iam_credentials/secrets/fleeting")
	version := call(t, s, "GET", "/api/v2/secrets/"+id+"/versions/current")
	if byName.Code != 200 || version.Code != 200 || s.Stats().KeysMade[id] != 4 {
		t.Error("a read by name and a read of the current version make keys too")
	}
	if err := s.Delete(id); err != nil || len(s.tokens.keys) != len(allKeys) {
		t.Errorf("deleting the secret deletes its API key: %v", err)
	}
}

func TestLockedIAMCredentials(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	for name, tc := range map[string]struct {
		reason string
		reuse  bool
		status int
	}{
		"fleeting": {"reading would delete what the lock protects", false, 412},
		"stable":   {"reading changes nothing", true, 200},
	} {
		t.Run(name, func(t *testing.T) {
			id := *iamSecret(t, c, name, tc.reuse).ID
			readIAM(t, c, id)
			if err := s.Lock(id); err != nil {
				t.Fatal(err)
			}
			_, r, err := c.GetSecret(&sm.GetSecretOptions{ID: &id})
			if got := code(t, r, err); got != tc.status {
				t.Errorf("%s: %d", tc.reason, got)
			}
			if _, r, err := c.GetSecretMetadata(&sm.GetSecretMetadataOptions{ID: &id}); code(t, r, err) != 200 {
				t.Errorf("%s: metadata can be read", tc.reason)
			}
			if err := s.Unlock(id); err != nil {
				t.Fatal(err)
			}
			readIAM(t, c, id)
		})
	}
}

func TestReusedIAMCredentials(t *testing.T) {
	clock := newClock()
	s, hs := start(t, Options{Now: clock.Now, TokenTTL: 24 * time.Hour})
	c := client(t, hs, managerKey)
	id := *iamSecret(t, c, "stable", true).ID
	one, two := readIAM(t, c, id), readIAM(t, c, id)
	if *one.ApiKey != *two.ApiKey || *one.ServiceIdIsStatic || one.ExpirationDate == nil {
		t.Error("the key stays from read to read, until its lease ends")
	}
	if _, _, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
		SecretID: &id, SecretVersionPrototype: &sm.IAMCredentialsSecretVersionPrototype{},
	}); err != nil {
		t.Fatal(err)
	}
	rotated := readIAM(t, c, id)
	if *rotated.ApiKey == *one.ApiKey || *rotated.VersionsTotal != 2 || login(s, *one.ApiKey) != 200 {
		t.Error("rotation makes a new key; the previous one still works")
	}
	restore := &sm.CreateSecretVersionOptions{
		SecretID: &id, SecretVersionPrototype: &sm.IAMCredentialsSecretRestoreFromVersionPrototype{RestoreFromVersion: core.StringPtr("previous")},
	}
	if _, _, err := c.CreateSecretVersion(restore); err != nil {
		t.Fatal(err)
	}
	if got := readIAM(t, c, id); *got.ApiKey != *one.ApiKey || login(s, *one.ApiKey) != 200 {
		t.Error("the restored key is the first one, and works")
	}
	for _, tc := range []struct {
		version string
		status  int
	}{{"previous", 400}, {"current", 204}} {
		r, err := c.DeleteSecretVersionData(&sm.DeleteSecretVersionDataOptions{SecretID: &id, ID: &tc.version})
		if got := code(t, r, err); got != tc.status {
			t.Errorf("deleting the data of %s: %d", tc.version, got)
		}
	}
	if got := readIAM(t, c, id); got.ApiKey != nil || login(s, *one.ApiKey) != 400 {
		t.Error("deleted data is gone, and the key with it")
	}
	clock.advance(time.Hour)
	if got := readIAM(t, c, id); *got.State != 5 || login(s, *rotated.ApiKey) != 400 {
		t.Error("at the end of the lease the secret is destroyed and no key works")
	}
}

func TestIAMCredentialsOfAService(t *testing.T) {
	s := New(Options{Keys: allKeys})
	own := map[string]any{"ttl": 90, "reuse_api_key": true, "service_id": "ServiceId-mine", "api_key": "given-key"}
	id, err := s.Put(Seed{Name: "mine", Type: "iam_credentials", Fields: own})
	if err != nil {
		t.Fatal(err)
	}
	body := call(t, s, "GET", "/api/v2/secrets/"+id).Body.String()
	for _, want := range []string{`"api_key":"given-key"`, `"service_id":"ServiceId-mine"`, `"service_id_is_static":true`, `"ttl":"90"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(call(t, s, "GET", "/api/v2/secrets/"+id+"/metadata").Body.String(), "given-key") {
		t.Error("metadata shows the key")
	}
	if _, err := s.Put(Seed{Name: "known", Type: "iam_credentials", Fields: map[string]any{"ttl": "1h", "reuse_api_key": true, "api_key": managerKey}}); err != nil {
		t.Fatal(err)
	}
	if known, ok := s.Lookup("default", "iam_credentials", "known"); !ok || s.Delete(known) != nil || s.tokens.keys[managerKey].role != Manager {
		t.Error("a key that IAM knew already lost its role, or went with the secret")
	}
	for name, f := range map[string]map[string]any{
		"both":   {"ttl": "1h", "reuse_api_key": true, "service_id": "s", "access_groups": []string{"a"}},
		"short":  {"ttl": "59s", "reuse_api_key": true},
		"no ttl": {"reuse_api_key": true},
		"key":    {"ttl": "1h", "reuse_api_key": false, "api_key": "k"},
	} {
		if _, err := s.Put(Seed{Name: "bad", Type: "iam_credentials", Fields: f}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestServiceCredentials(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.ServiceCredentialsSecretPrototype{
		SecretType: core.StringPtr("service_credentials"), Name: core.StringPtr("bucket"),
		SourceService: &sm.ServiceCredentialsSecretSourceService{
			Instance: &sm.ServiceCredentialsSourceServiceInstance{Crn: core.StringPtr("crn:v1:cos::")},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	secret := got.(*sm.ServiceCredentialsSecret)
	hmac, ok := secret.Credentials.GetProperty("cos_hmac_keys").(map[string]any)
	if secret.Credentials.Apikey == nil || !ok || hmac["access_key_id"] == "" || secret.SourceService.Iam == nil {
		t.Error("the credentials are those of every service and some of this one")
	}
	if _, _, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
		SecretID: secret.ID, SecretVersionPrototype: &sm.ServiceCredentialsSecretVersionPrototype{},
	}); err != nil {
		t.Fatal(err)
	}
	after, _, err := c.GetSecret(&sm.GetSecretOptions{ID: secret.ID})
	if err != nil || *after.(*sm.ServiceCredentialsSecret).Credentials.Apikey == *secret.Credentials.Apikey {
		t.Errorf("rotation makes new credentials: %v", err)
	}
	seed := Seed{Name: "seeded", Type: "service_credentials", Fields: map[string]any{
		"source_service": map[string]any{"instance": map[string]any{"crn": "crn:x"}},
		"credentials":    map[string]any{"apikey": "k1", "host": "db", "port": 5432},
	}}
	id, err := s.Put(seed)
	if err != nil {
		t.Fatal(err)
	}
	if body := call(t, s, "GET", "/api/v2/secrets/"+id).Body.String(); !strings.Contains(body, `"credentials":{"apikey":"k1","host":"db","port":5432}`) {
		t.Error("the back door's credentials are not what is read")
	}
	if again, err := s.Put(seed); err != nil || again != id || s.store.secrets[id].total != 1 {
		t.Errorf("the same credentials make no version: %v", err)
	}
	if _, err := s.Rotate(id, map[string]any{"credentials": map[string]any{"apikey": "k2"}}); err != nil || s.store.secrets[id].total != 2 {
		t.Errorf("others make one: %v", err)
	}
}

func TestCustomCredentials(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.CustomCredentialsSecretPrototype{
		SecretType: core.StringPtr("custom_credentials"), Name: core.StringPtr("custom"), Configuration: core.StringPtr("my-engine"),
		Parameters: map[string]any{"user": "u"}, TTL: core.StringPtr("48h"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	secret := got.(*sm.CustomCredentialsSecret)
	if len(secret.CredentialsContent) == 0 || *secret.TaskCount != 0 || secret.ExpirationDate == nil {
		t.Error("the secret has content, a lease and no tasks")
	}
	if _, err := s.Rotate(*secret.ID, map[string]any{"credentials_content": map[string]any{"token": "second"}}); err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"previous", "current"} {
		if r, err := c.DeleteSecretVersionData(&sm.DeleteSecretVersionDataOptions{SecretID: secret.ID, ID: &alias}); code(t, r, err) != 204 {
			t.Errorf("deleting the data of %s: %v", alias, err)
		}
		v, _, err := c.GetSecretVersionMetadata(&sm.GetSecretVersionMetadataOptions{SecretID: secret.ID, ID: &alias})
		if err != nil || *v.(*sm.CustomCredentialsSecretVersionMetadata).PayloadAvailable {
			t.Errorf("%s still has its data: %v", alias, err)
		}
	}
}
