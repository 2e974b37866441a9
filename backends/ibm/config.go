// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/lockstep-secrets/lockstep/backend"
)

// envPrefix begins the names of the variables that KES had for this product.
const envPrefix = "IBM_CLOUD_SECRETS_MANAGER_API_"

// maxRate is the most that may be asked of an instance in a second. IBM asks to
// stay below 20 there, and what leaves evenly may arrive a little closer.
const maxRate = 18

// publicIAM is where IBM's SDK logs in unless it is told otherwise.
const publicIAM = "https://iam.cloud.ibm.com"

// config is how to reach one instance.
type config struct {
	words    words
	endpoint string // what /api/v2 is appended to
	rate     int    // requests in any one-second window

	kind         string // one of kinds
	iam          string // what /identity/token is appended to; empty where nobody is asked for a token
	apiKey       backend.Value
	bearer       backend.Value
	clientID     string // with clientSecret: the OAuth client that asks; may be empty
	clientSecret backend.Value
	scope        string
	profile      profile
	tokenFiles   []string // the first that can be read holds the compute resource token
}

// words are what messages call the settings, so that their author finds them.
type words struct {
	endpoint, iam string // the URLs
	apiKey        string
	profile       string // of the login container
	tokenFile     string
}

// envWords are those of the operator's environment.
var envWords = words{
	endpoint: envPrefix + "ENDPOINT", iam: envPrefix + "AUTH_URL", apiKey: envPrefix + "APIKEY",
	profile: envPrefix + "IAM_PROFILE_ID and IAM_PROFILE_NAME", tokenFile: envPrefix + "CR_TOKEN_FILENAME",
}

// profile names a trusted profile.
type profile struct{ id, name, crn, account string }

var (
	// kinds are the logins that are served, as IBM's SDK spells them. Case does
	// not count.
	kinds = []string{
		core.AUTHTYPE_IAM, core.AUTHTYPE_CONTAINER, core.AUTHTYPE_IAM_ASSUME, core.AUTHTYPE_BEARER_TOKEN, core.AUTHTYPE_NOAUTH,
	}
	// otherKinds are the SDK's others. All but vpc are logins of products that
	// do not run in IBM Cloud.
	otherKinds = []string{core.AUTHTYPE_VPC, core.AUTHTYPE_BASIC, core.AUTHTYPE_CP4D, core.AUTHTYPE_MCSP, core.AUTHTYPE_MCSPV2}
)

// variables gets the value of a variable by its name without the prefix.
type variables func(name string) string

// readEnv reads the variables that KES had, by the names that IBM's SDK gave
// them. White space around a value, such as the line end of a file, is nobody's
// intention. What a kind of login has no use for is left out, so that it makes
// no difference.
func readEnv(env backend.Env) (config, error) {
	var get variables = func(name string) string { return strings.TrimSpace(env.Reveal(envPrefix + name)) }
	if get("ENDPOINT") == "" {
		return config{}, backend.Errorf(backend.InvalidRef,
			"%sENDPOINT is not set: give the controller the URL of the Secrets Manager instance", envPrefix)
	}
	c := config{words: envWords}
	for _, read := range []func(variables) error{c.readInstance, c.readKind, c.readIAM, c.readSecrets, c.readProfile} {
		if err := read(get); err != nil {
			return config{}, err
		}
	}
	return c, nil
}

// readInstance reads where the instance is and how often it may be asked.
func (c *config) readInstance(get variables) (err error) {
	if c.endpoint, err = baseURL(c.words.endpoint, get("ENDPOINT"), "/v2", "/v1", "/api"); err != nil {
		return err
	}
	c.rate = rate
	text := get("RATE")
	if text == "" {
		return nil
	}
	if c.rate, err = strconv.Atoi(text); err != nil || c.rate < 1 || c.rate > maxRate {
		return backend.Errorf(backend.InvalidRef, "%sRATE is not a number of requests per second from 1 to %d", envPrefix, maxRate)
	}
	return nil
}

