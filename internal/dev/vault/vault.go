// SPDX-License-Identifier: Apache-2.0

// Package vault starts a real HashiCorp Vault on this machine, for tests: the
// server that hack/vault builds, whose README has its flags. It is a process
// of its own that listens on loopback and ends with its parent.
//
// It is no client for anything but tests: it asks as root unless told
// otherwise. Where to look next: ask.go for what it can be asked, audit.go for
// what others asked it.
package vault

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Root is the root token of every server that does not choose another.
const Root = "root"

// slow is how long an answer may take on a busy machine.
const slow = 60 * time.Second

// Server is a Vault. Its fields are as it said them last; the files are those
// of -tls-dir. It is for one goroutine at a time, but for what asks it.
type Server struct {
	Address    string `json:"address"`
	Token      string `json:"token"`     // of root
	UnsealKey  string `json:"unsealKey"` // base64, as sys/unseal takes it
	CA         string `json:"ca"`
	ClientCert string `json:"clientCert"`
	ClientKey  string `json:"clientKey"`

	flags []string
	child *child
	mu    sync.RWMutex
	http  *http.Client
}

// child is a process of the server.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	end   func() error
}

// Binary is what hack/vault builds, as seen from this source file.
// LOCKSTEP_VAULT names another.
func Binary() string {
	if name := os.Getenv("LOCKSTEP_VAULT"); name != "" {
		return name
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "bin", "vault")
}

// Start starts a server with flags of hack/vault. It takes a fraction of a
// second. Its root token is Root, and it logs nothing, unless the flags say
// so.
func Start(flags ...string) (*Server, error) {
	s := &Server{flags: slices.Clone(flags)}
	return s, s.start()
}

func (s *Server) start(more ...string) error {
	name := Binary()
	if _, err := os.Stat(name); err != nil {
		return fmt.Errorf("there is no Vault at %s: run make vault", name)
	}
	flags := slices.Concat([]string{"-root-token", Root, "-log-level", "off"}, s.flags, more)
	c := &child{cmd: exec.Command(name, flags...)} //nolint:gosec,noctx // our own program; it ends with its stdin
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start Vault: %w", err)
	}
	c.stdin, c.lines = stdin, bufio.NewScanner(stdout)
	c.end = sync.OnceValue(c.cmd.Wait)
	s.child = c
	return s.read()
}

// read reads the line in which the server says where it is.
func (s *Server) read() error {
	if !s.child.lines.Scan() {
		return errors.Join(errors.New("the Vault of the tests says nothing"), s.child.lines.Err(), s.Stop())
	}
	if err := json.Unmarshal(s.child.lines.Bytes(), s); err != nil {
		return errors.Join(err, s.Stop())
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	if s.CA != "" {
		conf, err := s.trust()
		if err != nil {
			return err
		}
		transport.TLSClientConfig = conf
	}
	s.mu.Lock()
	s.http = &http.Client{Timeout: slow, Transport: transport}
	s.mu.Unlock()
	return nil
}

// trust is the side of a client that has a certificate.
func (s *Server) trust() (*tls.Config, error) {
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(s.ClientCert, s.ClientKey)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{own}}
	if !out.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s", s.CA)
	}
	return out, nil
}

// Stop ends the server, if it runs, and lets it finish what it does. It may be
// called twice.
func (s *Server) Stop() error {
	if s.child == nil {
		return nil
	}
	_ = s.child.stdin.Close() // it is closed already when called twice
	return s.child.end()
}

// Kill ends the server without a warning, as a power cut does.
func (s *Server) Kill() {
	_ = s.child.cmd.Process.Kill() // it may have ended by itself
	_ = s.child.end()              // which tells that it was killed
	_ = s.child.stdin.Close()
}

// Restart starts a server that was stopped or killed, with the same flags, at
// the same address, and further flags such as -sealed. It keeps what lies in
// -data, without which it is another Vault.
func (s *Server) Restart(more ...string) error {
	u, err := url.Parse(s.Address)
	if err != nil {
		return err
	}
	return s.start(append([]string{"-listen", u.Host}, more...)...)
}

// Rotate makes the server take a new authority and new certificates, which it
// has with -tls-dir, and cut its connections. It returns when the new ones are
// served.
func (s *Server) Rotate(ctx context.Context) error {
	// One that answers listens to signals. Before, a signal would end it.
	if _, _, err := s.Ask(ctx, "", http.MethodGet, "sys/health", nil); err != nil {
		return err
	}
	if err := s.child.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return s.read()
}
