// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/backend"
)

// config is the provider's part of a manifest, as External Secrets Operator has
// it. Fields it does not know are left alone.
type config struct {
	Server struct {
		URL        string      `json:"url"`
		CABundle   []byte      `json:"caBundle"`
		CAProvider *caProvider `json:"caProvider"`
	} `json:"server"`
	Auth *struct {
		Cert *struct {
			ClientCert selector `json:"clientCert"`
			ClientKey  selector `json:"clientKey"`
		} `json:"cert"`
		Token *struct {
			BearerToken selector `json:"bearerToken"`
		} `json:"token"`
		ServiceAccount *serviceAccount `json:"serviceAccount"`
	} `json:"auth"`
	AuthRef         *selector `json:"authRef"`
	RemoteNamespace string    `json:"remoteNamespace"`
}

// selector names a key of a Kubernetes Secret.
type selector struct {
	Name      string `json:"name"`
	Key       string `json:"key"`
	Namespace string `json:"namespace"`
}

// caProvider names a key of a Secret or a ConfigMap.
type caProvider struct {
	Type string `json:"type"`
	selector
}

type serviceAccount struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Audiences []string `json:"audiences"`
}

// The defaults of External Secrets Operator.
const (
	defaultServer    = "https://kubernetes.default"
	defaultNamespace = "default"
)

// where is the manifest's name of the provider's part.
const where = "spec.provider.kubernetes"

func parse(raw []byte) (config, error) {
	var c config
	if len(raw) > 0 {
		if json.Unmarshal(raw, &c) != nil { // its text may quote a value
			return config{}, backend.Errorf(backend.InvalidRef, "%s is not of the form that it must have", where)
		}
	}
	if c.RemoteNamespace == "" {
		c.RemoteNamespace = defaultNamespace
	}
	if len(validation.IsDNS1123Label(c.RemoteNamespace)) > 0 {
		return config{}, backend.Errorf(backend.InvalidRef, "%s.remoteNamespace: %q is not the name of a namespace", where, c.RemoteNamespace)
	}
	given := 0
	if a := c.Auth; a != nil {
		for _, set := range []bool{a.Cert != nil, a.Token != nil, a.ServiceAccount != nil} {
			if set {
				given++
			}
		}
	}
	if c.AuthRef != nil {
		given++
	}
	if given != 1 {
		return config{}, backend.Errorf(backend.InvalidRef,
			"%s needs exactly one of authRef, auth.cert, auth.token and auth.serviceAccount, and %d are given", where, given)
	}
	return c, nil
}

// serverURL checks the URL of an API server, and brings it to one form. The URL
// is not repeated in the error: it may hold a password.
func serverURL(field, text string) (*url.URL, error) {
	if text == "" {
		text = defaultServer
	}
	if !strings.Contains(text, "://") { // as kubectl and client-go read it
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, backend.Errorf(backend.InvalidRef, "%s is not a URL such as https://api.example.com:6443", field)
	}
	if u.Scheme != "https" {
		return nil, backend.Errorf(backend.InvalidRef, "%s must begin with https: the credentials would be readable on the way", field)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}, nil
}

// Open makes a backend of one namespace of one cluster, as one user there.
func Open(ctx context.Context, cfg backend.Config, creds backend.Credentials, _ *http.Client) (backend.Backend, backend.Identity, error) {
	c, err := parse(cfg.Raw)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	a, err := c.access(ctx, creds)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	t, err := a.tls()
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	api := &api{
		base:      a.server,
		namespace: c.RemoteNamespace,
		client:    quiet(cfg.Client(t)),
		login:     a.login,
	}
	id := backend.Identity{
		Login: strings.Join([]string{a.server.String(), c.RemoteNamespace, cfg.Fingerprint(a.identity()...)}, " "),
		Quota: a.server.String(),
	}
	return backend.Backend{
		Reader:  &reader{api},
		Checker: &checker{api},
		Finder:  &finder{api},
		Prober:  &prober{api},
		Writer:  &writer{api},
		Limits:  backend.Limits{Batch: 1, Parallel: parallel, Rate: rate, Payload: payload},
		Close: func() error {
			api.client.CloseIdleConnections()
			return nil
		},
	}, id, nil
}

// quiet makes a client of the given one that follows no redirect: the
// credentials would go along.
func quiet(given *http.Client) *http.Client {
	return &http.Client{
		Transport:     given.Transport,
		Timeout:       given.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
