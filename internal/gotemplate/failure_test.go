// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestMessages(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, template, text, want string
	}{
		"MissingKey": {
			reason: "the commonest mistake is named", template: "tls.crt", text: "a\n{{ .nope }}",
			want: `template "tls.crt", line 2: no key "nope" in the data`,
		},
		"MissingKeyDefault":  {reason: "default comes too late, as in ESO", template: "k", text: `{{ .nope | default "d" }}`, want: `template "k", line 1: no key "nope" in the data`},
		"MissingKeyOfJSON":   {reason: "of any map", template: "k", text: `{{ ("{}" | fromJson).x }}`, want: `template "k", line 1: no key "x" in the data`},
		"Syntax":             {reason: "no part of the text, which may come from a Secret", template: "k", text: "\n{{ if }}", want: `template "k", line 2: not a valid template`},
		"SyntaxOddName":      {reason: "a name that looks like a place", template: "k:9:9", text: "{{", want: `template "k:9:9", line 1: not a valid template`},
		"NoName":             {reason: "ESO names such templates by their text", template: "{{ .a }}", text: "{{", want: `template without a name, line 1: not a valid template`},
		"Exec":               {reason: "tpl-exec-error", template: "x", text: `{{ index (list) 3 }}`, want: `template "x", line 1: function "index" failed`},
		"Function":           {reason: "its own text is dropped", template: "k", text: `{{ mustToDate "2006" .a }}`, want: `template "k", line 1: function "mustToDate" failed`},
		"Panic":              {reason: "a panic is a failure", template: "k", text: `{{ div 1 0 }}`, want: `template "k", line 1: function "div" failed`},
		"PanicRegexp":        {reason: "without must as well", template: "k", text: `{{ regexFind "(" .a }}`, want: `template "k", line 1: function "regexFind" failed`},
		"Types":              {reason: "types are text/template's", template: "k", text: "{{ upper 1 }}", want: `template "k", line 1: wrong number or type of arguments`},
		"Count":              {reason: "", template: "k", text: "{{ upper }}", want: `template "k", line 1: wrong number or type of arguments`},
		"HtpasswdTwo":        {reason: "ESO's wants the algorithm", template: "k", text: `{{ htpasswd "a" "b" }}`, want: `template "k", line 1: wrong number or type of arguments`},
		"HtpasswdDynamic":    {reason: "and as a constant", template: "k", text: `{{ htpasswd "a" "b" .a }}`, want: `template "k", line 1: wrong number or type of arguments`},
		"GetOfDot":           {reason: "dot is no dict, as in ESO", template: "k", text: `{{ get . "a" }}`, want: `template "k", line 1: wrong number or type of arguments`},
		"NoTemplate":         {reason: "", template: "k", text: `{{ template "x" }}`, want: `template "k", line 1: uses a template that is not defined`},
		"RangeOverText":      {reason: "text/template would print it", template: "k", text: `{{ range .a }}{{ end }}`, want: `template "k", line 1: cannot be rendered`},
		"TooLarge":           {reason: "which function", template: "k", text: `{{ repeat 100000000 "a" }}`, want: `template "k", line 1: function "repeat": too large`},
		"MethodArgument":     {reason: "methods are called unseen", template: "k", text: `{{ (semver "1.2.3").SetMetadata (repeat 5000 "a") }}`, want: `template "k", line 1: too large`},
		"Output":             {reason: "more than a Secret holds", template: "k", text: `{{ range 300 }}` + strings.Repeat("x", 10000) + `{{ end }}`, want: `template "k": too large`},
		"Result":             {reason: "found after the call", template: "k", text: `{{ $x := repeat 3000000 "a" | b32enc }}`, want: `template "k", line 1: function "b32enc": too large`},
		"DSA":                {reason: "takes seconds", template: "k", text: `{{ genPrivateKey "dsa" }}`, want: `template "k", line 1: function "genPrivateKey": too much work`},
		"SecondKey":          {reason: "one for a Secret, before it starts", template: "k", text: `{{ range list 1 2 }}{{ genPrivateKey "rsa" }}{{ end }}`, want: `template "k", line 1: too much work`},
		"ConditionalAttempt": {reason: "a key that is not reached costs nothing", template: "k", text: `{{ range 9 }}{{ if eq . 10 }}{{ genPrivateKey "rsa" }}{{ end }}{{ end }}{{ .x }}`, want: `template "k", line 1: no key "x" in the data`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New().Execute(tc.template, tc.text, map[string]string{"a": "b"})
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: %s: %v, want %s", tc.reason, tc.text, err, tc.want)
			}
			var e *backend.Error
			if !errors.As(err, &e) || e.Code != backend.InvalidRef || e.Err != nil {
				t.Errorf("%s: not a bare InvalidRef: %#v", tc.reason, err)
			}
		})
	}
}