// readKind reads the kind of login, or guesses it as IBM's SDK does.
func (c *config) readKind(get variables) error {
	asked := cmp.Or(get("AUTH_TYPE"), get("AUTHTYPE"))
	is := func(kind string) bool { return strings.EqualFold(kind, asked) }
	use := strings.Join(kinds, ", ")
	if i := slices.IndexFunc(kinds, is); i >= 0 {
		c.kind = kinds[i]
		return nil
	}
	if i := slices.IndexFunc(otherKinds, is); i >= 0 {
		return backend.Errorf(backend.InvalidRef,
			"%sAUTH_TYPE: %s is not supported by this version of Lockstep; use one of %s", envPrefix, otherKinds[i], use)
	}
	if asked != "" {
		return backend.Errorf(backend.InvalidRef, "%sAUTH_TYPE: Invalid value for AUTH_TYPE%s; use one of %s", envPrefix, shown(asked), use)
	}
	c.kind = core.AUTHTYPE_IAM
	if get("APIKEY") == "" && get("IAM_PROFILE_ID")+get("IAM_PROFILE_NAME")+get("IAM_PROFILE_CRN")+get("CR_TOKEN_FILENAME") != "" {
		c.kind = core.AUTHTYPE_CONTAINER
	}
	return nil
}

// shown is a word that is quoted to its author. What is no word may be a secret
// that went into the wrong variable.
func shown(text string) string {
	isLetter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	if len(text) > 20 || strings.ContainsFunc(text, func(r rune) bool { return !isLetter(r) }) {
		return ""
	}
	return ": " + text
}

// static reports whether the login is what the operator gave, so that there is
// nobody to ask.
func (c *config) static() bool {
	return c.kind == core.AUTHTYPE_BEARER_TOKEN || c.kind == core.AUTHTYPE_NOAUTH
}

// readIAM reads how to speak with IAM.
func (c *config) readIAM(get variables) (err error) {
	if c.static() {
		return nil
	}
	if insecure, err := strconv.ParseBool(get("AUTH_DISABLE_SSL")); err == nil && insecure {
		return backend.Errorf(backend.InvalidRef,
			"%sAUTH_DISABLE_SSL is not supported: the credentials would go to anybody who answers in the name of IAM; "+
				"name the file with the certificate of its CA in NODE_EXTRA_CA_CERTS or SSL_CERT_FILE instead", envPrefix)
	}
	if c.iam, err = baseURL(c.words.iam, cmp.Or(get("AUTH_URL"), publicIAM), "/identity/token"); err != nil {
		return err
	}
	if (get("CLIENT_ID") == "") != (get("CLIENT_SECRET") == "") {
		return backend.Errorf(backend.InvalidRef, "%sCLIENT_ID and %sCLIENT_SECRET belong together: one of them is not set", envPrefix, envPrefix)
	}
	c.scope = get("SCOPE")
	c.clientID = get("CLIENT_ID")
	if c.clientID != "" {
		c.clientSecret = backend.NewValue([]byte(get("CLIENT_SECRET")))
	}
	return nil
}

// readSecrets reads the secret that the login needs, if any.
func (c *config) readSecrets(get variables) (err error) {
	switch c.kind {
	case core.AUTHTYPE_IAM, core.AUTHTYPE_IAM_ASSUME:
		c.apiKey, err = credential(c.words.apiKey, get("APIKEY"), "an IBM Cloud API key with the role SecretsReader", "an API key")
	case core.AUTHTYPE_BEARER_TOKEN:
		c.bearer, err = credential(envPrefix+"BEARER_TOKEN", get("BEARER_TOKEN"), "an IBM Cloud IAM access token", "a token")
	}
	if err == nil && !inHeader(string(c.bearer.Reveal())) {
		err = backend.Errorf(backend.Unauthenticated, "%sBEARER_TOKEN is not a token: it has a blank or another character in it that no token has", envPrefix)
	}
	return err
}

func credential(name, text, need, is string) (backend.Value, error) {
	if text == "" {
		return backend.Value{}, backend.Errorf(backend.Unauthenticated, "%s is not set: give the controller %s", name, need)
	}
	if core.HasBadFirstOrLastChar(text) { // as the SDK refuses it
		return backend.Value{}, backend.Errorf(backend.Unauthenticated,
			"%s is not %s: it begins or ends with a brace or a quotation mark", name, is)
	}
	return backend.NewValue([]byte(text)), nil
}

