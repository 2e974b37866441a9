// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// TestEmptiedVault: a Vault that says of everything that it is missing is not
// believed, until somebody says that it is meant.
func TestEmptiedVault(t *testing.T) {
	const n = 25
	w := newWorld(t)
	w.kubernetes()
	w.policy(readSecret)
	w.put("pulse")
	w.store("vault", secondEngine, asApp)
	name := func(i int) string { return fmt.Sprintf("app-%d", i) }
	for i := range n {
		w.write("secret/data/"+name(i), vault.Object{"data": vault.Object{"password": canary + name(i)}})
		w.wants(name(i), "vault", "2s", fmt.Sprintf(
			"target: {deletionPolicy: Delete}\ndata: [{secretKey: password, remoteRef: {key: %s, property: password}}]", name(i)))
	}
	w.wants("pulse", "vault", "1s", password)
	for i := range n {
		w.has(name(i), name(i))
	}
	for i := range n {
		must(t, w.vault.Remove(t.Context(), "secret/metadata/"+name(i)))
	}
	w.says("SecretStore", "vault", "False RemovalsHeld", "allow-removals")
	w.says("ExternalSecret", name(0), failed, "nothing is removed")
	w.beats(10)
	for i := range n {
		w.has(name(i), name(i))
	}

	store := w.object("SecretStore", "vault")
	store.SetAnnotations(map[string]string{"lockstep-secrets.dev/allow-removals": "true"})
	must(t, shared.user.Update(t.Context(), store))
	for i := range n {
		w.gone(name(i))
	}
	w.says("SecretStore", "vault", "True Valid")
	w.has("pulse", "pulse")
}
