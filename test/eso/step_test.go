// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// kinds are those that cases may name.
var kinds = map[string]schema.GroupVersionKind{
	"Secret":             {Version: "v1", Kind: "Secret"},
	"ConfigMap":          {Version: "v1", Kind: "ConfigMap"},
	"Event":              {Version: "v1", Kind: "Event"},
	"Namespace":          {Version: "v1", Kind: "Namespace"},
	"ServiceAccount":     {Version: "v1", Kind: "ServiceAccount"},
	"ExternalSecret":     {Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"},
	"SecretStore":        {Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"},
	"ClusterSecretStore": {Group: "external-secrets.io", Version: "v1", Kind: "ClusterSecretStore"},
}

// anywhere are the kinds without a namespace.
var anywhere = map[string]bool{"Namespace": true, "ClusterSecretStore": true}

// scene is a case that is running.
type scene struct {
	*suite
	t     *testing.T
	c     caseFile
	ns    string
	kept  []string // ClusterSecretStores of the case
	first bool     // this suite writes what comes out
}

// run plays a case.
func (s *suite) run(t *testing.T, c caseFile) {
	t.Helper()
	w := &scene{suite: s, t: t, c: c, ns: "t-" + random(t), first: *update && (s.crds == ours || c.options.Only == theirs)}
	ns := object("Namespace", "", w.ns)
	ns.SetLabels(c.options.NamespaceLabels)
	must(t, s.user.Create(t.Context(), ns))
	for n := 1; n <= c.steps; n++ {
		w.act(n)
		if w.first {
			w.record(n)
			continue
		}
		eventually(t, func() error { return w.compare(n) })
		w.still.wait(t)
		if err := w.compare(n); err != nil {
			t.Fatalf("step %d: it did not stay so: %v", n, err)
		}
	}
	if w.first {
		must(t, c.save())
	}
	w.again()
	s.mu.Lock()
	s.played[w.ns] = c.name
	s.mu.Unlock()
	w.noLeak()
}

// act does what a step asks for.
func (w *scene) act(n int) {
	w.t.Helper()
	applied, _ := w.c.get(file("apply", n))
	refused, wanted := w.c.get(file("refused", n))
	texts := strings.Split(applied, "\n---\n")
	for i, text := range texts {
		docs, err := documents(w.fill(text)) // what it names was made by the ones before
		must(w.t, err)
		for _, doc := range docs {
			err = w.apply(doc)
		}
		if wanted && i == len(texts)-1 {
			if text := strings.TrimSpace(w.fill(refused)); err == nil || !strings.Contains(err.Error(), text) {
				w.t.Fatalf("step %d: the last document was not refused with %q: %v", n, text, err)
			}
			break
		}
		if err != nil {
			w.t.Fatalf("step %d, document %d: %v", n, i, err)
		}
	}
	patches, _ := w.c.get(file("patch", n))
	for _, line := range lines(w.fill(patches)) {
		name, body, _ := strings.Cut(line, " ")
		must(w.t, w.patch(name, body))
	}
	deletions, _ := w.c.get(file("delete", n))
	for _, line := range lines(w.fill(deletions)) {
		kind, name, _ := strings.Cut(line, "/")
		must(w.t, w.user.Delete(w.t.Context(), object(kind, w.ns, name)))
	}
}

func (w *scene) apply(doc *unstructured.Unstructured) error {
	if !anywhere[doc.GetKind()] && doc.GetNamespace() == "" {
		doc.SetNamespace(w.ns)
	}
	if doc.GetKind() == "ClusterSecretStore" {
		w.kept = append(w.kept, doc.GetName())
	}
	return w.user.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(doc), client.FieldOwner("kubectl"), client.ForceOwnership)
}

// patch patches Kind/name or Kind/name/status.
func (w *scene) patch(name, body string) error {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return fmt.Errorf("%q is not Kind/name", name)
	}
	obj, p := object(parts[0], w.ns, parts[1]), client.RawPatch(types.MergePatchType, []byte(body))
	if len(parts) == 3 && parts[2] == "status" {
		return w.user.Status().Patch(w.t.Context(), obj, p, client.FieldOwner("kubectl"))
	}
	return w.user.Patch(w.t.Context(), obj, p, client.FieldOwner("kubectl-patch"))
}

