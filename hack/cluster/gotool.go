// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A goTool runs the go command in the current folder.
type goTool struct {
	path string
	env  goEnv
}

// goEnv holds the settings of Go that decide what a binary is, and those that
// an error message wants to name.
type goEnv struct {
	GOVERSION, GOOS, GOARCH                                         string
	GOFLAGS, GOEXPERIMENT, CGO_ENABLED, GOAMD64, GOARM64, GOFIPS140 string //nolint:revive // the names are Go's
	GOPROXY, GOSUMDB, GOCACHE, GOMODCACHE, GOMOD                    string
}

// settings lists what changes a binary besides version, target and flags.
func (e goEnv) settings() []string {
	return []string{e.GOFLAGS, e.GOEXPERIMENT, e.CGO_ENABLED, e.GOAMD64, e.GOARM64, e.GOFIPS140}
}

// findGo looks for the go command and asks it for its settings.
func findGo(ctx context.Context) (goTool, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return goTool{}, errors.New("there is no go command in PATH; install Go (https://go.dev/doc/install) and try again")
	}
	tool := goTool{path: path}
	text, err := tool.run(ctx, command{args: []string{"env", "-json"}})
	if err != nil {
		return goTool{}, fmt.Errorf("ask %s for its settings: %w", path, err)
	}
	if err := json.Unmarshal([]byte(text), &tool.env); err != nil {
		return goTool{}, fmt.Errorf("ask %s for its settings: %w", path, err)
	}
	return tool, nil
}

// A command is one call of the go command.
type command struct {
	args []string
	temp string                 // folder for Go's own temporary files, "" for the usual one
	line func(line string) bool // sees each line of stderr; true means it is no message
}

// killAfter is how long the go command may clean up after an interrupt.
const killAfter = 5 * time.Second

// run returns stdout. When ctx ends it interrupts the go command and all it
// started, and returns when they are gone. An error carries the end of stderr.
func (g goTool) run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, g.path, c.args...) //nolint:gosec // the go command, arguments from our tables
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if c.temp != "" {
		cmd.Env = append(cmd.Env, "GOTMPDIR="+c.temp)
	}
	var stdout bytes.Buffer
	stderr := &lines{see: c.line}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	// A group of its own, so that one signal reaches compilers and linker too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever ignored the interrupt
		}
		return "", ctx.Err()
	}
	if err != nil {
		stderr.flush()
		return "", g.explain(c.args[0], stderr.tail, err)
	}
	return stdout.String(), nil
}

// tailLines is how many lines of a failed command an error shows.
const tailLines = 20

// lines splits what is written to it and keeps the last messages.
type lines struct {
	see  func(string) bool
	rest []byte
	tail []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		l.rest = rest
		l.take(string(line))
	}
}

func (l *lines) flush() {
	l.take(string(l.rest))
	l.rest = nil
}

func (l *lines) take(line string) {
	if line == "" || l.see != nil && l.see(line) {
		return
	}
	l.tail = append(l.tail, line)
	if len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
}

// explain makes an error of a failed go command: what it said last, and what
// to look at.
func (g goTool) explain(verb string, tail []string, err error) error {
	said := strings.Join(tail, "\n")
	var hint string
	switch kind := failureOf(said + "\n" + err.Error()); kind {
	case diskFull:
		hint = "\nThe disk is full. A first build needs about 6 GB: in the target folder, in " + g.env.GOCACHE + " and in " + g.env.GOMODCACHE + "."
	case noMemory:
		hint = "\nA compiler was killed, most likely for want of memory: kube-apiserver needs about 3 GB. With GOFLAGS=-p=1 it needs less."
	case noModule:
		hint = "\nModules could not be downloaded. Check GOPROXY (now " + redact(g.env.GOPROXY) + "), GOSUMDB (now " + redact(g.env.GOSUMDB) + "), HTTPS_PROXY and the network."
	case untidy:
		hint = "\ngo.mod and go.sum do not fit together: run `go mod tidy` in hack/cluster."
	case forged:
		hint = "\nA module is not what go.sum says it is. Do not change go.sum; find out what GOPROXY (now " + redact(g.env.GOPROXY) + ") serves."
	case other:
	}
	if said == "" {
		return fmt.Errorf("go %s: %w%s", verb, err, hint)
	}
	return fmt.Errorf("go %s: %w; it said:\n%s%s", verb, err, said, hint)
}

type failure int

const (
	other failure = iota
	diskFull
	noMemory
	noModule
	untidy
	forged
)

// failures is looked through in order: a full disk also breaks downloads.
var failures = []struct {
	kind failure
	text []string
}{
	{diskFull, []string{"no space left on device", "disk quota exceeded"}},
	{noMemory, []string{"signal: killed", "cannot allocate memory"}},
	{forged, []string{"SECURITY ERROR", "checksum mismatch"}},
	{untidy, []string{"missing go.sum entry", "updates to go.mod needed", "updates to go.sum needed"}},
	{noModule, []string{"dial tcp", "proxyconnect", "refusing to pass credentials", "module lookup disabled", "no such host", "i/o timeout", "TLS handshake", "x509:", "404 Not Found", "410 Gone", "403 Forbidden", "502 Bad Gateway", "503 Service Unavailable", "unrecognized import path", "unknown revision"}},
}

// failureOf recognises the failures that have a known remedy.
func failureOf(text string) failure {
	for _, f := range failures {
		for _, t := range f.text {
			if strings.Contains(text, t) {
				return f.kind
			}
		}
	}
	return other
}

// redact hides user names, which may be tokens, and passwords in a list of
// proxies.
func redact(list string) string {
	urls := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' || r == ' ' })
	for i, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			urls[i] = "(unreadable)"
			continue
		}
		if u.User != nil {
			u.User = url.User("xxxxx")
		}
		urls[i] = u.String()
	}
	return strings.Join(urls, ",")
}
