// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// kes is a world with a program that serves its namespace as Kubernetes
// External Secrets did, by VAULT_ADDR and a token of the policy app. What the
// pod's own token does is tested in backends/vault, for it is at a place that
// tests do not have.
func kes(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.group = kesGroup
	w.policy(readSecret, readFirst, readCreds, keepLeases)
	token := w.write("auth/token/create", vault.Object{"policies": []string{"app"}, "period": "1h"})
	p, err := shared.run([]string{
		"VAULT_ADDR=" + w.at, "VAULT_TOKEN=" + vault.Text(token, "auth", "client_token"), "POLLER_INTERVAL_MILLISECONDS=1000",
	}, "--dialects", "kes", "--namespaces", w.ns)
	must(t, err)
	t.Cleanup(func() { must(t, p.stop()) })
	return w
}

// inVault is an ExternalSecret of Kubernetes External Secrets.
func (w *world) inVault(name, data string) {
	w.Helper()
	text := "apiVersion: " + kesGroup + "\nkind: ExternalSecret\nmetadata:\n  name: " + name + "\nspec:\n  backendType: vault\n"
	for line := range strings.Lines(data) {
		text += "  " + strings.TrimSuffix(line, "\n") + "\n"
	}
	w.apply(text)
}

// status waits for the status of an object of Kubernetes External Secrets.
func (w *world) status(name, want string) {
	w.Helper()
	w.eventually(func() error {
		got, _, _ := unstructured.NestedString(w.object("ExternalSecret", name).Object, "status", "status")
		if got != want {
			return fmt.Errorf("%s says %q, and not %q", name, got, want)
		}
		return nil
	})
}

// TestKES: manifests of Kubernetes External Secrets, as its documentation has
// them.
func TestKES(t *testing.T) {
	w := kes(t)
	w.fill()
	w.put("first")
	w.inVault("second", `data:
  - key: secret/data/app/config
    name: password
    property: password
  - key: secret/data/app/config?version=1
    name: old
    property: password
`)
	w.inVault("first", `kvVersion: 1
data:
  - key: kv1/app/db
    name: host
    property: host
`)
	w.inVault("whole", `kvVersion: 2
dataFrom:
  - secret/data/app/db
`)
	w.inVault("polled", `data:
  - key: secret/data/app
    name: password
    property: password
`)
	w.inVault("forbidden", `data:
  - key: other/data/app
    name: password
    property: password
`)
	w.secret("second", map[string]string{"password": canary + "-new", "old": canary + "-old"})
	w.secret("first", map[string]string{"host": "db1.internal"})
	w.secret("whole", map[string]string{"host": "db.internal", "port": "5432"})
	w.has("polled", "first")
	w.put("second")
	w.has("polled", "second")
	for _, name := range []string{"second", "first", "whole", "polled"} {
		w.status(name, "SUCCESS")
	}
	w.status("forbidden", "ERROR, 1 error occurred: * permission denied")
	if n := len(w.logins()); n != 0 {
		t.Errorf("%d logins, and there is a token", n)
	}
}

// TestLeasesOfKES: there, each poll made another user.
func TestLeasesOfKES(t *testing.T) {
	w := kes(t)
	w.database("1h", "24h")
	w.put("pulse")
	w.inVault("pulse", "data: [{key: secret/data/app, name: password, property: password}]\n")
	for _, name := range []string{"a", "b"} {
		w.inVault(name, `kvVersion: 1
data:
  - key: database/creds/app
    name: username
    property: username
  - key: database/creds/app
    name: password
    property: password
`)
	}
	a, sa := w.issued("a", "")
	b, sb := w.issued("b", "")
	if a == b {
		t.Error("two objects have one credential")
	}
	w.status("a", "SUCCESS")
	w.beats(5)
	w.left(a, b)
	w.same(sa)
	w.same(sb)
	if n := w.count(issuance); n != 2 {
		t.Errorf("%d credentials were made for two objects", n)
	}
	if w.held("ExternalSecret", "a") == "" {
		t.Error("the status does not say which lease the Secret has")
	}
	w.remove("ExternalSecret", "a")
	w.left(b)
}
