// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func wanted() stamp {
	return stamp{Package: "p/cmd", Version: "v1.2.3", Target: "linux/amd64", Go: "go1.26.8", Flags: "f", Pins: "p"}
}

func TestStale(t *testing.T) {
	having := func(change func(*stamp)) found {
		s := wanted()
		s.Size = 7
		change(&s)
		return found{size: 7, stamp: &s}
	}
	cases := map[string]struct {
		reason string
		have   found
		want   string
	}{
		"current":  {"nothing to do", having(func(*stamp) {}), ""},
		"missing":  {"a stamp without its binary counts for nothing", found{size: -1, stamp: &stamp{}}, "not built yet"},
		"no stamp": {"an interrupted installation, or a foreign binary", found{size: 7}, "the binary has no readable stamp"},
		"size":     {"a binary was replaced or cut short by somebody else", having(func(s *stamp) { s.Size = 8 }), "the binary has 7 bytes and its stamp says 8"},
		"version":  {"the pin moved", having(func(s *stamp) { s.Version = "v1.2.2" }), "version was v1.2.2"},
		"package":  {"the table of parts changed", having(func(s *stamp) { s.Package = "q" }), "package was q"},
		"target":   {"a folder shared between machines", having(func(s *stamp) { s.Target = "darwin/arm64" }), "target was darwin/arm64"},
		"go":       {"a new toolchain", having(func(s *stamp) { s.Go = "go1.26.7" }), "go was go1.26.7"},
		"flags":    {"other build flags", having(func(s *stamp) { s.Flags = "x" }), "the build flags changed"},
		"pins":     {"another dependency moved", having(func(s *stamp) { s.Pins = "x" }), "the requirements in go.mod changed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := stale(wanted(), c.have); got != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

// TestInstall goes through the life of a folder: empty, installed, damaged.
func TestInstall(t *testing.T) {
	dir := t.TempDir()
	work := filepath.Join(dir, ".work")
	if err := os.Mkdir(work, 0o750); err != nil {
		t.Fatal(err)
	}
	r := recipe{part: part{name: "etcd"}, stamp: wanted()}
	expect := func(reason string) {
		t.Helper()
		var got string
		if jobs := outdated(dir, []recipe{r}); len(jobs) == 1 {
			got = jobs[0].reason
		}
		if got != reason {
			t.Errorf("got %q, want %q", got, reason)
		}
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	expect("not built yet")

	write(filepath.Join(work, "etcd"), "binary")
	if err := install(dir, work, r); err != nil {
		t.Fatal(err)
	}
	expect("")
	if left, err := os.ReadDir(work); err != nil || len(left) != 0 {
		t.Errorf("left in the work folder: %v, %v", left, err)
	}

	write(filepath.Join(work, "etcd"), "newer binary")
	if err := install(dir, work, r); err != nil {
		t.Fatal(err)
	}
	expect("")

	write(filepath.Join(dir, "etcd.stamp"), "{")
	expect("the binary has no readable stamp")

	if err := os.Chmod(filepath.Join(dir, "etcd"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("not built yet")
}

func TestInstallWithoutBinary(t *testing.T) {
	dir := t.TempDir()
	err := install(dir, dir, recipe{part: part{name: "etcd"}})
	if err == nil || !strings.Contains(err.Error(), "look at the new etcd") {
		t.Errorf("got %v", err)
	}
}
