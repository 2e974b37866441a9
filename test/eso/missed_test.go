// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const beforeTheStop = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: fake}
spec: {provider: {fake: {data: [{key: a, value: one}, {key: map, value: '{"x": "1"}'}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data: {conf: "first {{ .k }}"}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: edited}
spec:
  secretStoreRef: {name: fake}
  data: [{secretKey: k, remoteRef: {key: a}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: added}
spec:
  secretStoreRef: {name: fake}
  dataFrom: [{extract: {key: map}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: deleted}
spec:
  refreshPolicy: CreatedOnce
  secretStoreRef: {name: fake}
  data: [{secretKey: k, remoteRef: {key: a}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: templated}
spec:
  secretStoreRef: {name: fake}
  target: {template: {templateFrom: [{configMap: {name: templates, items: [{key: conf}]}}]}}
  data: [{secretKey: k, remoteRef: {key: a}}]
`

// missed changes things while no controller runs. The next one repairs them
// when it starts, and not when they are next due, which is in an hour.
func (s *suite) missed(t *testing.T) {
	t.Helper()
	const ns = "while-nobody-looks"
	must(t, s.plane.CreateNamespace(t.Context(), ns, nil))
	must(t, plane.Apply(t.Context(), s.plane.Admin, []byte(beforeTheStop), ns))
	want := map[string]map[string]string{
		"edited": {"k": "one"}, "added": {"x": "1"}, "deleted": {"k": "one"}, "templated": {"conf": "first one"},
	}
	holds := func() error {
		for name, data := range want {
			if err := s.holds(t, ns, name, data); err != nil {
				return err
			}
		}
		return nil
	}
	eventually(t, holds)
	s.still.wait(t)
	s.stop()

	must(t, s.change(t, ns, "edited", func(d map[string][]byte) { d["k"] = []byte("tampered") }))
	must(t, s.change(t, ns, "added", func(d map[string][]byte) { d["extra"] = []byte("x") }))
	must(t, s.tokens.Delete(t.Context(), secretObject(ns, "deleted")))
	var cm corev1.ConfigMap
	must(t, s.tokens.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "templates"}, &cm))
	cm.Data["conf"] = "second {{ .k }}"
	eventually(t, func() error { // the API server notes writes to the second, and the sync was in this one
		if err := s.tokens.Update(t.Context(), &cm); err != nil {
			return err
		}
		return s.laterSecond(t, ns, "templated", &cm)
	})
	want["templated"] = map[string]string{"conf": "second one"}
	s.control(t)
	eventually(t, holds)
}

func secretObject(namespace, name string) *corev1.Secret {
	out := &corev1.Secret{}
	out.Namespace, out.Name = namespace, name
	return out
}

// holds reports what a Secret has that it should not, or the other way round.
func (s *suite) holds(t *testing.T, namespace, name string, want map[string]string) error {
	got := secretObject(namespace, name)
	if err := s.tokens.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
		return err
	}
	if len(got.Data) != len(want) {
		return fmt.Errorf("%s has %d keys, want %d", name, len(got.Data), len(want))
	}
	for k, v := range want {
		if string(got.Data[k]) != v {
			return fmt.Errorf("%s: key %s is %q, want %q", name, k, got.Data[k], v)
		}
	}
	return nil
}

func (s *suite) change(t *testing.T, namespace, name string, edit func(map[string][]byte)) error {
	t.Helper()
	obj := secretObject(namespace, name)
	if err := s.tokens.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		return err
	}
	edit(obj.Data)
	return s.tokens.Update(t.Context(), obj)
}

// laterSecond writes a ConfigMap until the API server notes a later second than
// that of the last sync.
func (s *suite) laterSecond(t *testing.T, namespace, name string, cm *corev1.ConfigMap) error {
	t.Helper()
	es := &unstructured.Unstructured{}
	es.SetGroupVersionKind(kinds["ExternalSecret"])
	if err := s.user.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, es); err != nil {
		return err
	}
	synced, _, _ := unstructured.NestedString(es.Object, "status", "refreshTime")
	written := cm.ManagedFields[len(cm.ManagedFields)-1].Time.UTC().Format("2006-01-02T15:04:05Z")
	if written > synced {
		return nil
	}
	cm.Data["again"] += "x"
	return fmt.Errorf("the ConfigMap was written at %s, and synced at %s", written, synced)
}
