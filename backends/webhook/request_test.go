// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestRef(t *testing.T) {
	cases := map[string]struct {
		reason  string
		dialect backend.Dialect
		key     backend.Key
		want    backend.Ref
		code    backend.Code
	}{
		"Key":     {"no arguments", backend.ESO, backend.Key{Key: "a/b"}, backend.Ref{Path: "a/b"}, ""},
		"Version": {"a field of its own", backend.ESO, backend.Key{Key: "a", Version: "v1"}, backend.Ref{Path: "a", Version: "v1"}, ""},
		"Property": {
			"the request may depend on it", backend.ESO,
			backend.Key{Key: "a", Args: map[string]string{"property": "p\"q"}},
			backend.Ref{Path: "a", Args: `{"property":"p\"q"}`},
			"",
		},
		"Namespace": {
			"sorted, and the rest does not matter", backend.ESO,
			backend.Key{Key: "a", Part: backend.Metadata, Args: map[string]string{"property": "p", "namespace": "n", "metadataPolicy": "Fetch"}},
			backend.Ref{Path: "a", Args: `{"namespace":"n","property":"p"}`},
			"",
		},
		"Empty":     {"no key", backend.ESO, backend.Key{}, backend.Ref{}, backend.InvalidRef},
		"LineEnd":   {"a second header", backend.ESO, backend.Key{Key: "a\r\nHost: b"}, backend.Ref{}, backend.InvalidRef},
		"NUL":       {"the end of a string", backend.ESO, backend.Key{Key: "a\x00"}, backend.Ref{}, backend.InvalidRef},
		"Delete":    {"a control character", backend.ESO, backend.Key{Key: "a\x7f"}, backend.Ref{}, backend.InvalidRef},
		"NEL":       {"a line end to some", backend.ESO, backend.Key{Key: "a\u0085b"}, backend.Ref{}, backend.InvalidRef},
		"NoUTF8":    {"two keys must not be one", backend.ESO, backend.Key{Key: "a\xff"}, backend.Ref{}, backend.InvalidRef},
		"PropertyN": {"as the key", backend.ESO, backend.Key{Key: "a", Args: map[string]string{"property": "p\n"}}, backend.Ref{}, backend.InvalidRef},
		"KES":       {"had none", backend.KES, backend.Key{Key: "a"}, backend.Ref{}, backend.InvalidRef},
		"CSI":       {"has none", backend.CSI, backend.Key{Key: "a"}, backend.Ref{}, backend.InvalidRef},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := New(render).Ref(c.dialect, c.key)
			if diff := cmp.Diff(c.want, got); diff != "" || backend.CodeOf(err) != c.code {
				t.Errorf("%s: error %v, -want +got\n%s", c.reason, err, diff)
			}
		})
	}
}

// TestReadable looks at refs that nobody makes.
func TestReadable(t *testing.T) {
	for _, ref := range []backend.Ref{
		{},
		{Path: "a\n"},
		{Path: "a", Kind: "k"},
		{Path: "a", Part: backend.Metadata},
		{Path: "a", Args: "x"},
		{Path: "a", Args: `{"property":"p","namespace":"n"}`},
		{Path: "a", Args: `{}`},
		{Path: "a", Args: `{"x":"y"}`},
		{Path: "a", Args: `{"property":"\r\n"}`},
	} {
		if _, err := readable(ref); backend.CodeOf(err) != backend.InvalidRef {
			t.Errorf("%+v: %v", ref, err)
		}
	}
}

