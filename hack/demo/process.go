// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process that runs beside the demo. It has a process group of its
// own, so that a Ctrl-C in the terminal reaches it through us, in order.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	once  sync.Once
}

// start runs the Lockstep binary in the background.
func (d *demo) start(ctx context.Context, env []string, args ...string) error {
	typed("lockstep %s &", strings.Join(args, " "))
	_, err := d.spawn(ctx, env, io.Discard, args...)
	return err
}

// serve runs the binary in the background and returns the address it listens on.
func (d *demo) serve(ctx context.Context, args ...string) (string, error) {
	typed("lockstep %s &", strings.Join(args, " "))
	r, w := io.Pipe()
	c, err := d.spawn(ctx, nil, w, args...)
	if err != nil {
		return "", err
	}
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(r).ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case line := <-lines:
		fmt.Print(line)
		return strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), nil
	case <-c.ended:
		return "", d.alive()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (d *demo) spawn(ctx context.Context, env []string, out io.Writer, args ...string) (*child, error) {
	c := &child{name: args[0], log: d.path(args[0] + ".log"), ended: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	// It outlives an interrupted context, so that cleanUp can end it gently.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(d.bin, "lockstep"), args...) //nolint:gosec // our own binary
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stdout, c.cmd.Stderr = out, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = c.cmd.Wait()
		_ = log.Close()
		close(c.ended)
	}()
	d.children = append(d.children, c)
	return c, nil
}

// alive fails when a child has ended by itself.
func (d *demo) alive() error {
	for _, c := range d.children {
		select {
		case <-c.ended:
			log, _ := os.ReadFile(c.log)
			return fmt.Errorf("lockstep %s ended by itself:\n%s", c.name, log)
		default:
		}
	}
	return nil
}

// died tells when a child ends by itself.
func (d *demo) died() <-chan error {
	out := make(chan error, len(d.children))
	for _, c := range d.children {
		go func() {
			<-c.ended
			out <- d.alive()
		}()
	}
	return out
}

// stop ends a child, with force after ten seconds.
func (c *child) stop() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
			<-c.ended
		}
	})
}

// cleanUp ends everything that the demo started.
func (d *demo) cleanUp() error {
	for i := len(d.children) - 1; i >= 0; i-- {
		d.children[i].stop()
	}
	var err error
	if d.plane != nil {
		err = d.plane.Stop()
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// kubectl prints and runs a kubectl command as the administrator.
func (d *demo) kubectl(ctx context.Context, args ...string) error {
	typed("kubectl %s", strings.Join(args, " "))
	out, err := d.output(ctx, "kubectl", args...)
	fmt.Print(string(out))
	return err
}

// pipe runs lockstep … | kubectl ….
func (d *demo) pipe(ctx context.Context, lockstep []string, args ...string) error {
	typed("lockstep %s | kubectl %s", strings.Join(lockstep, " "), strings.Join(args, " "))
	in, err := d.output(ctx, "lockstep", lockstep...)
	if err != nil {
		return err
	}
	out, err := d.run(ctx, bytes.NewReader(in), "kubectl", args...)
	fmt.Print(string(out))
	return err
}

func (d *demo) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	return d.run(ctx, nil, name, args...)
}

// run runs one of the binaries that make demo built.
func (d *demo) run(ctx context.Context, in io.Reader, name string, args ...string) ([]byte, error) {
	path := filepath.Join(d.bin, name)
	if name == "kubectl" {
		path = filepath.Join(d.bin, "control-plane", name)
	}
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // our own binaries
	// kubectl remembers what a server of this address served, and the address may
	// have been another's before.
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.path("admin.kubeconfig"), "KUBECACHEDIR="+d.path("kube-cache"))
	cmd.Stdin = in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
