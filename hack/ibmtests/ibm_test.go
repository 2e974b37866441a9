// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

const (
	ibmPackage = "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	docsPage   = "../../docs/ibm-stand-in.md"
	tableBegin = "<!-- begin: go run . in hack/ibmtests -->\n"
	tableEnd   = "<!-- end -->"
)

// suites are the two that IBM's build tag "integration" selects, and what the list calls them.
var suites = map[string]string{
	"SecretsManagerV2 Integration Tests": "integration",
	"SecretsManagerV2 Manual Tests":      "manual",
}

// IBM's binary looks for its configuration one folder above its working directory.
func TestIBMIntegrationTests(t *testing.T) {
	want, err := parseExpected(expectedText)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o750); err != nil {
		t.Fatal(err)
	}
	binary, report := filepath.Join(dir, "ibm.test"), filepath.Join(dir, "report.xml")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "integration", "-o", binary, ibmPackage) // #nosec G204 -- of a folder of this test
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("IBM's tests do not compile: %v\n%s", err, out)
	}

	const apiKey = "ibmtests-api-key"
	srv := httptest.NewServer(ibmsm.New(ibmsm.Options{Keys: map[string]ibmsm.Role{apiKey: ibmsm.Manager}}))
	defer srv.Close()
	config := fmt.Sprintf("SECRETS_MANAGER_URL=%s\nSECRETS_MANAGER_AUTH_TYPE=iam\nSECRETS_MANAGER_AUTH_URL=%s\nSECRETS_MANAGER_APIKEY=%s\n",
		srv.URL, srv.URL, apiKey)
	if err := os.WriteFile(filepath.Join(dir, "secrets_manager_v2.env"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	// #nosec G204 -- what was just built
	run := exec.CommandContext(t.Context(), binary, "-ginkgo.seed=1", "-ginkgo.noColor", "-ginkgo.reportFile="+report,
		"-ginkgo.focus=^(.*)SecretsManagerV2 (Integration|Manual) Tests")
	run.Dir = work
	run.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "IBM_") || strings.HasPrefix(v, "SECRETS_MANAGER_")
	})
	// Specs that cannot pass make the exit status 1; the report says what happened.
	out, runErr := run.CombinedOutput()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("the run left no report (%v): %v\n%s", runErr, err, out)
	}
	got, err := parseReport(text, suites)
	if err != nil {
		t.Fatal(err)
	}
	if diffs := compare(want, got); len(diffs) > 0 {
		t.Errorf("testdata/expected.txt is not what happens:\n%s\n\n%s", strings.Join(diffs, "\n"), out)
	}
}

func TestDocsTable(t *testing.T) {
	list, err := parseExpected(expectedText)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), tableBegin)
	shown, _, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		t.Fatalf("%s has no table between %q and %q", docsPage, tableBegin, tableEnd)
	}
	if strings.TrimSpace(shown) != strings.TrimSpace(table(list)) {
		t.Errorf("the table in %s is not the output of `go run .` in hack/ibmtests", docsPage)
	}
}

func TestParseExpected(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []spec
		fails  bool
	}{
		"both":      {"the two verdicts", "# a\n\npass | a b\ncannot: no such type | c\n", []spec{{name: "a b"}, {"c", "no such type"}}, false},
		"no reason": {"a failure needs a reason", "cannot:  | c\n", nil, true},
		"no name":   {"a line names a spec", "pass\n", nil, true},
		"verdict":   {"there is no third verdict", "skip | a\n", nil, true},
		"twice":     {"one verdict a spec", "pass | a\ncannot: b | a\n", nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseExpected(tc.text)
			if (err != nil) != tc.fails || !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	want := []spec{{name: "ok"}, {name: "breaks"}, {"bad", "r"}, {"heals", "r"}, {name: "gone"}}
	got := map[string]bool{"ok": true, "breaks": false, "bad": false, "heals": true, "new": true}
	diffs := compare(want, got)
	expect := []string{
		"listed as cannot, but passes: heals", "listed as pass, but fails: breaks",
		"listed, but IBM has no such spec: gone", "not listed: new",
	}
	if !slices.Equal(diffs, expect) {
		t.Errorf("got %q", diffs)
	}
}
