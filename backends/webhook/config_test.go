// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// with is a store at a URL with more settings.
func with(kv ...any) map[string]any {
	out := map[string]any{"url": "https://vault.example/{{ .remoteRef.key }}"}
	for i := 0; i < len(kv); i += 2 {
		out[kv[i].(string)] = kv[i+1]
	}
	return out
}

// of names a Secret for the templates.
func of(name, secret, namespace string) map[string]any {
	return map[string]any{"name": name, "secretRef": map[string]string{"name": secret, "namespace": namespace}}
}

func TestOpen(t *testing.T) {
	c := cluster{secrets: map[string]secret{
		"good": labelled("token", "canary", "host", "vault.example"), "bare": {data: map[string]string{"token": "canary", "host": "canary"}},
	}}
	cases := map[string]struct {
		reason   string
		settings map[string]any
		code     backend.Code
		text     string
	}{
		"Good":          {"the usual", with("secrets", []any{of("auth", "good", "")}), "", ""},
		"OwnNamespace":  {"says the same", with("secrets", []any{of("auth", "good", "own")}), "", ""},
		"OtherSpace":    {"a tenant's store reads its own namespace", with("secrets", []any{of("auth", "good", "other")}), backend.InvalidRef, "another namespace"},
		"NoSecret":      {"credentials are missing", with("secrets", []any{of("auth", "gone", "")}), backend.Unauthenticated, "there is no Secret gone"},
		"NoLabel":       {"the store stands, and reads fail", with("secrets", []any{of("auth", "bare", "")}), "", ""},
		"SecretNoName":  {"which Secret", with("secrets", []any{of("auth", "", "")}), backend.InvalidRef, "webhook.secrets[0] needs name"},
		"Shadow":        {"a Secret must not pass for the key", with("secrets", []any{of("remoteRef", "good", "")}), backend.InvalidRef, "another thing"},
		"NTLM":          {"not there", with("auth", map[string]any{"ntlm": map[string]any{}}), backend.InvalidRef, "NTLM is not supported"},
		"NoURL":         {"nothing to ask", map[string]any{"url": " "}, backend.InvalidRef, "webhook.url is not set"},
		"OtherScheme":   {"files are not served", with("url", "file:///canary"), backend.InvalidRef, "webhook.url is not a URL"},
		"NoHost":        {"nobody to ask", with("url", "https:///canary"), backend.InvalidRef, "webhook.url is not a URL"},
		"BadPort":       {"nor is this", with("url", "https://canary:x/"), backend.InvalidRef, "webhook.url is not a URL"},
		"Password":      {"is not repeated", with("url", "https://u:canary@exa mple/"), backend.InvalidRef, "webhook.url is not a URL"},
		"KeyIsHost":     {"credentials would go anywhere", with("url", "https://{{ .remoteRef.key }}/x"), backend.InvalidRef, "depends on remoteRef"},
		"KeyInHost":     {"as above", with("url", "https://{{ .remoteRef.key }}.example/x"), backend.InvalidRef, "depends on remoteRef"},
		"PropertyHost":  {"as above", with("url", "https://a.{{ .remoteRef.property }}/x"), backend.InvalidRef, "depends on remoteRef"},
		"VersionPort":   {"as above", with("url", "https://a:8{{ len .remoteRef.version }}/x"), backend.InvalidRef, "depends on remoteRef"},
		"KeyIsLogin":    {"as above", with("url", "https://{{ .remoteRef.key }}@a/x"), backend.InvalidRef, "depends on remoteRef"},
		"KeyIsScheme":   {"not even the scheme", with("url", "http{{ .remoteRef.key }}://a/x"), backend.InvalidRef, "webhook.url is not a URL"},
		"SecretHost":    {"the store's author may hide it", with("url", "https://{{ .auth.host }}/x", "secrets", []any{of("auth", "good", "")}), "", ""},
		"SpaceHost":     {"a namespace is not the manifest's to choose", with("url", "https://{{ .remoteRef.namespace }}.example/x"), "", ""},
		"BadTemplate":   {"where the host is a template", with("url", "https://{{ .auth.host"), backend.InvalidRef, "a template that cannot be rendered"},
		"Method":        {"any that is one", with("method", "PROPFIND"), "", ""},
		"MethodSpace":   {"would be another line", with("method", "GET / HTTP/1.1\r\nX: "), backend.InvalidRef, "webhook.method is not a method"},
		"MethodConnect": {"would be a tunnel", with("method", "CONNECT"), backend.InvalidRef, "webhook.method is CONNECT"},
		"HeaderName":    {"would be another line", with("headers", map[string]string{"a: b\r\nc": "d"}), backend.InvalidRef, "is not the name of a header"},
		"Timeout":       {"a duration", with("timeout", "soon"), backend.InvalidRef, "webhook.timeout is not a duration"},
		"Types":         {"what the schema refuses as well", with("timeout", 5), backend.InvalidRef, "webhook.timeout has the wrong type"},
		"CANoName":      {"which one", with("caProvider", map[string]string{"type": "Secret"}), backend.InvalidRef, "webhook.caProvider needs name and key"},
		"CAType":        {"which kind", with("caProvider", map[string]string{"type": "x", "name": "a", "key": "b"}), backend.InvalidRef, "neither Secret nor ConfigMap"},
		"CAMissing":     {"it is not there", with("caProvider", map[string]string{"type": "ConfigMap", "name": "a", "key": "b"}), backend.Unauthenticated, "there is no key b in ConfigMap a"},
		"CASpace":       {"a tenant's store reads its own namespace", with("caProvider", map[string]string{"type": "Secret", "name": "a", "key": "b", "namespace": "other"}), backend.InvalidRef, "another namespace"},
		"CAGarbage":     {"no certificate", with("caBundle", []byte("canary")), backend.InvalidRef, "holds no certificate in PEM"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, id, err := try(t.Context(), t, tc.settings, c)
			if failed(t, err, tc.code, tc.text); t.Failed() {
				t.Log(tc.reason)
			}
			if err == nil && (id.Login == "" || id.Quota == "" || name == "SecretHost" && id.Quota == "webhook https://vault.example") {
				t.Errorf("identity %q %q", id.Login, id.Quota)
			}
		})
	}
}

