// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// world is the three namespaces of one test.
type world struct {
	*stage
	t      *testing.T
	id     string // tells the objects of the cluster apart
	atk    string // the attacker's namespace
	vic    string // the victim's
	well   string // of somebody else
	canary string // what the attacker must not get
	holds  bool   // Secrets of the attacker may hold the canary

	log     int // what was logged before
	audited int // what the controller asked for before
}

// newWorld makes a world in a stage.
func newWorld(t *testing.T, s *stage) *world {
	t.Helper()
	id := random(t)
	w := &world{
		stage: s.ready(t), t: t, id: id, atk: "atk-" + id, vic: "vic-" + id, well: "well-" + id,
		canary: "CANARY+" + id + "/" + random(t),
	}
	_, w.log = logs.since(0)
	w.audited = w.audit.len()
	for _, ns := range []string{w.atk, w.vic, w.well} {
		w.namespace(ns, nil)
	}
	w.in(w.well, fakeStore("SecretStore", "healthy", "greeting", "hello"))
	w.in(w.well, externalSecret("healthy", "healthy", "greeting", "1h", ""))
	t.Cleanup(w.end)
	return w
}

// end looks at what the test left, and then ends what would go on asking managers
// that are no more.
func (w *world) end() {
	w.t.Helper()
	w.oracle()
	for _, ns := range []string{w.atk, w.vic, w.well} {
		for _, kind := range []string{es, ss} {
			noError(w.t, client.IgnoreNotFound(w.user.DeleteAllOf(background(), object(kind, "", ""), client.InNamespace(ns))))
		}
	}
	for _, item := range w.all(schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "clustersecretstores"}, "") {
		if strings.Contains(item.GetName(), w.id) {
			noError(w.t, client.IgnoreNotFound(w.user.Delete(background(), &item)))
		}
	}
}

// at is the same world for a part of a test.
func (w *world) at(t *testing.T) *world {
	out := *w
	out.t = t
	return &out
}

// namespace makes a namespace.
func (w *world) namespace(name string, labels map[string]string) {
	w.t.Helper()
	ns := object("Namespace", "", name)
	ns.SetLabels(labels)
	must(w.t, w.user.Create(w.t.Context(), ns))
}

// in applies manifests in a namespace.
func (w *world) in(namespace, manifests string) {
	w.t.Helper()
	must(w.t, w.apply(namespace, manifests))
}

// apply applies manifests as kubectl would. Objects that name no namespace are
// in the given one, where their kind has namespaces.
func (w *world) apply(namespace, manifests string) error {
	w.t.Helper()
	docs, err := documents(manifests)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if doc.GetNamespace() == "" && !clusterWide[doc.GetKind()] {
			doc.SetNamespace(namespace)
		}
		err := w.user.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(doc), client.FieldOwner("kubectl"), client.ForceOwnership)
		if err != nil {
			return err
		}
	}
	return nil
}

// clusterWide are the kinds that have no namespace.
var clusterWide = map[string]bool{
	"Namespace": true, "ClusterSecretStore": true, "ClusterRole": true, "ClusterRoleBinding": true,
}

// documents reads the objects of a YAML file.
func documents(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader([]byte(text))))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &obj.Object); err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, doc)
		}
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
}

// object is an empty object of a kind.
func object(kind, namespace, name string) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetAPIVersion("external-secrets.io/v1")
	switch kind {
	case "Namespace", "Secret", "ConfigMap", "ServiceAccount", "Event":
		out.SetAPIVersion("v1")
	}
	out.SetKind(kind)
	out.SetNamespace(namespace)
	out.SetName(name)
	return out
}

// get returns an object, or nil when there is none.
func (w *world) get(kind, namespace, name string) *unstructured.Unstructured {
	w.t.Helper()
	out := object(kind, namespace, name)
	err := w.user.Get(w.t.Context(), client.ObjectKeyFromObject(out), out)
	if apierrors.IsNotFound(err) {
		return nil
	}
	must(w.t, err)
	return out
}

// patch merges a patch into an object.
func (w *world) patch(kind, namespace, name, format string, args ...any) {
	w.t.Helper()
	p := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, format, args...))
	must(w.t, w.user.Patch(w.t.Context(), object(kind, namespace, name), p))
}

// remove deletes an object.
func (w *world) remove(kind, namespace, name string) {
	w.t.Helper()
	must(w.t, client.IgnoreNotFound(w.user.Delete(w.t.Context(), object(kind, namespace, name))))
}

// condition is an object's Ready condition.
type condition struct{ status, reason, message string }

func (c condition) String() string { return c.status + " " + c.reason + ": " + c.message }

// readiness returns an object's Ready condition, which is empty when there is
// none.
func (w *world) readiness(kind, namespace, name string) condition {
	w.t.Helper()
	c := w.conditionOf(kind, namespace, name)
	text := func(name string) string { s, _ := c[name].(string); return s }
	return condition{text("status"), text("reason"), text("message")}
}

