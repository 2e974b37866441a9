// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestWriteTakesOver(t *testing.T) {
	w := newWorld(t)
	b := w.open(w.manifest(nil), holding(w.user("writer", everything)))
	w.user("somebody", nil)
	controller := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", Controller: new(true)}}
	for name, c := range map[string]struct {
		reason string
		secret corev1.Secret
		code   backend.Code
	}{
		"by-hand":    {"becomes the owner's", corev1.Secret{}, ""},
		"mine":       {"is the owner's", corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{ownerMark: "me"}, OwnerReferences: controller}}, ""},
		"theirs":     {"is somebody else's", corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{ownerMark: "them"}}}, backend.Conflict},
		"controlled": {"is a controller's", corev1.Secret{ObjectMeta: metav1.ObjectMeta{OwnerReferences: controller}}, backend.Conflict},
		"token": {"is the cluster's", corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.ServiceAccountNameKey: "somebody"}}, Type: corev1.SecretTypeServiceAccountToken,
		}, backend.Conflict},
		"immutable": {"cannot be changed", corev1.Secret{Immutable: new(true)}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			c.secret.Name, c.secret.Data = name, map[string][]byte{"old": []byte("x")}
			if c.secret.Labels == nil {
				c.secret.Labels = map[string]string{"keep": "this"}
			}
			_, err := admin.CoreV1().Secrets(w.ns).Create(t.Context(), &c.secret, metav1.CreateOptions{})
			w.must(err)
			version, err := b.Writer.Write(t.Context(), backend.Write{Ref: backend.Ref{Path: name}, Secret: fields("new", "y"), Owner: "me"})
			if got := backend.CodeOf(err); got != c.code {
				t.Fatalf("%s: code %q, want %q (%v)", c.reason, got, c.code, err)
			}
			obj, err := admin.CoreV1().Secrets(w.ns).Get(t.Context(), name, metav1.GetOptions{})
			w.must(err)
			_, written := obj.Data["new"]
			_, old := obj.Data["old"]
			if written == old || written != (c.code == "") || obj.Labels["keep"] != "this" {
				t.Errorf("%s: new data is there: %t, old data: %t, labels: %v", c.reason, written, old, obj.Labels)
			}
			if written && (obj.ResourceVersion != version || obj.Annotations[ownerMark] != "me") {
				t.Errorf("version %q is %q, marks %v", obj.ResourceVersion, version, obj.Annotations)
			}
		})
	}
}

func TestWritable(t *testing.T) {
	db := backend.Ref{Path: "db"}
	for name, c := range map[string]struct {
		reason string
		write  backend.Write
		code   backend.Code
	}{
		"good":     {"named fields", backend.Write{Ref: db, Secret: fields("a.b-C_d", "v"), Owner: "me"}, ""},
		"no data":  {"an empty Secret is one", backend.Write{Ref: db, Secret: fields(), Owner: "me"}, ""},
		"no owner": {"whose", backend.Write{Ref: db, Secret: fields("k", "v")}, backend.InvalidRef},
		"payload":  {"under which key", backend.Write{Ref: db, Secret: backend.Secret{Payload: backend.NewValue([]byte("v"))}, Owner: "me"}, backend.InvalidRef},
		"key":      {"is no name", backend.Write{Ref: db, Secret: fields("a/b", "v"), Owner: "me"}, backend.InvalidRef},
		"metadata": {"is not data", backend.Write{Ref: backend.Ref{Path: "db", Part: backend.Metadata}, Secret: fields("k", "v"), Owner: "me"}, backend.InvalidRef},
		"name":     {"leaves the namespace", backend.Write{Ref: backend.Ref{Path: "../db"}, Secret: fields("k", "v"), Owner: "me"}, backend.InvalidRef},
		"large":    {"no Secret holds it", backend.Write{Ref: db, Secret: fields("k", string(make([]byte, payload+1))), Owner: "me"}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			if got := backend.CodeOf(writable(c.write)); got != c.code {
				t.Errorf("%s: code %q, want %q", c.reason, got, c.code)
			}
		})
	}
}

// Who looks and then acts may be too late.
func TestSomebodyIsFaster(t *testing.T) {
	w := newWorld(t)
	b := w.open(w.manifest(nil), holding(w.user("writer", everything)))
	write := func(ref backend.Ref, text string) error {
		_, err := b.Writer.Write(t.Context(), backend.Write{Ref: ref, Secret: fields("k", text), Owner: "me"})
		return err
	}
	for name, c := range map[string]struct {
		reason string
		method string
		act    func(backend.Ref) error
	}{
		"write":  {"the other's change stays", http.MethodPut, func(r backend.Ref) error { return write(r, "late") }},
		"delete": {"what was not looked at is not deleted", http.MethodDelete, func(r backend.Ref) error { return b.Writer.Delete(t.Context(), r, "me") }},
	} {
		t.Run(name, func(t *testing.T) {
			ref := backend.Ref{Path: name}
			w.must(write(ref, "mine"))
			w.first(func(r *http.Request) {
				if r.Method == c.method {
					w.put(name, fields("k", "theirs"))
				}
			})
			defer w.first(nil)
			if got := backend.CodeOf(c.act(ref)); got != backend.Conflict {
				t.Errorf("%s: code %q", c.reason, got)
			}
			if s, err := read(t.Context(), b, ref); err != nil || !s.Equal(fields("k", "theirs")) {
				t.Errorf("%s: error %v, or another value", c.reason, err)
			}
		})
	}
}
