// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	root = "root"
	// patience is how long what happens at once may take on a busy machine.
	patience = 20 * time.Second
)

// shared is the one Vault of most tests. Each has mounts of its own in it.
var shared *server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if shared, err = startServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.stop()
	return m.Run()
}

// server is a real Vault that runs.
type server struct {
	Address    string `json:"address"`
	UnsealKey  string `json:"unsealKey"`
	CA         string `json:"ca"`
	ClientCert string `json:"clientCert"`
	ClientKey  string `json:"clientKey"`

	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

// binary is what hack/vault builds, as seen from this source file.
func binary() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "bin", "vault")
}

func startServer(args ...string) (*server, error) {
	name := binary()
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("there is no Vault at %s: run make vault", name)
	}
	s := &server{cmd: exec.Command(name, append([]string{"-root-token", root, "-log-level", "off"}, args...)...)} //nolint:gosec,noctx // our own program; it ends with its stdin
	s.cmd.Stderr = os.Stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.stdin, s.lines = stdin, bufio.NewScanner(stdout)
	return s, s.read()
}

// read reads the line in which the server says where it is.
func (s *server) read() error {
	if !s.lines.Scan() {
		return errors.New("the Vault of the tests does not start")
	}
	return json.Unmarshal(s.lines.Bytes(), s)
}

// stop may be called twice.
func (s *server) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}

// worlds counts the mounts that were made.
var worlds atomic.Int64

// world is a part of a Vault, with a door in front of it.
type world struct {
	*door
	t       testing.TB
	vault   *server
	mount   string // of a key-value engine
	version int    // of it
}

func newWorld(t testing.TB, version int) *world {
	t.Helper()
	w := &world{t: t, vault: shared, mount: fmt.Sprintf("world-%d", worlds.Add(1)), version: version}
	w.door = newDoor(t, shared.Address, w)
	w.admin(http.MethodPost, "sys/mounts/"+w.mount, map[string]any{"type": "kv", "options": map[string]string{"version": fmt.Sprint(version)}})
	return w
}

// admin asks Vault as its administrator, not through the door.
func (w *world) admin(method, path string, in any) map[string]any {
	w.t.Helper()
	out, status := w.try(method, path, in)
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %v", method, path, status, out["errors"])
	}
	return out
}

func (w *world) try(method, path string, in any) (map[string]any, int) {
	w.t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		w.must(err)
		body = bytes.NewReader(text)
	}
	// The context is not the test's: it ends before the last check does.
	r, err := http.NewRequestWithContext(context.Background(), method, w.vault.Address+"/v1/"+path, body)
	w.must(err)
	r.Header.Set(headerToken, root)
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	out := map[string]any{}
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	if len(text) > 0 {
		w.must(json.Unmarshal(text, &out))
	}
	return out, resp.StatusCode
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// policy allows all in the mount of the world, and what is said besides.
func (w *world) policy(name string, more ...string) string {
	w.t.Helper()
	rules := []string{`path "` + w.mount + `/*" { capabilities = ["create","read","update","delete","list"] }`}
	name = w.mount + "-" + name
	w.admin(http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": strings.Join(append(rules, more...), "\n")})
	return name
}

// everything is what the backend may need besides.
var everything = []string{
	`path "sys/events/subscribe/*" { capabilities = ["read"] }`,
	`path "+/creds/*" { capabilities = ["read"] }`,
	`path "sys/leases/*" { capabilities = ["update"] }`,
}

// token makes a token with a policy.
func (w *world) token(policy string, more map[string]any) string {
	w.t.Helper()
	in := map[string]any{"policies": []string{policy}}
	for k, v := range more {
		in[k] = v
	}
	out := w.admin(http.MethodPost, "auth/token/create", in)
	return text(out, "auth", "client_token")
}

// text is a member of a document.
func text(doc map[string]any, path ...string) string {
	var v any = doc
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return fmt.Sprint(v)
}

// data and metadata are where a secret of the world is.
func (w *world) data(name string) string {
	if w.version == 1 {
		return w.mount + "/" + name
	}
	return w.mount + "/data/" + name
}

func (w *world) metadata(name string) string { return w.mount + "/metadata/" + name }

// put writes a secret.
func (w *world) put(name string, fields map[string]any) {
	w.t.Helper()
	if w.version == 1 {
		w.admin(http.MethodPut, w.data(name), fields)
		return
	}
	w.admin(http.MethodPut, w.data(name), map[string]any{"data": fields})
}

// database mounts an engine that makes users, and returns the path that does.
func (w *world) database() string {
	w.t.Helper()
	mount := w.mount + "-db"
	w.admin(http.MethodPost, "sys/mounts/"+mount, map[string]any{"type": "database"})
	w.admin(http.MethodPost, mount+"/config/orders", map[string]any{
		"plugin_name": "memory-database-plugin", "connection_url": "memory://" + mount, "allowed_roles": "*",
	})
	w.admin(http.MethodPost, mount+"/roles/app", map[string]any{
		"db_name": "orders", "creation_statements": "CREATE", "default_ttl": "1h", "max_ttl": "24h",
	})
	return mount + "/creds/app"
}
