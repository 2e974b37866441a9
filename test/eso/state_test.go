// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// input is the label of Secrets that are not looked at.
const input = "test.lockstep/input"

// secret is a Secret as want-N.yaml has it.
type secret struct {
	Name        string            `json:"name"`
	Type        string            `json:"type,omitempty"` // none is Opaque
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Finalizers  []string          `json:"finalizers,omitempty"`
	Owners      []string          `json:"owners,omitempty"` // their kinds
	Immutable   bool              `json:"immutable,omitempty"`
	Terminating bool              `json:"terminating,omitempty"`
	StringData  map[string]string `json:"stringData,omitempty"`
	Data        map[string]string `json:"data,omitempty"` // what is no text, as base64
}

// compare tells what is not as a step wants it.
func (w *scene) compare(n int) error {
	want, _ := w.c.get(file("want", n))
	list, err := wantedSecrets(want)
	if err != nil {
		return fmt.Errorf("%s: %w", file("want", n), err)
	}
	got, err := show(w.secrets())
	if err != nil {
		return err
	}
	canonical, err := show(list)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(canonical, got); diff != "" {
		return fmt.Errorf("step %d: Secrets: -want, +got:\n%s", n, diff)
	}
	status, _ := w.c.get(file("status", n))
	return w.compareStatus(n, lines(status), w.statuses())
}

// compareStatus holds that there is a line for each object and an object for
// each line.
func (w *scene) compareStatus(n int, want []string, got []told) error {
	var texts []string
	for _, g := range got {
		texts = append(texts, g.String())
	}
	actual := strings.Join(texts, "\n")
	if len(want) != len(got) {
		return fmt.Errorf("step %d: %d objects are wanted in %s, and there are:\n%s", n, len(want), file("status", n), actual)
	}
	for _, line := range want {
		head, rest, _ := strings.Cut(line, " message~ ")
		i := slices.IndexFunc(got, func(g told) bool { return g.head == strings.TrimSpace(head) })
		if i < 0 {
			return fmt.Errorf("step %d: wanted\n%s\nand there are:\n%s", n, head, actual)
		}
		for _, part := range parts(rest) {
			if !strings.Contains(got[i].message, part) {
				return fmt.Errorf("step %d: %s says\n%s\nand not\n%s", n, head, got[i].message, part)
			}
		}
	}
	return nil
}

// parts are what a message must contain.
func parts(text string) []string {
	var out []string
	for _, part := range strings.Split(text, " message~ ") {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}

// told is what an object tells: a line of status-N.txt.
type told struct{ head, message string }

func (s told) String() string {
	if s.message == "" {
		return s.head
	}
	return s.head + " message~ " + s.message
}

// statuses are what all objects tell, in order.
func (w *scene) statuses() []told {
	w.t.Helper()
	var out []told
	for _, es := range w.list("ExternalSecret") {
		c := ready(es)
		line := told{"ExternalSecret/" + es.GetName() + c.text(), w.hide(c.Message)}
		if bound, _, _ := unstructured.NestedString(es.Object, "status", "binding", "name"); bound != "" {
			line.head += " binding=" + bound
		}
		out = append(out, line)
	}
	if !w.c.options.Stores {
		return out
	}
	stores := w.list("SecretStore")
	for _, name := range w.kept {
		obj := object("ClusterSecretStore", "", name)
		if w.user.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj) == nil {
			stores = append(stores, *obj)
		}
	}
	for _, s := range stores {
		c := ready(s)
		line := told{w.hide(s.GetKind() + "/" + s.GetName() + c.text()), w.hide(c.Message)}
		if can, _, _ := unstructured.NestedString(s.Object, "status", "capabilities"); can != "" {
			line.head += " " + can
		}
		out = append(out, line)
	}
	return out
}

// condition is a Ready condition.
type condition struct{ Type, Status, Reason, Message string }

func (c condition) text() string {
	if c.Status == "" {
		return " none"
	}
	return " Ready=" + c.Status + " " + c.Reason
}

// ready is the Ready condition of an object, or none.
func ready(obj unstructured.Unstructured) condition {
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range list {
		raw, err := json.Marshal(item)
		var c condition
		if err == nil && json.Unmarshal(raw, &c) == nil && c.Type == "Ready" {
			return c
		}
	}
	return condition{}
}

// mark is the prefix of the labels and annotations of the controllers.
const mark = "reconcile.external-secrets.io/"

// hash is a name of fixed length that the operator makes.
var hash = regexp.MustCompile(`^[0-9a-f]{56}$`)

