// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"
)

// caseFile is one case.
type caseFile struct {
	name    string
	archive *txtar.Archive
	options options
	steps   int
}

// options are what case.yaml may say.
type options struct {
	// Only names the CRDs, ours or theirs, that a case is for. Reason says why
	// it is not for the others.
	Only   string `json:"only,omitempty"`
	Reason string `json:"reason,omitempty"`
	// NamespaceLabels are those of the namespace.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
	// Stores has all stores in status-N.txt.
	Stores bool `json:"stores,omitempty"`
	// Marks has the labels and annotations of the controllers in want-N.yaml.
	Marks bool `json:"marks,omitempty"`
}

// index is the list of the cases, and no case.
const index = "INDEX.md"

// loadAll reads every case, and finds what nobody would read otherwise.
func loadAll(t *testing.T) []caseFile {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	must(t, err)
	var out []caseFile
	for _, e := range entries {
		if e.Name() == index {
			continue
		}
		name, ok := strings.CutSuffix(e.Name(), ".txtar")
		if !ok || e.IsDir() {
			t.Fatalf("testdata/%s is neither a case nor %s", e.Name(), index)
		}
		text, err := os.ReadFile(filepath.Join("testdata", e.Name()))
		must(t, err)
		c, err := parse(name, text, *update)
		if err != nil {
			t.Fatalf("testdata/%s: %v", e.Name(), err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		t.Fatal("no cases")
	}
	return out
}

// fileName are the files of a step.
var fileName = regexp.MustCompile(`^(apply|refused|patch|delete|want|status)-([1-9])\.(yaml|txt)$`)

// extensions are those of the files of a step.
var extensions = map[string]string{
	"apply": "yaml", "refused": "txt", "patch": "txt", "delete": "txt", "want": "yaml", "status": "txt",
}

// parse reads a case, and finds mistakes of the person who wrote it before they
// look like mistakes of the code. What comes out need not be there when it is
// about to be written.
func parse(name string, text []byte, writing bool) (caseFile, error) {
	c := caseFile{name: name, archive: txtar.Parse(text)}
	if len(bytes.TrimSpace(c.archive.Comment)) == 0 {
		return c, fmt.Errorf("say above the first file what the case shows")
	}
	seen := map[string]bool{}
	for _, f := range c.archive.Files {
		if seen[f.Name] {
			return c, fmt.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if f.Name == "case.yaml" {
			if err := yaml.UnmarshalStrict(f.Data, &c.options); err != nil {
				return c, fmt.Errorf("case.yaml: %w", err)
			}
			continue
		}
		m := fileName.FindStringSubmatch(f.Name)
		if m == nil || extensions[m[1]] != m[3] {
			return c, fmt.Errorf("%s is no file that a case has", f.Name)
		}
		step, err := strconv.Atoi(m[2])
		if err != nil {
			return c, err
		}
		c.steps = max(c.steps, step)
	}
	return c, c.check(seen, writing)
}

func (c caseFile) check(seen map[string]bool, writing bool) error {
	if o := c.options; o.Only != "" && (o.Only != ours && o.Only != theirs || o.Reason == "") {
		return fmt.Errorf("case.yaml: only is %s or %s, and has a reason", ours, theirs)
	}
	if c.steps == 0 {
		return fmt.Errorf("there is nothing to do")
	}
	for n := 1; n <= c.steps; n++ {
		if !seen[file("apply", n)] && !seen[file("patch", n)] && !seen[file("delete", n)] {
			return fmt.Errorf("step %d has nothing to do", n)
		}
		if seen[file("refused", n)] && !seen[file("apply", n)] {
			return fmt.Errorf("step %d applies nothing that can be refused", n)
		}
		for _, out := range []string{file("want", n), file("status", n)} {
			if !seen[out] && !writing {
				return fmt.Errorf("%s is missing: run the test with -update, and read what it writes", out)
			}
		}
	}
	return nil
}

// file is the name of a file of a step.
func file(what string, step int) string {
	return fmt.Sprintf("%s-%d.%s", what, step, extensions[what])
}

// get returns a file, and whether it is there.
func (c caseFile) get(name string) (string, bool) {
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return string(c.archive.Files[i].Data), true
}

// set puts a file where it belongs: after the last one of the steps up to its
// own.
func (c caseFile) set(step int, name, text string) {
	at := 0
	for i, f := range c.archive.Files {
		if f.Name == name {
			c.archive.Files[i].Data = []byte(text)
			return
		}
		if m := fileName.FindStringSubmatch(f.Name); m == nil || m[2] <= strconv.Itoa(step) {
			at = i + 1
		}
	}
	c.archive.Files = slices.Insert(c.archive.Files, at, txtar.File{Name: name, Data: []byte(text)})
}

// save writes the case back.
func (c caseFile) save() error {
	return os.WriteFile(filepath.Join("testdata", c.name+".txtar"), txtar.Format(c.archive), 0o644)
}

// lines are the lines of a file that are not empty.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func TestCaseFileMistakes(t *testing.T) {
	const done = "-- want-1.yaml --\n-- status-1.txt --\n"
	for name, tc := range map[string]struct {
		reason, text string
		wrong        bool
	}{
		"Whole":      {reason: "a comment and every file", text: "why\n-- apply-1.yaml --\na\n" + done},
		"NoComment":  {reason: "nobody would know why", text: "-- apply-1.yaml --\na\n" + done, wrong: true},
		"Typo":       {reason: "a misspelled name must not be passed over", text: "why\n-- apply-1.yaml --\na\n-- aply-2.yaml --\n" + done, wrong: true},
		"Extension":  {reason: "a misspelled name must not be passed over", text: "why\n-- apply-1.txt --\na\n" + done, wrong: true},
		"Twice":      {reason: "one of the two would not be read", text: "why\n-- apply-1.yaml --\na\n-- apply-1.yaml --\nb\n" + done, wrong: true},
		"Option":     {reason: "a misspelled option must not be passed over", text: "why\n-- case.yaml --\nstore: true\n-- apply-1.yaml --\na\n" + done, wrong: true},
		"OnlyWhom":   {reason: "it would run nowhere", text: "why\n-- case.yaml --\n{only: eso, reason: r}\n-- apply-1.yaml --\na\n" + done, wrong: true},
		"OnlyWhy":    {reason: "nobody would know why", text: "why\n-- case.yaml --\nonly: ours\n-- apply-1.yaml --\na\n" + done, wrong: true},
		"Gap":        {reason: "a step that is not there", text: "why\n-- apply-1.yaml --\na\n-- apply-3.yaml --\n" + done, wrong: true},
		"NoWanted":   {reason: "a case that wants nothing cannot fail", text: "why\n-- apply-1.yaml --\na\n-- want-1.yaml --\n", wrong: true},
		"NoStep":     {reason: "nothing happens", text: "why\n", wrong: true},
		"OnlyWanted": {reason: "nothing happens", text: "why\n" + done, wrong: true},
		"Refused":    {reason: "nothing is applied", text: "why\n-- patch-1.txt --\na\n-- refused-1.txt --\nb\n" + done, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(name, []byte(tc.text), false); (err != nil) != tc.wrong {
				t.Errorf("%s: parse says %v", tc.reason, err)
			}
		})
	}
}
