// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// reviewing is who may ask whose a token is, as Vault's documentation of the
// Kubernetes login has it.
const reviewing = `
apiVersion: v1
kind: Namespace
metadata: {name: vault}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: vault-auth, namespace: vault}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: role-tokenreview-binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: vault-auth, namespace: vault}]
`

func (s *stage) review(ctx context.Context) error {
	if err := plane.Apply(ctx, s.plane.Admin, []byte(reviewing), "vault"); err != nil {
		return err
	}
	answer, err := s.sets.CoreV1().ServiceAccounts("vault").CreateToken(ctx, "vault-auth", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err == nil {
		s.reviewer = answer.Status.Token
	}
	return err
}

// kubernetes lets the service account app of the namespace log in, with tokens
// that are for Vault, as a holder of the policy app.
func (w *world) kubernetes() {
	w.Helper()
	ctx := w.Context()
	must(w.T, w.vault.Login(ctx, "kubernetes", "kubernetes"))
	w.write("auth/kubernetes/config", vault.Object{
		"kubernetes_host": shared.plane.Admin.Host, "kubernetes_ca_cert": string(shared.plane.Admin.CAData),
		"token_reviewer_jwt": shared.reviewer,
	})
	w.write("auth/kubernetes/role/app", vault.Object{
		"bound_service_account_names": "app", "bound_service_account_namespaces": w.ns, "audience": "vault",
		"token_policies": "app", "token_ttl": "1h",
	})
	w.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app}\n")
}

// The rules of policies.
const (
	readSecret   = `path "secret/data/*" { capabilities = ["read"] }`
	readMetadata = `path "secret/metadata/*" { capabilities = ["read", "list"] }`
	readFirst    = `path "kv1/*" { capabilities = ["read", "list"] }`
	readEvents   = `path "sys/events/subscribe/*" { capabilities = ["read"] }`
)

// policy says what the login app may.
func (w *world) policy(rules ...string) {
	w.Helper()
	must(w.T, w.vault.Policy(w.Context(), "app", rules...))
}

// credential is a Kubernetes Secret that a store names.
func (w *world) credential(name, key, value string) {
	w.Helper()
	w.apply(fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {%s: %q}\n", name, key, value))
}

// approle lets who has the Secret approle log in as a holder of the policy app,
// and returns what makes that login useless.
func (w *world) approle() (accessor string) {
	w.Helper()
	if _, err := w.vault.Read(w.Context(), "auth/approle/role/app/role-id"); err != nil {
		must(w.T, w.vault.Login(w.Context(), "approle", "approle"))
		w.write("auth/approle/role/app", vault.Object{"token_policies": "app"})
	}
	out := w.write("auth/approle/role/app/secret-id", nil)
	w.credential("approle", "secret-id", vault.Text(out, "data", "secret_id"))
	return vault.Text(out, "data", "secret_id_accessor")
}

func (w *world) roleID() string {
	w.Helper()
	out, err := w.vault.Read(w.Context(), "auth/approle/role/app/role-id")
	must(w.T, err)
	return vault.Text(out, "data", "role_id")
}

// byRole is the login of an AppRole.
func byRole(id string) string {
	return fmt.Sprintf(`auth:
  appRole:
    path: approle
    roleId: %q
    secretRef:
      name: approle
      key: secret-id`, id)
}
