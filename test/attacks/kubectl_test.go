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
				"get externalsecrets":                                   objects,
				"get externalsecrets.external-secrets.io":               objects,
				"get es -o wide":                                        objects,
				"get ss":                                                stores,
				"get secretstores -o wide":                              stores,
				"get css " + w.store():                                  shared,
				"get clustersecretstores " + w.store():                  shared,
				"get es --field-selector spec.secretStoreRef.name=fake": {objects[0], objects[2]},
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
					got := table(text)
					for _, row := range got[1:] {
						for i, cell := range row {
							if age.MatchString(cell) && i < len(got[0]) && (got[0][i] == "AGE" || got[0][i] == "LAST SYNC") {
								row[i] = "AGE"
							}
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
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
