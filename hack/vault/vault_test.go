// SPDX-License-Identifier: Apache-2.0

// Package vault tests the Vault that package build makes, from outside and
// over its port: it shows what other tests may rely on, and how to start it.
package vault

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	binary = "../../bin/vault"
	root   = "root"
	// soon is long enough on a machine that has much else to do.
	soon = 20 * time.Second
)

// TestMain builds the binary; that takes minutes the first time and nothing
// after that.
func TestMain(m *testing.M) {
	build := exec.CommandContext(context.Background(), "go", "run", "./build", "-o", binary)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A server is a Vault that runs.
type server struct {
	Address, Token, UnsealKey, Version, CA, ClientCert, ClientKey string

	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner // of stdout, after the first
	http  *http.Client
}

// start starts a Vault that ends with the test at the latest.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	v := &server{cmd: exec.Command(binary, append([]string{"-root-token", root}, args...)...)} //nolint:gosec // our own program; it ends with its stdin
	v.cmd.Stderr = os.Stderr
	stdin, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.stdin, v.lines = stdin, bufio.NewScanner(stdout)
	t.Cleanup(func() { _ = v.stop() })
	v.read(t)
	v.http = &http.Client{Timeout: soon}
	if v.CA != "" {
		v.http.Transport = &http.Transport{TLSClientConfig: v.tls(t, true)}
	}
	return v
}

// read takes a line that says where the server is.
func (v *server) read(t *testing.T) {
	t.Helper()
	if !v.lines.Scan() {
		t.Fatal("vault ended without a word")
	}
	if err := json.Unmarshal(v.lines.Bytes(), v); err != nil {
		t.Fatalf("%q: %v", v.lines.Text(), err)
	}
}

// stop ends the server as the end of its parent would.
func (v *server) stop() error {
	_ = v.stdin.Close()
	return v.cmd.Wait()
}

// kill ends the server without a warning.
func (v *server) kill() {
	_ = v.cmd.Process.Signal(syscall.SIGKILL)
	_ = v.cmd.Wait()
}

// tls trusts the server and, when asked, has the client's certificate.
func (v *server) tls(t *testing.T, certified bool) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(v.CA)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(text)
	if certified {
		own, err := tls.LoadX509KeyPair(v.ClientCert, v.ClientKey)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{own}
	}
	return conf
}

// An object is what Vault takes and gives.
type object = map[string]any

// ask sends a request with a token and returns status and answer.
func (v *server) ask(t *testing.T, token, method, path string, body object) (int, object) {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, v.Address+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer object
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, answer
}

// write is ask as root for what must succeed.
func (v *server) write(t *testing.T, path string, body object) object {
	t.Helper()
	status, answer := v.ask(t, root, http.MethodPost, path, body)
	if status >= 300 {
		t.Fatalf("write %s: %d %v", path, status, answer["errors"])
	}
	return answer
}

// at walks down an answer.
func at(o object, path string) any {
	var out any = o
	for name := range strings.SplitSeq(path, ".") {
		in, _ := out.(object)
		out = in[name]
	}
	return out
}

// text is a string in an answer.
func text(t *testing.T, o object, path string) string {
	t.Helper()
	s, ok := at(o, path).(string)
	if !ok || s == "" {
		t.Fatalf("the answer has no %s", path)
	}
	return s
}

// Vault leaves nothing behind, and ends with its parent or on a signal.
func TestEnd(t *testing.T) {
	cases := map[string]struct {
		reason string
		end    func(*server)
	}{
		"stdin":   {"the test that started it died", func(v *server) { _ = v.stdin.Close() }},
		"SIGTERM": {"somebody wants it to stop", func(v *server) { _ = v.cmd.Process.Signal(syscall.SIGTERM) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			t.Setenv("HOME", dir)
			v := start(t)
			c.end(v)
			if err := v.cmd.Wait(); err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"not loopback":   {"-listen", "0.0.0.0:0"},
		"mtls alone":     {"-mtls"},
		"sealed alone":   {"-sealed"},
		"argument":       {"server"},
		"flag":           {"-dev"},
		"log level":      {"-log-level", "loud"},
		"no port":        {"-listen", "127.0.0.1"},
		"a name, no own": {"-listen", "example.com:80"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput() //nolint:gosec // our own program
			if err == nil || !strings.Contains(err.Error(), "exit status 2") || len(out) == 0 {
				t.Errorf("%v, %s", err, out)
			}
		})
	}
}

// Other tests count requests in the audit, so there is one line for each.
func TestAudit(t *testing.T) {
	const secret = "canary-4711"
	file := filepath.Join(t.TempDir(), "audit")
	v := start(t, "-audit", file)
	v.write(t, "secret/data/a", object{"data": object{"k": secret}})
	for range 3 {
		v.ask(t, root, http.MethodGet, "secret/data/a", nil)
	}
	v.ask(t, root, http.MethodGet, "secret/data/missing", nil)
	v.ask(t, "wrong", http.MethodGet, "secret/data/a", nil)

	lines, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lines), secret) {
		t.Error("the audit has the secret in the clear")
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(lines)) {
		var entry object
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		counts[fmt.Sprintf("%v %v %v", entry["type"], at(entry, "request.operation"), at(entry, "request.path"))]++
	}
	for want, n := range map[string]int{
		"request create secret/data/a":     1,
		"request read secret/data/a":       4, // and the one that was refused
		"response read secret/data/a":      4,
		"request read secret/data/missing": 1,
	} {
		if counts[want] != n {
			t.Errorf("%s: %d lines, want %d", want, counts[want], n)
		}
	}

	onStdout := start(t, "-audit", "stdout")
	onStdout.ask(t, root, http.MethodGet, "secret/data/a", nil)
	if err := onStdout.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	found := false
	for onStdout.lines.Scan() {
		found = found || strings.Contains(onStdout.lines.Text(), `"path":"secret/data/a"`)
	}
	if !found {
		t.Error("the audit is not on stdout")
	}
}