// secrets are those that count.
func (w *scene) secrets() []secret {
	w.t.Helper()
	var out []secret
	for _, s := range w.list("Secret") {
		if s.GetLabels()[input] != "" {
			continue
		}
		v := secret{
			Name: s.GetName(), Labels: w.marks(s.GetLabels()), Annotations: w.marks(s.GetAnnotations()),
			Finalizers: s.GetFinalizers(), Terminating: s.GetDeletionTimestamp() != nil, StringData: map[string]string{}, Data: map[string]string{},
		}
		v.Type, _, _ = unstructured.NestedString(s.Object, "type")
		v.Immutable, _, _ = unstructured.NestedBool(s.Object, "immutable")
		for _, o := range s.GetOwnerReferences() {
			v.Owners = append(v.Owners, o.Kind)
		}
		data, _, _ := unstructured.NestedStringMap(s.Object, "data")
		for k, text := range data {
			b, err := base64.StdEncoding.DecodeString(text)
			must(w.t, err)
			if readable(b) {
				v.StringData[k] = w.hide(string(b))
				continue
			}
			v.Data[k] = text
		}
		out = append(out, v)
	}
	return out
}

// marks are labels or annotations as they are compared.
func (w *scene) marks(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if strings.HasPrefix(k, mark) && !w.c.options.Marks {
			continue
		}
		out[k] = hash.ReplaceAllString(w.hide(v), "HASH")
	}
	return out
}

// hide takes out what is new in each run.
func (w *scene) hide(text string) string { return strings.ReplaceAll(text, w.ns, "NS") }

func readable(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) < 0
}

// wantedSecrets reads a want-N.yaml.
func wantedSecrets(text string) ([]secret, error) {
	docs, err := documents(text)
	if err != nil {
		return nil, err
	}
	var out []secret
	for _, doc := range docs {
		raw, err := yaml.Marshal(doc.Object)
		if err != nil {
			return nil, err
		}
		var s secret
		if err := yaml.UnmarshalStrict(raw, &s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// show brings Secrets to the one form in which they are written and compared.
func show(list []secret) (string, error) {
	slices.SortFunc(list, func(a, b secret) int { return strings.Compare(a.Name, b.Name) })
	var docs []string
	for _, s := range list {
		if s.Type == "Opaque" {
			s.Type = ""
		}
		b, err := yaml.Marshal(s)
		if err != nil {
			return "", err
		}
		docs = append(docs, string(b))
	}
	return strings.Join(docs, "---\n"), nil
}

// list returns the objects of a kind in the namespace, in order.
func (w *scene) list(kind string) []unstructured.Unstructured {
	w.t.Helper()
	gvk := kinds[kind]
	out := &unstructured.UnstructuredList{}
	out.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	must(w.t, w.user.List(w.t.Context(), out, client.InNamespace(w.ns)))
	return out.Items
}

// versions are the resource versions of the objects of a kind.
func (w *scene) versions(kind string) string {
	w.t.Helper()
	var out strings.Builder
	for _, o := range w.list(kind) {
		fmt.Fprintf(&out, "%s/%s %s\n", kind, o.GetName(), o.GetResourceVersion())
	}
	return out.String()
}

// noLeak looks for secret values in what people are told.
func (w *scene) noLeak() {
	w.t.Helper()
	for _, line := range w.statuses() {
		if strings.Contains(line.message, canary) {
			w.t.Errorf("%s shows a secret value", line.head)
		}
	}
	for _, e := range w.list("Event") {
		for _, field := range []string{"message", "note"} {
			if text, _, _ := unstructured.NestedString(e.Object, field); strings.Contains(text, canary) {
				w.t.Errorf("event %s shows a secret value", e.GetName())
			}
		}
	}
}

// record writes what comes out into the case, when it did not change for some
// time.
func (w *scene) record(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.still.wait(w.t)
	last, since := "never", time.Now()
	for time.Since(since) < 2500*time.Millisecond {
		secrets, err := show(w.secrets())
		must(w.t, err)
		text := w.statusText(n)
		if now := secrets + text; now != last {
			last, since = now, time.Now()
			w.c.set(n, file("want", n), secrets)
			w.c.set(n, file("status", n), text)
		}
		select {
		case <-ctx.Done():
			w.t.Fatal("it does not come to rest")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// statusText is a status-N.txt. What a person wrote of a message stays if it is
// true still.
func (w *scene) statusText(n int) string {
	old, _ := w.c.get(file("status", n))
	before := lines(old)
	var out strings.Builder
	for _, s := range w.statuses() {
		line := s.String()
		if s.head != "" && strings.Contains(s.head, "Ready=True SecretSynced") || strings.Contains(s.head, "Ready=True Valid") {
			line = s.head
		}
		for _, l := range before {
			if head, _, _ := strings.Cut(l, " message~ "); head == s.head && w.compareStatus(n, []string{l}, []told{s}) == nil {
				line = l
			}
		}
		fmt.Fprintln(&out, line)
	}
	return out.String()
}
