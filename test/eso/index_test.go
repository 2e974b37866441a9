// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sections are those of the index, and how many behaviours are named where they
// come from; 0 is any number.
var sections = []struct {
	name string
	rows int
}{{"common", 23}, {"valid", 8}, {"table", 67}, {"other", 42}, {"better", 0}, {"more", 0}}

// TestIndex holds that the index has a line for every behaviour that is named
// elsewhere and for every case, and a case for every line that names one.
func TestIndex(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", index))
	must(t, err)
	listed, rows := readIndex(t, string(text))
	for _, s := range sections {
		if n := rows[s.name]; n == 0 || s.rows != 0 && n != s.rows {
			t.Errorf("section %q has %d lines, want %d", s.name, n, s.rows)
		}
	}
	for _, c := range loadAll(t) {
		if !listed[c.name] {
			t.Errorf("case %s has no line", c.name)
		}
		delete(listed, c.name)
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		t.Errorf("there is no case %s", name)
	}
}

// readIndex returns the cases that are listed, and the number of lines of each
// section.
func readIndex(t *testing.T, text string) (listed map[string]bool, rows map[string]int) {
	t.Helper()
	listed, rows = map[string]bool{}, map[string]int{}
	section := ""
	for _, line := range lines(text) {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 {
			continue
		}
		if cells[1] == "behaviour" {
			section = cells[0]
			continue
		}
		rows[section]++
		if cells[0] != strconv.Itoa(rows[section]) {
			t.Errorf("section %q: line %s is not number %d", section, cells[0], rows[section])
		}
		if reason, none := strings.CutPrefix(cells[2], "- "); none {
			if reason == "" {
				t.Errorf("section %q: line %s does not say why it has no case", section, cells[0])
			}
			continue
		}
		for _, name := range strings.Split(cells[2], ", ") {
			listed[name] = true
		}
	}
	return listed, rows
}
