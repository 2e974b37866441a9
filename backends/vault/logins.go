// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// podToken is where Kubernetes puts the token of the controller's own pod, and
// replaces it about every hour.
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a file's name

// logins gets what the login of a store needs.
type logins struct {
	config
	creds   backend.Credentials
	trusted bool         // it may log in as the controller itself
	http    *http.Client // for what is asked on the way to a login, and is not Vault
	// Set by client.
	ca, cert, key backend.Value
}

// method returns the login that the manifest names.
func (l *logins) method(ctx context.Context) (method, error) {
	a := l.Auth
	if a == nil {
		return method{namespace: l.Namespace}, nil
	}
	var m method
	var err error
	switch {
	case a.Token != nil:
		m, err = l.fixed(ctx, *a.Token)
	case a.AppRole != nil:
		m, err = l.appRole(ctx, *a.AppRole)
	case a.Kubernetes != nil:
		m, err = l.kubernetes(ctx, *a.Kubernetes)
	case a.LDAP != nil:
		m, err = l.user(ctx, ".auth.ldap", "ldap", *a.LDAP)
	case a.UserPass != nil:
		m, err = l.user(ctx, ".auth.userPass", "userpass", *a.UserPass)
	case a.JWT != nil:
		m, err = l.jwt(ctx, *a.JWT)
	case a.Cert != nil:
		m, err = l.certificate(*a.Cert)
	case a.IAM != nil:
		m, err = l.iam(ctx, *a.IAM)
	case a.GCP != nil:
		m, err = l.gcp(ctx, *a.GCP)
	}
	m.namespace = cmp.Or(a.Namespace, l.Namespace)
	return m, err
}

func (l *logins) fixed(ctx context.Context, s selector) (method, error) {
	field := l.where + ".auth.tokenSecretRef"
	v, err := l.secret(ctx, field, s, "")
	if err != nil {
		return method{}, err
	}
	text := strings.TrimSpace(string(v.Reveal())) // the line end of a file is nobody's intention
	if !inHeader(text) {
		return method{}, backend.Errorf(backend.Unauthenticated, "%s is not a token: it is empty, or has a character in it that no token has", field)
	}
	token := backend.NewValue([]byte(text))
	return method{token: token, identity: []backend.Value{token}}, nil
}

func (l *logins) appRole(ctx context.Context, a appRole) (method, error) {
	field := l.where + ".auth.appRole"
	role := textValue(strings.TrimSpace(a.RoleID))
	var err error
	switch {
	case role.Len() > 0:
	case a.RoleRef != nil:
		if role, err = l.trimmed(ctx, field+".roleRef", *a.RoleRef); err != nil {
			return method{}, err
		}
	default:
		return method{}, backend.Errorf(backend.InvalidRef, "%s needs roleId or roleRef", field)
	}
	secret, err := l.trimmed(ctx, field+".secretRef", a.SecretRef)
	if err != nil {
		return method{}, err
	}
	path, err := loginPath(field+".path", a.Path, "approle")
	if err != nil {
		return method{}, err
	}
	return method{
		path:     path,
		material: static(map[string]backend.Value{"role_id": role, "secret_id": secret}),
		identity: []backend.Value{role, secret},
	}, nil
}

// user is a login with a name and a password.
func (l *logins) user(ctx context.Context, part, mount string, a userAuth) (method, error) {
	field := l.where + part
	name := strings.TrimSpace(a.Username)
	if clean, err := cleanPath(field+".username", name); err != nil || clean != name || strings.Contains(name, "/") {
		return method{}, backend.Errorf(backend.InvalidRef, "%s.username is not the name of a user", field)
	}
	password, err := l.secret(ctx, field+".secretRef", a.SecretRef, "")
	if err != nil {
		return method{}, err
	}
	path, err := loginPath(field+".path", a.Path, mount)
	if err != nil {
		return method{}, err
	}
	return method{
		path: path + "/" + name, role: name, password: true,
		material: static(map[string]backend.Value{"password": password}),
		identity: []backend.Value{password},
	}, nil
}

func (l *logins) kubernetes(ctx context.Context, a kubernetesAuth) (method, error) {
	field := l.where + ".auth.kubernetes"
	path, err := loginPath(field+".mountPath", a.Path, "kubernetes")
	if err != nil {
		return method{}, err
	}
	m := method{path: path, role: strings.TrimSpace(a.Role)}
	switch {
	case a.ServiceAccount != nil:
		err = l.account(ctx, &m, field+".serviceAccountRef", *a.ServiceAccount, a.ServiceAccount.Audiences)
	case a.SecretRef != nil:
		err = l.token(ctx, &m, field+".secretRef", *a.SecretRef)
	case !l.trusted:
		return method{}, backend.Errorf(backend.InvalidRef,
			"%s needs serviceAccountRef or secretRef: only a ClusterSecretStore may log in as Lockstep itself", field)
	default:
		ownPod(&m, podToken)
	}
	return m, err
}

