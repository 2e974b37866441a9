// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// space is the namespaces that the node lives in, and the process that holds
// them: all others end with it.
type space struct {
	first  *exec.Cmd
	stdin  io.Closer
	stderr tail
	ended  chan struct{}
	cgroup string
}

// sysctls are what the kubelet expects of the kernel.
var sysctls = map[string]string{
	"vm.overcommit_memory":      "1",
	"vm.panic_on_oom":           "0",
	"kernel.panic":              "10",
	"kernel.panic_on_oops":      "1",
	"kernel.keys.root_maxkeys":  "1000000",
	"kernel.keys.root_maxbytes": "25000000",
}

// newSpace makes the namespaces, with a network that has nothing but the node
// in it.
func newSpace(dir, cgroup string) (*space, error) {
	for name, value := range sysctls {
		if err := write(filepath.Join(dir, "sysctl", name), []byte(value+"\n")); err != nil {
			return nil, err
		}
	}
	s := &space{ended: make(chan struct{}), cgroup: cgroup}
	script, err := files.ReadFile("files/space.sh")
	if err != nil {
		return nil, err
	}
	s.first = exec.Command("sh", "-c", string(script), "space", dir, Address, service) //nolint:gosec,noctx // our own script; it ends with its input
	s.first.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	s.first.Stderr = &s.stderr
	if s.stdin, err = s.first.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.first.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.first.Start(); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		_ = s.first.Wait() // killed or not, it is over
		close(s.ended)
	}()
	if readErr != nil || line != "ready\n" {
		s.end()
		return nil, fmt.Errorf("set up namespaces: %s", s.stderr.String())
	}
	if err := s.makeCgroups(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// end kills all that runs in the namespaces, and returns when it is gone.
func (s *space) end() {
	_ = s.stdin.Close()
	_ = s.first.Process.Kill() // it may have ended by itself
	<-s.ended
}

// close leaves nothing.
func (s *space) close() error {
	s.end()
	return s.removeCgroups()
}

// command runs a program in the namespaces.
func (s *space) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(s.first.Process.Pid), "--mount", "--net", "--pid", "--ipc", "--uts", "--", name}
	cmd := exec.CommandContext(ctx, "nsenter", slices.Concat(enter, args)...) //nolint:gosec // our own programs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// inside runs f on a thread that is in the network of the node. Sockets stay in
// the network in which they were made.
func (s *space) inside(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked, so that the thread ends with this goroutine: nothing
		// else may run in that network by accident.
		runtime.LockOSThread()
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", s.first.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			result <- fmt.Errorf("the network of the node: %w", err)
			return
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter the network of the node: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

// dial connects to a server in the node's network. The address must be a
// number: a name would be looked up on other threads.
func (s *space) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	err = s.inside(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

// hierarchies are the folders below which cgroups are: one each controller in
// version 1, one in all in version 2.
func hierarchies() ([]string, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}, nil
	}
	found, err := filepath.Glob(filepath.Join(root, "*", "cgroup.procs"))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("there are no cgroups in %s", root)
	}
	var out []string
	for _, name := range found {
		out = append(out, filepath.Dir(name))
	}
	return out, nil
}

func (s *space) makeCgroups() error {
	dirs, err := hierarchies()
	for _, dir := range dirs {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, s.cgroup), 0o755)) //nolint:gosec // as all cgroups are
	}
	return err
}

// removeCgroups removes what the kubelet made below the node's cgroup. They are
// empty, since all processes are gone.
func (s *space) removeCgroups() error {
	dirs, err := hierarchies()
	for _, dir := range dirs {
		var below []string
		walkErr := filepath.WalkDir(filepath.Join(dir, s.cgroup), func(name string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, name)
			}
			return err
		})
		if walkErr != nil && !errors.Is(walkErr, os.ErrNotExist) {
			err = errors.Join(err, walkErr)
		}
		slices.SortFunc(below, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
		for _, name := range below {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}
