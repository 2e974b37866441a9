// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/cli"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
)

// TestShadowReport: what is printed, and how the command ends.
func TestShadowReport(t *testing.T) {
	same := shadow.Object{Dialect: "eso", Namespace: "a", Name: "same", Secret: "same", Result: shadow.Unchanged}
	other := shadow.Object{
		Dialect: "eso", Namespace: "b", Name: "other", Secret: "s", Result: shadow.Update,
		Data:        shadow.Names{Added: []string{"new"}, Changed: []string{"k"}, Removed: []string{"old"}, More: 3},
		Annotations: shadow.Names{Removed: []string{"hash"}}, Owner: &shadow.FromTo{To: "ExternalSecret/other"}, FormerSecrets: []string{"before"},
	}
	refused := shadow.Object{
		Dialect: "kes", Namespace: "b", Name: "refused", Secret: "refused", Result: shadow.Refused, Where: "Secret", Code: "Conflict",
		Message: "no\x1b[2J\nway",
	}
	pending := shadow.Object{Dialect: "eso", Namespace: "c", Name: "pending", Result: shadow.Pending}
	var shown []shadow.Object
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/shadow" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(shadow.Document{Objects: shown})
	}))
	defer server.Close()
	cases := map[string]struct {
		reason  string
		objects []shadow.Object
		args    []string
		code    int
		has     []string
		hasNot  []string
	}{
		"Same":  {reason: "nothing would change", objects: []shadow.Object{same}, has: []string{"unchanged"}},
		"Empty": {reason: "there is nothing that could", has: []string{"NAMESPACE"}},
		"Different": {
			reason: "something would", objects: []shadow.Object{same, other}, code: 1, args: []string{"--only-different"},
			has:    []string{"+new ~k -old and 3 more", "annotations -hash; owner nobody → ExternalSecret/other; deletes Secret before"},
			hasNot: []string{"same"},
		},
		"Refused": {
			reason: "a message stays on its line", objects: []shadow.Object{refused}, code: 1, has: []string{"Secret: Conflict: no [2J way"}, hasNot: []string{"\x1b"},
		},
		"Namespace": {reason: "others do not count", objects: []shadow.Object{same, other}, args: []string{"-n", "a"}, hasNot: []string{"other"}},
		"Pending":   {reason: "nobody knows yet", objects: []shadow.Object{same, pending}, code: 2, has: []string{"pending", "1 objects were not looked at yet"}},
		"JSON":      {reason: "for machines", objects: []shadow.Object{other}, code: 1, args: []string{"-o", "json"}, has: []string{`"result": "update"`, `"removed": [`}},
		"YAML":      {reason: "for people with YAML", objects: []shadow.Object{other}, code: 1, args: []string{"-o", "yaml"}, has: []string{"result: update"}},
		"Output":    {reason: "a mistake is no difference", code: 2, args: []string{"-o", "xml"}, has: []string{"--output"}},
		"Flag":      {reason: "nor is one in a flag", code: 2, args: []string{"--nonsense"}, has: []string{"nonsense"}},
		"Argument":  {reason: "nor is an argument", code: 2, args: []string{"payments"}, has: []string{"payments"}},
		"Nobody":    {reason: "nobody is there", code: 2, args: []string{"--address", "http://127.0.0.1:1"}, has: []string{"--address"}},
		"NoReport":  {reason: "one that works", code: 2, args: []string{"--address", server.URL + "/x"}, has: []string{"--shadow"}},
		"Address":   {reason: "no URL", code: 2, args: []string{"--address", "127.0.0.1"}, has: []string{"no URL"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			shown = tc.objects
			var out bytes.Buffer
			args := append([]string{"shadow-report", "--address", server.URL}, tc.args...)
			if code := cli.Run(t.Context(), args, nil, strings.NewReader(""), &out, &out); code != tc.code {
				t.Errorf("%s: it ends with %d, want %d", tc.reason, code, tc.code)
			}
			for _, text := range tc.has {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%s: there is no %q in\n%s", tc.reason, text, &out)
				}
			}
			for _, text := range tc.hasNot {
				if strings.Contains(out.String(), text) {
					t.Errorf("%s: there is %q in\n%s", tc.reason, text, &out)
				}
			}
		})
	}
}

// TestShadowReportToken: a token goes to who shows a certificate, and to nobody
// by plain HTTP elsewhere.
func TestShadowReportToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("CANARY\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer CANARY" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(shadow.Document{})
	}))
	defer server.Close()
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := cli.Run(t.Context(), append([]string{"shadow-report"}, args...), nil, strings.NewReader(""), &out, &out)
		if strings.Contains(out.String(), "CANARY") {
			t.Error("the token is printed")
		}
		return code, out.String()
	}
	if code, text := run("--address", server.URL, "--token-file", token, "--insecure-skip-tls-verify"); code != 0 {
		t.Errorf("with a token: %d: %s", code, text)
	}
	if code, _ := run("--address", server.URL, "--token-file", token); code != 2 {
		t.Errorf("a certificate of nobody is taken: %d", code)
	}
	if code, text := run("--address", server.URL, "--insecure-skip-tls-verify"); code != 2 || !strings.Contains(text, "401") {
		t.Errorf("without a token: %d: %s", code, text)
	}
	if code, text := run("--address", "http://192.0.2.1:8080", "--token-file", token); code != 2 || !strings.Contains(text, "https only") {
		t.Errorf("by plain HTTP: %d: %s", code, text)
	}
}
