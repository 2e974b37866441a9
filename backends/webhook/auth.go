// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// A Secret has to say that it may leave the cluster with a webhook. Otherwise
// whoever writes stores could send any Secret anywhere.
const (
	typeLabel = "external-secrets.io/type"
	typeValue = "webhook"
)

// login reads the Secrets for the templates. Two that have one name there are
// put together, the later one first in rank.
func (h *hook) login(ctx context.Context, creds backend.Credentials) error {
	h.secrets = map[string]backend.Secret{}
	for _, t := range h.settings.Secrets {
		in, err := creds.In(t.Ref.Namespace)
		if err != nil {
			return err
		}
		s, err := in.All(ctx, t.Ref.Name)
		if backend.CodeOf(err) == backend.NotFound {
			return backend.Errorf(backend.Unauthenticated, "there is no Secret %s, which webhook.secrets names", t.Ref.Name)
		}
		if err != nil {
			return err
		}
		if s.Labels[typeLabel] != typeValue && h.refused == nil {
			h.refused = backend.Errorf(backend.PermissionDenied,
				"Secret %s does not have the label %s: %s, without which it must not be sent to a webhook", t.Ref.Name, typeLabel, typeValue)
		}
		fields := maps.Clone(h.secrets[t.Name].Fields)
		if fields == nil {
			fields = map[string]backend.Value{}
		}
		maps.Copy(fields, s.Fields)
		h.secrets[t.Name] = backend.Secret{Fields: fields}
	}
	return nil
}

// authorities returns the certificates to trust, or nothing where it is the
// system's. caBundle comes before caProvider.
func authorities(ctx context.Context, s settings, creds backend.Credentials) (backend.Value, error) {
	p := s.CAProvider
	if len(s.CABundle) > 0 {
		return backend.NewValue(s.CABundle), nil
	}
	if p == nil {
		return backend.Value{}, nil
	}
	if p.Name == "" || p.Key == "" {
		return backend.Value{}, backend.Errorf(backend.InvalidRef, "webhook.caProvider needs name and key")
	}
	in, err := creds.In(p.Namespace)
	if err != nil {
		return backend.Value{}, err
	}
	var v backend.Value
	switch p.Type {
	case "Secret":
		v, err = in.Secret(ctx, p.Name, p.Key)
	case "ConfigMap":
		var text string
		text, err = in.ConfigMap(ctx, p.Name, p.Key)
		v = backend.NewValue([]byte(text))
	default:
		return backend.Value{}, backend.Errorf(backend.InvalidRef, "webhook.caProvider.type is neither Secret nor ConfigMap")
	}
	if backend.CodeOf(err) == backend.NotFound {
		err = backend.Errorf(backend.Unauthenticated, "there is no key %s in %s %s, which webhook.caProvider names", p.Key, p.Type, p.Name)
	}
	if err != nil {
		return backend.Value{}, err
	}
	return v, nil
}

// trusting trusts these certificates and no others. They are PEM, or as some
// people have it the base64 of PEM.
func trusting(ca backend.Value) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Reveal()) {
		text := strings.Join(strings.Fields(string(ca.Reveal())), "")
		pem, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, backend.Errorf(backend.InvalidRef, "webhook.caBundle or webhook.caProvider holds no certificate in PEM")
		}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}
