// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	looks "github.com/lockstep-secrets/lockstep/internal/shadow"
)

// sceneCase is an object as a predecessor left it. In objects NS is the
// namespace. The object is es, its Secret s, and with KES es too.
type sceneCase struct {
	name, reason string
	kes          bool
	objects      string
	secret       func(*scene) *corev1.Secret // nil where there is none
	manager      string                      // who wrote that; the operator when empty
	want         looks.Object                // its result and data, and a part of its message
}

// The objects of most cases.
const (
	fakeStore = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: store}
spec: {provider: {fake: {data: [{key: user, value: u}, {key: password, value: CANARY-new}]}}}
---
`
	external = `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: es}
spec:
  refreshInterval: 8760h
  secretStoreRef: {name: store}
  target: {name: s`
	both = `
  data:
    - {secretKey: user, remoteRef: {key: user}}
    - {secretKey: password, remoteRef: {key: password}}
`
	kes = `
apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: es}
spec:
  backendType: ibmcloudSecretsManager
  data:
    - {key: IBM_LOGIN, name: password, property: password, secretType: username_password}
`
)

// left is a Secret as the operator leaves it, with these values.
func left(values ...string) func(*scene) *corev1.Secret {
	return func(s *scene) *corev1.Secret {
		out := plain(values...)(s)
		out.OwnerReferences = s.owner()
		out.Labels = map[string]string{"reconcile.external-secrets.io/managed": "true"}
		out.Annotations = map[string]string{"reconcile.external-secrets.io/data-hash": "0123"}
		return out
	}
}

// plain is a Secret of nobody.
func plain(values ...string) func(*scene) *corev1.Secret {
	return func(*scene) *corev1.Secret {
		out := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
		for i := 0; i < len(values); i += 2 {
			out.Data[values[i]] = []byte(values[i+1])
		}
		return out
	}
}

// with changes a Secret.
func with(secret func(*scene) *corev1.Secret, change func(*scene, *corev1.Secret)) func(*scene) *corev1.Secret {
	return func(s *scene) *corev1.Secret {
		out := secret(s)
		change(s, out)
		return out
	}
}

const stale = canary + "-old"

var sceneCases = []sceneCase{
	{
		name: "create", reason: "there is none", objects: fakeStore + external + "}" + both,
		want: looks.Object{Result: looks.Create, Data: looks.Names{Added: []string{"password", "user"}}},
	},
	{
		name: "same-data", reason: "the operator's hash goes, and workloads see nothing of it", objects: fakeStore + external + "}" + both,
		secret: left("user", "u", "password", canary+"-new"), want: looks.Object{Result: looks.Metadata},
	},
	{
		name: "rotated", reason: "it was rotated since", objects: fakeStore + external + "}" + both, secret: left("user", "u", "password", stale),
		want: looks.Object{Result: looks.Update, Data: looks.Names{Changed: []string{"password"}}},
	},
	{
		name: "more", reason: "an entry was added", objects: fakeStore + external + "}" + both, secret: left("password", canary+"-new"),
		want: looks.Object{Result: looks.Update, Data: looks.Names{Added: []string{"user"}}},
	},
	{
		name: "less", reason: "an entry was taken out", objects: fakeStore + external + "}" + both,
		secret: left("user", "u", "password", canary+"-new", "gone", "x"),
		want:   looks.Object{Result: looks.Update, Data: looks.Names{Removed: []string{"gone"}}},
	},
	{
		name: "adopt", reason: "nobody's Secret is taken over, and what else is in it stays", objects: fakeStore + external + "}" + both,
		secret: plain("password", stale, "ca.crt", "x"), manager: "kubectl",
		want: looks.Object{Result: looks.Update, Data: looks.Names{Added: []string{"user"}, Changed: []string{"password"}}},
	},
	{
		name: "others", reason: "it belongs to a Deployment", objects: fakeStore + external + "}" + both,
		secret: with(plain("password", stale), func(s *scene, o *corev1.Secret) {
			o.OwnerReferences = s.owner()
			o.OwnerReferences[0].APIVersion, o.OwnerReferences[0].Kind = "apps/v1", "Deployment"
		}),
		want: looks.Object{Result: looks.Refused, Code: "Conflict", Message: `belongs to Deployment "es"`},
	},
	{
		name: "helm", reason: "it is Helm's", objects: fakeStore + external + "}" + both, manager: "helm",
		secret: with(plain("password", stale), func(_ *scene, o *corev1.Secret) {
			o.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"}
		}),
		want: looks.Object{Result: looks.Refused, Code: "Conflict", Message: "managed by somebody else"},
	},
	{
		name: "missing-key", reason: "the store does not have it", secret: left("password", stale),
		objects: fakeStore + external + "}\n  data: [{secretKey: password, remoteRef: {key: nowhere}}]\n",
		want:    looks.Object{Result: looks.NotReady, Code: "NotFound"},
	},
	{
		name: "missing-store", reason: "there is no store of that name", objects: external + "}" + both, secret: left("password", stale),
		want: looks.Object{Result: looks.NotReady, Code: "InvalidRef", Message: "does not exist"},
	},
	{
		name: "merge", reason: "its own keys and no others", manager: "kubectl", secret: plain("password", stale, "other", "x"),
		objects: fakeStore + external + ", creationPolicy: Merge}" + both,
		want:    looks.Object{Result: looks.Update, Data: looks.Names{Added: []string{"user"}, Changed: []string{"password"}}},
	},
	{
		name: "merge-none", reason: "there is nothing to merge with", objects: fakeStore + external + ", creationPolicy: Merge}" + both,
		want: looks.Object{Result: looks.Unchanged, Message: "no Secret would be made"},
	},
	{
		name: "none", reason: "no Secret is wanted", objects: fakeStore + external + ", creationPolicy: None}" + both,
		want: looks.Object{Result: looks.Unchanged, Message: "no Secret is wanted"},
	},
	{
		name: "orphan", reason: "a Secret without an owner", objects: fakeStore + external + ", creationPolicy: Orphan}" + both,
		want: looks.Object{Result: looks.Create, Data: looks.Names{Added: []string{"password", "user"}}},
	},
	{
		name: "immutable", reason: "somebody asked for it to stay", objects: fakeStore + external + "}" + both,
		secret: with(left("password", stale), func(_ *scene, o *corev1.Secret) { o.Immutable = new(true) }),
		want:   looks.Object{Result: looks.Refused, Code: "Conflict", Message: "immutable"},
	},
	{
		name: "type", reason: "a type cannot change", secret: left("user", "u", "password", canary+"-new"),
		objects: fakeStore + external + ", template: {type: kubernetes.io/basic-auth, data: {username: '{{ .user }}', password: '{{ .password }}'}}}" + both,
		want:    looks.Object{Result: looks.Replace, Data: looks.Names{Added: []string{"username"}, Removed: []string{"user"}}},
	},
	{
		name: "delete", reason: "nothing is left in the store", secret: left("password", stale),
		objects: fakeStore + external + ", deletionPolicy: Delete}\n  data: [{secretKey: password, remoteRef: {key: nowhere}}]\n",
		want:    looks.Object{Result: looks.Delete, Data: looks.Names{Removed: []string{"password"}}},
	},
	{
		name: "template", reason: "its labels come from a template", secret: left("user", "u", "password", canary+"-new"),
		objects: fakeStore + external + ", template: {mergePolicy: Merge, metadata: {labels: {team: a}}}}" + both,
		want:    looks.Object{Result: looks.Metadata},
	},
	{
		name: "paused", reason: "a pause holds for who works too", secret: left("password", stale),
		objects: fakeStore + `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: es, annotations: {lockstep-secrets.dev/paused: "true"}}
