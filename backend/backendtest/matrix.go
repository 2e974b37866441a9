// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// An Outcome is what became of a check.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped" // the product or the harness rules the check out, for the Reason
	Cannot  Outcome = "cannot"  // the backend lacks the capability
)

// A Result is one check of one backend.
type Result struct {
	Backend string             `json:"backend"`
	Check   string             `json:"check"`
	Needs   backend.Capability `json:"needs"`
	Outcome Outcome            `json:"outcome"`
	Reason  string             `json:"reason,omitempty"`
}

// String is one line for a log.
func (r Result) String() string {
	line := fmt.Sprintf("%s %s %s", r.Backend, r.Check, r.Outcome)
	if r.Reason != "" {
		line += ": " + r.Reason
	}
	return line
}

// appendResults adds results to a file as lines of JSON, in one write, so that
// several test programs can share the file.
func appendResults(name string, results []Result) error {
	var b strings.Builder
	for _, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the developer names the file
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, b.String())
	return errors.Join(err, f.Close())
}

// ReadResults reads the lines that Run appended.
func ReadResults(r io.Reader) ([]Result, error) {
	var out []Result
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var one Result
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
		}
		out = append(out, one)
	}
	return out, lines.Err()
}

// Matrix returns the table check × backend in Markdown, with the reasons for
// what was skipped below it. Of several results for one cell the last counts.
func Matrix(results []Result) string {
	cells := map[string]map[string]Result{}
	backends := map[string]bool{}
	for _, r := range results {
		if cells[r.Check] == nil {
			cells[r.Check] = map[string]Result{}
		}
		cells[r.Check][r.Backend] = r
		backends[r.Backend] = true
	}
	columns := slices.Sorted(maps.Keys(backends))
	marks := map[Outcome]string{Passed: "yes", Failed: "**FAILS**", Cannot: "–"}

	var table, notes strings.Builder
	table.WriteString("| check | " + strings.Join(columns, " | ") + " |\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
	noted := 0
	for _, c := range Checks {
		if cells[c.Name] == nil {
			continue
		}
		table.WriteString("| " + c.Name)
		for _, column := range columns {
			r := cells[c.Name][column]
			mark := marks[r.Outcome]
			if r.Outcome == Skipped {
				noted++
				mark = fmt.Sprintf("skipped (%d)", noted)
				fmt.Fprintf(&notes, "%d. %s, %s: %s\n", noted, r.Backend, r.Check, r.Reason)
			}
			table.WriteString(" | " + mark)
		}
		table.WriteString(" |\n")
	}
	if noted > 0 {
		table.WriteString("\n" + notes.String())
	}
	return table.String()
}