// TestAttacks: whatever a key is, it stays in its place, or no request is made.
func TestAttacks(t *testing.T) {
	const (
		inPath  = "/secrets/team-a/{{ .remoteRef.key }}"
		inQuery = "/secrets?team=a&key={{ .remoteRef.key }}"
		undone  = "/secrets/{{ unslash .remoteRef.key }}"
	)
	cases := map[string]struct {
		reason string
		url    string
		key    string
		want   string // the request's target, as sent; "" is none
	}{
		"Plain":         {"the usual", inPath, "db", "/secrets/team-a/db"},
		"Slash":         {"one segment", inPath, "a/b", "/secrets/team-a/a%2Fb"},
		"Parent":        {"some servers unescape first", inPath, "../team-b/db", ""},
		"ParentOnly":    {"nothing to escape in it", inPath, "..", ""},
		"Dot":           {"the folder itself", inPath, ".", ""},
		"ParentEncoded": {"some servers unescape twice", inPath, "%2e%2e%2fteam-b", ""},
		"ParentThrice":  {"or more often", inPath, "%25252e%25252e/x", ""},
		"ParentMixed":   {"half escaped", inPath, ".%2e/x", ""},
		"Backslash":     {"a slash to some servers", inPath, `..\team-b`, ""},
		"PathParameter": {"cut off by some servers", inPath, "..;a=b/x", ""},
		"Below":         {"leads up further in", inPath, "x/../../y", ""},
		"DotsInName":    {"only a name", inPath, "a..b/.c", "/secrets/team-a/a..b%2F.c"},
		"FullWidthDots": {"no dots of ASCII", inPath, "．．/x", "/secrets/team-a/%EF%BC%8E%EF%BC%8E%2Fx"},
		"Query":         {"no query of its own", inPath, "a?team=b", "/secrets/team-a/a%3Fteam%3Db"},
		"Fragment":      {"cuts nothing off", inPath, "a#b", "/secrets/team-a/a%23b"},
		"Slashes":       {"no host of its own", inPath, "//evil.example/x", "/secrets/team-a/%2F%2Fevil.example%2Fx"},
		"At":            {"no login", inPath, "@evil.example", "/secrets/team-a/%40evil.example"},
		"Template":      {"a key is no template", inPath, "{{ .s.token }}", "/secrets/team-a/%7B%7B+.s.token+%7D%7D"},
		"Space":         {"as ESO escapes it", inPath, "a b", "/secrets/team-a/a+b"},
		"Percent":       {"stays one", inPath, "100%", "/secrets/team-a/100%25"},
		"Parameter":     {"no second parameter", inQuery, "x&team=b", "/secrets?team=a&key=x%26team%3Db"},
		"ParameterUp":   {"dots are harmless there", inQuery, "../x", "/secrets?team=a&key=..%2Fx"},
		"ParameterCut":  {"cuts nothing off", inQuery, "x#y", "/secrets?team=a&key=x%23y"},
		"Undone":        {"the author wants paths", undone, "a/b", "/secrets/a/b"},
		"UndoneUp":      {"and gets paths downwards", undone, "../b", ""},
		"UndoneQuery":   {"and no query", undone, "a/b?c", "/secrets/a/b%3Fc"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, host := "", ""
			base := serve(t, func(_ http.ResponseWriter, r *http.Request) { got, host = r.RequestURI, r.Host })
			b := open(t, map[string]any{
				"url": base + c.url, "secrets": []any{of("s", "s", "")},
			}, cluster{secrets: map[string]secret{"s": labelled("token", "canary")}})
			_, err := get(t.Context(), b, backend.Ref{Path: c.key})
			if got != c.want {
				t.Errorf("%s: asked for %q, want %q", c.reason, got, c.want)
			}
			if c.want != "" && "http://"+host != base {
				t.Errorf("%s: asked %s", c.reason, host)
			}
			code := backend.Code("")
			if c.want == "" {
				code = backend.InvalidRef
			}
			failed(t, err, code, "")
		})
	}
}

// TestHostsOfTemplates: where the host is a template, no key gets past it.
func TestHostsOfTemplates(t *testing.T) {
	asked := ""
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked = r.RequestURI })
	host := base[len("http://"):]
	c := cluster{secrets: map[string]secret{"s": labelled("host", host)}}
	settings := func(url string) map[string]any {
		return map[string]any{"url": url, "secrets": []any{of("s", "s", "")}}
	}
	b := open(t, settings("http://{{ .s.host }}/x/{{ .remoteRef.key }}"), c)
	if _, err := get(t.Context(), b, backend.Ref{Path: "@evil/"}); err != nil || asked != "/x/%40evil%2F" {
		t.Errorf("asked for %q, error %v", asked, err)
	}
	// The probes are equal here, and one key is another thing.
	b = open(t, settings(`http://{{ if eq .remoteRef.key "evil" }}evil.example{{ else }}{{ .s.host }}{{ end }}/`), c)
	if _, err := get(t.Context(), b, backend.Ref{Path: "good"}); err != nil {
		t.Error(err)
	}
	_, err := get(t.Context(), b, backend.Ref{Path: "evil"})
	failed(t, err, backend.InvalidRef, "depends on remoteRef")
	// The same with a namespace is the store's business.
	b = open(t, settings(`http://{{ if eq .remoteRef.namespace "team" }}{{ .s.host }}{{ else }}{{ .remoteRef.namespace }}.example{{ end }}/y`), c)
	if _, err := get(t.Context(), b, backend.Ref{Path: "k", Args: `{"namespace":"team"}`}); err != nil || asked != "/y" {
		t.Errorf("asked for %q, error %v", asked, err)
	}
}

