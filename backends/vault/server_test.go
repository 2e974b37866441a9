// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dev "github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

const (
	root = dev.Root
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
type server struct{ *dev.Server }

func startServer(flags ...string) (*server, error) {
	s, err := dev.Start(flags...)
	return &server{s}, err
}

// stop may be called twice.
func (s *server) stop() { _ = s.Stop() }

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
	// The context is not the test's: it ends before the last check does.
	status, out, err := w.vault.Ask(context.Background(), root, method, path, in)
	w.must(err)
	return out, status
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
