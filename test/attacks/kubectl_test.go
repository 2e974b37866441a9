// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// kubectl runs kubectl as the administrator, and returns what it prints.
func (w *world) kubectl(args ...string) (string, error) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "kubeconfig")
	must(w.t, os.WriteFile(file, w.plane.Kubeconfig, 0o600))
	//nolint:gosec // our own build
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(plane.Binaries(), "kubectl"), append([]string{"--kubeconfig", file, "-n", w.atk}, args...)...)
	cmd.Env = []string{"HOME=" + w.t.TempDir(), "KUBECTL_KUBERC=false"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// table is what kubectl prints, without the blanks between the columns.
func table(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Warning: ") { // the other dialect has a short name es too
			continue
		}
		out = append(out, blanks.Split(strings.TrimSpace(line), -1))
	}
	return out
}

var (
	blanks = regexp.MustCompile(` {2,}`)
	age    = regexp.MustCompile(`^([0-9]+[smhd])+$`)
)

// aged writes AGE for what changes with the time.
func aged(rows [][]string) [][]string {
	for _, row := range rows[1:] {
		for i, cell := range row {
			if age.MatchString(cell) && i < len(rows[0]) && (rows[0][i] == "AGE" || rows[0][i] == "LAST SYNC") {
				row[i] = "AGE"
			}
		}
	}
	return rows
}

// explains holds that kubectl explain says something of fields.
func (w *world) explains(version string, fields map[string]string) {
	w.t.Helper()
	for field, want := range fields {
		w.t.Run("explain "+field, func(t *testing.T) {
			w := w.at(t)
			text, err := w.kubectl("explain", "--api-version", version, field)
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			words := strings.Join(strings.Fields(text), " ")
			if !strings.Contains(words, want) || !strings.Contains(words, "DESCRIPTION: ") || strings.Contains(words, "DESCRIPTION: <empty>") {
				t.Errorf("%q is missing, or a description, in %s", want, text)
			}
		})
	}
}

// TestExplain holds that kubectl explain says something of the fields. The
// operator's CRDs are without descriptions here.
func TestExplain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.explains("external-secrets.io/v1", map[string]string{
		"externalsecrets":                          "KIND: ExternalSecret",
		"externalsecrets.spec":                     "refreshInterval",
		"externalsecrets.spec.refreshInterval":     "FIELD: refreshInterval <string>",
		"externalsecrets.spec.data.remoteRef":      "property",
		"externalsecrets.spec.target.template":     "engineVersion",
		"externalsecrets.status.conditions":        "lastTransitionTime",
		"secretstores.spec.retrySettings":          "maxRetries",
		"secretstores.spec.provider.kubernetes":    "remoteNamespace",
		"clustersecretstores.spec.conditions":      "namespaceRegexes",
		"clustersecretstores.status.capabilities":  "FIELD: capabilities <string>",
		"clustersecretstores.spec.refreshInterval": "FIELD: refreshInterval",
	})
}

// TestColumnsOfKES is the same for the manifests of Kubernetes External Secrets,
// whose columns were those. No controller for them runs here.
func TestColumnsOfKES(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	const kes = "externalsecrets.kubernetes-client.io"
	for _, name := range []string{"failing", "synced"} {
		w.in(w.atk, fmt.Sprintf("apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: %s}\n"+
			"spec: {backendType: vault, data: [{key: secret/data/a, name: a}]}\n", name))
	}
	for name, status := range map[string]string{"failing": "ERROR, permission denied", "synced": "SUCCESS"} {
		text, err := w.kubectl("patch", kes, name, "--subresource=status", "--type=merge",
			"-p", fmt.Sprintf(`{"status":{"lastSync":"2026-08-08T10:00:00.000Z","observedGeneration":1,"status":%q}}`, status))
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	text, err := w.kubectl("get", kes)
	must(t, err)
	want := [][]string{
		{"NAME", "LAST SYNC", "STATUS", "AGE"},
		{"failing", "AGE", "ERROR, permission denied", "AGE"},
		{"synced", "AGE", "SUCCESS", "AGE"},
	}
	if diff := cmp.Diff(want, aged(table(text))); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	w.explains("kubernetes-client.io/v1", map[string]string{
		"externalsecrets":                  "KIND: ExternalSecret",
		"externalsecrets.spec.backendType": "FIELD: backendType <string>",
		"externalsecrets.spec.data":        "secretType",
		"externalsecrets.status":           "lastSync",
	})
}

// TestOldVersion holds that what ESO 0.17 took away is listed and selected too.
func TestOldVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	w.in(w.atk, strings.ReplaceAll(fakeStore(ss, "s", "db", "x")+"---"+externalSecret("app", "s", "db", rarely, ""), "external-secrets.io/v1\n", "external-secrets.io/v1beta1\n"))
	w.synced(w.atk, "app")
	w.becomes(ss, w.atk, "s", "True")
	for args, want := range map[string][][]string{
		"get externalsecrets.v1beta1.external-secrets.io --field-selector spec.secretStoreRef.name=s": {
			{"NAME", "STORETYPE", "STORE", "REFRESH INTERVAL", "STATUS", "READY", "LAST SYNC"},
			{"app", "SecretStore", "s", rarely, "SecretSynced", "True", "AGE"},
		},
		"get secretstores.v1beta1.external-secrets.io": {{"NAME", "AGE", "STATUS", "CAPABILITIES", "READY"}, {"s", "AGE", "Valid", "ReadWrite", "True"}},
	} {
		text, err := w.kubectl(strings.Fields(args)...)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if diff := cmp.Diff(want, aged(table(text))); diff != "" {
			t.Errorf("kubectl %s: -want, +got:\n%s", args, diff)
		}
	}
}