spec:
  refreshInterval: 8760h
  secretStoreRef: {name: store}
  target: {name: s}` + both,
		want: looks.Object{Result: looks.Unchanged, Message: "paused by the annotation"},
	},
	{
		name: "refused-namespace", reason: "the store is for others", secret: left("password", stale),
		objects: `
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: NS}
spec: {conditions: [{namespaces: [nobody]}], provider: {fake: {data: [{key: user, value: u}, {key: password, value: CANARY-new}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: es}
spec:
  refreshInterval: 8760h
  secretStoreRef: {kind: ClusterSecretStore, name: NS}
  target: {name: s}` + both,
		want: looks.Object{Result: looks.NotReady},
	},
	{
		name: "kes-create", reason: "KES is gone, and so is the Secret", kes: true, objects: kes,
		want: looks.Object{Result: looks.Create, Data: looks.Names{Added: []string{"password"}}},
	},
	{
		name: "kes-rotated", reason: "it was rotated since KES read it last", kes: true, objects: kes, manager: "kubernetes-external-secrets",
		secret: with(plain("password", stale), func(s *scene, o *corev1.Secret) { o.OwnerReferences = s.owner() }),
		want:   looks.Object{Result: looks.Update, Data: looks.Names{Changed: []string{"password"}}},
	},
	{
		name: "kes-adopt", reason: "nobody's Secret with something else in it", kes: true, objects: kes, manager: "kubectl",
		secret: plain("password", canary+"-new", "ca.crt", "x"), want: looks.Object{Result: looks.Metadata},
	},
	{
		name: "kes-fleeting", reason: "each read makes another API key", kes: true,
		objects: `
apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: es}
spec:
  backendType: ibmcloudSecretsManager
  data: [{key: IBM_FLEETING, name: key, secretType: iam_credentials}]
`,
		want: looks.Object{Result: looks.Untouched, Message: "reading changes it"},
	},
}
