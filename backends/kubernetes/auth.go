// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// access is where an API server is and who asks it.
type access struct {
	server     *url.URL
	serverName string        // that its certificate must have, where that is not the host's
	ca         backend.Value // PEM; absent where the system's CAs hold
	cert, key  backend.Value // PEM; absent where a token says who asks
	login      *login
	field      string // of the manifest, where cert and key come from
}

// access gets what the configuration names.
func (c config) access(ctx context.Context, creds backend.Credentials) (access, error) {
	if c.AuthRef != nil {
		return c.kubeconfig(ctx, creds)
	}
	server, err := serverURL(where+".server.url", c.Server.URL)
	if err != nil {
		return access{}, err
	}
	a := access{server: server}
	if a.ca, err = c.authority(ctx, creds); err != nil {
		return access{}, err
	}
	switch {
	case c.Auth.Token != nil:
		a.login, err = bearer(ctx, creds, c.Auth.Token.BearerToken)
	case c.Auth.ServiceAccount != nil:
		a.login, err = account(ctx, creds, *c.Auth.ServiceAccount)
	default:
		a.field = where + ".auth.cert"
		a.login = &login{field: a.field}
		if a.cert, err = secret(ctx, creds, a.field+".clientCert", c.Auth.Cert.ClientCert); err == nil {
			a.key, err = secret(ctx, creds, a.field+".clientKey", c.Auth.Cert.ClientKey)
		}
	}
	return a, err
}

// bearer is the login with a token that somebody else keeps fresh.
func bearer(ctx context.Context, creds backend.Credentials, s selector) (*login, error) {
	const field = where + ".auth.token.bearerToken"
	token, err := secret(ctx, creds, field, s)
	if err != nil {
		return nil, err
	}
	return fixed(field, token)
}

// authority returns the CA of the server, or an absent Value.
func (c config) authority(ctx context.Context, creds backend.Credentials) (backend.Value, error) {
	p := c.Server.CAProvider
	switch {
	case len(c.Server.CABundle) > 0:
		return certificates(where+".server.caBundle", c.Server.CABundle)
	case p == nil:
		return backend.Value{}, nil
	}
	const field = where + ".server.caProvider"
	var text []byte
	switch p.Type {
	case "Secret":
		v, err := secret(ctx, creds, field, p.selector)
		if err != nil {
			return backend.Value{}, err
		}
		text = v.Reveal()
	case "ConfigMap":
		in, err := within(creds, field, p.selector)
		if err != nil {
			return backend.Value{}, err
		}
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

// within returns the credentials of the namespace that a selector names.
func within(creds backend.Credentials, field string, s selector) (backend.Credentials, error) {
	if s.Name == "" || s.Key == "" {
		return nil, backend.Errorf(backend.InvalidRef, "%s needs name and key", field)
	}
	return inside(creds, field, s.Namespace)
}

func inside(creds backend.Credentials, field, namespace string) (backend.Credentials, error) {
	in, err := creds.In(namespace)
	if err != nil {
		return nil, &backend.Error{Code: backend.CodeOf(err), Message: field + ".namespace: " + err.Error(), Err: err}
	}
	return in, nil
}

// secret returns one key of a Secret.
func secret(ctx context.Context, creds backend.Credentials, field string, s selector) (backend.Value, error) {
	in, err := within(creds, field, s)
	if err != nil {
		return backend.Value{}, err
	}
	v, err := in.Secret(ctx, s.Name, s.Key)
	if err != nil {
		return backend.Value{}, lacking(err, field, "Secret", s.Name, s.Key)
	}
	return v, nil
}

// lacking is what a credential that cannot be had comes to. A missing one must
// not look like a missing secret of the store.
func lacking(err error, field, kind, name, key string) error {
	if backend.CodeOf(err) != backend.NotFound {
		return err
	}
	return backend.Errorf(backend.Unauthenticated, "%s: there is no key %q in %s %q", field, key, kind, name)
}

// tls returns what the connection has to be like, or nil when nothing special.
func (a access) tls() (*tls.Config, error) {
	if !a.ca.IsSet() && !a.cert.IsSet() && a.serverName == "" {
		return nil, nil //nolint:nilnil // as backend.Config.Client takes it
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.serverName}
	if a.ca.IsSet() {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM(a.ca.Reveal())
	}
	if a.cert.IsSet() {
		pair, err := backend.KeyPair(a.field, a.cert, a.key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// identity is what makes one login differ from another at the same server.
func (a access) identity() []backend.Value {
	return append([]backend.Value{backend.NewValue([]byte(a.serverName)), a.ca, a.cert, a.key}, a.login.identity...)
}

// account is the login as a service account of the cluster that Lockstep runs
// in. Its first token is made at once, so that one that is refused shows.
func account(ctx context.Context, creds backend.Credentials, s serviceAccount) (*login, error) {
	const field = where + ".auth.serviceAccount"
	if s.Name == "" {
		return nil, backend.Errorf(backend.InvalidRef, "%s needs a name", field)
	}
	in, err := inside(creds, field, s.Namespace)
	if err != nil {
		return nil, err
	}
	l := &login{field: field, now: time.Now, turn: make(chan struct{}, 1)}
	l.mint = func(ctx context.Context) (backend.Value, time.Time, error) {
		token, expires, err := in.Token(ctx, s.Name, s.Audiences)
		switch code := backend.CodeOf(err); code {
		case "":
			return token, expires, nil
		case backend.NotFound:
			return token, expires, backend.Errorf(backend.Unauthenticated, "%s: there is no service account %q", field, s.Name)
		case backend.PermissionDenied:
			return token, expires, &backend.Error{Code: backend.Unauthenticated, Message: field + ": there is no token: " + err.Error(), Err: err}
		default:
			return token, expires, err
		}
	}
	if err := l.renew(ctx); err != nil {
		return nil, err
	}
	l.identity = []backend.Value{subject(l.held.text), backend.NewValue([]byte(strings.Join(s.Audiences, "\n")))}
	return l, nil
}
