// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"errors"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testUpgrade goes from the version before to this one, with other values. What
// was in sync is not written again.
func testUpgrade(t *testing.T) {
	before := secrets(t)
	was := kubectl(t, "get", "externalsecrets.kubernetes-client.io", "--all-namespaces", "-o", "name")
	helm(t, "upgrade", "lockstep", chart, "--namespace", home, "--reuse-values", "--set", "replicaCount=3")
	rolledOut(t, home, of, 3)
	note(t, home)
	unchanged(t, before)
	if now := kubectl(t, "get", "externalsecrets.kubernetes-client.io", "--all-namespaces", "-o", "name"); now != was {
		t.Errorf("the ExternalSecrets are\n%s\nand were\n%s", now, was)
	}
	if out := helm(t, "list", "--namespace", home); strings.Contains(out, "0.0.1") {
		t.Errorf("the release is still the previous one:\n%s", out)
	}
	reaches(t, "after-the-upgrade")
}

// testUninstall removes Lockstep. What people have stays, and is looked after
// again when Lockstep comes back.
func testUninstall(t *testing.T) {
	before := secrets(t)
	crds := kubectl(t, "get", "crds", "-o", "name")
	objects := kubectl(t, "get", "externalsecrets.kubernetes-client.io", "--all-namespaces", "-o", "name")
	if !strings.Contains(crds, "externalsecrets.kubernetes-client.io") || !strings.Contains(objects, "demo-dbcreds") {
		t.Fatalf("before the removal there are\n%s%s", crds, objects)
	}
	remove(t, "lockstep", home)
	if now := kubectl(t, "get", "crds", "-o", "name"); now != crds {
		t.Errorf("the CRDs are\n%s\nand were\n%s", now, crds)
	}
	if now := kubectl(t, "get", "externalsecrets.kubernetes-client.io", "--all-namespaces", "-o", "name"); now != objects {
		t.Errorf("the ExternalSecrets are\n%s\nand were\n%s", now, objects)
	}
	unchanged(t, before)

	helm(t, "install", "lockstep", chart, "--namespace", home, "--values", prepare(t, home))
	rolledOut(t, home, of, 2)
	unchanged(t, before)
	reaches(t, "after-the-return")
	remove(t, "lockstep", home)
}

// testScoped installs Lockstep for one namespace. It may do nothing elsewhere,
// and does nothing there.
func testScoped(t *testing.T) {
	const scoped = "lockstep-scoped"
	team(t, "inside")
	team(t, "outside")
	helm(t, "install", "scoped", chart, "--namespace", scoped, "--values", prepare(t, scoped),
		"--set", "namespaces={inside}", "--set", "installCRDs=false", "--set", "fullnameOverride=lockstep")
	rolledOut(t, scoped, "app.kubernetes.io/instance=scoped", 2)
	note(t, scoped)

	id := login(t, "scoped", "one")
	apply(t, "outside", database, id)
	apply(t, "inside", database, id)
	holds(t, "inside", "demo-dbcreds", map[string]string{"mongodb-root-password": "one"})
	rotate(t, id, "two")
	holds(t, "inside", "demo-dbcreds", map[string]string{"mongodb-root-password": "two"})
	if _, err := shared.kube.CoreV1().Secrets("outside").Get(t.Context(), "demo-dbcreds", get); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret outside: %v, want that there is none", err)
	}
	for _, namespace := range []string{"outside", "tutorial", scoped, ""} {
		for _, verb := range []string{"get", "list", "watch", "create", "update", "delete"} {
			may(t, scoped, namespace, verb, false)
		}
	}
	may(t, scoped, "inside", "update", true) // or the question is a wrong one
	everyPower(t, "inside", "SecretStore")
	remove(t, "scoped", scoped)
}

// may asks the API server what Lockstep may do with the Secrets of a namespace.
func may(t *testing.T, home, namespace, verb string, want bool) {
	t.Helper()
	answer, err := shared.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + home + ":lockstep", Groups: []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Version: "v1", Resource: "secrets"},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	if answer.Status.Allowed != want {
		t.Errorf("%s secrets in %q is allowed: %t, want %t", verb, namespace, answer.Status.Allowed, want)
	}
}

// typed asks for a Secret of some type.
const typed = `
apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: typed}
spec:
  backendType: ibmcloudSecretsManager
  template: {type: %[2]s}
  data: [{key: %[1]s, name: password, property: password, secretType: username_password}]
`

// templated has a Secret made from a template in a ConfigMap, with a store of
// each kind. Both have what External Secrets Operator leaves on its objects.
const templated = `
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data: {line: "{{ .word }}!"}
---
apiVersion: external-secrets.io/v1
kind: %[1]s
metadata: {name: %[2]s, finalizers: [%[3]s]}
spec: {provider: {fake: {data: [{key: a, value: hello}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %[2]s, finalizers: [externalsecrets.external-secrets.io/externalsecret-cleanup]}
spec:
  secretStoreRef: {name: %[2]s, kind: %[1]s}
  target:
    name: %[2]s
    template: {templateFrom: [{configMap: {name: templates, items: [{key: line}]}}]}
  data: [{secretKey: word, remoteRef: {key: a}}]
`

// testEveryPower does what the rarer rules of the chart are for.
func testEveryPower(t *testing.T) {
	team(t, "powers")
	everyPower(t, "powers", "SecretStore", "ClusterSecretStore")
}

// everyPower does so in a namespace, with stores of these kinds.
func everyPower(t *testing.T, namespace string, kinds ...string) {
	t.Helper()
	id := login(t, "typed-"+namespace, "x")
	apply(t, namespace, typed, id, "Opaque")
	before := holds(t, namespace, "typed", map[string]string{"password": "x"})
	apply(t, namespace, typed, id, "example.com/other")
	until(t, "a Secret of another type", func() error {
		now, err := shared.kube.CoreV1().Secrets(namespace).Get(t.Context(), "typed", get)
		if err == nil && (now.UID == before.UID || now.Type != "example.com/other") {
			return errors.New("it is the one before")
		}
		return err
	})
	for _, kind := range kinds {
		name := strings.ToLower(kind)
		apply(t, namespace, templated, kind, name, "secretstore.externalsecrets.io/finalizer")
		holds(t, namespace, name, map[string]string{"line": "hello!"})
		// Both end only when Lockstep takes the finalizers away.
		for _, resource := range []string{"externalsecrets", name + "s"} {
			kubectl(t, "delete", resource+".external-secrets.io", name, "--namespace", namespace, "--timeout", patience.String())
		}
	}
}