// conditionOf is an object's Ready condition as the API server has it.
func (w *world) conditionOf(kind, namespace, name string) map[string]any {
	w.t.Helper()
	obj := w.get(kind, namespace, name)
	if obj == nil {
		return map[string]any{"message": "it does not exist"}
	}
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == "Ready" {
			return c
		}
	}
	return nil
}

// becomes waits until an object's Ready condition has a status, and a message
// with certain parts.
func (w *world) becomes(kind, namespace, name, status string, parts ...string) condition {
	w.t.Helper()
	var out condition
	eventually(w.t, func() error {
		out = w.readiness(kind, namespace, name)
		if part, lacks := missing(out.reason+": "+out.message, parts); out.status != status || lacks {
			return fmt.Errorf("%s %s/%s: want %s with %q, got %s", kind, namespace, name, status, part, out)
		}
		return nil
	})
	return out
}

// transition is when an object's Ready condition became what it is. It has whole
// seconds.
func (w *world) transition(kind, namespace, name string) time.Time {
	w.t.Helper()
	text := w.conditionOf(kind, namespace, name)["lastTransitionTime"]
	at, err := time.Parse(time.RFC3339, fmt.Sprint(text))
	must(w.t, err)
	return at
}

// synced waits until an ExternalSecret is in sync.
func (w *world) synced(namespace, name string) { w.t.Helper(); w.becomes(es, namespace, name, "True") }

// failed waits until an ExternalSecret says why it is not.
func (w *world) failed(namespace, name string, parts ...string) condition {
	w.t.Helper()
	return w.becomes(es, namespace, name, "False", parts...)
}

// es and the others are kinds.
const (
	es  = "ExternalSecret"
	ss  = "SecretStore"
	css = "ClusterSecretStore"
)

// data returns the data of a Secret, or nil when there is none.
func (w *world) data(namespace, name string) map[string]string {
	w.t.Helper()
	obj := w.get("Secret", namespace, name)
	if obj == nil {
		return nil
	}
	out := map[string]string{}
	encoded, _, err := unstructured.NestedStringMap(obj.Object, "data")
	must(w.t, err)
	for k, v := range encoded {
		b, err := base64.StdEncoding.DecodeString(v)
		must(w.t, err)
		out[k] = string(b)
	}
	return out
}

// secret waits until a Secret holds exactly these keys and values.
func (w *world) secret(namespace, name string, want map[string]string) {
	w.t.Helper()
	eventually(w.t, func() error {
		got := w.data(namespace, name)
		if got == nil {
			return fmt.Errorf("there is no Secret %s/%s; its object says %s", namespace, name, w.readiness(es, namespace, name))
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("Secret %s/%s has %d keys, and not those or the values that are wanted", namespace, name, len(got))
		}
		return nil
	})
}

// none fails when there is a Secret.
func (w *world) none(namespace, name string) {
	w.t.Helper()
	if w.get("Secret", namespace, name) != nil {
		w.t.Errorf("there is a Secret %s/%s", namespace, name)
	}
}

// gone waits until there is no such object.
func (w *world) gone(kind, namespace, name string) {
	w.t.Helper()
	eventually(w.t, func() error {
		if w.get(kind, namespace, name) != nil {
			return fmt.Errorf("%s %s/%s is still there", kind, namespace, name)
		}
		return nil
	})
}

// fakeStore is a store that holds one value.
func fakeStore(kind, name, key, value string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: %s
metadata: {name: %s}
spec: {provider: {fake: {data: [{key: %q, value: %q}]}}}
`, kind, name, key, value)
}

// externalSecret is an object that takes one key, called password, of a
// SecretStore. more are further fields of its spec, each begun by a comma.
func externalSecret(name, store, key, every, more string) string {
	return externalSecretOf("SecretStore", name, store, key, every, more)
}

func externalSecretOf(kind, name, store, key, every, more string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %s}
spec: {secretStoreRef: {kind: %s, name: %s}, refreshInterval: %q, data: [{secretKey: password, remoteRef: {key: %q}}]%s}
`, name, kind, store, every, key, more)
}

// slug makes a name of an object of the name of a case.
func slug(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, text), "-")
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 6)
	_, err := rand.Read(b)
	must(t, err)
	return hex.EncodeToString(b)
}

// background is a context for what is done after a test.
func background() context.Context { return context.Background() }

// token makes a token of a service account, as its pods have it.
func (w *world) token(namespace, account string) string {
	w.t.Helper()
	c := w.clientset(w.plane.Admin)
	answer, err := c.CoreV1().ServiceAccounts(namespace).CreateToken(w.t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(w.t, err)
	return answer.Status.Token
}

// clientset is a client for what has no manifest.
func (w *world) clientset(access *rest.Config) *kubernetes.Clientset {
	w.t.Helper()
	access = rest.CopyConfig(access)
	access.QPS = -1
	c, err := kubernetes.NewForConfig(access)
	must(w.t, err)
	return c
}
