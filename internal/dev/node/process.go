// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a part may take to start on a busy machine.
const patience = 5 * time.Minute

// process is a part while it runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error
}

// start runs a part in the background. Its log goes on where an earlier one
// ended.
func (n *Node) start(p part) error {
	r := &process{name: p.name, log: n.file("log", p.name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.cmd = n.space.command(context.Background(), filepath.Join(p.folder, p.name), p.flags...)
	r.cmd.Env = append(os.Environ(), "PATH="+nodePrograms()+":"+os.Getenv("PATH"))
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.name, err), log.Close())
	}
	go func() {
		r.err = r.cmd.Wait()
		_ = log.Close()
		close(r.ended)
	}()
	n.running[p.name] = r
	return nil
}

// stop ends a process and returns when it is gone: with force after a while.
func (r *process) stop(ctx context.Context) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := r.signal(sig); err != nil {
			return err
		}
		select {
		case <-r.ended:
			return nil
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s does not end", r.name)
}

// signal reaches the part itself. What we started is nsenter, whose child it is:
// nsenter ends when that has ended, and would leave an orphan otherwise.
func (r *process) signal(sig syscall.Signal) error {
	pid := strconv.Itoa(r.cmd.Process.Pid)
	text, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children")) //nolint:gosec // of the kernel
	if err != nil {
		return err
	}
	for _, child := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		if err := syscall.Kill(n, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// alive fails when a part has ended by itself.
func (n *Node) alive() error {
	for _, r := range n.running {
		select {
		case <-r.ended:
			return fmt.Errorf("%s ended by itself: %w: %s", r.name, r.err, end(r.log))
		default:
		}
	}
	return nil
}

// ready waits for a condition, and no longer than all parts run. The error says
// what a part wrote last.
func (n *Node) ready(ctx context.Context, what, part string, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	err := wait(ctx, func() (bool, error) {
		last = done(ctx)
		return last == nil, n.alive()
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w: %w: %s", what, err, last, end(n.file("log", part+".log")))
	}
	return nil
}

// wait asks until the answer is yes.
func wait(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// much is how much of a log an error shows.
const much = 4 << 10

// end is the end of a log.
func end(name string) string {
	text, err := os.ReadFile(name) //nolint:gosec // our own log
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-much):])
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p, and not much of what came before.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	t.buf.Next(max(0, t.buf.Len()-much))
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
