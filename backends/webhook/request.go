// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// What a key is made of must stay where the store's author put it. These rules
// see to it:
//
//   - key, version and property are escaped in the URL, for a query;
//   - scheme, login, host and port are the same whatever they are;
//   - no segment of the path leads upwards, however often it is unescaped;
//   - no header has a control character in its value.

// remoteRef is what templates call the manifest's own part of the question.
const remoteRef = "remoteRef"

// absent is what text/template writes for a value that is not there.
const absent = "<no value>"

// data is what the templates of a store see of one question.
func (h *hook) data(ref backend.Ref, a args, escape func(string) string) map[string]map[string]string {
	out := map[string]map[string]string{remoteRef: {
		"key":       escape(ref.Path),
		"version":   escape(ref.Version),
		"property":  escape(a.Property),
		"namespace": a.Namespace,
	}}
	for name, s := range h.secrets {
		out[name] = map[string]string{}
		for key, v := range s.Fields {
			out[name][key] = string(v.Reveal())
		}
	}
	return out
}

func plain(s string) string { return s }

// fill renders a template. Nothing that it made is shown to anybody.
func (h *hook) fill(what, text string, data map[string]map[string]string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	out, err := h.render(what, text, data)
	var ours *backend.Error
	switch {
	case errors.As(err, &ours):
		return "", backend.Errorf(backend.InvalidRef, "webhook.%s: %s", what, ours.Message)
	case err != nil:
		return "", backend.Errorf(backend.InvalidRef, "webhook.%s is a template that cannot be rendered", what)
	case strings.Contains(out, absent) && !strings.Contains(text, absent):
		return "", backend.Errorf(backend.InvalidRef, "webhook.%s is a template that asks for what is not there", what)
	case len(out) > maxText:
		return "", backend.Errorf(backend.InvalidRef, "webhook.%s becomes longer than %d bytes", what, maxText)
	}
	return out, nil
}

// request is the request that reads a ref.
func (h *hook) request(ctx context.Context, ref backend.Ref, a args) (*http.Request, error) {
	target, err := h.target(ref, a)
	if err != nil {
		return nil, err
	}
	data := h.data(ref, a, plain)
	body, err := h.fill("body", h.settings.Body, data)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, h.settings.Method, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, badURL()
	}
	r.Header.Set("User-Agent", "lockstep")
	for _, name := range slices.Sorted(maps.Keys(h.settings.Headers)) {
		value, err := h.fill("headers."+name, h.settings.Headers[name], data)
		if err != nil {
			return nil, err
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == '\x7f' }) {
			return nil, backend.Errorf(backend.InvalidRef,
				"webhook.headers.%s gets a line end or another control character, which no header may have; a Secret may end in one", name)
		}
		r.Header.Set(name, value)
	}
	return r, nil
}

// target is the URL that reads a ref.
func (h *hook) target(ref backend.Ref, a args) (*url.URL, error) {
	u, err := h.url(ref, a)
	if err != nil {
		return nil, err
	}
	if climbs(u.EscapedPath()) {
		return nil, backend.Errorf(backend.InvalidRef, "the path of webhook.url gets a segment that leads upwards")
	}
	if literalOrigin(h.settings.URL) != "" {
		return u, nil // no template can change what is written out
	}
	for _, probe := range probes {
		other, err := h.url(backend.Ref{Path: probe, Version: probe}, args{Namespace: a.Namespace, Property: probe})
		if err != nil {
			return nil, err
		}
		if authority(u) != authority(other) {
			return nil, backend.Errorf(backend.InvalidRef,
				"the host of webhook.url depends on remoteRef, so that any manifest could have the store's credentials sent anywhere")
		}
	}
	return u, nil
}

// probes are two keys with nothing in common.
var probes = []string{"lockstep", "0"}

// url renders the URL of a ref, whatever it is.
func (h *hook) url(ref backend.Ref, a args) (*url.URL, error) {
	text, err := h.fill("url", h.settings.URL, h.data(ref, a, url.QueryEscape))
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, badURL()
	}
	return u, nil
}

// badURL does not repeat the URL, which may hold a password.
func badURL() error {
	return backend.Errorf(backend.InvalidRef, "webhook.url is not a URL such as https://example.com/secrets/{{ .remoteRef.key }}")
}

// authority is whom a URL belongs to, with the login that it may carry.
func authority(u *url.URL) string { return u.User.String() + "@" + originOf(u) }

func originOf(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// writtenOut matches a URL up to the end of its host.
var writtenOut = regexp.MustCompile(`^\s*((?i:https?)://[^/?#\\{}\s@]+)[/?#]`)

// literalOrigin returns scheme and host where they are no part of a template,
// and "" otherwise.
func literalOrigin(text string) string {
	if !strings.Contains(text, "{{") {
		text += "/"
	}
	m := writtenOut.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return strings.ToLower(m[1])
}

// locate finds out where all requests go, or at least that keys have no say in
// it.
func (h *hook) locate() error {
	h.who = "the webhook"
	if h.origin = literalOrigin(h.settings.URL); h.origin != "" {
		u, err := url.Parse(h.origin)
		if err != nil || u.Hostname() == "" {
			return badURL()
		}
		h.who += " at " + u.Host
		return nil
	}
	if h.refused == nil { // nothing is rendered with such a Secret
		return h.compare()
	}
	return nil
}

// compare sets the origin where it is the same for two namespaces.
func (h *hook) compare() error {
	var origins []string
	for _, namespace := range probes {
		u, err := h.target(backend.Ref{Path: probes[0]}, args{Namespace: namespace})
		if err != nil {
			return err
		}
		origins = append(origins, originOf(u))
	}
	if origins[0] == origins[1] {
		h.origin = origins[0]
	}
	return nil
}

// maxUnescape is how often a chain of servers may unescape a path.
const maxUnescape = 4

// climbs reports whether a path has a segment of dots. Some servers take a
// backslash for a slash, and some cut a segment off at a semicolon.
func climbs(path string) bool {
	for range maxUnescape {
		for seg := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			seg, _, _ = strings.Cut(seg, ";")
			if seg == "." || seg == ".." {
				return true
			}
		}
		next, err := url.PathUnescape(path)
		switch {
		case err != nil: // nor can a server unescape it
			return false
		case next == path:
			return false
		}
		path = next
	}
	return true
}