// TestColumns holds that kubectl shows what users of the operator know, and that
// it selects by the same fields.
func TestColumns(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			h := newHook(t, map[string]string{"db": "x"})
			w.in(w.atk, fakeStore(ss, "fake", "db", "x")+"---"+h.store(ss, "hook", "", "")+"---"+h.store(ss, "broken", ", refreshInterval: soon", "")+
				"---"+h.store(css, w.store(), "", "")+
				"---"+externalSecret("one", "fake", "db", "1h", ", target: {name: target}")+
				"---"+externalSecret("two", "hook", "db", "30m", "")+
				"---"+externalSecret("three", "broken", "db", "1h", "")+
				"---"+externalSecretOf(css, "four", w.store(), "db", "1h", ""))
			for _, name := range []string{"one", "two", "four"} {
				w.synced(w.atk, name)
			}
			w.failed(w.atk, "three")
			w.becomes(ss, w.atk, "fake", "True")
			w.becomes(ss, w.atk, "hook", "True")
			w.becomes(ss, w.atk, "broken", "False")
			w.becomes(css, "", w.store(), "True")
			objects := [][]string{
				{"NAME", "STORETYPE", "STORE", "REFRESH INTERVAL", "STATUS", "READY", "LAST SYNC"},
				{"four", "ClusterSecretStore", w.store(), "1h", "SecretSynced", "True", "AGE"},
				{"one", "SecretStore", "fake", "1h", "SecretSynced", "True", "AGE"},
				{"three", "SecretStore", "broken", "1h", "SecretSyncedError", "False"},
				{"two", "SecretStore", "hook", "30m", "SecretSynced", "True", "AGE"},
			}
			stores := [][]string{
				{"NAME", "AGE", "STATUS", "CAPABILITIES", "READY"},
				{"broken", "AGE", "InvalidProviderConfig", "False"}, // no capabilities
				{"fake", "AGE", "Valid", "ReadWrite", "True"},
				{"hook", "AGE", "Valid", "ReadOnly", "True"},
			}
			shared := [][]string{stores[0], {w.store(), "AGE", "Valid", "ReadOnly", "True"}}
			for args, want := range map[string][][]string{
				"get externalsecrets":                     objects,
				"get externalsecrets.external-secrets.io": objects,
				"get es -o wide":                          objects,
				"get ss":                                  stores,
				"get secretstores -o wide":                stores,
				"get css " + w.store():                    shared,
				"get clustersecretstores " + w.store():    shared,

				"get es --field-selector spec.secretStoreRef.name=fake":                                       {objects[0], objects[2]},
				"get es --field-selector spec.secretStoreRef.name!=fake,spec.secretStoreRef.kind=SecretStore": {objects[0], objects[3], objects[4]},
				"get es --field-selector spec.secretStoreRef.kind=ClusterSecretStore":                         {objects[0], objects[1]},
				"get es --field-selector spec.target.name=target":                                             {objects[0], objects[2]},
				"get es --field-selector spec.refreshInterval=30m":                                            {objects[0], objects[4]},
				"get es --field-selector spec.refreshInterval=1h,spec.secretStoreRef.name=broken":             {objects[0], objects[3]},
				"get es --field-selector spec.refreshInterval=7h":                                             {{"No resources found in " + w.atk + " namespace."}},
			} {
				t.Run(args, func(t *testing.T) {
					w := w.at(t)
					text, err := w.kubectl(strings.Fields(args)...)
					if err != nil {
						t.Fatalf("%v: %s", err, text)
					}
					if diff := cmp.Diff(want, aged(table(text))); diff != "" {
						t.Errorf("-want, +got:\n%s", diff)
					}
				})
			}
			t.Run("by category", func(t *testing.T) {
				w := w.at(t)
				text, err := w.kubectl("get", "external-secrets", "-o", "name")
				must(t, err)
				for _, want := range []string{"externalsecret.external-secrets.io/one", "secretstore.external-secrets.io/hook", "clustersecretstore.external-secrets.io/" + w.store()} {
					if !slices.Contains(strings.Fields(text), want) {
						t.Errorf("%s is missing in %s", want, text)
					}
				}
			})
			t.Run("wait", func(t *testing.T) {
				w := w.at(t)
				if text, err := w.kubectl("wait", "--for=condition=Ready", "es/one", fmt.Sprintf("--timeout=%s", patience)); err != nil {
					t.Errorf("%v: %s", err, text)
				}
			})
		})
	}
}
