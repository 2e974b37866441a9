// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// config is the provider's part of a manifest, as External Secrets Operator has
// it. Fields it does not know are left alone.
type config struct {
	Server              string            `json:"server"`
	Path                string            `json:"path"`
	Version             string            `json:"version"`
	Namespace           string            `json:"namespace"`
	CABundle            []byte            `json:"caBundle"`
	CAProvider          *caProvider       `json:"caProvider"`
	Headers             map[string]string `json:"headers"`
	ReadYourWrites      bool              `json:"readYourWrites"`
	ForwardInconsistent bool              `json:"forwardInconsistent"`
	TLS                 struct {
		Cert *selector `json:"certSecretRef"`
		Key  *selector `json:"keySecretRef"`
	} `json:"tls"`
	CheckAndSet struct {
		Required bool `json:"required"`
	} `json:"checkAndSet"`
	Auth *auth `json:"auth"`

	where  string // the manifest's name of the provider's part
	bao    bool
	engine engine
}

// auth is a login: one of its fields, and where it is.
type auth struct {
	Namespace  string          `json:"namespace"`
	Token      *selector       `json:"tokenSecretRef"`
	AppRole    *appRole        `json:"appRole"`
	Kubernetes *kubernetesAuth `json:"kubernetes"`
	LDAP       *userAuth       `json:"ldap"`
	UserPass   *userAuth       `json:"userPass"`
	JWT        *jwtAuth        `json:"jwt"`
	Cert       *certAuth       `json:"cert"`
	IAM        *iamAuth        `json:"iam"`
	GCP        *gcpAuth        `json:"gcp"`
}

type appRole struct {
	Path      string    `json:"path"`
	RoleID    string    `json:"roleId"`
	RoleRef   *selector `json:"roleRef"`
	SecretRef selector  `json:"secretRef"`
}

type kubernetesAuth struct {
	Path           string          `json:"mountPath"`
	Role           string          `json:"role"`
	SecretRef      *selector       `json:"secretRef"`
	ServiceAccount *serviceAccount `json:"serviceAccountRef"`
}

type userAuth struct {
	Path      string   `json:"path"`
	Username  string   `json:"username"`
	SecretRef selector `json:"secretRef"`
}

type jwtAuth struct {
	Path      string    `json:"path"`
	Role      string    `json:"role"`
	SecretRef *selector `json:"secretRef"`
	Token     *struct {
		ServiceAccount serviceAccount `json:"serviceAccountRef"`
		Audiences      []string       `json:"audiences"`
	} `json:"kubernetesServiceAccountToken"`
}

type certAuth struct {
	Path      string   `json:"path"`
	Role      string   `json:"vaultRole"`
	Cert      selector `json:"clientCert"`
	SecretRef selector `json:"secretRef"`
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
	versionOne  = "v1"
	versionTwo  = "v2"
	defaultPath = "kv" // with OpenBao
)

