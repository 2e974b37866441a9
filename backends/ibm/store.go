// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

// provider is spec.provider.ibm of a store (external-secrets.io/v1).
type provider struct {
	ServiceURL string `json:"serviceUrl"`
	Auth       struct {
		SecretRef *struct {
			APIKey      selector `json:"secretApiKeySecretRef"`
			IAMEndpoint string   `json:"iamEndpoint"`
		} `json:"secretRef"`
		Container *struct {
			Profile       string `json:"profile"`
			TokenLocation string `json:"tokenLocation"`
			IAMEndpoint   string `json:"iamEndpoint"`
		} `json:"containerAuth"`
	} `json:"auth"`
}

// selector names one key of a Secret.
type selector struct {
	Name      string `json:"name"`
	Key       string `json:"key"`
	Namespace string `json:"namespace"`
}

// storeWords are the words of a store's manifest.
var storeWords = words{ //nolint:gosec // names of fields
	endpoint: "ibm.serviceUrl", iam: "ibm.auth's iamEndpoint", apiKey: "ibm.auth.secretRef.secretApiKeySecretRef",
	profile: "ibm.auth.containerAuth.profile", tokenFile: "ibm.auth.containerAuth.tokenLocation",
}

// readConfig reads the part of a store's manifest, or the operator's
// environment where there is none.
func readConfig(ctx context.Context, cfg backend.Config, creds backend.Credentials) (config, error) {
	if cfg.Raw == nil {
		return readEnv(cfg.Env)
	}
	var p provider
	if err := json.Unmarshal(cfg.Raw, &p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return config{}, backend.Errorf(backend.InvalidRef, "ibm.%s has the wrong type", wrong.Field)
		}
		return config{}, backend.Errorf(backend.InvalidRef, "the settings of ibm cannot be read")
	}
	c := config{words: storeWords, rate: rate}
	if p.ServiceURL == "" {
		return config{}, backend.Errorf(backend.InvalidRef, "%s is not set: give the store the URL of the Secrets Manager instance", c.words.endpoint)
	}
	var err error
	if c.endpoint, err = secureURL(c.words.endpoint, p.ServiceURL, "/v2", "/v1", "/api"); err != nil {
		return config{}, err
	}
	switch {
	case (p.Auth.SecretRef == nil) == (p.Auth.Container == nil):
		return config{}, backend.Errorf(backend.InvalidRef, "ibm.auth needs exactly one of secretRef and containerAuth")
	case p.Auth.Container != nil:
		err = c.container(p)
	default:
		err = c.secretRef(ctx, p, creds)
	}
	if err != nil {
		return config{}, err
	}
	return c, nil
}

// secretRef reads the API key.
func (c *config) secretRef(ctx context.Context, p provider, creds backend.Credentials) (err error) {
	c.kind = core.AUTHTYPE_IAM
	ref := p.Auth.SecretRef.APIKey
	if ref.Name == "" || ref.Key == "" {
		return backend.Errorf(backend.InvalidRef, "%s needs name and key", c.words.apiKey)
	}
	if c.iam, err = secureURL(c.words.iam, cmp.Or(p.Auth.SecretRef.IAMEndpoint, publicIAM), "/identity/token"); err != nil {
		return err
	}
	in, err := creds.In(ref.Namespace)
	if err != nil {
		return err
	}
	key, err := in.Secret(ctx, ref.Name, ref.Key)
	if backend.CodeOf(err) == backend.NotFound {
		return backend.Errorf(backend.Unauthenticated, "there is no key %s in Secret %s, which %s names", ref.Key, ref.Name, c.words.apiKey)
	}
	if err != nil {
		return err
	}
	c.apiKey, err = credential(c.words.apiKey, strings.TrimSpace(string(key.Reveal())), "an IBM Cloud API key with the role SecretsReader", "an API key")
	return err
}

// container reads a login by the controller's own service account. The store
// may be a tenant's, who has no right to it, so three things are refused that
// IBM's SDK would do: any file of the controller's pod is sent to IAM, the
// pod's token to somebody else than IAM, and what IAM gives for it to somebody
// else than IBM Cloud Secrets Manager.
func (c *config) container(p provider) (err error) {
	auth := p.Auth.Container
	c.kind, c.profile = core.AUTHTYPE_CONTAINER, profile{name: auth.Profile}
	if auth.Profile == "" {
		return backend.Errorf(backend.InvalidRef, "%s is not set: containerAuth needs a trusted profile", c.words.profile)
	}
	c.tokenFiles = crTokenFiles
	if name := auth.TokenLocation; name != "" {
		if !slices.Contains(crTokenFiles, name) {
			return backend.Errorf(backend.InvalidRef, "%s is not one of the places where a store may have the token: %s",
				c.words.tokenFile, strings.Join(crTokenFiles, ", "))
		}
		c.tokenFiles = []string{name}
	}
	if c.iam, err = secureURL(c.words.iam, cmp.Or(auth.IAMEndpoint, publicIAM), "/identity/token"); err != nil {
		return err
	}
	if !ofIBM(c.iam, "iam.cloud.ibm.com") {
		return backend.Errorf(backend.InvalidRef, "%s is not an address of IBM Cloud IAM, to which alone the controller shows its own token", c.words.iam)
	}
	if !ofIBM(c.endpoint, "secrets-manager.appdomain.cloud") {
		return backend.Errorf(backend.InvalidRef,
			"%s is not an address of IBM Cloud Secrets Manager, to which alone containerAuth logs in; use secretRef for another one", c.words.endpoint)
	}
	return nil
}

// secureURL is baseURL, and nothing that anybody on the way can read. Plain
// HTTP is for this machine, where tests have their servers; the tenants of a
// cluster cannot reach that.
func secureURL(name, raw string, endings ...string) (string, error) {
	base, err := baseURL(name, raw, endings...)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(base, "http:") && !isHere(base) {
		return "", backend.Errorf(backend.InvalidRef, "%s has to begin with https:", name)
	}
	return base, nil
}

// ofIBM reports whether a URL is in a domain of IBM's, or on this machine.
func ofIBM(base, domain string) bool {
	host := hostOf(base)
	return host == domain || strings.HasSuffix(host, "."+domain) || isHere(base)
}

func isHere(base string) bool {
	ip := net.ParseIP(hostOf(base))
	return ip != nil && ip.IsLoopback()
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
