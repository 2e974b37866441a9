// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// spec is one of IBM's tests and what is expected of it; an empty reason means it passes.
type spec struct {
	name   string
	cannot string
}

// parseExpected reads lines of "pass | name" and "cannot: reason | name".
func parseExpected(text string) ([]spec, error) {
	var list []spec
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verdict, name, ok := strings.Cut(line, " | ")
		reason, cannot := strings.CutPrefix(verdict, "cannot: ")
		switch {
		case !ok || name == "" || (verdict != "pass" && (!cannot || reason == "")):
			return nil, fmt.Errorf("line %d is neither \"pass | name\" nor \"cannot: reason | name\"", i+1)
		case seen[name]:
			return nil, fmt.Errorf("line %d: %s is listed twice", i+1, name)
		case !cannot:
			reason = ""
		}
		seen[name] = true
		list = append(list, spec{name: name, cannot: reason})
	}
	return list, nil
}

// compare says how a run (spec name to passed) differs from the list.
func compare(want []spec, got map[string]bool) []string {
	var diffs []string
	listed := map[string]bool{}
	for _, s := range want {
		listed[s.name] = true
		passed, ran := got[s.name]
		switch {
		case !ran:
			diffs = append(diffs, "listed, but IBM has no such spec: "+s.name)
		case passed && s.cannot != "":
			diffs = append(diffs, "listed as cannot, but passes: "+s.name)
		case !passed && s.cannot == "":
			diffs = append(diffs, "listed as pass, but fails: "+s.name)
		}
	}
	for name := range got {
		if !listed[name] {
			diffs = append(diffs, "not listed: "+name)
		}
	}
	slices.Sort(diffs)
	return diffs
}

// table is the Markdown of the list.
func table(list []spec) string {
	var b strings.Builder
	passing := 0
	for _, s := range list {
		if s.cannot == "" {
			passing++
		}
	}
	fmt.Fprintf(&b, "%d of IBM's %d specs pass.\n\n| spec | result |\n|---|---|\n", passing, len(list))
	for _, s := range list {
		result := "pass"
		if s.cannot != "" {
			result = "cannot: " + s.cannot
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.name, result)
	}
	return b.String()
}

// junit is the part of a JUnit report that counts.
type junit struct {
	Cases []struct {
		Name    string    `xml:"name,attr"`
		Failure *struct{} `xml:"failure"`
		Skipped *struct{} `xml:"skipped"`
	} `xml:"testcase"`
}

// parseReport tells for each spec of the given suites whether it passed; a skipped one did not. Suites maps IBM's name of a
// suite to the short one that the list uses.
func parseReport(text []byte, suites map[string]string) (map[string]bool, error) {
	var r junit
	if err := xml.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("the report of the run: %w", err)
	}
	got := map[string]bool{}
	for _, c := range r.Cases {
		for long, short := range suites {
			if rest, ok := strings.CutPrefix(c.Name, long+" "); ok {
				got[short+": "+rest] = c.Failure == nil && c.Skipped == nil
			}
		}
	}
	return got, nil
}
