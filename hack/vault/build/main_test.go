// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pretend answers as the go command does, and notes each build.
const pretend = `#!/bin/sh
case $1 in
env) echo '{"GOVERSION":"'$GO'","GOOS":"linux","GOARCH":"amd64","GOMOD":"'$MOD/go.mod'"}' ;;
mod) if [ "$2" = download ]; then echo '{"Dir":"'$MOD/sdk'"}'; fi ;;
list) echo 'go: downloading a v1.0.0' >&2; echo a/b ;;
build)
  [ -f "$(dirname "$4")/sdk/helper/certutil/basicconstraints.go" ] || exit 1
  echo a/b >&2
  echo half >"$4"
  if [ -n "$BROKEN" ]; then echo 'a/b.go:1:1: broken' >&2; exit 1; fi
  echo build >>"$MOD/builds"; chmod +x "$4" ;;
esac
`

// module makes a folder that looks like ours, with a pretended go command.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module " + modulePath + "\n", "go.sum": "", addition: "package certutil\n",
		"server/main.go": "package main\n", "server/main_test.go": "package main\n",
		"sdk/helper/certutil/a.go": "package certutil\n", "bin/go": pretend,
	} {
		put(t, filepath.Join(dir, name), text)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")
	t.Setenv("MOD", dir)
	t.Setenv("GO", "go1.26.8")
	t.Chdir(dir)
	return dir
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestRun goes through the life of a target.
func TestRun(t *testing.T) {
	dir := module(t)
	target := filepath.Join(dir, "out", "vault")
	steps := []struct {
		reason, broken string
		change         func()
		says, fails    string
		builds         int
	}{
		{"the first time", "", func() {}, "building, since there is none yet\n", "", 1},
		{"nothing changed", "", func() {}, "up to date", "", 1},
		{"a test is no source", "", func() { put(t, "server/main_test.go", "package main // more\n") }, "up to date", "", 1},
		{"a build that breaks", "yes", func() { put(t, "server/main.go", "package main // more\n") }, "sources or pins changed", "a/b.go:1:1: broken", 1},
		{"it is mended", "", func() {}, "sources or pins changed", "", 2},
		{"another Go", "", func() { t.Setenv("GO", "go1.27.0") }, "Go was go1.26.8", "", 3},
		{"a pin moved", "", func() { put(t, "go.sum", "more\n") }, "sources or pins changed", "", 4},
		{"the addition to the sdk", "", func() { put(t, addition, "package certutil // more\n") }, "sources or pins changed", "", 5},
	}
	for _, s := range steps {
		t.Setenv("BROKEN", s.broken)
		s.change()
		var out bytes.Buffer
		err := run(t.Context(), []string{"-o", target}, &out)
		if s.fails == "" && err != nil || s.fails != "" && (err == nil || !strings.Contains(err.Error(), s.fails)) {
			t.Fatalf("%s: error %v, want %q", s.reason, err, s.fails)
		}
		if !strings.Contains(out.String(), s.says) {
			t.Errorf("%s: %q lacks %q", s.reason, out.String(), s.says)
		}
		builds, err := os.ReadFile("builds")
		if err != nil || strings.Count(string(builds), "build\n") != s.builds {
			t.Errorf("%s: builds %q, %v", s.reason, builds, err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "out", "*"))
		if want := []string{target, target + ".lock", target + ".stamp"}; err != nil || !slices.Equal(left, want) {
			t.Errorf("%s: the folder has %q", s.reason, left)
		}
	}
}

func TestRunInterrupted(t *testing.T) {
	dir := module(t)
	put(t, filepath.Join(dir, "bin", "go"), strings.Replace(pretend, "echo half", "touch \"$MOD/begun\"; exec sleep 600; echo half", 1))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-o", filepath.Join(dir, "out", "vault")}, &bytes.Buffer{}) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for exists := false; !exists; {
		select {
		case err := <-ended:
			t.Fatalf("it did not wait for Go: %v", err)
		case <-tick.C:
			_, err := os.Stat("begun")
			exists = err == nil
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "out", "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestRunElsewhere(t *testing.T) {
	module(t)
	put(t, "go.mod", "module example.com/other\n")
	if err := run(t.Context(), nil, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "cd hack/vault") {
		t.Errorf("got %v", err)
	}
}

func TestTarget(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   error
	}{
		"help":     {"asking is no failure", []string{"-h"}, flag.ErrHelp},
		"flag":     {"a typing error", []string{"-out", "x"}, errUsage},
		"argument": {"the target is a flag", []string{"x"}, errUsage},
		"good":     {"a relative target", []string{"-o", "x"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			target, err := parseTarget(c.args, &out)
			if !errors.Is(err, c.want) || c.want == nil && !filepath.IsAbs(target) {
				t.Errorf("%s: %q, %v", c.reason, target, err)
			}
			if c.want != nil && out.Len() == 0 {
				t.Errorf("%s: nothing was said", c.reason)
			}
		})
	}
}

func TestStale(t *testing.T) {
	want := stamp{Go: "go1.26.8", Target: "linux/amd64", Flags: "f", Sources: "s"}
	having := func(change func(*stamp)) found {
		s := want
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
		"missing":  {"a stamp without its binary counts for nothing", found{size: -1, stamp: &stamp{}}, "there is none yet"},
		"no stamp": {"an interrupted installation, or a foreign binary", found{size: 7}, "the binary has no readable stamp"},
		"size":     {"cut short by somebody else", having(func(s *stamp) { s.Size = 8 }), "the binary has 7 bytes and its stamp says 8"},
		"target":   {"a folder shared between machines", having(func(s *stamp) { s.Target = "darwin/arm64" }), "it is for darwin/arm64"},
		"flags":    {"other build flags", having(func(s *stamp) { s.Flags = "x" }), "the build flags changed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := stale(want, c.have); got != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestLock(t *testing.T) {
	target := filepath.Join(t.TempDir(), "vault")
	unlock, err := lock(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	second := make(chan error, 1)
	go func() {
		again, err := lock(t.Context(), target, func() { close(waited) })
		if err == nil {
			again()
		}
		second <- err
	}()
	<-waited
	unlock()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestMeter(t *testing.T) {
	m := newMeter(&bytes.Buffer{})
	defer m.stop()
	steps := []struct {
		line string
		see  bool
		want string
	}{
		{"go: downloading a v1.0.0", true, "1 modules downloaded"},
		{"a/b.go:1:1: broken", false, "1 modules downloaded"},
		{"a/b", true, "1 modules downloaded"},
	}
	for _, s := range steps {
		if got := m.see(s.line); got != s.see || m.String() != s.want {
			t.Errorf("%q: %v, %q", s.line, got, m)
		}
	}
	m.total("a/b\na/c\n")
	if got := m.String(); got != "1 of 2 packages" {
		t.Error(got)
	}
}
