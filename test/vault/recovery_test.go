// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"os"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// TestSealed: what cannot be read stays as it is, and is read when it can be.
// An object says that it is not in sync once its last good read is old.
func TestSealed(t *testing.T) {
	w := newWorld(t, "-data", t.TempDir())
	w.kubernetes()
	w.policy(readSecret, readEvents)
	w.put("first")
	w.store("vault", secondEngine, asApp)
	w.wants("quick", "vault", "2s", password)
	w.wants("slow", "vault", rarely, password)
	quick, slow := w.has("quick", "first"), w.has("slow", "first")
	w.says("ExternalSecret", "slow", synced)

	for name, trouble := range map[string]struct{ begin, end func() error }{
		"sealed": {
			func() error { return w.vault.Seal(t.Context()) },
			func() error { return w.vault.Unseal(t.Context()) },
		},
		"killed": {
			func() error { w.vault.Kill(); return nil },
			func() error { return w.vault.Restart() },
		},
		"restarted sealed": {
			func() error {
				w.vault.Kill()
				return w.vault.Restart("-sealed")
			},
			func() error { return w.vault.Unseal(t.Context()) },
		},
	} {
		must(t, trouble.begin())
		w.says("ExternalSecret", "quick", failed)
		w.says("ExternalSecret", "slow", synced)
		w.same(quick)
		w.same(slow)
		must(t, trouble.end())
		w.put(name)
		quick, slow = w.has("quick", name), w.has("slow", name)
		w.says("ExternalSecret", "quick", synced)
	}
	if n := len(w.logins()); n != 1 {
		t.Errorf("%d logins, and the token was good all the time", n)
	}
}

// TestTokenRevoked: there is one more login, and nobody notices.
func TestTokenRevoked(t *testing.T) {
	w := newWorld(t)
	w.kubernetes()
	w.policy(readSecret)
	w.put("first")
	w.store("vault", secondEngine, asApp)
	w.wants("app", "vault", "1s", password)
	w.wants("other", "vault", "1s", password)
	w.has("app", "first")
	w.has("other", "first")
	before := len(w.logins())

	w.write("sys/leases/revoke-prefix/auth/kubernetes/login", nil)
	w.put("second")
	w.has("app", "second")
	w.has("other", "second")
	for _, name := range []string{"app", "other"} {
		w.says("ExternalSecret", name, synced)
	}
	if n := len(w.logins()) - before; n != 1 {
		t.Errorf("%d logins after one token was revoked", n)
	}
}

// TestPolicyLowered: what is forbidden says so, and stays as it is.
func TestPolicyLowered(t *testing.T) {
	w := newWorld(t)
	w.kubernetes()
	w.policy(readSecret)
	w.put("first")
	w.store("vault", secondEngine, asApp)
	w.wants("app", "vault", "1s", password)
	s := w.has("app", "first")
	before := len(w.logins())

	w.policy(readFirst)
	w.says("ExternalSecret", "app", failed, "PermissionDenied", "403")
	w.same(s)
	w.put("second")
	w.policy(readSecret)
	w.has("app", "second")
	w.says("ExternalSecret", "app", synced)
	if n := len(w.logins()) - before; n != 0 {
		t.Errorf("%d logins more, and the token was good all the time", n)
	}
}

// authority puts Vault's certificate authority where the store has it from.
func (w *world) authority() {
	w.Helper()
	text, err := os.ReadFile(w.vault.CA)
	must(w.T, err)
	w.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vault-ca}\ndata:\n  ca.crt: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n")
}

// TestAuthorityRotated: a certificate of an unknown authority is refused, until
// the ConfigMap has that authority.
func TestAuthorityRotated(t *testing.T) {
	w := newWorld(t, "-tls-dir", t.TempDir())
	w.kubernetes()
	w.policy(readSecret)
	w.put("first")
	w.authority()
	w.store("vault", secondEngine, "caProvider:\n  type: ConfigMap\n  name: vault-ca\n  key: ca.crt", asApp)
	w.wants("app", "vault", "2s", password)
	s := w.has("app", "first")

	must(t, w.vault.Rotate(t.Context()))
	w.put("second")
	w.says("ExternalSecret", "app", failed, "certificate")
	w.same(s)
	w.authority()
	w.has("app", "second")
	w.says("ExternalSecret", "app", synced)
	w.says("SecretStore", "vault", "True", "Valid")
}

// TestSecretIDRotated: the store logs in with what the Kubernetes Secret has.
func TestSecretIDRotated(t *testing.T) {
	w := newWorld(t)
	w.policy(readSecret)
	accessor := w.approle()
	w.put("first")
	w.store("vault", secondEngine, byRole(w.roleID()))
	w.wants("app", "vault", "1s", password)
	s := w.has("app", "first")

	w.write("auth/approle/role/app/secret-id-accessor/destroy", vault.Object{"secret_id_accessor": accessor})
	w.write("sys/leases/revoke-prefix/auth/approle/login", nil)
	w.put("second")
	w.says("ExternalSecret", "app", failed, "Unauthenticated")
	w.same(s)
	w.approle()
	w.has("app", "second")
	w.says("ExternalSecret", "app", synced)
	w.says("SecretStore", "vault", "True", "Valid")
}

// TestDeletionPolicy: only what is proven to be gone takes its Secret with it.
func TestDeletionPolicy(t *testing.T) {
	cases := map[string]struct {
		reason string
		do     func(*world) error
		gone   bool
		says   string
	}{
		"metadata": {
			reason: "the secret is gone with its history",
			do:     func(w *world) error { return w.vault.Remove(w.Context(), "secret/metadata/app") },
			gone:   true,
		},
		"soft-deleted": {
			reason: "the current version was deleted, which Vault says",
			do:     func(w *world) error { return w.vault.Remove(w.Context(), "secret/data/app") },
			gone:   true,
		},
		"forbidden": {
			reason: "Vault says 403 of missing secrets and of others",
			do: func(w *world) error {
				w.policy(readFirst)
				return w.vault.Remove(w.Context(), "secret/metadata/app")
			},
			says: "403",
		},
		"sealed": {
			reason: "a sealed Vault proves nothing",
			do:     func(w *world) error { return w.vault.Seal(w.Context()) },
			says:   "sealed",
		},
		"unmounted": {
			reason: "the 404 of a mount that is gone is not about the secret",
			do:     func(w *world) error { return w.vault.Remove(w.Context(), "sys/mounts/secret") },
			says:   "SecretSyncedError",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t, "-data", t.TempDir())
			w.kubernetes()
			w.policy(readSecret)
			w.put("first")
			w.store("vault", secondEngine, asApp)
			w.wants("app", "vault", "1s", "target: {deletionPolicy: Delete}\n"+password)
			s := w.has("app", "first")
			must(t, c.do(w))
			if c.gone {
				w.gone("app")
				w.says("ExternalSecret", "app", "SecretDeleted")
				w.put("again")
				w.has("app", "again")
				return
			}
			w.says("ExternalSecret", "app", "False", c.says)
			w.same(s)
		})
	}
}
