// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A goTool runs the go command in the current folder.
type goTool struct {
	path string
	env  goEnv
	temp string            // folder for Go's own temporary files, "" for the usual one
	line func(string) bool // sees each line of stderr; true means it is no message
}

// goEnv holds the settings of Go that decide what a binary is.
type goEnv struct {
	GOVERSION, GOOS, GOARCH, GOMOD                     string
	GOFLAGS, GOEXPERIMENT, GOAMD64, GOARM64, GOFIPS140 string
}

// settings lists what changes a binary besides version, target and flags.
func (e goEnv) settings() []string {
	return []string{e.GOFLAGS, e.GOEXPERIMENT, e.GOAMD64, e.GOARM64, e.GOFIPS140}
}

// findGo looks for the go command and asks it for its settings.
func findGo(ctx context.Context) (goTool, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return goTool{}, errors.New("there is no go command in PATH; install Go (https://go.dev/doc/install) and try again")
	}
	tool := goTool{path: path}
	text, err := tool.run(ctx, "env", "-json")
	if err != nil {
		return goTool{}, err
	}
	if err := json.Unmarshal([]byte(text), &tool.env); err != nil {
		return goTool{}, fmt.Errorf("ask %s for its settings: %w", path, err)
	}
	return tool, nil
}

// killAfter is how long the go command may clean up after an interrupt.
const killAfter = 5 * time.Second

// run returns stdout. When ctx ends it interrupts the go command and all it
// started, and returns when they are gone. An error carries the end of stderr.
func (g goTool) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.path, args...) //nolint:gosec // the go command, arguments from our tables
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if g.temp != "" {
		cmd.Env = append(cmd.Env, "GOTMPDIR="+g.temp)
	}
	var stdout bytes.Buffer
	stderr := &lines{see: g.line}
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
		stderr.take(string(stderr.rest))
		return "", fmt.Errorf("go %s: %w; it said:\n%s", args[0], err, strings.Join(stderr.tail, "\n"))
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

func (l *lines) take(line string) {
	if line == "" || l.see != nil && l.see(line) {
		return
	}
	l.tail = append(l.tail, line)
	if len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
}

// staleFormat makes `go list` name each package that is not in the build
// cache. The program itself is always stale for it.
const staleFormat = `{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}{{.ImportPath}}{{end}}`

// every is the time between two lines of progress.
const every = 10 * time.Second

// A meter says now and then how far Go is: `go build -v` names each package
// when its compilation begins. Packages differ in size, and linking is not
// counted.
type meter struct {
	out  io.Writer
	quit chan struct{}
	gone chan struct{}

	mu                     sync.Mutex
	modules, begun, expect int
}

// newMeter starts a meter; the caller must stop it.
func newMeter(out io.Writer) *meter {
	m := &meter{out: out, quit: make(chan struct{}), gone: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(m.gone)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-m.quit:
				return
			case now := <-tick.C:
				say(out, "vault: %s, %s\n", m, clock(now.Sub(start)))
			}
		}
	}()
	return m
}

func (m *meter) stop() {
	close(m.quit)
	<-m.gone
}

// String is the progress in words.
func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.expect > 0:
		return fmt.Sprintf("%d of %d packages", min(m.begun, m.expect), m.expect)
	case m.modules > 0:
		return fmt.Sprintf("%d modules downloaded", m.modules)
	default:
		return "reading packages"
	}
}

// total takes the list of packages that are to be compiled.
func (m *meter) total(list string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expect = len(strings.Fields(list))
}

// see counts a line of Go's stderr and says whether it was for counting only.
func (m *meter) see(line string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.HasPrefix(line, "go: downloading ") {
		m.modules++
		return true
	}
	if strings.ContainsAny(line, " \t:") {
		return false
	}
	m.begun++
	return true
}