// TestTimeout: there always is an end.
func TestTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 10 * time.Second, "2s": 2 * time.Second, "0s": 10 * time.Second, "-5s": 10 * time.Second, "1h": time.Minute,
	} {
		s, err := readSettings([]byte(`{"url":"http://a","timeout":"` + text + `"}`))
		if err != nil || s.timeout != want {
			t.Errorf("%q: %s (error %v), want %s", text, s.timeout, err, want)
		}
	}
}

// TestIdentity: what makes another answer possible makes another login.
func TestIdentity(t *testing.T) {
	settings := with("secrets", []any{of("auth", "s", "")})
	seen := map[string]string{}
	for name, c := range map[string]struct {
		settings map[string]any
		secret   secret
	}{
		"Usual":    {settings, labelled("token", "a")},
		"Rotated":  {settings, labelled("token", "b")},
		"Moved":    {settings, labelled("tokena", "")},
		"NoLabel":  {settings, secret{data: map[string]string{"token": "a"}}},
		"Settings": {with("secrets", []any{of("auth", "s", "")}, "method", "POST"), labelled("token", "a")},
	} {
		_, id, err := try(t.Context(), t, c.settings, cluster{secrets: map[string]secret{"s": c.secret}})
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[id.Login]; other != "" {
			t.Errorf("%s and %s have one login", name, other)
		}
		seen[id.Login] = name
		if id.Quota != "webhook https://vault.example" {
			t.Errorf("quota %q", id.Quota)
		}
	}
}

// TestLabel: a Secret that is not meant for webhooks does not leave the
// cluster.
func TestLabel(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	for label, text := range map[string]string{"": "without which it must not be sent", "other": "without which it must not be sent"} {
		b := open(t, map[string]any{"url": url + "/{{ .auth.token }}", "secrets": []any{of("auth", "s", "")}},
			cluster{secrets: map[string]secret{"s": {label: label, data: map[string]string{"token": "canary"}}}})
		_, err := get(t.Context(), b, backend.Ref{Path: "x"})
		failed(t, err, backend.PermissionDenied, text)
	}
	// Nor is it looked at for where to go.
	b := open(t, map[string]any{"url": "http://{{ .auth.host }}/", "secrets": []any{of("auth", "s", "")}},
		cluster{secrets: map[string]secret{"s": {data: map[string]string{"host": "canary"}}}})
	if b.Checker != nil {
		t.Error("there is a check, and nobody to ask")
	}
}

// TestAuthorities: the certificates of the store are trusted, and no others.
func TestAuthorities(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "v") }))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	twice := []byte(base64.StdEncoding.EncodeToString(ca))
	c := cluster{
		secrets:    map[string]secret{"s": {data: map[string]string{"ca.crt": string(ca)}}},
		configMaps: map[string]string{"m/ca.crt": string(ca)},
	}
	provider := func(typ, name string) map[string]string {
		return map[string]string{"type": typ, "name": name, "key": "ca.crt"}
	}
	for name, settings := range map[string]map[string]any{
		"Bundle":    with("url", s.URL, "caBundle", ca),
		"Twice":     with("url", s.URL, "caBundle", twice),
		"Secret":    with("url", s.URL, "caProvider", provider("Secret", "s")),
		"ConfigMap": with("url", s.URL, "caProvider", provider("ConfigMap", "m")),
	} {
		if got, err := get(t.Context(), open(t, settings, c), backend.Ref{Path: "x"}); err != nil || got != "v" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := get(t.Context(), open(t, with("url", s.URL), c), backend.Ref{Path: "x"})
	failed(t, err, backend.Unavailable, "has no certificate that is trusted")
}
