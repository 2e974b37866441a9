// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// good are figures of which every one is what is wanted, and just so.
func good() figures {
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return figures{
		workload: workloadOf(1000), interval: time.Minute, apiServer: "v1.36.3",
		base: memory{all: 48e6, anon: 10e6}, raw: second(4),
		sync: synced{
			cost:   cost{took: second(6), requests: tally{kindRead: 100, kindLookup: 5}, writes: tally{createSecret: 1000, patchStatus: 1000}},
			spread: spread{second(1), second(3), second(5), second(6)}, secrets: spread{last: second(3)}, asked: 105,
		},
		rest: resting{
			cost:   cost{took: 2 * time.Minute, requests: tally{kindRead: 210}, writes: tally{}, cpu: second(1.2), burst: 4},
			memory: memory{all: 56e6, anon: 18e6, peak: 60e6},
		},
		polled:  changed{spread: spread{last: second(65)}},
		noticed: changed{spread: spread{last: second(5)}},
		restart: restarted{
			cost:    cost{requests: tally{kindRead: 105}, writes: tally{updateSecret: 50, patchStatus: 50}},
			arrived: time.Minute + starting, users: 50,
		},
	}
}

func missed(list []row) (out []string) {
	for _, r := range list {
		if r.met == verdict(false) {
			out = append(out, r.what)
		}
	}
	return out
}

func TestJudge(t *testing.T) {
	if got := missed(judge(good())); got != nil {
		t.Errorf("missed although they are just met: %q", got)
	}
	cases := map[string]struct {
		worsen func(*figures)
		want   string
	}{
		"Sync":     {func(f *figures) { f.sync.last++ }, rowSync},
		"Requests": {func(f *figures) { f.sync.asked++ }, rowSyncRequests},
		"Writes":   {func(f *figures) { f.sync.writes["events create"] = 101 }, rowSyncWrites},
		"Reads":    {func(f *figures) { f.rest.requests[kindRead]++ }, rowRequests},
		"Resting":  {func(f *figures) { f.rest.writes[patchStatus]++ }, rowWrites},
		"CPU":      {func(f *figures) { f.rest.cpu += 10 * time.Millisecond }, rowCPU},
		"Memory":   {func(f *figures) { f.base.all, f.rest.memory.all = 70e6, 71e6 }, rowMemory},
		"Each":     {func(f *figures) { f.base.all-- }, rowEach},
		"Change":   {func(f *figures) { f.polled.last++ }, rowChange},
		"Notice":   {func(f *figures) { f.noticed.last++ }, rowNotice},
		"Arrived":  {func(f *figures) { f.restart.arrived++ }, rowArrived},
		"After":    {func(f *figures) { f.restart.requests[kindRead]++ }, rowAfter},
		"Needless": {func(f *figures) { f.restart.writes["events create"]++ }, rowNeedless},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.worsen(&f)
			if diff := cmp.Diff([]string{c.want}, missed(judge(f))); diff != "" {
				t.Errorf("missed, -want +got:\n%s", diff)
			}
		})
	}
}

// TestJudgeSizes: what is wanted of a process as a whole is wanted at one size.
func TestJudgeSizes(t *testing.T) {
	f := good()
	f.workload = workloadOf(2000)
	f.rest.cpu, f.rest.memory.all, f.base.all = time.Minute, 500e6, 490e6
	if got := missed(judge(f)); got != nil {
		t.Errorf("missed: %q", got)
	}
	for _, r := range judge(f) {
		if r.eso != "" {
			t.Errorf("%s has a figure of another size: %s", r.what, r.eso)
		}
	}
	for _, objects := range []int{1000, 10000} {
		f.workload = workloadOf(objects)
		n := 0
		for _, r := range judge(f) {
			if r.eso != "" {
				n++
			}
		}
		if want := len(incumbent[objects]); n != want {
			t.Errorf("%d figures of the incumbent with %d objects, want %d", n, objects, want)
		}
	}
}

func TestJudgeProber(t *testing.T) {
	f := good()
	f.rest.requests = tally{"list": 10}
	if got := missed(judgeProber(f)); got != nil {
		t.Errorf("missed although they are just met: %q", got)
	}
	f.rest.requests["list"]++
	if diff := cmp.Diff([]string{rowRequests}, missed(judgeProber(f))); diff != "" {
		t.Errorf("missed, -want +got:\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	got := table([]row{
		{"requests", "50", "≤ 100", "0.50", "yes", "5,000"},
		bound("writes", 1, 0, asCount),
		told("memory", megabytes(12_340_000)),
	})
	want := "| what | Lockstep | wanted | ratio | met | ESO |\n|---|---|---|---|---|---|\n" +
		"| requests | 50 | ≤ 100 | 0.50 | yes | 5,000 |\n" +
		"| writes | 1 | ≤ 0 |  | **no** |  |\n" +
		"| memory | 12.3 MB |  |  |  |  |\n\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	large := good()
	large.workload = workloadOf(10000)
	large.rest.memory.all = 56e6 + 9000*7000
	probed := good()
	r := report{
		machine: machine{cores: 2, cpu: "a CPU", memory: 8e9, kernel: "6.1", load: "0, 0, 0", goVersion: "go1", lockstep: "lockstep devel"},
		opts:    options{interval: time.Minute, delay: 20 * time.Millisecond, settle: time.Minute, rest: 2 * time.Minute},
		command: "go run ./hack/bench", date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), took: time.Hour,
		sizes: []figures{good(), large}, prober: &probed,
	}
	text := r.String()
	for _, want := range []string{
		"`go run ./hack/bench`", "2026-01-02 03:04 UTC", "2 cores (a CPU), 8.0 GB of memory, Linux 6.1", "kube-apiserver v1.36.3",
		"## 1,000 ExternalSecrets over 100 paths", "## 10,000 ExternalSecrets over 1,000 paths", "each adds 7.0 KB",
		"| first sync of all | 6.0 s | ≤ 6.0 s (1.5 × raw 4.0 s) | 1.50 × raw | yes | 148 s / 41 s |",
		"1000 secrets create", "after 1.0 s (the first), 3.0 s (half), 5.0 s (99 %) and 6.0 s (all).", "provider `ibm`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Errorf("a verb without its value in\n%s", text)
	}
	r.sizes, r.prober = r.sizes[:1], nil
	if text := r.String(); strings.Contains(text, "each adds") || strings.Contains(text, "provider `ibm`") {
		t.Errorf("what was not measured is in\n%s", text)
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "benchmarks.md")
	for _, text := range []string{"first", "second"} {
		if err := save(path, text); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%d files, %v; what it was written in is left", len(list), err)
	}
	if err := save(filepath.Join(dir, "none", "benchmarks.md"), "x"); err == nil {
		t.Error("written to a folder that is not there")
	}
}