func (l *logins) jwt(ctx context.Context, a jwtAuth) (method, error) {
	field := l.where + ".auth.jwt"
	path, err := loginPath(field+".path", a.Path, "jwt")
	if err != nil {
		return method{}, err
	}
	m := method{path: path, role: strings.TrimSpace(a.Role)}
	switch {
	case a.SecretRef != nil:
		err = l.token(ctx, &m, field+".secretRef", *a.SecretRef)
	case a.Token != nil:
		audiences := a.Token.Audiences
		if audiences == nil {
			audiences = []string{"vault"}
		}
		account := a.Token.ServiceAccount
		err = l.account(ctx, &m, field+".kubernetesServiceAccountToken.serviceAccountRef", account,
			append(slices.Clone(account.Audiences), audiences...))
	default:
		return method{}, backend.Errorf(backend.InvalidRef, "%s needs secretRef or kubernetesServiceAccountToken", field)
	}
	return m, err
}

// certificate is the login with the certificate of the connection, which client
// adds.
func (l *logins) certificate(a certAuth) (method, error) {
	path, err := loginPath(l.where+".auth.cert.path", a.Path, "cert")
	if err != nil {
		return method{}, err
	}
	role := map[string]backend.Value{}
	if a.Role != "" {
		role["name"] = textValue(a.Role)
	}
	return method{path: path, role: a.Role, material: static(role)}, nil
}

// loginPath is where a login is below /v1/.
func loginPath(field, mount, standard string) (string, error) {
	mount, err := cleanPath(field, cmp.Or(strings.Trim(mount, "/"), standard))
	if err != nil {
		return "", err
	}
	return "auth/" + mount + "/login", nil
}

// token is a login with a JWT that somebody else keeps fresh.
func (l *logins) token(ctx context.Context, m *method, field string, s selector) error {
	text, err := l.trimmedOr(ctx, field, s, "token")
	if err != nil {
		return err
	}
	m.material = static(map[string]backend.Value{"role": textValue(m.role), "jwt": text})
	m.identity = []backend.Value{text}
	return nil
}

