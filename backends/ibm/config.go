// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"

	"github.com/lockstep-secrets/lockstep/backend"
)

// envPrefix begins the names of the variables that KES had for this product.
const envPrefix = "IBM_CLOUD_SECRETS_MANAGER_API_"

// publicIAM is where IBM's SDK logs in unless it is told otherwise.
const publicIAM = "https://iam.cloud.ibm.com"

// config is how to reach one instance.
type config struct {
	endpoint string // what /api/v2 is appended to
	iam      string // what /identity/token is appended to
	apiKey   backend.Value
}

// readEnv reads the variables that KES had. White space around a value, such
// as the line end of a file, is nobody's intention.
func readEnv(env backend.Env) (config, error) {
	get := func(name string) string { return strings.TrimSpace(env.Reveal(envPrefix + name)) }
	if get("ENDPOINT") == "" {
		return config{}, backend.Errorf(backend.InvalidRef,
			"%sENDPOINT is not set: give the controller the URL of the Secrets Manager instance", envPrefix)
	}
	c := config{iam: publicIAM}
	var err error
	if c.endpoint, err = baseURL("ENDPOINT", get("ENDPOINT"), "/v2", "/v1", "/api"); err != nil {
		return config{}, err
	}
	if t := get("AUTH_TYPE"); t != "" && !strings.EqualFold(t, "iam") {
		return config{}, backend.Errorf(backend.InvalidRef,
			"%sAUTH_TYPE: %q is not supported by this version of Lockstep; use iam", envPrefix, t)
	}
	if u := get("AUTH_URL"); u != "" {
		if c.iam, err = baseURL("AUTH_URL", u, "/identity/token"); err != nil {
			return config{}, err
		}
	}
	key := get("APIKEY")
	if key == "" {
		return config{}, backend.Errorf(backend.Unauthenticated,
			"%sAPIKEY is not set: give the controller an IBM Cloud API key with the role SecretsReader", envPrefix)
	}
	if core.HasBadFirstOrLastChar(key) { // the SDK would refuse it later, in other words
		return config{}, backend.Errorf(backend.Unauthenticated,
			"%sAPIKEY is not an API key: it begins or ends with a brace or a quotation mark", envPrefix)
	}
	c.apiKey = backend.NewValue([]byte(key))
	return c, nil
}

// baseURL checks a URL of the operator's and brings it to one form, without a
// slash or any of the endings that people copy along. The URL is not repeated
// in the error: it may hold a password.
func baseURL(name, raw string, endings ...string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", backend.Errorf(backend.InvalidRef, "%s%s is not a URL such as https://example.com", envPrefix, name)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, e := range endings {
		path = strings.TrimRight(strings.TrimSuffix(path, e), "/")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, nil
}

// Open makes a backend of one instance and one login.
func Open(ctx context.Context, cfg backend.Config, _ backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
	c, err := readEnv(cfg.Env)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	service, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{
		URL: c.endpoint,
		// The login is ours, so that its errors can be told from the API's.
		Authenticator: &core.NoAuthAuthenticator{},
	})
	if err != nil {
		return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "%sENDPOINT is not a usable URL", envPrefix)
	}
	// The SDK retries nothing until its EnableRetries is called.
	service.Service.SetHTTPClient(wire{who: product}.client(client))
	l := newLogin(ctx, c, client)
	id := backend.Identity{
		Login: c.endpoint + " " + c.iam + " " + cfg.Fingerprint(c.apiKey),
		Quota: c.endpoint,
	}
	return backend.Backend{
		Reader:  &reader{service: service.Service, login: l},
		Checker: l,
		Limits:  backend.Limits{Batch: 1, Parallel: parallel, Rate: rate, Payload: payload},
		Close: func() error {
			l.close()
			client.CloseIdleConnections()
			return nil
		},
	}, id, nil
}