// readProfile reads which trusted profile to log in to, and by the rules of
// IBM's SDK which of its names are enough.
func (c *config) readProfile(get variables) error {
	p := profile{id: get("IAM_PROFILE_ID"), name: get("IAM_PROFILE_NAME")}
	switch c.kind {
	case core.AUTHTYPE_CONTAINER:
		if p.id == "" && p.name == "" {
			return backend.Errorf(backend.InvalidRef,
				"neither %sIAM_PROFILE_ID nor %sIAM_PROFILE_NAME is set: AUTH_TYPE container needs a trusted profile", envPrefix, envPrefix)
		}
		c.tokenFiles = crTokenFiles
		if name := get("CR_TOKEN_FILENAME"); name != "" {
			c.tokenFiles = []string{name}
		}
	case core.AUTHTYPE_IAM_ASSUME:
		p.crn, p.account = get("IAM_PROFILE_CRN"), get("IAM_ACCOUNT_ID")
		if named := slices.DeleteFunc([]string{p.id, p.name, p.crn}, func(s string) bool { return s == "" }); len(named) != 1 {
			return backend.Errorf(backend.InvalidRef,
				"%sAUTH_TYPE iamAssume needs exactly one of IAM_PROFILE_ID, IAM_PROFILE_CRN and IAM_PROFILE_NAME, and %d are set", envPrefix, len(named))
		}
		if (p.name == "") != (p.account == "") {
			return backend.Errorf(backend.InvalidRef,
				"%sIAM_PROFILE_NAME and %sIAM_ACCOUNT_ID belong together: one of them is not set", envPrefix, envPrefix)
		}
	default:
		return nil
	}
	c.profile = p
	return nil
}

// identity is what makes one login differ from another.
func (c *config) identity(fingerprint func(...backend.Value) string) string {
	text := func(s string) backend.Value { return backend.NewValue([]byte(s)) }
	values := []backend.Value{
		c.apiKey, c.bearer, text(c.clientID), c.clientSecret, text(c.scope),
		text(c.profile.id), text(c.profile.name), text(c.profile.crn), text(c.profile.account),
	}
	for _, f := range c.tokenFiles {
		values = append(values, text(f))
	}
	login := strings.Join([]string{c.endpoint, c.kind, c.iam, fingerprint(values...)}, " ")
	if c.words == storeWords {
		// A tenant's store shares nothing with the operator's environment: its
		// requests are carried by other rules, and its messages name other things.
		return "store " + login
	}
	return login
}

// baseURL checks a URL of the operator's and brings it to one form, without a
// slash or any of the endings that people copy along. The URL is not repeated
// in the error: it may hold a password.
func baseURL(name, raw string, endings ...string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", backend.Errorf(backend.InvalidRef, "%s is not a URL such as https://example.com", name)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, e := range endings {
		path = strings.TrimRight(strings.TrimSuffix(path, e), "/")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, nil
}

// Open makes a backend of one instance and one login, which a store's manifest
// gives, or else the operator's environment.
func Open(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
	c, err := readConfig(ctx, cfg, creds)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	service, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{
		URL: c.endpoint,
		// The login is ours, so that its errors can be told from the API's.
		Authenticator: &core.NoAuthAuthenticator{},
	})
	if err != nil {
		return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "%s is not a usable URL", c.words.endpoint)
	}
	// The SDK retries nothing until its EnableRetries is called.
	service.Service.SetHTTPClient(wire{who: product}.client(client))
	l := newLogin(ctx, c, client)
	id := backend.Identity{
		Login: c.identity(cfg.Fingerprint),
		Quota: c.endpoint,
	}
	a := &api{service: service.Service, login: l}
	return backend.Backend{
		Reader:    &reader{a},
		Checker:   l.checker(),
		Finder:    &finder{a},
		Prober:    &prober{api: a},
		Versioner: &versioner{a},
		Writer:    &writer{a},
		Scout:     &scout{a},
		Limits:    backend.Limits{Batch: 1, Parallel: parallel, Rate: c.rate, Payload: payload},
		Partial:   true, // a list has what the login may see
		Close: func() error {
			l.close()
			client.CloseIdleConnections()
			return nil
		},
	}, id, nil
}