// placeholder are the words that a case has in place of what is new in each
// run.
var placeholder = regexp.MustCompile(`\bNS\b|\bAPI_(URL|CA)\b|UID_OF_\w+/[-a-z0-9]+|TOKEN_OF_[-a-z0-9]+`)

// fill puts in what is new in each run.
func (w *scene) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(word string) string {
		switch word {
		case "NS":
			return w.ns
		case "API_URL":
			return w.plane.Admin.Host
		case "API_CA":
			return base64.StdEncoding.EncodeToString(w.plane.Admin.CAData)
		}
		if name, ok := strings.CutPrefix(word, "TOKEN_OF_"); ok {
			request := &authenticationv1.TokenRequest{}
			must(w.t, w.tokens.SubResource("token").Create(w.t.Context(), &corev1.ServiceAccount{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
			}, request))
			return request.Status.Token
		}
		kind, name, _ := strings.Cut(strings.TrimPrefix(word, "UID_OF_"), "/")
		obj := object(kind, w.ns, name)
		must(w.t, w.user.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj))
		return string(obj.GetUID())
	})
}

// again syncs every ExternalSecret once more and holds that nothing is written
// for it, neither then nor later.
func (w *scene) again() {
	w.t.Helper()
	before := w.versions("Secret")
	list := w.list("ExternalSecret")
	for _, es := range list {
		// Of all annotations only this one is not copied to the Secret. A
		// changed one is how people ask for a sync.
		const asking = `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"again"}}}`
		must(w.t, w.patch("ExternalSecret/"+es.GetName(), asking))
	}
	eventually(w.t, func() error {
		for _, es := range list {
			now := object("ExternalSecret", w.ns, es.GetName())
			if err := w.user.Get(w.t.Context(), client.ObjectKeyFromObject(now), now); err != nil {
				return err
			}
			if follows(es) && synced(now) == synced(&es) {
				return fmt.Errorf("ExternalSecret %s was not synced again", es.GetName())
			}
		}
		return nil
	})
	w.still.wait(w.t)
	if err := w.compare(w.c.steps); err != nil {
		w.t.Fatalf("after another sync: %v", err)
	}
	if after := w.versions("Secret"); after != before {
		w.t.Errorf("another sync writes Secrets: before\n%safter\n%s", before, after)
	}
	rest := w.versions("ExternalSecret") + w.versions("SecretStore")
	w.still.wait(w.t)
	if later := w.versions("ExternalSecret") + w.versions("SecretStore"); later != rest {
		w.t.Errorf("something is written at rest: before\n%safter\n%s", rest, later)
	}
}

// follows reports whether the object takes over a change of its annotations:
// not when it is made once, and not when it fails.
func follows(es unstructured.Unstructured) bool {
	policy, _, _ := unstructured.NestedString(es.Object, "spec", "refreshPolicy")
	interval, _, _ := unstructured.NestedString(es.Object, "spec", "refreshInterval")
	d, err := time.ParseDuration(interval)
	if policy == "CreatedOnce" || policy != "OnChange" && err == nil && d <= 0 {
		return false
	}
	return ready(es).Status == "True"
}

func synced(es *unstructured.Unstructured) string {
	out, _, _ := unstructured.NestedString(es.Object, "status", "syncedResourceVersion")
	return out
}

// documents splits a YAML file.
func documents(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	r := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(doc, &obj.Object); err != nil {
			return nil, err
		}
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
}

// object is an object of a kind, without content.
func object(kind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kinds[kind])
	obj.SetName(name)
	if !anywhere[kind] {
		obj.SetNamespace(namespace)
	}
	return obj
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 5)
	_, err := rand.Read(b)
	must(t, err)
	return hex.EncodeToString(b)
}
