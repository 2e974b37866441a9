// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestReadEnv(t *testing.T) {
	const (
		host    = "https://guid.eu-de.secrets-manager.appdomain.cloud"
		noURL   = "IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT is not a URL such as https://example.com"
		noIAM   = "IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL is not a URL such as https://example.com"
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
		"Client":   {"another client may get another token", map[string]string{"CLIENT_ID": "c", "CLIENT_SECRET": "s"}, false, true},
		"Scope":    {"a scope may see less", map[string]string{"SCOPE": "x"}, false, true},
		"Rate":     {"how often we ask is not who we are", map[string]string{"RATE": "3"}, true, true},
		"Unused":   {"what the login has no use for", map[string]string{"BEARER_TOKEN": "t", "IAM_PROFILE_ID": "p", "CR_TOKEN_FILENAME": "f"}, true, true},
		"NoAuth":   {"nobody is not the key", map[string]string{"AUTH_TYPE": "noAuth"}, false, true},
		"Assumed":  {"the profile is not the key", map[string]string{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "p"}, false, true},
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

// TestLoginsDiffer: no two of these may share a read.
func TestLoginsDiffer(t *testing.T) {
	type env = map[string]string
	logins := []env{
		{"AUTH_TYPE": "noAuth"},
		{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": "a"},
		{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": "b"},
		{"AUTH_TYPE": "iam", "APIKEY": "a"},
		{"AUTH_TYPE": "iam", "APIKEY": "a", "CLIENT_ID": "c", "CLIENT_SECRET": "s"},
		{"AUTH_TYPE": "iam", "APIKEY": "a", "CLIENT_ID": "c", "CLIENT_SECRET": "t"},
		{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "a"},
		{"AUTH_TYPE": "container", "IAM_PROFILE_NAME": "a"},
		{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "a", "CR_TOKEN_FILENAME": "f"},
		{"AUTH_TYPE": "container", "IAM_PROFILE_ID": "a", "CR_TOKEN_FILENAME": "g"},
		{"AUTH_TYPE": "iamAssume", "APIKEY": "a", "IAM_PROFILE_ID": "a"},
		{"AUTH_TYPE": "iamAssume", "APIKEY": "b", "IAM_PROFILE_ID": "a"},
		{"AUTH_TYPE": "iamAssume", "APIKEY": "a", "IAM_PROFILE_CRN": "a"},
		{"AUTH_TYPE": "iamAssume", "APIKEY": "a", "IAM_PROFILE_NAME": "a", "IAM_ACCOUNT_ID": "a"},
		{"AUTH_TYPE": "iamAssume", "APIKEY": "a", "IAM_PROFILE_NAME": "a", "IAM_ACCOUNT_ID": "b"},
	}
	seen := map[string]env{}
	for _, changes := range logins {
		env := env{envPrefix + "ENDPOINT": "https://a.example.com"}
		for k, v := range changes {
			env[envPrefix+k] = v
		}
		_, id, err := Open(t.Context(), backend.Config{Env: backend.NewEnv(env), Fingerprint: fingerprint}, nil, &http.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if seen[id.Login] != nil {
			t.Errorf("%v and %v share a login", seen[id.Login], changes)
		}
		seen[id.Login] = changes
	}
}

func TestReadLogin(t *testing.T) {
	const (
		p     = "IBM_CLOUD_SECRETS_MANAGER_API_"
		use   = "; use one of iam, container, iamAssume, bearerToken, noAuth"
		one   = p + "AUTH_TYPE iamAssume needs exactly one of IAM_PROFILE_ID, IAM_PROFILE_CRN and IAM_PROFILE_NAME, and %d are set"
		named = p + "IAM_PROFILE_NAME and " + p + "IAM_ACCOUNT_ID belong together: one of them is not set"
		pair  = p + "CLIENT_ID and " + p + "CLIENT_SECRET belong together: one of them is not set"
		noKey = p + "APIKEY is not set: give the controller an IBM Cloud API key with the role SecretsReader"
		none  = "neither " + p + "IAM_PROFILE_ID nor " + p + "IAM_PROFILE_NAME is set: AUTH_TYPE container needs a trusted profile"
		noTLS = p + "AUTH_DISABLE_SSL is not supported: the credentials would go to anybody who answers in the name of IAM; " +
			"name the file with the certificate of its CA in NODE_EXTRA_CA_CERTS or SSL_CERT_FILE instead"
		badRate = p + "RATE is not a number of requests per second from 1 to 18"
		k       = "canary-key"
	)
	type env = map[string]string
	// login is what became of a config, in plain words.
	type login struct {
		Kind, IAM, Key, Bearer, Client, Secret, Scope string
		Profile                                       [4]string
		Files                                         []string
		Rate                                          int
	}
	cases := map[string]struct {
		reason string
		env    env
		want   login
		code   backend.Code
		err    string
	}{
		"Key":         {reason: "nothing but a key", env: env{"APIKEY": k}, want: login{Kind: "iam", IAM: publicIAM, Key: k}},
		"KeyWins":     {reason: "as IBM's SDK guesses", env: env{"APIKEY": k, "IAM_PROFILE_ID": "p"}, want: login{Kind: "iam", IAM: publicIAM, Key: k}},
		"Nothing":     {reason: "the usual login is the one to ask for", code: backend.Unauthenticated, err: noKey},
		"OtherName":   {reason: "the SDK's other name of the variable", env: env{"AUTHTYPE": "noauth"}, want: login{Kind: "noAuth"}},
		"NoAuth":      {reason: "nobody is asked, so no URL matters", env: env{"AUTH_TYPE": "NOAUTH", "AUTH_URL": "x", "APIKEY": k}, want: login{Kind: "noAuth"}},
		"Bearer":      {reason: "case does not count", env: env{"AUTH_TYPE": "bearertoken", "BEARER_TOKEN": "t\n"}, want: login{Kind: "bearerToken", Bearer: "t"}},
		"NoBearer":    {reason: "a key is no token", env: env{"AUTH_TYPE": "bearerToken", "APIKEY": k}, code: backend.Unauthenticated, err: p + "BEARER_TOKEN is not set: give the controller an IBM Cloud IAM access token"},
		"BadBearer":   {reason: "the scheme was copied along", env: env{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": "Bearer canary"}, code: backend.Unauthenticated, err: p + "BEARER_TOKEN is not a token: it has a blank or another character in it that no token has"},
		"QuotedToken": {reason: "quoted once too often", env: env{"AUTH_TYPE": "bearerToken", "BEARER_TOKEN": `"canary"`}, code: backend.Unauthenticated, err: p + "BEARER_TOKEN is not a token: it begins or ends with a brace or a quotation mark"},
		"Client": {
			reason: "an OAuth client of one's own", env: env{"APIKEY": k, "CLIENT_ID": "c", "CLIENT_SECRET": "canary", "SCOPE": "s"},
			want: login{Kind: "iam", IAM: publicIAM, Key: k, Client: "c", Secret: "canary", Scope: "s"},
		},
		"HalfClient":    {reason: "the SDK refuses it as well", env: env{"APIKEY": k, "CLIENT_ID": "canary"}, code: backend.InvalidRef, err: pair},
		"HalfClient2":   {reason: "as above", env: env{"APIKEY": k, "CLIENT_SECRET": "canary"}, code: backend.InvalidRef, err: pair},
		"Container":     {reason: "IBM's own places", env: env{"AUTH_TYPE": "Container", "IAM_PROFILE_NAME": "n"}, want: login{Kind: "container", IAM: publicIAM, Profile: [4]string{1: "n"}, Files: crTokenFiles}},
		"GuessID":       {reason: "no key, but a profile", env: env{"IAM_PROFILE_ID": "i"}, want: login{Kind: "container", IAM: publicIAM, Profile: [4]string{"i"}, Files: crTokenFiles}},
		"GuessName":     {reason: "as above", env: env{"IAM_PROFILE_NAME": "n"}, want: login{Kind: "container", IAM: publicIAM, Profile: [4]string{1: "n"}, Files: crTokenFiles}},
		"GuessFile":     {reason: "as above, and the profile is missing", env: env{"CR_TOKEN_FILENAME": "f"}, code: backend.InvalidRef, err: none},
		"GuessCRN":      {reason: "as above: a CRN is for assuming", env: env{"IAM_PROFILE_CRN": "f"}, code: backend.InvalidRef, err: none},
		"ContainerFile": {reason: "one's own place", env: env{"IAM_PROFILE_ID": "i", "CR_TOKEN_FILENAME": "f"}, want: login{Kind: "container", IAM: publicIAM, Profile: [4]string{"i"}, Files: []string{"f"}}},
		"NoProfile":     {reason: "IAM would not know as whom", env: env{"AUTH_TYPE": "container"}, code: backend.InvalidRef, err: none},
		"Assume":        {reason: "by id", env: env{"AUTH_TYPE": "iamassume", "APIKEY": k, "IAM_PROFILE_ID": "i"}, want: login{Kind: "iamAssume", IAM: publicIAM, Key: k, Profile: [4]string{"i"}}},
		"AssumeCRN":     {reason: "by CRN", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k, "IAM_PROFILE_CRN": "c"}, want: login{Kind: "iamAssume", IAM: publicIAM, Key: k, Profile: [4]string{2: "c"}}},
		"AssumeName":    {reason: "by name and account", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k, "IAM_PROFILE_NAME": "n", "IAM_ACCOUNT_ID": "a"}, want: login{Kind: "iamAssume", IAM: publicIAM, Key: k, Profile: [4]string{1: "n", 3: "a"}}},
		"AssumeNobody":  {reason: "as whom", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k}, code: backend.InvalidRef, err: strings.Replace(one, "%d", "0", 1)},
		"AssumeTwo":     {reason: "they may differ", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k, "IAM_PROFILE_ID": "i", "IAM_PROFILE_CRN": "c"}, code: backend.InvalidRef, err: strings.Replace(one, "%d", "2", 1)},
		"AssumeNowhere": {reason: "names are those of an account", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k, "IAM_PROFILE_NAME": "n"}, code: backend.InvalidRef, err: named},
		"AssumeAccount": {reason: "an id needs none", env: env{"AUTH_TYPE": "iamAssume", "APIKEY": k, "IAM_PROFILE_ID": "i", "IAM_ACCOUNT_ID": "a"}, code: backend.InvalidRef, err: named},
		"AssumeNoKey":   {reason: "the key comes first", env: env{"AUTH_TYPE": "iamAssume", "IAM_PROFILE_ID": "i"}, code: backend.Unauthenticated, err: noKey},
		"VPC":           {reason: "the SDK's, not ours", env: env{"AUTH_TYPE": "VPC", "APIKEY": k}, code: backend.InvalidRef, err: p + "AUTH_TYPE: vpc is not supported by this version of Lockstep" + use},
		"CP4D":          {reason: "as above", env: env{"AUTH_TYPE": "cp4d"}, code: backend.InvalidRef, err: p + "AUTH_TYPE: cp4d is not supported by this version of Lockstep" + use},
		"Basic":         {reason: "as above", env: env{"AUTH_TYPE": "basic"}, code: backend.InvalidRef, err: p + "AUTH_TYPE: basic is not supported by this version of Lockstep" + use},
		"MCSP":          {reason: "as above", env: env{"AUTH_TYPE": "MCSPv2"}, code: backend.InvalidRef, err: p + "AUTH_TYPE: mcspv2 is not supported by this version of Lockstep" + use},
		"Wrong":         {reason: "KES's words are in it", env: env{"AUTH_TYPE": "apikey", "APIKEY": k}, code: backend.InvalidRef, err: p + "AUTH_TYPE: Invalid value for AUTH_TYPE: apikey" + use},
		"KeyAsType":     {reason: "a secret in the wrong variable is not shown", env: env{"AUTH_TYPE": "canary-key"}, code: backend.InvalidRef, err: p + "AUTH_TYPE: Invalid value for AUTH_TYPE" + use},
		"LongType":      {reason: "as above", env: env{"AUTH_TYPE": "canarycanarycanarycanary"}, code: backend.InvalidRef, err: p + "AUTH_TYPE: Invalid value for AUTH_TYPE" + use},
		"NoTLS":         {reason: "never silently insecure", env: env{"APIKEY": k, "AUTH_DISABLE_SSL": "true"}, code: backend.InvalidRef, err: noTLS},
		"NoTLS1":        {reason: "the SDK's other ways to say it", env: env{"IAM_PROFILE_ID": "i", "AUTH_DISABLE_SSL": "1"}, code: backend.InvalidRef, err: noTLS},
		"TLS":           {reason: "what is asked for", env: env{"APIKEY": k, "AUTH_DISABLE_SSL": "false"}, want: login{Kind: "iam", IAM: publicIAM, Key: k}},
		"TLSOdd":        {reason: "the SDK checks certificates then, and so do we", env: env{"APIKEY": k, "AUTH_DISABLE_SSL": "yes"}, want: login{Kind: "iam", IAM: publicIAM, Key: k}},
		"Rate":          {reason: "a share of it", env: env{"APIKEY": k, "RATE": " 3 "}, want: login{Kind: "iam", IAM: publicIAM, Key: k, Rate: 3}},
		"RateMost":      {reason: "with room to what IBM asks not to exceed", env: env{"APIKEY": k, "RATE": "18"}, want: login{Kind: "iam", IAM: publicIAM, Key: k, Rate: 18}},
		"RateMore":      {reason: "more is too much", env: env{"APIKEY": k, "RATE": "19"}, code: backend.InvalidRef, err: badRate},
		"RateNone":      {reason: "0 would be no limit", env: env{"APIKEY": k, "RATE": "0"}, code: backend.InvalidRef, err: badRate},
		"RateText":      {reason: "no number", env: env{"APIKEY": k, "RATE": "10/s"}, code: backend.InvalidRef, err: badRate},
		"RateHuge":      {reason: "no int", env: env{"APIKEY": k, "RATE": "99999999999999999999"}, code: backend.InvalidRef, err: badRate},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			vars := env{envPrefix + "ENDPOINT": "https://sm.example.com"}
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
			if c.want.Rate == 0 {
				c.want.Rate = 15
			}
			pr := got.profile
			is := login{
				got.kind, got.iam, string(got.apiKey.Reveal()), string(got.bearer.Reveal()), got.clientID, string(got.clientSecret.Reveal()), got.scope,
				[4]string{pr.id, pr.name, pr.crn, pr.account},
				got.tokenFiles, got.rate,
			}
			if diff := cmp.Diff(c.want, is); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "canary") {
				t.Error("a config shows its secrets")
			}
		})
	}
}
