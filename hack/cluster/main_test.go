// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pretend answers as the go command does for one pin, and notes each build.
const pretend = `
case $1 in
env) echo '{"GOVERSION":"go1.26.8","GOOS":"linux","GOARCH":"amd64","GOMOD":"/m/go.mod"}' ;;
mod) cat <<END
{"Module":{"Path":"` + modulePath + `"},"Go":"1.26.0",
"Require":[{"Path":"go.etcd.io/etcd/server/v3","Version":"$ETCD"}],
"Tool":[{"Path":"go.etcd.io/etcd/server/v3"}]}
END
;;
list) echo 'go: downloading a v1.0.0' >&2; echo 'a/b build ID mismatch' ;;
build)
  echo a/b >&2
  echo half >"$4"
  if [ -n "$BROKEN" ]; then echo 'a/b.go:1:1: broken' >&2; exit 1; fi
  echo build >>"$BUILDS"; chmod +x "$4" ;;
esac
`

// TestRun goes through the life of a target folder with a pretended go
// command.
func TestRun(t *testing.T) {
	tool := fakeGo(t, pretend)
	builds := filepath.Join(t.TempDir(), "builds")
	t.Setenv("PATH", filepath.Dir(tool.path)+":/usr/bin:/bin")
	t.Setenv("BUILDS", builds)
	dir := filepath.Join(t.TempDir(), "new", "folder")

	steps := []struct {
		reason, version, broken string
		says                    string
		fails                   string
		builds                  int
	}{
		{"an empty folder", "v3.6.7", "", "[1/1] etcd: building go.etcd.io/etcd/server/v3 v3.6.7: not built yet\n", "", 1},
		{"nothing changed", "v3.6.7", "", "up to date", "", 1},
		{"a build that breaks", "v3.6.8", "yes", "version was v3.6.7", "a/b.go:1:1: broken", 1},
		{"what was there before is still good for its pin", "v3.6.7", "", "up to date", "", 1},
		{"the pin moved", "v3.6.8", "", "version was v3.6.7", "", 2},
	}
	for _, s := range steps {
		t.Setenv("ETCD", s.version)
		t.Setenv("BROKEN", s.broken)
		said, err := runOutput(t.Context(), t, "-o", dir, "-parts", "etcd")
		if s.fails == "" && err != nil || s.fails != "" && (err == nil || !strings.Contains(err.Error(), s.fails)) {
			t.Fatalf("%s: error %v, want %q", s.reason, err, s.fails)
		}
		if !strings.Contains(said, s.says) {
			t.Errorf("%s: %q lacks %q", s.reason, said, s.says)
		}
		text, err := os.ReadFile(builds) //nolint:gosec // a file of this test
		if err != nil || strings.Count(string(text), "build\n") != s.builds {
			t.Errorf("%s: builds %q, %v", s.reason, text, err)
		}
		if got, want := names(t, dir), []string{".lock", "etcd", "etcd.stamp"}; !slices.Equal(got, want) {
			t.Errorf("%s: the folder has %q, want %q", s.reason, got, want)
		}
	}
}

func TestRunInterrupted(t *testing.T) {
	tool := fakeGo(t, strings.Replace(pretend, "echo half", "echo now >&2; kill -INT $PPID; exec sleep 600; echo half", 1))
	t.Setenv("PATH", filepath.Dir(tool.path)+":/usr/bin:/bin")
	t.Setenv("ETCD", "v3.6.8")
	dir := t.TempDir()
	ctx, stop := interruptible(t.Context())
	defer stop()
	if _, err := runOutput(ctx, t, "-o", dir, "-parts", "etcd"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got, want := names(t, dir), []string{".lock"}; !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

func TestOptions(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   error
	}{
		"help":     {"asking is no failure", []string{"-h"}, flag.ErrHelp},
		"flag":     {"a typing error", []string{"-outt", "x"}, errUsage},
		"argument": {"parts are chosen by a flag", []string{"etcd"}, errUsage},
		"part":     {"a part that is not there", []string{"-parts", "kube-proxy"}, errUsage},
		"good":     {"both flags", []string{"-o", "x", "-parts", "etcd"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			opts, err := parseOptions(c.args, &out)
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: got %v, want %v", c.reason, err, c.want)
			}
			if c.want != nil && out.Len() == 0 {
				t.Errorf("%s: nothing was said", c.reason)
			}
			if c.want == nil && !filepath.IsAbs(opts.dir) {
				t.Errorf("%s: %q is not absolute", c.reason, opts.dir)
			}
		})
	}
}

// runOutput calls run and returns what it said.
func runOutput(ctx context.Context, t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	failed := run(ctx, args, out)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), failed
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
