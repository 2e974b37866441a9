// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// mainLines is the longest that main may be: it is a list of calls.
const mainLines = 60

// mainSize holds that the program is in packages that can be tested.
func mainSize(t tree) []string {
	for _, x := range t.texts {
		if x.path != "cmd/lockstep/main.go" {
			continue
		}
		if n := bytes.Count(x.bytes, []byte("\n")); n > mainLines {
			return []string{fmt.Sprintf("%s:1: has %d lines, %d at most: move them to internal/cli", x.path, n, mainLines)}
		}
	}
	return nil
}

// emptyNames say nothing of what is in a package, so everything ends up there.
var emptyNames = []string{
	"utils", "util", "common", "helpers", "helper", "types", "consts", "constants", "shared", "base", "misc",
}

// packageNames holds that a package is named after what it is.
func packageNames(t tree) []string {
	var out []string
	for _, f := range t.files {
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		for _, n := range slices.Compact([]string{name, lastElement(f.dir())}) {
			if slices.Contains(emptyNames, n) {
				out = append(out, t.at(f, f.ast.Name.Pos(), "package %s: name it after what it is", n))
			}
		}
	}
	return out
}

// packageComments holds that every package says what it is. In a folder of
// tests only, one of them does.
func packageComments(t tree) []string {
	documented, tested := map[string]bool{}, map[string]bool{}
	first := map[string]file{}
	for _, f := range t.files {
		dir := f.dir()
		if !f.test() {
			tested[dir] = true
		}
		if _, ok := first[dir]; !ok {
			first[dir] = f
		}
	}
	for _, f := range t.files {
		if f.ast.Doc != nil && (!f.test() || !tested[f.dir()]) && isDoc(f.ast.Doc.Text()) {
			documented[f.dir()] = true
		}
	}
	var out []string
	for _, dir := range slices.Sorted(maps.Keys(first)) {
		if !documented[dir] {
			out = append(out, t.at(first[dir], first[dir].ast.Package, "package in %s has no comment", dir))
		}
	}
	return out
}

func isDoc(s string) bool {
	return strings.HasPrefix(s, "Package ") || strings.HasPrefix(s, "Command ")
}

// exception is a comment that a linter reads, or that is meant for one.
var exception = regexp.MustCompile(`^//\s*nolint\s*(?::|//|$)`)

// explained is an exception that names its linters and gives a reason.
var explained = regexp.MustCompile(`^//nolint:[a-z0-9,]+ // \S`)

// nolints holds that every exception from a linter says why.
func nolints(t tree) []string {
	var out []string
	for _, f := range t.files {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if exception.MatchString(c.Text) && !explained.MatchString(c.Text) {
					out = append(out, t.at(f, c.Pos(), "%s without a linter's name and a reason", c.Text))
				}
			}
		}
	}
	return out
}

// machinePath matches an absolute path into somebody's home or workplace. In an
// URL something other than these signs comes before the slash. The folder of a
// container's own user (nonroot) is nobody's home.
var machinePath = regexp.MustCompile(`(?:^|file://|[\s"'` + "`" + `=:(\[,<])(/(?:root|work|Users|home)(?:/[^\s"'` + "`" + `)\],>]*)?)(?:[\s"'` + "`" + `)\],>]|$)`)

// machinePaths holds that no file names a folder of the machine it was written on.
func machinePaths(t tree) []string {
	var out []string
	for _, x := range t.texts {
		for i, line := range strings.Split(string(x.bytes), "\n") {
			m := machinePath.FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(m[1], "/home/nonroot") {
				continue
			}
			out = append(out, fmt.Sprintf("%s:%d: names %s, a folder of one machine", x.path, i+1, m[1]))
		}
	}
	return out
}

func lastElement(p string) string { return path.Base(p) }
