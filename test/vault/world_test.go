// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
	"github.com/lockstep-secrets/lockstep/internal/dev/vault"
)

// world is a namespace and a Vault.
type world struct {
	*testing.T
	ns    string
	vault *vault.Server
	audit string
	at    string // the address of Vault, as manifests have it
	class string // who looks after the stores; all when empty
	group string // of the ExternalSecrets
}

// newWorld starts a Vault with flags of hack/vault. Other tests go on meanwhile.
func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	t.Parallel()
	return loneWorld(t, flags...)
}

// loneWorld is the same for tests that measure how long something takes: while
// they run, no other does.
func loneWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	w := &world{T: t, ns: "t-" + random(t), audit: filepath.Join(t.TempDir(), "audit.log"), group: esoGroup}
	var err error
	w.vault, err = vault.Start(append(flags, "-audit", w.audit)...)
	must(t, err)
	t.Cleanup(func() { _ = w.vault.Stop() }) // some tests kill it
	w.at = w.vault.Address
	must(t, shared.plane.CreateNamespace(t.Context(), w.ns, nil))
	t.Cleanup(w.clear)
	return w
}

// clear deletes what would go on asking a Vault that is no more.
func (w *world) clear() {
	for _, kind := range []string{"ExternalSecret", "SecretStore"} {
		if w.Failed() {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(object(kind, "").GroupVersionKind())
			must(w.T, shared.user.List(context.Background(), list, client.InNamespace(w.ns)))
			for i := range list.Items {
				if c := ready(&list.Items[i]); c.status != "True" || len(list.Items) < 10 {
					w.Logf("%s %s says %s", kind, list.Items[i].GetName(), c)
				}
			}
		}
		must(w.T, shared.user.DeleteAllOf(context.Background(), object(kind, ""), client.InNamespace(w.ns)))
	}
}

// gateway puts one in front of Vault.
func (w *world) gateway() *gateway {
	w.Helper()
	g, err := newGateway(w.vault.Address, nil)
	must(w.T, err)
	g.server.Start()
	w.Cleanup(g.server.Close)
	w.at = g.server.URL
	return g
}

// store is a SecretStore of Vault whose fields are as they are written in YAML,
// below spec.provider.vault.
func (w *world) store(name string, fields ...string) {
	w.Helper()
	w.storeOf("vault", name, fields...)
}

func (w *world) storeOf(provider, name string, fields ...string) {
	w.Helper()
	text := fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata:
  name: %s
spec:
  provider:
    %s:
      server: %q
`, name, provider, w.at)
	for line := range strings.Lines(strings.Join(fields, "\n")) {
		text += "      " + strings.TrimSuffix(line, "\n") + "\n"
	}
	if w.class != "" {
		text += "  controller: " + w.class + "\n"
	}
	w.apply(text)
}

// The fields of most stores.
const (
	secondEngine = "path: secret\nversion: v2"
	firstEngine  = "path: kv1\nversion: v1"
	asApp        = `auth:
  kubernetes:
    mountPath: kubernetes
    role: app
    serviceAccountRef:
      name: app
      audiences:
        - vault`
)

// wants is an ExternalSecret. what is its data and dataFrom, and what else it
// has, as it is written in YAML below spec.
func (w *world) wants(name, store, every, what string) {
	w.Helper()
	text := fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: %s
spec:
  refreshInterval: %s
  secretStoreRef:
    name: %s
    kind: SecretStore
`, name, every, store)
	for line := range strings.Lines(what) {
		text += "  " + strings.TrimSuffix(line, "\n") + "\n"
	}
	w.apply(text)
}

// password is the wish for one property of one secret.
const password = `data:
  - secretKey: password
    remoteRef:
      key: app
      property: password`

// put gives the secret app another password.
func (w *world) put(value string) {
	w.Helper()
	w.write("secret/data/app", vault.Object{"data": vault.Object{"password": canary + value}})
}

// has waits until a Secret has the password.
func (w *world) has(name, value string) *corev1.Secret {
	w.Helper()
	return w.secret(name, map[string]string{"password": canary + value})
}

