// SPDX-License-Identifier: Apache-2.0

// Package arch holds the walls of the house, as tests: who may import whom,
// who may write to the API server, who may see a secret's bytes, and the few
// habits that no linter can be asked for. It holds nothing else; in particular
// no limits on size but that of main.
//
// A rule is a function from files to complaints, so that TestRules can show
// each of them code that breaks it. Import walls are in imports_test.go, rules
// on code in code_test.go, rules on text and names in text_test.go.
package arch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the import path of the module that the walls stand in.
const module = "github.com/lockstep-secrets/lockstep"

// A rule returns one complaint for each place that breaks it, as
// "path:line: what is wrong".
type rule func(tree) []string

var rules = map[string]rule{
	"imports":         imports,
	"cluster writes":  clusterWrites,
	"reveal":          reveals,
	"init":            inits,
	"sleep":           sleeps,
	"main":            mainSize,
	"package name":    packageNames,
	"package comment": packageComments,
	"nolint":          nolints,
	"machine path":    machinePaths,
}

func TestHouse(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	house, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(house.files) == 0 {
		t.Fatal("no Go files found: the walls would hold around nothing")
	}
	for name, complaints := range rules {
		t.Run(name, func(t *testing.T) {
			for _, c := range complaints(house) {
				t.Error(c)
			}
		})
	}
}

// moduleRoot is the nearest folder above that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

// TestEveryRuleIsShownToFail fails for a rule or a wall that no case of
// TestRules breaks: it may hold nothing.
func TestEveryRuleIsShownToFail(t *testing.T) {
	broken := map[string][]string{}
	for _, tc := range ruleCases {
		broken[tc.rule] = append(broken[tc.rule], rules[tc.rule](caseTree(t, tc.files))...)
	}
	for name := range rules {
		if len(broken[name]) == 0 {
			t.Errorf("no case breaks the rule %q", name)
		}
	}
	for _, w := range walls {
		if !slices.ContainsFunc(broken["imports"], func(c string) bool { return strings.HasSuffix(c, ": "+w.reason) }) {
			t.Errorf("no case runs into the wall %q", w.reason)
		}
	}
}
