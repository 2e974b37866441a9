// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// settings are spec.provider.webhook of a store (external-secrets.io/v1).
// url, body, result.jsonPath and the values of headers are templates.
type settings struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Timeout string            `json:"timeout"`
	Result  struct {
		JSONPath string `json:"jsonPath"`
	} `json:"result"`
	Secrets    []named   `json:"secrets"`
	Auth       *auth     `json:"auth"`
	CABundle   []byte    `json:"caBundle"`
	CAProvider *provider `json:"caProvider"`

	timeout time.Duration
}

// named is a Secret whose keys the templates see, under a name.
type named struct {
	Name string   `json:"name"`
	Ref  selector `json:"secretRef"`
}

// selector names a Secret. Its key does not matter here.
type selector struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// provider names one key of a Secret or a ConfigMap.
type provider struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Key       string `json:"key"`
	Namespace string `json:"namespace"`
}

// auth is read to be refused.
type auth struct {
	NTLM json.RawMessage `json:"ntlm"`
}

// word is what a method and the name of a header are (token in RFC 9110, 5.6.2).
var word = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]+$")

// readSettings reads the provider's part of a manifest.
func readSettings(raw []byte) (settings, error) {
	var s settings
	if err := json.Unmarshal(raw, &s); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return settings{}, backend.Errorf(backend.InvalidRef, "webhook.%s has the wrong type", wrong.Field)
		}
		return settings{}, backend.Errorf(backend.InvalidRef, "the webhook's settings cannot be read")
	}
	s.Method = cmp.Or(s.Method, http.MethodGet)
	for _, check := range []func() error{s.checkRequest, s.checkTimeout, s.checkSecrets} {
		if err := check(); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

func (s *settings) checkRequest() error {
	switch {
	case strings.TrimSpace(s.URL) == "":
		return backend.Errorf(backend.InvalidRef, "webhook.url is not set")
	case s.Auth != nil:
		return backend.Errorf(backend.InvalidRef,
			"webhook.auth: NTLM is not supported; put what the server demands into webhook.headers, with webhook.secrets")
	case !word.MatchString(s.Method):
		return backend.Errorf(backend.InvalidRef, "webhook.method is not a method of HTTP")
	case slices.Contains([]string{http.MethodConnect, http.MethodTrace}, strings.ToUpper(s.Method)):
		return backend.Errorf(backend.InvalidRef, "webhook.method is %s, which asks for no secret", strings.ToUpper(s.Method))
	}
	for name := range s.Headers {
		if !word.MatchString(name) {
			return backend.Errorf(backend.InvalidRef, "webhook.headers: %q is not the name of a header", name)
		}
	}
	return nil
}

// checkTimeout reads how long a request may take. As with ESO, zero and less
// are the default, which there is no end at all.
func (s *settings) checkTimeout() error {
	s.timeout = defaultTimeout
	if s.Timeout == "" {
		return nil
	}
	d, err := time.ParseDuration(s.Timeout)
	if err != nil {
		return backend.Errorf(backend.InvalidRef, "webhook.timeout is not a duration such as 10s")
	}
	if d > 0 {
		s.timeout = min(d, maxTimeout)
	}
	return nil
}

func (s *settings) checkSecrets() error {
	for i, t := range s.Secrets {
		switch {
		case t.Name == "" || t.Ref.Name == "":
			return backend.Errorf(backend.InvalidRef, "webhook.secrets[%d] needs name and secretRef.name", i)
		case t.Name == remoteRef:
			return backend.Errorf(backend.InvalidRef, "webhook.secrets[%d].name is %s, which templates know as another thing", i, remoteRef)
		}
	}
	return nil
}

// opener opens stores whose templates are rendered with render.
type opener struct{ render Render }

// open makes a backend of a store. A Secret that is not meant for webhooks
// leaves the store as it is, and fails each read: so it is with ESO.
func (o opener) open(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
	fail := func(err error) (backend.Backend, backend.Identity, error) {
		return backend.Backend{}, backend.Identity{}, err
	}
	s, err := readSettings(cfg.Raw)
	if err != nil {
		return fail(err)
	}
	h := &hook{settings: s, render: o.render}
	if err := h.login(ctx, creds); err != nil {
		return fail(err)
	}
	ca, err := authorities(ctx, s, creds)
	if err != nil {
		return fail(err)
	}
	if ca.IsSet() {
		trust, err := trusting(ca)
		if err != nil {
			return fail(err)
		}
		client = cfg.Client(trust)
	}
	if err := h.locate(); err != nil {
		return fail(err)
	}
	h.client = confined(client)
	b := backend.Backend{
		Reader: &reader{h},
		Scout:  &scout{h},
		Limits: backend.Limits{Batch: 1, Parallel: parallel, Payload: maxAnswer},
		Close:  func() error { client.CloseIdleConnections(); return nil },
	}
	if h.origin != "" {
		b.Checker = &checker{h}
	}
	return b, h.identity(cfg, ca), nil
}

// identity is what may be shared. The name of the store is a part of it, since
// nothing tells whether two servers are one.
func (h *hook) identity(cfg backend.Config, ca backend.Value) backend.Identity {
	raw := cfg.Raw
	if compact := (&bytes.Buffer{}); json.Compact(compact, raw) == nil {
		raw = compact.Bytes()
	}
	values := []backend.Value{backend.NewValue(raw), ca}
	text := func(s string) { values = append(values, backend.NewValue([]byte(s))) }
	for _, t := range h.settings.Secrets {
		s := h.secrets[t.Name]
		text(t.Name)
		for _, name := range s.FieldNames() {
			text(name)
			values = append(values, s.Fields[name])
		}
	}
	if h.refused != nil {
		text(h.refused.Error())
	}
	login := cfg.Fingerprint(values...)
	return backend.Identity{
		Login: strings.Join([]string{"webhook", cfg.Name, login}, " "),
		Quota: "webhook " + cmp.Or(h.quota(cfg), login),
	}
}

// quota is the server. Where a part of its name is a secret, it is a token.
func (h *hook) quota(cfg backend.Config) string {
	switch {
	case h.origin == "":
		return ""
	case literalOrigin(h.settings.URL) == "":
		return cfg.Fingerprint(backend.NewValue([]byte(h.origin)))
	}
	return h.origin
}
