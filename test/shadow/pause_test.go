// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// beside is an object that nobody pauses, with a store of its own. What happened
// to it tells that a controller got as far.
const beside = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: beside}
spec: {provider: {fake: {data: [{key: k, value: CANARY}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: beside}
spec:
  refreshInterval: 8760h
  secretStoreRef: {name: beside}
  data: [{secretKey: k, remoteRef: {key: k}}]
`

// passes waits until a controller has repaired the Secret of an object that
// nobody pauses.
func passes(t *testing.T, ns string) {
	t.Helper()
	old := shared.holds(t, ns, "beside", "k", canary)
	must(t, shared.user.Delete(t.Context(), old))
	eventually(t, func() error {
		if s := shared.secret(t, ns, "beside"); s == nil || s.UID == old.UID {
			return fmt.Errorf("a Secret that was deleted is not back")
		}
		return nil
	})
}

// says waits until an object or a store says by what it is paused; "" is nothing.
// Ready has to be True, whatever is paused.
func says(t *testing.T, obj client.Object, ns, name, message string) {
	t.Helper()
	eventually(t, func() error {
		must(t, shared.user.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, obj))
		var list []esv1.Condition
		switch o := obj.(type) {
		case *esv1.ExternalSecret:
			list = o.Status.Conditions
		case *esv1.SecretStore:
			list = o.Status.Conditions
		}
		told, ready := "", false
		for _, c := range list {
			if c.Type == "Ready" && c.Reason == "Paused" {
				told, _, _ = strings.Cut(c.Message, "; before: ")
			}
			ready = ready || c.Type == "Ready" && c.Status == "True"
		}
		if told != message || !ready {
			return fmt.Errorf("%s says %q, want %q; it is ready: %t", name, told, message, ready)
		}
		return nil
	})
}

// put makes the store of fakeStore hold another password.
func put(t *testing.T, ns, password string) {
	t.Helper()
	shared.apply(t, ns, strings.ReplaceAll(fakeStore, canary+"-new", password))
}

// TestPauseObject: what is paused by itself is left alone, also when somebody
// deletes its Secret, and is synced at once when it is not any more.
func TestPauseObject(t *testing.T) {
	ns := shared.namespace(t, "pause-object")
	shared.apply(t, ns, fakeStore+external+"}"+both+"---\n"+beside)
	start(t, shared.account(t, "pausing", false), nil, config.Controller{Namespaces: []string{ns}})
	shared.holds(t, ns, "s", "password", canary+"-new")
	es := &esv1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "es"}}
	says(t, es, ns, "es", "")

	shared.annotate(t, es, spec.PauseAnnotation, "true")
	says(t, es, ns, "es", "paused by the annotation lockstep-secrets.dev/paused")
	must(t, shared.user.Delete(t.Context(), shared.secret(t, ns, "s")))
	put(t, ns, canary+"-later")
	passes(t, ns)
	if shared.secret(t, ns, "s") != nil {
		t.Error("the Secret of an object that is paused was made again")
	}

	shared.annotate(t, es, spec.PauseAnnotation, "false")
	shared.holds(t, ns, "s", "password", canary+"-later")
	says(t, es, ns, "es", "")
	if s := shared.secret(t, ns, "s"); s.Annotations[spec.PauseAnnotation] != "" {
		t.Error("the annotation is copied to the Secret")
	}

	// A pause keeps nobody from deleting the object.
	shared.annotate(t, es, spec.PauseAnnotation, "please")
	says(t, es, ns, "es", "paused by the annotation lockstep-secrets.dev/paused, whose value is neither true nor false and counts as true")
	must(t, shared.user.Patch(t.Context(), es, client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":["externalsecrets.external-secrets.io/externalsecret-cleanup"]}}`))))
	must(t, shared.user.Delete(t.Context(), es))
	eventually(t, func() error {
		if err := shared.user.Get(t.Context(), client.ObjectKeyFromObject(es), es); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("the object is still there: %w", err)
		}
		return nil
	})
}