func parse(raw []byte, bao bool) (config, error) {
	c := config{where: "spec.provider.vault", bao: bao}
	if bao {
		c.where = "spec.provider.openBao"
	}
	if err := json.Unmarshal(raw, &c); err != nil { // whose text may quote a value
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return c, backend.Errorf(backend.InvalidRef, "%s.%s has the wrong type", c.where, wrong.Field)
		}
		return c, backend.Errorf(backend.InvalidRef, "%s is not of the form that it must have", c.where)
	}
	for _, check := range []func() error{c.readServer, c.readEngine, c.checkTexts, c.checkAuth} {
		if err := check(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *config) readServer() (err error) {
	c.Server, err = serverURL(c.where+".server", c.Server)
	return err
}

// serverURL checks the URL of a server, and brings it to one form. The URL is
// not repeated in the error: it may hold a password.
func serverURL(field, text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", backend.Errorf(backend.InvalidRef, "%s is not a URL such as https://vault.example.com:8200", field)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, nil
}

func (c *config) readEngine() (err error) {
	c.engine = engine{versioned: true, whole: c.bao}
	switch c.Version {
	case "", versionTwo:
	case versionOne:
		c.engine.versioned = false
	default:
		return backend.Errorf(backend.InvalidRef, "%s.version is neither v1 nor v2", c.where)
	}
	if c.CheckAndSet.Required && !c.engine.versioned {
		return backend.Errorf(backend.InvalidRef, "%s.checkAndSet: key-value engines of version 1 have no check-and-set", c.where)
	}
	path := c.Path
	if c.bao {
		path = cmp.Or(path, defaultPath)
	}
	if path == "" {
		return nil
	}
	c.engine.mount, err = cleanPath(c.where+".path", path)
	return err
}

// forbidden are the headers that the protocol and the transport need for
// themselves.
var forbidden = []string{
	headerToken, headerNamespace, headerRequest, headerInconsistent, "X-Vault-Wrap-Ttl", "Authorization", "Host", "Connection", "Upgrade",
	"Content-Length", "Transfer-Encoding", "Te", "Trailer", "Proxy-Authorization", "Proxy-Connection", "Keep-Alive",
}

// checkTexts refuses what would become something else on the way.
func (c *config) checkTexts() error {
	for _, name := range sortedNames(c.Headers) {
		if !isToken(name) || slices.Contains(forbidden, http.CanonicalHeaderKey(name)) {
			return backend.Errorf(backend.InvalidRef, "%s.headers: %q is not a header that a store may set", c.where, name)
		}
		if !isHeaderValue(c.Headers[name]) {
			return backend.Errorf(backend.InvalidRef, "%s.headers: the value of %q has a character in it that no header has", c.where, name)
		}
	}
	if !isHeaderValue(c.Namespace) {
		return backend.Errorf(backend.InvalidRef, "%s.namespace has a character in it that no namespace has", c.where)
	}
	if c.Auth != nil && !isHeaderValue(c.Auth.Namespace) {
		return backend.Errorf(backend.InvalidRef, "%s.auth.namespace has a character in it that no namespace has", c.where)
	}
	if (c.TLS.Cert == nil) != (c.TLS.Key == nil) {
		return backend.Errorf(backend.InvalidRef, "%s.tls: certSecretRef and keySecretRef belong together", c.where)
	}
	return nil
}

// isToken reports whether a text can be the name of a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkAuth makes sure that there is one login, or none at all: a proxy such as
// Vault's agent may log in by itself.
func (c *config) checkAuth() error {
	if c.Auth == nil {
		return nil
	}
	a := c.Auth
	given := 0
	for _, set := range []bool{
		a.Token != nil, a.AppRole != nil, a.Kubernetes != nil, a.LDAP != nil, a.UserPass != nil, a.JWT != nil, a.Cert != nil,
		a.IAM != nil, a.GCP != nil,
	} {
		if set {
			given++
		}
	}
	if given != 1 {
		return backend.Errorf(backend.InvalidRef, "%s.auth needs exactly one login, and %d are given", c.where, given)
	}
	if c.bao && a.Token == nil && a.AppRole == nil && a.UserPass == nil {
		return backend.Errorf(backend.InvalidRef, "%s.auth: OpenBao takes tokenSecretRef, appRole or userPass; use the provider vault for other logins", c.where)
	}
	return nil
}

func isSet(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// Open makes a backend of one engine and one login of Vault, or of the
// operator's environment.
func Open(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
	if cfg.Raw == nil {
		return openEnv(ctx, cfg, client)
	}
	return openStore(ctx, cfg, creds, client, false)
}

// OpenBaoStore is Open for stores of OpenBao.
func OpenBaoStore(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
	return openStore(ctx, cfg, creds, client, true)
}

func openStore(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client, bao bool) (backend.Backend, backend.Identity, error) {
	c, err := parse(cfg.Raw, bao)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	l := logins{config: c, creds: creds, trusted: cfg.Shared, http: client}
	m, err := l.method(ctx)
	if err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	if client, err = l.client(ctx, cfg, client); err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	s := newSession(ctx, m, c.clients(client), words{field: c.where + ".auth"}, c.Namespace)
	if m.path == "" {
		if s.held, err = s.granted(m.token); err != nil {
			return backend.Backend{}, backend.Identity{}, err
		}
	} else if _, err := s.clients.as(backend.Value{}, ""); err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	a := &api{
		engine:  c.engine,
		words:   s.words,
		session: func(string) (*session, error) { return s, nil },
		close:   s.close,
	}
	return a.backend(client, !bao), c.identity(cfg, m, l), nil
}

// clients makes what the store's requests have in common.
func (c *config) clients(client *http.Client) *clients {
	out := &clients{server: c.Server, http: wired(client), headers: http.Header{}, readYourWrites: c.ReadYourWrites || c.ForwardInconsistent}
	for name, value := range c.Headers {
		out.headers.Set(name, value)
	}
	if c.ReadYourWrites && c.ForwardInconsistent {
		out.headers.Set(headerInconsistent, "forward-active-node")
	}
	return out
}

// identity is what makes one login differ from another. Keys are below the
// mount, so stores of different engines share nothing.
func (c *config) identity(cfg backend.Config, m method, l logins) backend.Identity {
	values := append([]backend.Value{l.ca, l.cert, l.key}, m.identity...)
	for _, text := range []string{
		c.engine.mount, c.Version, c.Namespace, m.path, m.namespace, m.role,
		c.clients(&http.Client{}).headersText(), boolText(c.bao), boolText(c.ReadYourWrites), boolText(l.trusted),
	} {
		values = append(values, textValue(text))
	}
	return backend.Identity{
		Login: strings.Join([]string{"store", c.Server, m.path, cfg.Fingerprint(values...)}, " "),
		Quota: c.Server,
	}
}

// backend puts the parts together.
func (a *api) backend(client *http.Client, writes bool) backend.Backend {
	b := backend.Backend{
		Reader:  &reader{a},
		Scout:   &scout{a},
		Checker: &checker{a},
		Finder:  &finder{a},
		Watcher: &watcher{a},
		Lessor:  &lessor{a},
		Limits:  backend.Limits{Batch: 1, Parallel: parallel, Rate: rate},
		Close: func() error {
			go func() { // Close must not wait for a server, which is asked to revoke the token
				a.close()
				client.CloseIdleConnections()
			}()
			return nil
		},
	}
	if a.engine.versioned {
		b.Versioner = &versioner{a}
		if writes {
			b.Writer = &writer{a}
		}
	}
	return b
}