// account is a login with tokens of a service account, one for each login. The
// first is made at once, so that one that is refused shows, and is used by the
// first login.
func (l *logins) account(ctx context.Context, m *method, field string, s serviceAccount, audiences []string) error {
	if s.Name == "" {
		return backend.Errorf(backend.InvalidRef, "%s needs a name", field)
	}
	in, err := l.creds.In(s.Namespace)
	if err != nil {
		return inside(err, field)
	}
	mint := func(ctx context.Context) (backend.Value, time.Time, error) {
		v, expires, err := in.Token(ctx, s.Name, audiences)
		switch backend.CodeOf(err) {
		case backend.NotFound:
			err = backend.Errorf(backend.Unauthenticated, "%s: there is no service account %q", field, s.Name)
		case backend.PermissionDenied:
			err = &backend.Error{Code: backend.Unauthenticated, Message: field + ": there is no token: " + err.Error(), Err: err}
		}
		return v, expires, err
	}
	first, expires, err := mint(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	role := m.role
	m.material = func(ctx context.Context) (map[string]string, error) {
		mu.Lock()
		token := first
		first = backend.Value{}
		mu.Unlock()
		if !token.IsSet() || time.Until(expires) < loginTimeout {
			var err error
			if token, _, err = mint(ctx); err != nil {
				return nil, err
			}
		}
		return map[string]string{"role": role, "jwt": string(token.Reveal())}, nil
	}
	m.identity = []backend.Value{subject(first), textValue(strings.Join(audiences, "\n"))}
	return nil
}

// subject is whose a service account token is: the same for all tokens of the
// account, and another for an account of that name in another namespace or
// after it was made anew. The token comes from our own API server, so what it
// says needs no proof. One that says nothing is its own subject.
func subject(token backend.Value) backend.Value {
	var claims struct {
		Issuer     string `json:"iss"`
		Subject    string `json:"sub"`
		Kubernetes struct {
			Account struct {
				UID string `json:"uid"`
			} `json:"serviceaccount"`
		} `json:"kubernetes.io"`
	}
	parts := strings.Split(string(token.Reveal()), ".")
	if len(parts) != 3 {
		return token
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Subject == "" {
		return token
	}
	return textValue(strings.Join([]string{claims.Issuer, claims.Subject, claims.Kubernetes.Account.UID}, "\n"))
}

// ownPod is the login as the controller's own pod. Its token is read each time,
// because it is replaced.
func ownPod(m *method, file string) {
	role := m.role
	m.material = func(context.Context) (map[string]string, error) {
		text, err := os.ReadFile(file) //nolint:gosec // not a manifest's choice
		if err != nil || strings.TrimSpace(string(text)) == "" {
			return nil, backend.Errorf(backend.Unauthenticated, "there is no token of Lockstep's own service account in its pod")
		}
		return map[string]string{"role": role, "jwt": strings.TrimSpace(string(text))}, nil
	}
	m.identity = []backend.Value{textValue("the pod of the controller")}
}

// static is material that stays the same while the store is open.
func static(values map[string]backend.Value) func(context.Context) (map[string]string, error) {
	return func(context.Context) (map[string]string, error) {
		out := make(map[string]string, len(values))
		for name, v := range values {
			out[name] = string(v.Reveal())
		}
		return out, nil
	}
}

// client makes the HTTP client of the store: the given one, unless the store
// has certificates of its own.
func (l *logins) client(ctx context.Context, cfg backend.Config, given *http.Client) (*http.Client, error) {
	var err error
	if l.ca, err = l.authority(ctx); err != nil {
		return nil, err
	}
	field := l.where + ".tls"
	cert, key := l.TLS.Cert, l.TLS.Key
	if l.Auth != nil && l.Auth.Cert != nil {
		field, cert, key = l.where+".auth.cert", &l.Auth.Cert.Cert, &l.Auth.Cert.SecretRef
	}
	if cert != nil {
		if l.cert, err = l.secret(ctx, field+"'s certificate", *cert, "tls.crt"); err != nil {
			return nil, err
		}
		if l.key, err = l.secret(ctx, field+"'s key", *key, "tls.key"); err != nil {
			return nil, err
		}
	}
	if !l.ca.IsSet() && !l.cert.IsSet() {
		return given, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.ca.IsSet() {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM(l.ca.Reveal())
	}
	if l.cert.IsSet() {
		pair, err := backend.KeyPair(field, l.cert, l.key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return cfg.Client(t), nil
}

// authority returns the CA of the server, or an absent Value.
func (l *logins) authority(ctx context.Context) (backend.Value, error) {
	p := l.CAProvider
	switch {
	case len(l.CABundle) > 0:
		return certificates(l.where+".caBundle", l.CABundle)
	case p == nil:
		return backend.Value{}, nil
	}
	field := l.where + ".caProvider"
	if p.Name == "" || p.Key == "" {
		return backend.Value{}, backend.Errorf(backend.InvalidRef, "%s needs name and key", field)
	}
	in, err := l.creds.In(p.Namespace)
	if err != nil {
		return backend.Value{}, inside(err, field)
	}
	var text []byte
	switch p.Type {
	case "Secret":
		v, err := in.Secret(ctx, p.Name, p.Key)
		if err != nil {
			return backend.Value{}, lacking(err, field, "Secret", p.Name, p.Key)
		}
		text = v.Reveal()
	case "ConfigMap":
		s, err := in.ConfigMap(ctx, p.Name, p.Key)
		if err != nil {
			return backend.Value{}, lacking(err, field, "ConfigMap", p.Name, p.Key)
		}
		text = []byte(s)
	default:
		return backend.Value{}, backend.Errorf(backend.InvalidRef, "%s.type is neither Secret nor ConfigMap", field)
	}
	return certificates(field, text)
}

// certificates makes sure that there is a certificate in a text, which may be
// PEM or, as some tools write it, that once more in base64.
func certificates(field string, text []byte) (backend.Value, error) {
	if x509.NewCertPool().AppendCertsFromPEM(text) {
		return backend.NewValue(text), nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err == nil && x509.NewCertPool().AppendCertsFromPEM(decoded) {
		return backend.NewValue(decoded), nil
	}
	return backend.Value{}, backend.Errorf(backend.Unauthenticated, "%s has no certificate in PEM in it", field)
}

// secret returns one key of a Secret, which has to be named unless there is a
// standard.
func (l *logins) secret(ctx context.Context, field string, s selector, standard string) (backend.Value, error) {
	key := cmp.Or(s.Key, standard)
	if s.Name == "" || key == "" {
		return backend.Value{}, backend.Errorf(backend.InvalidRef, "%s needs name and key", field)
	}
	in, err := l.creds.In(s.Namespace)
	if err != nil {
		return backend.Value{}, inside(err, field)
	}
	v, err := in.Secret(ctx, s.Name, key)
	if err != nil {
		return backend.Value{}, lacking(err, field, "Secret", s.Name, key)
	}
	return v, nil
}

func (l *logins) trimmed(ctx context.Context, field string, s selector) (backend.Value, error) {
	return l.trimmedOr(ctx, field, s, "")
}

func (l *logins) trimmedOr(ctx context.Context, field string, s selector, standard string) (backend.Value, error) {
	v, err := l.secret(ctx, field, s, standard)
	if err != nil {
		return v, err
	}
	return textValue(strings.TrimSpace(string(v.Reveal()))), nil
}

func inside(err error, field string) error {
	return &backend.Error{Code: backend.CodeOf(err), Message: field + ".namespace: " + err.Error(), Err: err}
}

// lacking is what a credential that cannot be had comes to. A missing one must
// not look like a missing secret of the store.
func lacking(err error, field, kind, name, key string) error {
	if backend.CodeOf(err) != backend.NotFound {
		return err
	}
	return backend.Errorf(backend.Unauthenticated, "%s: there is no key %q in %s %q", field, key, kind, name)
}

func textValue(s string) backend.Value { return backend.NewValue([]byte(s)) }

func boolText(b bool) string { return strconv.FormatBool(b) }

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// headersText is all headers in one text.
func (c *clients) headersText() string { return url.Values(c.headers).Encode() }
