// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// StartControllerManager starts the controllers that clean up after deleted
// objects, for owned Secrets are gone only where a garbage collector runs, and
// those that give service accounts their tokens and namespaces the CA.
func (p *Plane) StartControllerManager(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lockstep-plane-")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, p.Kubeconfig, 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, p.Admin.CAData, 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	m := &process{dir: dir, ended: make(chan struct{})}
	m.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(Binaries(), "kube-controller-manager"), //nolint:gosec // our own build
		"--kubeconfig="+kubeconfig,
		"--controllers=garbage-collector-controller,namespace-controller,"+
			"serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller",
		"--root-ca-file="+ca,
		"--service-account-private-key-file="+filepath.Join(p.env.ControlPlane.GetAPIServer().CertDir, "sa-signer.key"),
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port=0",
	)
	m.cmd.Stderr = &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start kube-controller-manager: %w", err), os.RemoveAll(dir))
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.ended)
	}()
	p.manager = m
	return nil
}

// process is a child and what it wrote last.
type process struct {
	cmd   *exec.Cmd
	dir   string
	log   tail
	ended chan struct{}
	err   error
}

// stop ends the process, with force after ten seconds.
func (m *process) stop() error {
	select {
	case <-m.ended:
		return errors.Join(fmt.Errorf("kube-controller-manager ended by itself: %w: %s", m.err, m.log.String()), os.RemoveAll(m.dir))
	default:
	}
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
	case <-time.After(10 * time.Second):
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
	return os.RemoveAll(m.dir)
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p, and at most 64 KiB with what came before.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - 64<<10; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
