// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestReadEnv(t *testing.T) {
	const (
		host    = "https://guid.eu-de.secrets-manager.appdomain.cloud"
		noURL   = "IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT is not a URL such as https://example.com"
		noIAM   = "IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL is not a URL such as https://example.com"
		notIAM  = " is not supported by this version of Lockstep; use iam"
		noKey   = "IBM_CLOUD_SECRETS_MANAGER_API_APIKEY is not set: give the controller an IBM Cloud API key with the role SecretsReader"
		oddKey  = "IBM_CLOUD_SECRETS_MANAGER_API_APIKEY is not an API key: it begins or ends with a brace or a quotation mark"
		missing = "IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT is not set: give the controller the URL of the Secrets Manager instance"
	)
	type env = map[string]string
	cases := map[string]struct {
		reason        string
		env           env // changes to a complete one
		endpoint, iam string
		code          backend.Code
		err           string
	}{
		"Plain":        {reason: "as KES had it", endpoint: host, iam: publicIAM},
		"Slash":        {reason: "no double slash", env: env{"ENDPOINT": host + "/"}, endpoint: host, iam: publicIAM},
		"API":          {reason: "what IBM's console shows", env: env{"ENDPOINT": host + "/api"}, endpoint: host, iam: publicIAM},
		"APISlash":     {reason: "as above", env: env{"ENDPOINT": host + "/api/"}, endpoint: host, iam: publicIAM},
		"APIV2":        {reason: "copied from an example", env: env{"ENDPOINT": host + "/api/v2"}, endpoint: host, iam: publicIAM},
		"APIV1":        {reason: "copied from an old example", env: env{"ENDPOINT": host + "//api/v1/"}, endpoint: host, iam: publicIAM},
		"Path":         {reason: "behind a reverse proxy", env: env{"ENDPOINT": host + "/ibm/api"}, endpoint: host + "/ibm", iam: publicIAM},
		"Capitals":     {reason: "host names have no case", env: env{"ENDPOINT": "HTTPS://GUID.eu-de.Secrets-Manager.appdomain.cloud"}, endpoint: host, iam: publicIAM},
		"LineEnd":      {reason: "the line end of a file", env: env{"ENDPOINT": host + "\n", "APIKEY": goodKey + "\n", "AUTH_TYPE": "iam\n"}, endpoint: host, iam: publicIAM},
		"EmptyQuery":   {reason: "a ? would swallow the path", env: env{"ENDPOINT": host + "?"}, endpoint: host, iam: publicIAM},
		"IAM":          {reason: "the only type there is", env: env{"AUTH_TYPE": "iam"}, endpoint: host, iam: publicIAM},
		"IAMCapitals":  {reason: "IBM's client had no case here", env: env{"AUTH_TYPE": "IAM"}, endpoint: host, iam: publicIAM},
		"AuthURL":      {reason: "private IAM", env: env{"AUTH_URL": "https://private.iam.cloud.ibm.com/"}, endpoint: host, iam: "https://private.iam.cloud.ibm.com"},
		"AuthURLPath":  {reason: "the SDK takes the whole URL as well", env: env{"AUTH_URL": publicIAM + "/identity/token"}, endpoint: host, iam: publicIAM},
		"NoEndpoint":   {reason: "nothing to ask", env: env{"ENDPOINT": ""}, code: backend.InvalidRef, err: missing},
		"NoURL":        {reason: "the usual slip", env: env{"ENDPOINT": "guid.eu-de.secrets-manager.appdomain.cloud"}, code: backend.InvalidRef, err: noURL},
		"NoHost":       {reason: "a port is no host", env: env{"ENDPOINT": "https://:443"}, code: backend.InvalidRef, err: noURL},
		"Scheme":       {reason: "not spoken", env: env{"ENDPOINT": "ftp://example.com"}, code: backend.InvalidRef, err: noURL},
		"Broken":       {reason: "a parser's error repeats its input", env: env{"ENDPOINT": "https://canary%zz"}, code: backend.InvalidRef, err: noURL},
		"User":         {reason: "a password does not belong there", env: env{"ENDPOINT": "https://u:canary@example.com"}, code: backend.InvalidRef, err: noURL},
		"Query":        {reason: "not an address", env: env{"ENDPOINT": host + "?canary=1"}, code: backend.InvalidRef, err: noURL},
		"Fragment":     {reason: "not an address", env: env{"ENDPOINT": host + "#canary"}, code: backend.InvalidRef, err: noURL},
		"BadAuthURL":   {reason: "found at once", env: env{"AUTH_URL": "https://u:canary@example.com"}, code: backend.InvalidRef, err: noIAM},
		"Container":    {reason: "KES took it", env: env{"AUTH_TYPE": "container"}, code: backend.InvalidRef, err: `IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE: "container"` + notIAM},
		"NoAuth":       {reason: "KES took it", env: env{"AUTH_TYPE": "noAuth"}, code: backend.InvalidRef, err: `IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE: "noAuth"` + notIAM},
		"NoKey":        {reason: "credentials that are missing", env: env{"APIKEY": ""}, code: backend.Unauthenticated, err: noKey},
		"BlankKey":     {reason: "a blank is no key", env: env{"APIKEY": " \n"}, code: backend.Unauthenticated, err: noKey},
		"QuotedKey":    {reason: "quoted once too often", env: env{"APIKEY": `"` + goodKey + `"`}, code: backend.Unauthenticated, err: oddKey},
		"TemplatedKey": {reason: "a template nobody filled in", env: env{"APIKEY": "{{ .Values.canary }}"}, code: backend.Unauthenticated, err: oddKey},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			vars := env{envPrefix + "ENDPOINT": host, envPrefix + "APIKEY": goodKey}
			for k, v := range c.env {
				vars[envPrefix+k] = v
			}
			got, err := readEnv(backend.NewEnv(vars))
			if c.err != "" {
				failed(t, err, c.code, c.err)
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			want := []string{c.endpoint, c.iam, goodKey}
			if diff := cmp.Diff(want, []string{got.endpoint, got.iam, string(got.apiKey.Reveal())}); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestIdentity: equal logins share reads and tokens, so they must be seen to be
// equal, and others must not.
func TestIdentity(t *testing.T) {
	identity := func(changes map[string]string) backend.Identity {
		env := map[string]string{envPrefix + "ENDPOINT": "https://a.example.com", envPrefix + "APIKEY": goodKey}
		for k, v := range changes {
			env[envPrefix+k] = v
		}
		_, id, err := Open(t.Context(), backend.Config{Env: backend.NewEnv(env), Fingerprint: fingerprint}, nil, &http.Client{})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	base := identity(nil)
	cases := map[string]struct {
		reason             string
		changes            map[string]string
		sameLogin, sameFor bool // Login, Quota
	}{
		"Spelling": {"two ways to write one login", map[string]string{
			"ENDPOINT": "https://A.example.com/api/", "AUTH_URL": publicIAM + "/", "AUTH_TYPE": "IAM", "APIKEY": goodKey + "\n",
		}, true, true},
		"Key":      {"another key may see less", map[string]string{"APIKEY": otherKey}, false, true},
		"IAM":      {"another IAM is another account", map[string]string{"AUTH_URL": "https://iam.example.com"}, false, true},
		"Instance": {"another instance has a budget of its own", map[string]string{"ENDPOINT": "https://b.example.com"}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := identity(c.changes)
			if (got.Login == base.Login) != c.sameLogin || (got.Quota == base.Quota) != c.sameFor {
				t.Errorf("%s: login is the same: %t, want %t; quota: %t, want %t", c.reason,
					got.Login == base.Login, c.sameLogin, got.Quota == base.Quota, c.sameFor)
			}
		})
	}
}
