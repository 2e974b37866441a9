// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLines(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := start.Add(72*time.Second + 100*time.Millisecond)
	base := state{part: "etcd", index: 1, count: 3, start: start}
	cases := map[string]struct {
		reason     string
		change     func(*state)
		plain, bar string
	}{
		"preparing": {
			"nothing is known yet", func(*state) {},
			"[1/3] etcd: reading packages, 1m12s",
			"[1/3] etcd [................] reading packages 1m12s",
		},
		"downloading": {
			"no total: Go does not tell how many will come", func(s *state) { s.phase, s.modules = downloading, 12 },
			"[1/3] etcd: 12 modules downloaded, 1m12s",
			"[1/3] etcd [................] 12 modules downloaded 1m12s",
		},
		"begun": {
			"zero is shown as zero", func(s *state) { s.phase, s.total = compiling, 200 },
			"[1/3] etcd: 0% 0/200 packages, 1m12s",
			"[1/3] etcd [................]   0% 0/200 packages 1m12s",
		},
		"half": {
			"the bar follows the number", func(s *state) { s.phase, s.done, s.total = compiling, 100, 200 },
			"[1/3] etcd: 50% 100/200 packages, 1m12s",
			"[1/3] etcd [########........]  50% 100/200 packages 1m12s",
		},
		"nearly": {
			"rounded down: not 100 before the end", func(s *state) { s.phase, s.done, s.total = compiling, 1199, 1200 },
			"[1/3] etcd: 99% 1199/1200 packages, 1m12s",
			"[1/3] etcd [###############.]  99% 1199/1200 packages 1m12s",
		},
		"linking": {
			"all is compiled, but it is not over", func(s *state) { s.phase, s.done, s.total = linking, 200, 200 },
			"[1/3] etcd: linking, 1m12s",
			"[1/3] etcd [################] linking 1m12s",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := base
			c.change(&s)
			if got := s.plain(now); got != c.plain {
				t.Errorf("%s: plain\n got %q\nwant %q", c.reason, got, c.plain)
			}
			if got := s.bar(now); got != c.bar {
				t.Errorf("%s: bar\n got %q\nwant %q", c.reason, got, c.bar)
			}
		})
	}
}

// TestBarFits takes the longest name and numbers: a line that wraps could not
// be rewritten.
func TestBarFits(t *testing.T) {
	start := time.Now()
	for _, p := range allParts {
		for _, ph := range []phase{preparing, downloading, compiling, linking} {
			s := state{part: p.name, index: 3, count: 4, phase: ph, modules: 999, done: 2999, total: 2999, start: start}
			if line := s.bar(start.Add(59*time.Minute + 59*time.Second)); len(line) > 79 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
	}
}

func TestPercentWithoutTotal(t *testing.T) {
	if got := (state{done: 3}).percent(); got != 0 {
		t.Errorf("got %d", got)
	}
	if got := (state{done: 3, total: 2}).percent(); got != 100 {
		t.Errorf("more than announced: got %d", got)
	}
}

// TestMeterLog runs on a fake clock: without a terminal there is one line
// every ten seconds.
func TestMeterLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMeter(&out, false, state{part: "etcd", index: 1, count: 3, start: time.Now()})
		m.note("begins")
		time.Sleep(15 * time.Second)
		m.set(func(s *state) { s.phase, s.done, s.total = compiling, 5, 10 })
		time.Sleep(10 * time.Second)
		m.stop()
		want := "[1/3] etcd: begins\n" +
			"[1/3] etcd: reading packages, 10s\n" +
			"[1/3] etcd: 50% 5/10 packages, 20s\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	})
}

// TestMeterTerminal: a terminal has one line that is rewritten and, at the
// end, taken away.
func TestMeterTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMeter(&out, true, state{part: "etcd", index: 1, count: 3, start: time.Now()})
		time.Sleep(time.Second + time.Millisecond)
		m.stop()
		if lines := strings.Count(out.String(), "[1/3] etcd ["); lines != 5 {
			t.Errorf("%d lines in a second", lines)
		}
		if strings.Contains(out.String(), "\n") || !strings.HasSuffix(out.String(), eraseLine) {
			t.Errorf("not one rewritten line: %q", out.String())
		}
	})
}

func TestParseStale(t *testing.T) {
	got := parseStale("a/b build ID mismatch\nc stale dependency: a/b\nd/cmd not installed but available in build cache\n\n")
	var names []string
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"a/b", "c"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestIsPackage(t *testing.T) {
	cases := map[string]bool{
		"k8s.io/api/core/v1":                 true,
		"unsafe":                             true,
		"":                                   false,
		"# k8s.io/api/core/v1":               false,
		"go: downloading k8s.io/api v0.36.3": false,
		"a/b.go:3:1: syntax error":           false,
		"\t/usr/bin/ld: final link failed":   false,
		"/usr/bin/ld:output:no_space_left_on_device": false,
	}
	for line, want := range cases {
		if got := isPackage(line); got != want {
			t.Errorf("%q: got %v", line, got)
		}
	}
}
