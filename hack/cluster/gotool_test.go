// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeGo is a go command made of shell.
func fakeGo(t *testing.T, script string) goTool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return goTool{path: path, env: goEnv{GOPROXY: "https://user:pass@proxy.example,direct", GOCACHE: "/cache"}}
}

func TestRunExplains(t *testing.T) {
	cases := map[string]struct {
		reason string
		script string
		want   []string
		not    string
	}{
		"other": {
			"what the go command said is shown", "echo pkg/a >&2; echo 'a.go:1: broken' >&2; exit 1",
			[]string{"go build: exit status 1", "a.go:1: broken"}, "pkg/a",
		},
		"last line": {
			"a message without a newline is not lost", "printf 'the end' >&2; exit 1",
			[]string{"it said:\nthe end"}, "",
		},
		"disk": {
			"a full disk names the folders", "echo 'write x: no space left on device' >&2; exit 1",
			[]string{"no space left", "disk is full", "/cache"}, "",
		},
		"download": {
			"the setting to check, without its password", "echo 'dial tcp: lookup proxy.example: no such host' >&2; exit 1",
			[]string{"Check GOPROXY (now https://xxxxx@proxy.example,direct)"}, "pass",
		},
		"memory": {
			"a killed compiler", "echo 'compile: signal: killed' >&2; exit 1",
			[]string{"GOFLAGS=-p=1"}, "",
		},
		"sums": {
			"an incomplete go.sum is mended by tidy", "echo 'missing go.sum entry for module' >&2; exit 1",
			[]string{"go mod tidy"}, "",
		},
		"forged": {
			"a wrong sum is not mended by tidy", "echo 'verifying m: checksum mismatch' >&2; exit 1",
			[]string{"Do not change go.sum"}, "go mod tidy",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := fakeGo(t, c.script).run(t.Context(), command{args: []string{"build"}, line: isPackage})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q lacks %q", c.reason, err, want)
				}
			}
			if c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("%s: %q has %q", c.reason, err, c.not)
			}
		})
	}
}

func TestTailIsShort(t *testing.T) {
	_, err := fakeGo(t, "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i >&2; done; exit 1").
		run(t.Context(), command{args: []string{"build"}})
	if err == nil || strings.Contains(err.Error(), "line 30\n") || !strings.Contains(err.Error(), "line 31\n") {
		t.Errorf("got %v", err)
	}
}

// TestInterruptKillsTheGroup: what the go command started ends with it, also
// when it does not listen to the interrupt.
func TestInterruptKillsTheGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var child int
	// A shell starts a background job with interrupts ignored.
	_, err := fakeGo(t, "sleep 600 </dev/null >/dev/null 2>&1 & echo $! >&2; wait").run(ctx, command{
		args: []string{"build"},
		line: func(line string) bool {
			child, _ = strconv.Atoi(line)
			cancel()
			return true
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if child == 0 {
		t.Fatal("the child did not say its number")
	}
	deadline := time.Now().Add(5 * time.Second)
	for alive(child) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", child)
		}
	}
}

// alive reports whether a process runs; a dead one that nobody has waited for
// yet does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || !strings.Contains(string(text), ") Z ")
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted wait: %v", err)
	}

	waits := 0
	second, err := lock(t.Context(), dir, func() { waits++; unlock() })
	if err != nil {
		t.Fatal(err)
	}
	second()
	if waits != 1 {
		t.Errorf("said %d times that it waits", waits)
	}
}

func TestFindGoWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findGo(t.Context()); err == nil || !strings.Contains(err.Error(), "no go command in PATH") {
		t.Errorf("got %v", err)
	}
}