// TestRequest: what the settings say is what is sent.
func TestRequest(t *testing.T) {
	type sent struct{ Method, Target, Body, Header, Agent string }
	var got sent
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{r.Method, r.RequestURI, string(body), r.Header.Get("X-Case"), r.UserAgent()}
	})
	c := cluster{secrets: map[string]secret{"a": labelled("u", "user", "p", "canary&"), "b": labelled("p", "pass", "nl", "canary\n")}}
	secrets := []any{of("auth", "a", ""), of("auth", "b", ""), of("other", "b", "")}
	ref := backend.Ref{Path: "a b/c", Version: "v&1", Args: `{"namespace":"team","property":"p?q"}`}
	cases := map[string]struct {
		reason   string
		settings map[string]any
		want     sent
		text     string
	}{
		"Get":  {"the default", with("url", base), sent{"GET", "/", "", "", "lockstep"}, ""},
		"Post": {"with a body, which is not escaped", with("url", base, "method", "POST", "body", `{"k":"{{ .remoteRef.key }}"}`), sent{"POST", "/", `{"k":"a b/c"}`, "", "lockstep"}, ""},
		"All": {
			"escaped in the URL alone; a namespace is as it is",
			with("url", base+"/{{ .remoteRef.version }}?{{ .remoteRef.property }}&{{ .remoteRef.namespace }}", "body", "{{ .remoteRef.version }}{{ .remoteRef.property }}",
				"headers", map[string]string{"x-case": "{{ .remoteRef.key }}", "User-Agent": "mine"}),
			sent{"GET", "/v%261?p%3Fq&team", "v&1p?q", "a b/c", "mine"},
			"",
		},
		"Secrets": {
			"of two with one name the later counts",
			with("url", base, "secrets", secrets, "headers", map[string]string{"X-Case": "{{ .auth.u }}:{{ .auth.p }}:{{ .other.p }}"}),
			sent{"GET", "/", "", "user:pass:pass", "lockstep"},
			"",
		},
		"LineEnd":   {"a file's last line end", with("url", base, "secrets", secrets, "headers", map[string]string{"X-Case": "{{ .auth.nl }}"}), sent{}, "webhook.headers.X-Case gets a line end"},
		"NoKey":     {"not the text <no value>", with("url", base, "secrets", secrets, "headers", map[string]string{"X-Case": "{{ .auth.gone }}"}), sent{}, "asks for what is not there"},
		"NoSecret":  {"as above", with("url", base, "body", "{{ .gone.p }}"), sent{}, "webhook.body is a template that asks for what is not there"},
		"BadHeader": {"whose words may hold a secret", with("url", base, "headers", map[string]string{"X-Case": "{{ len 5 }}"}), sent{}, "webhook.headers.X-Case is a template that cannot be rendered"},
		"BadBody":   {"as above", with("url", base, "body", "{{ canary }}"), sent{}, "webhook.body is a template that cannot be rendered"},
		"BadURL":    {"as above", with("url", base+"/{{ canary }}"), sent{}, "webhook.url is a template that cannot be rendered"},
		"BadPath":   {"as above", with("url", base, "result", map[string]string{"jsonPath": "{{ canary }}"}), sent{}, "webhook.result.jsonPath is a template that cannot be rendered"},
		"NoPath":    {"a path is not repeated", with("url", base, "result", map[string]string{"jsonPath": "$.canary["}), sent{}, "it cannot be understood from its character 10 on"},
		"SecretURL": {"nor a URL", with("url", base+"/{{ .auth.nl }}x", "secrets", secrets), sent{}, "webhook.url is not a URL"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got = sent{}
			_, err := get(t.Context(), open(t, tc.settings, c), ref)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			code := backend.Code("")
			if tc.text != "" {
				code = backend.InvalidRef
			}
			failed(t, err, code, tc.text)
		})
	}
}

// TestRenderersWords: what an injected renderer says in an *backend.Error is
// shown, and what it says otherwise is not.
func TestRenderersWords(t *testing.T) {
	h := &hook{render: func(string, string, map[string]map[string]string) (string, error) {
		return "", backend.Errorf(backend.Unknown, "function %q not defined", "x")
	}}
	_, err := h.fill("body", "{{ x }}", nil)
	failed(t, err, backend.InvalidRef, `webhook.body: function "x" not defined`)
}

// TestPlainHTTPError: an answer of no HTTP server.
func TestPlainHTTPError(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, err := get(t.Context(), open(t, with("url", "http"+s.URL[len("https"):]), cluster{}), backend.Ref{Path: "x"})
	failed(t, err, backend.Unknown, "does not accept the request")
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err = get(t.Context(), open(t, with("url", "https"+plain[len("http"):]), cluster{}), backend.Ref{Path: "x"})
	failed(t, err, backend.Unavailable, "does not speak TLS")
}
