// SPDX-License-Identifier: Apache-2.0

package backendtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/backends/memory/memorytest"
)

// good returns the memory backend as the suite sees it, opened through broken.
func good(t testing.TB, broken func(backend.Open) backend.Open) backendtest.Harness {
	m := memory.NewWith(memorytest.Options())
	return memorytest.New(t, m, broken(m.Open))
}

func unbroken(o backend.Open) backend.Open { return o }

// try runs the suite and returns the names of the checks that failed.
func try(t *testing.T, newHarness func() backendtest.Harness) []string {
	t.Helper()
	var failed []string
	for _, c := range backendtest.Checks {
		h := newHarness()
		h.Patience = 500 * time.Millisecond // enough on a busy machine, and short enough for what never happens
		r := c.Try(t.Context(), h)
		t.Log(r)
		if r.Outcome == backendtest.Failed {
			failed = append(failed, c.Name)
		}
	}
	return failed
}

func TestGoodPasses(t *testing.T) {
	for _, c := range backendtest.Checks {
		if r := c.Try(t.Context(), good(t, unbroken)); r.Outcome != backendtest.Passed {
			t.Error(r)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range backendtest.Checks {
		if seen[c.Name] || c.Needs == "" {
			t.Errorf("check %q has no name of its own or no capability", c.Name)
		}
		seen[c.Name] = true
	}
}

// TestBreakagesCoverChecks keeps the suite honest: a check that nothing makes
// fail is worse than none.
func TestBreakagesCoverChecks(t *testing.T) {
	caught := map[string]bool{}
	for _, b := range breakages {
		for _, name := range b.want {
			caught[name] = true
		}
	}
	for _, c := range backendtest.Checks {
		if !caught[c.Name] {
			t.Errorf("no breakage makes %s fail", c.Name)
		}
	}
}

func TestChecksCatch(t *testing.T) {
	for name, b := range breakages {
		t.Run(name, func(t *testing.T) {
			failed := try(t, func() backendtest.Harness { return good(t, b.open) })
			slices.Sort(b.want)
			slices.Sort(failed)
			if diff := cmp.Diff(b.want, failed); diff != "" {
				t.Errorf("%s: failed checks (-want +got):\n%s", b.reason, diff)
			}
		})
	}
}

// TestSmallBackend takes away all that is optional: what is left is run, and
// the rest is listed with a reason.
func TestSmallBackend(t *testing.T) {
	outcomes := map[backendtest.Outcome]int{}
	for _, c := range backendtest.Checks {
		full := good(t, unbroken)
		h := backendtest.Harness{
			Name:    "small",
			Backend: backend.Backend{Reader: full.Backend.Reader},
			Seed:    full.Seed,
			Fields:  true,
			Skips:   map[string]string{"read/binary": "values are text"},
		}
		r := c.Try(t.Context(), h)
		outcomes[r.Outcome]++
		if r.Outcome != backendtest.Passed && r.Reason == "" {
			t.Errorf("%s has no reason", r)
		}
		if r.Outcome == backendtest.Failed {
			t.Error(r)
		}
		if want := c.Needs != backend.CanRead; want != (r.Outcome == backendtest.Cannot) {
			t.Errorf("%s, but the check needs %q", r, c.Needs)
		}
		if c.Name == "read/binary" && r.Outcome != backendtest.Skipped {
			t.Errorf("%s, want it skipped", r)
		}
	}
	if outcomes[backendtest.Passed] < 5 {
		t.Errorf("outcomes %v: hardly anything ran", outcomes)
	}
}

func TestMatrix(t *testing.T) {
	results := []backendtest.Result{
		{Backend: "ibm", Check: "read/order", Outcome: backendtest.Passed},
		{Backend: "ibm", Check: "read/binary", Outcome: backendtest.Skipped, Reason: "values are text"},
		{Backend: "ibm", Check: "write/absent", Outcome: backendtest.Cannot},
		{Backend: "memory", Check: "read/order", Outcome: backendtest.Failed, Reason: "sorted"},
		{Backend: "memory", Check: "read/binary", Outcome: backendtest.Passed},
		{Backend: "memory", Check: "write/absent", Outcome: backendtest.Passed},
	}
	want := `| check | ibm | memory |
|---|---|---|
| read/order | yes | **FAILS** |
| read/binary | skipped (1) | yes |
| write/absent | – | yes |

1. ibm, read/binary: values are text
`
	if diff := cmp.Diff(want, backendtest.Matrix(results)); diff != "" {
		t.Errorf("matrix (-want +got):\n%s", diff)
	}
}

// TestRunWritesMatrix runs the suite as a backend's test does.
func TestRunWritesMatrix(t *testing.T) {
	name := filepath.Join(t.TempDir(), "matrix.jsonl")
	t.Setenv("LOCKSTEP_MATRIX", name)
	for range 2 {
		backendtest.Run(t, func(t testing.TB) backendtest.Harness {
			m := memory.NewWith(memorytest.Options())
			return memorytest.New(t, m, m.Open)
		})
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	results, err := backendtest.ReadResults(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(results), 2*len(backendtest.Checks); got != want {
		t.Errorf("%d results, want those of two runs, %d", got, want)
	}
	if table := backendtest.Matrix(results); !strings.Contains(table, "| read/order | yes |") {
		t.Errorf("no passed check in\n%s", table)
	}
	if _, err := backendtest.ReadResults(strings.NewReader("{}\nno JSON\n")); err == nil {
		t.Error("a broken line is no error")
	}
	if line, err := json.Marshal(results[0]); err != nil || !strings.Contains(string(line), `"outcome":"passed"`) {
		t.Errorf("line %s, error %v", line, err)
	}
}
