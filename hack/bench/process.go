// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ticks is how many of the units of /proc/PID/stat are in a second of CPU. It is
// 100 on all architectures of Linux that Go knows.
const ticks = 100

// memory is what a process has resident, in bytes.
type memory struct {
	all  int64 // VmRSS
	anon int64 // of it, what is not a part of a file: not the program itself
	peak int64 // the most there ever was
}

// child is Lockstep while it runs. It has a process group of its own, so that an
// interrupt in the terminal reaches it through us, in order.
type child struct {
	cmd     *exec.Cmd
	started time.Time
	log     *tail
	gone    chan struct{}
	err     error
}

// launch starts the program with nothing in its environment.
func launch(ctx context.Context, program string, args ...string) (*child, error) {
	c := &child{log: &tail{}, gone: make(chan struct{})}
	// It outlives an interrupted context, so that stop can end it gently.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // what was asked for
	c.cmd.Env = []string{}
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.started = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.gone)
	}()
	return c, nil
}

// alive fails when it ended by itself.
func (c *child) alive() error {
	select {
	case <-c.gone:
		return fmt.Errorf("lockstep ended by itself: %s\n%s", c.cmd.ProcessState, c.log)
	default:
		return nil
	}
}

// stop ends it as a node does, with force after twenty seconds.
func (c *child) stop() error {
	if err := c.alive(); err != nil {
		return err
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.gone
		return fmt.Errorf("lockstep did not end when it was told to:\n%s", c.log)
	}
	if c.err != nil {
		return fmt.Errorf("lockstep ended badly: %w\n%s", c.err, c.log)
	}
	return nil
}

// cpu is how much it computed since it was started.
func (c *child) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// memory is what it has resident.
func (c *child) memory() (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(string(text))
}

// parseStat reads user and system time from /proc/PID/stat. The second field is
// the name of the program in parentheses, and may have anything in it.
func parseStat(text string) (time.Duration, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields after the name", len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * time.Second / ticks, nil
}

// parseStatus reads /proc/PID/status, whose sizes are in units of 1024 bytes.
func parseStatus(text string) (memory, error) {
	var out memory
	fields := map[string]*int64{"VmRSS": &out.all, "RssAnon": &out.anon, "VmHWM": &out.peak}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		into, ok := fields[name]
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("/proc/PID/status: %w", err)
		}
		*into = n * 1024
		delete(fields, name)
	}
	if len(fields) > 0 {
		return memory{}, errors.New("/proc/PID/status does not say what is resident")
	}
	return out, nil
}

// tail keeps the last of what is written to it, and counts complaints.
type tail struct {
	mu         sync.Mutex
	buf        bytes.Buffer
	complaints int
}

// Write keeps p, and at most 16 KiB with what came before.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints += bytes.Count(p, []byte(`"level":"WARN"`)) + bytes.Count(p, []byte(`"level":"ERROR"`))
	t.buf.Write(p)
	if over := t.buf.Len() - 16<<10; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// complained is how many warnings and errors were logged.
func (t *tail) complained() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complaints
}