// TestPauseStore: the objects of a store that is paused are, and say by which.
func TestPauseStore(t *testing.T) {
	ns := shared.namespace(t, "pause-store")
	shared.apply(t, ns, fakeStore+external+"}"+both+"---\n"+beside)
	start(t, shared.account(t, "pausing", false), nil, config.Controller{Namespaces: []string{ns}})
	before := shared.holds(t, ns, "s", "password", canary+"-new")
	es := &esv1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "es"}}
	store := &esv1.SecretStore{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "store"}}
	says(t, es, ns, "es", "")
	says(t, store, ns, "store", "")

	shared.annotate(t, store, spec.PauseAnnotation, "true")
	says(t, es, ns, "es", `paused by the annotation lockstep-secrets.dev/paused of SecretStore "store"`)
	says(t, store, ns, "store", "paused by the annotation lockstep-secrets.dev/paused")
	put(t, ns, canary+"-later")
	passes(t, ns)
	if s := shared.secret(t, ns, "s"); s == nil || s.ResourceVersion != before.ResourceVersion {
		t.Error("the Secret of an object whose store is paused was written")
	}

	shared.annotate(t, store, spec.PauseAnnotation, "")
	shared.holds(t, ns, "s", "password", canary+"-later")
	says(t, es, ns, "es", "")
	says(t, store, ns, "store", "")
}

// TestPauseKES: the one text of a status says that the object is paused, and the
// manager is not asked for it.
func TestPauseKES(t *testing.T) {
	ibm, env := manager(t)
	id, err := ibm.Put(ibmsm.Seed{Type: "username_password", Name: "login", Fields: map[string]any{"username": "u", "password": canary}})
	must(t, err)
	ns := shared.namespace(t, "pause-kes")
	shared.apply(t, ns, strings.ReplaceAll(kes, "IBM_LOGIN", id)+"---\n"+beside)
	start(t, shared.account(t, "pausing", false), env, config.Controller{Namespaces: []string{ns}})
	es := &kesv1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "es"}}
	status := func(want string) {
		t.Helper()
		eventually(t, func() error {
			must(t, shared.user.Get(t.Context(), client.ObjectKeyFromObject(es), es))
			if es.Status.Status != want {
				return fmt.Errorf("the status is %q, want %q", es.Status.Status, want)
			}
			return nil
		})
	}
	status("SUCCESS")
	shared.annotate(t, es, spec.PauseAnnotation, "true")
	status("PAUSED, paused by the annotation lockstep-secrets.dev/paused; before: SUCCESS")
	reads := ibm.Stats().Reads[id]
	must(t, shared.user.Delete(t.Context(), shared.secret(t, ns, "es")))
	passes(t, ns)
	if shared.secret(t, ns, "es") != nil || ibm.Stats().Reads[id] != reads {
		t.Error("an object that is paused is looked after")
	}
	shared.annotate(t, es, spec.PauseAnnotation, "")
	shared.holds(t, ns, "es", "password", canary)
	status("SUCCESS")
}

// TestPauseAll: a controller that is paused is ready, and asks for nothing.
func TestPauseAll(t *testing.T) {
	ns := shared.namespace(t, "pause-all")
	shared.apply(t, ns, fakeStore+external+"}"+both)
	access := shared.account(t, "paused", false)
	c := start(t, access, nil, config.Controller{Pause: true, LeaderElect: true})
	answers(t, "http://"+c.health+"/readyz", "", http.StatusOK)
	answers(t, "http://"+c.health+"/healthz", "", http.StatusOK)
	if !strings.Contains(answers(t, "http://"+c.metrics+"/metrics", "", http.StatusOK), "lockstep_paused 1\n") {
		t.Error("no metric says so")
	}
	// The lease shows that it has begun what it does.
	eventually(t, func() error {
		if _, leases := shared.requests(t, "paused"); leases < 2 {
			return fmt.Errorf("it does not lead")
		}
		return nil
	})
	c.stop()
	if got := shared.writes(t, "paused"); len(got) > 0 {
		t.Errorf("it asked for %d writes, among them %s", len(got), got[0])
	}
	if shared.secret(t, ns, "s") != nil {
		t.Error("it made a Secret")
	}
}