// TestCanary gives a secret to every function in every position, and to what else can fail, and looks for it in the message.
func TestCanary(t *testing.T) {
	const canary = "Can4ry-S3cret/value+x"
	forms := []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary)), url.QueryEscape(canary), "Can4ry", "S3cret"}
	var texts []string
	for name := range rules {
		if name == "derivePassword" || strings.HasPrefix(name, "gen") || name == "bcrypt" || name == "htpasswd" {
			continue // slow, and in fixed below
		}
		for _, args := range []string{"", ".c", ".c .c", ".c .c .c", "1 .c", ".c 1", "2 2 .c", ".m", ".c .m", `"a" .c .m`, "(list .c)", "(dict .c .c)", `(dict "scheme" 1) .c`, `.c (list .c)`, `(dict "userinfo" .c)`} {
			texts = append(texts, "{{ "+name+" "+strings.ReplaceAll(args, ".m", "(fromJson .j)")+" | mustToDate .c }}")
		}
	}
	texts = append(
		texts,
		`{{ range .e }}{{ end }}`, `{{ range .c }}{{ end }}`, `{{ .c.x }}`, `{{ .c "a" }}`, `{{ index . .c 1 }}`, `{{ index (list 1) .c }}`, `{{ eq .c 1 }}`, `{{ lt .c 1 }}`, `{{ call .c }}`,
		`{{ template .c }}`, `{{ now.Format 1 .c }}`, `{{ (semver .c).x }}`, `{{ (semver "1.2.3").SetMetadata .c }}`, `{{ dig .c 1 (fromJson .j) }}`, `{{ dig .c .c .c .c }}`,
		`{{ genCAWithKey .c 1 .c }}`, `{{ genSelfSignedCert .c (list .c) (list 1) 1 }}`, `{{ genSelfSignedCert .c (list .c) (list .c) 1 }}`, `{{ derivePassword 1 .c .c .c .c | fromJson | .c }}`,
		`{{ genSignedCertWithKey .c nil nil 1 (genCAWithKey "a" 1 (genPrivateKey "ecdsa")) .c }}`, `{{ decryptAES .c .c }}`, `{{ with $x := .c }}{{ $x.y }}{{ end }}`,
		`{{ .c | genPrivateKey | fromJson }}{{ .nope }}`, `{{ htpasswd .c .c "sha" }}{{ .nope }}`, `{{ (fromYaml .c).x }}`, `{{ jwkPublicKeyPem .j }}`, canary+`{{`, `{{ "`+canary+`" | `,
		`{{ rsaDecrypt "RSA-OAEP" .c .c .c }}`, `{{ rsaDecrypt .c .c .c .c }}`, `{{ pkcs12keyPass .c .c }}`, `{{ required .c }}`, `{{ "`+canary+`" | required }}`, `{{ template "`+canary+`" }}`,
	)
	failed := 0
	for _, text := range texts {
		_, err := New().Execute("k", text, map[string]string{"c": canary, "e": `x: map has no entry for key "` + canary + `"`, "j": `{"kty":"` + canary + `","Can4ry":"` + canary + `"}`})
		if err == nil {
			continue
		}
		failed++
		for _, form := range forms {
			if strings.Contains(err.Error(), form) {
				t.Errorf("%s: the message has the secret: %v", text, err)
			}
		}
	}
	if failed < len(texts)/2 {
		t.Errorf("only %d of %d templates failed, so that little was looked at", failed, len(texts))
	}
}

// TestSharedBudget sees that a second template has what the first one left, and that a problem does not outlive its template.
func TestSharedBudget(t *testing.T) {
	e := New()
	if _, err := e.Execute("a", `{{ .x }}`, nil); err == nil {
		t.Fatal("no error")
	}
	if got, err := e.Execute("b", `{{ genPrivateKey "rsa" }}`, nil); err != nil || !strings.HasPrefix(got, "-----BEGIN RSA PRIVATE KEY-----") {
		t.Fatalf("the first key: %q, %v", got[:min(len(got), 40)], err)
	}
	if _, err := e.Execute("c", `{{ genPrivateKey "rsa" }}`, nil); err == nil || !strings.Contains(err.Error(), "too much work") {
		t.Errorf("the second key: %v", err)
	}
	if got, err := e.Execute("d", `{{ (genCA "a" 1).Cert }}{{ bcrypt "x" }}{{ genPrivateKey "ed25519" }}`, nil); err != nil {
		t.Errorf("what should be left: %q, %v", got, err)
	}
}
