// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what comes out into the cases")

// incoming and outgoing are the files that a case may have.
var (
	incoming = []string{"manifest.yaml", "store.yaml", "store.json", "namespace.yaml", "current.yaml", "env", "flags"}
	outgoing = []string{"secret.yaml", "status.txt", "changes.txt"}
)

func TestCases(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("no cases")
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runCase(t, path)
		})
	}
}

func runCase(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := parse(string(text))
	if err := a.check(*update); err != nil {
		t.Fatal(err)
	}
	w, err := load(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		for _, name := range outgoing {
			a.set(name, got[name])
		}
		if err := os.WriteFile(path, txtar.Format(a.Archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range outgoing {
		if diff := cmp.Diff(canonical(t, name, a.get(name)), canonical(t, name, got[name])); diff != "" {
			t.Errorf("%s: -want, +got:\n%s", name, diff)
		}
	}
	w.checkSilence(t, got)
	again, err := w.sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got["changes.txt"] = ""
	for _, name := range outgoing {
		if diff := cmp.Diff(got[name], again[name]); diff != "" {
			t.Errorf("a second sync is not quiet: %s: -first, +second:\n%s", name, diff)
		}
	}
	if !w.quiet {
		t.Error("a second sync moves the status")
	}
}

// canonical brings what people write to one form.
func canonical(t *testing.T, name, text string) string {
	t.Helper()
	if filepath.Ext(name) != ".yaml" || strings.TrimSpace(text) == none {
		return strings.TrimSpace(text)
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s is not YAML: %v", name, err)
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkSilence holds that no value of the store is in what people are told.
func (w *world) checkSilence(t *testing.T, got map[string]string) {
	t.Helper()
	for _, value := range w.store.values() {
		if len(value) >= 6 && strings.Contains(got["status.txt"], value) {
			t.Error("the status shows a value of the store")
		}
	}
}

// values are all texts in the secrets of the store.
func (i *instance) values() []string {
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, h := range i.held {
		var fields map[string]any
		if json.Unmarshal(h.body, &fields) != nil {
			continue
		}
		for _, name := range []string{"payload", "username", "password", "data"} {
			walk(fields[name])
		}
	}
	return out
}

// archive is one case file.
type archive struct{ *txtar.Archive }

func parse(text string) archive { return archive{txtar.Parse([]byte(text))} }

func (a archive) index(name string) int {
	return slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
}

// get returns a file, or "" when there is none.
func (a archive) get(name string) string {
	if i := a.index(name); i >= 0 {
		return string(a.Files[i].Data)
	}
	return ""
}

func (a archive) set(name, text string) {
	if i := a.index(name); i >= 0 {
		a.Files[i].Data = []byte(text)
		return
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text)})
}

// check finds mistakes of the person who wrote the case, before they look like
// mistakes of the code.
func (a archive) check(update bool) error {
	if strings.TrimSpace(string(a.Comment)) == "" {
		return fmt.Errorf("say above the first file what the case shows")
	}
	seen := map[string]bool{}
	for _, f := range a.Files {
		if seen[f.Name] || !slices.Contains(slices.Concat(incoming, outgoing), f.Name) {
			return fmt.Errorf("%s: twice, or no file that a case has; see doc.go", f.Name)
		}
		seen[f.Name] = true
	}
	if !seen["manifest.yaml"] || seen["store.yaml"] && seen["store.json"] {
		return fmt.Errorf("a case has one manifest.yaml and at most one store")
	}
	for _, name := range outgoing {
		if !seen[name] && !update {
			return fmt.Errorf("%s is missing: run the test with -update, and read what it writes", name)
		}
	}
	return nil
}

func TestCaseFileMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, text string
		wrong        bool
	}{
		"Whole": {
			reason: "a comment and every file", text: "why\n-- manifest.yaml --\na\n-- status.txt --\n-- secret.yaml --\nc\n-- changes.txt --\n",
		},
		"Typo":      {reason: "a misspelled name must not be passed over", text: "why\n-- manifest.yml --\n", wrong: true},
		"NoComment": {reason: "nobody would know why", text: "-- manifest.yaml --\n", wrong: true},
		"NoWanted":  {reason: "a case that wants nothing cannot fail", text: "why\n-- manifest.yaml --\na\n", wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := parse(tc.text).check(false); (err != nil) != tc.wrong {
				t.Errorf("%s: check says %v", tc.reason, err)
			}
		})
	}
}

// lines are the lines of a file that are not empty.
func lines(text string) []string {
	var out []string
	for line := range bytes.Lines([]byte(text)) {
		if s := strings.TrimSpace(string(line)); s != "" {
			out = append(out, s)
		}
	}
	return out
}