func (w *world) write(path string, in any) vault.Object {
	w.Helper()
	out, err := w.vault.Write(w.Context(), path, in)
	must(w.T, err)
	return out
}

func (w *world) apply(text string) {
	w.Helper()
	must(w.T, plane.Apply(w.Context(), shared.plane.Admin, []byte(text), w.ns))
}

// secret waits until a Secret has exactly these keys and values.
func (w *world) secret(name string, want map[string]string) *corev1.Secret {
	w.Helper()
	var out *corev1.Secret
	w.eventually(func() error {
		var err error
		if out, err = w.look(name); err != nil {
			return fmt.Errorf("%w; its object says %s", err, w.readiness("ExternalSecret", name))
		}
		got := map[string]string{}
		for k, v := range out.Data {
			got[k] = string(v)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("Secret %s, -want +got:\n%s", name, diff)
		}
		return nil
	})
	return out
}

func (w *world) look(name string) (*corev1.Secret, error) {
	return shared.sets.CoreV1().Secrets(w.ns).Get(w.Context(), name, metav1.GetOptions{})
}

// same fails when a Secret was written since.
func (w *world) same(s *corev1.Secret) {
	w.Helper()
	now, err := w.look(s.Name)
	if must(w.T, err); now.UID != s.UID || now.ResourceVersion != s.ResourceVersion {
		w.Errorf("Secret %s was written", s.Name)
	}
}

// gone waits until there is no such Secret.
func (w *world) gone(name string) {
	w.Helper()
	w.eventually(func() error {
		if _, err := w.look(name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("Secret %s is there: %v", name, err) //nolint:errorlint // there may be none
		}
		return nil
	})
}

// condition is Ready.
type condition struct{ status, reason, message string }

func (c condition) String() string { return c.status + " " + c.reason + ": " + c.message }

func (w *world) readiness(kind, name string) condition {
	w.Helper()
	obj := object(kind, w.ns)
	err := shared.user.Get(w.Context(), types.NamespacedName{Namespace: w.ns, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return condition{message: "it does not exist"}
	}
	must(w.T, err)
	return ready(obj)
}

func ready(obj *unstructured.Unstructured) condition {
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == "Ready" {
			text := func(name string) string { s, _ := c[name].(string); return s }
			return condition{text("status"), text("reason"), text("message")}
		}
	}
	return condition{}
}

// says waits until an object's condition has these parts, such as its status
// and reason.
func (w *world) says(kind, name string, parts ...string) {
	w.Helper()
	w.eventually(func() error {
		got := w.readiness(kind, name).String()
		for _, p := range parts {
			if !strings.Contains(got, p) {
				return fmt.Errorf("%s %s says %q, and not %q", kind, name, got, p)
			}
		}
		return nil
	})
}

// What people see of an ExternalSecret.
const (
	synced = "True SecretSynced"
	failed = "False SecretSyncedError"
)

// logins are the tokens that were made and not given back. The check of a store
// that nobody uses yet gives back the one that it made.
func (w *world) logins() map[string]bool {
	w.Helper()
	out := map[string]bool{}
	for _, r := range w.requests() {
		switch {
		case r.Refused:
		case r.Path == "auth/token/revoke-self":
			delete(out, r.Accessor)
		case strings.HasPrefix(r.Path, "auth/") && strings.HasSuffix(r.Path, "/login"):
			out[r.Accessor] = true
		}
	}
	return out
}

func (w *world) requests() []vault.Request {
	w.Helper()
	out, err := vault.Requests(w.audit)
	must(w.T, err)
	return out
}

// eventually waits until a condition holds. It asks less and less often, for
// many wait at the same time.
func (w *world) eventually(holds func() error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.Fatalf("it did not happen: %v", err)
		case <-time.After(pause):
		}
	}
}

// esoGroup and kesGroup are the groups of the dialects, with their versions.
const (
	esoGroup = "external-secrets.io/v1"
	kesGroup = "kubernetes-client.io/v1"
)

// object is an empty object of a kind.
func object(kind, namespace string) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetAPIVersion(esoGroup)
	out.SetKind(kind)
	out.SetNamespace(namespace)
	return out
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 6)
	_, err := rand.Read(b)
	must(t, err)
	return hex.EncodeToString(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
