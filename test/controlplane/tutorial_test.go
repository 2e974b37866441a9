// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// tutorial is the manifest of IBM's tutorial, letter for letter.
const tutorial = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata:
  name: ibmcloud-secrets-manager-example
spec:
  backendType: ibmcloudSecretsManager
  data:
    - key: %[1]s
      name: username
      property: username 
      secretType: username_password
    - key: %[1]s
      name: password
      property: password
      secretType: username_password
`

// single asks for the password of one login.
const single = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata:
  name: app
spec:
  backendType: ibmcloudSecretsManager
  data:
    - {key: %s, name: password, property: password, secretType: username_password}
`

const success = "SUCCESS"

func TestTutorial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.login()
	w.apply(tutorial, id)
	w.status("ibmcloud-secrets-manager-example", success)
	s := w.holds("ibmcloud-secrets-manager-example", map[string]string{"username": "user123", "password": w.canary})

	if s.Type != corev1.SecretTypeOpaque {
		t.Errorf("type is %q", s.Type)
	}
	es, err := w.object("ibmcloud-secrets-manager-example")
	must(t, err)
	want := metav1.OwnerReference{
		APIVersion: "kubernetes-client.io/v1", Kind: "ExternalSecret", Name: es.Name, UID: es.UID, Controller: new(true),
	}
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != want.UID || s.OwnerReferences[0].APIVersion != want.APIVersion ||
		s.OwnerReferences[0].BlockOwnerDeletion != nil || !*s.OwnerReferences[0].Controller {
		t.Errorf("owner references are %v", s.OwnerReferences)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", es.Status.LastSync); err != nil {
		t.Errorf("lastSync %q is not in the form that KES had", es.Status.LastSync)
	}

	t.Run("rotation", func(t *testing.T) {
		_, err := w.ibm.Rotate(id, map[string]any{"password": "new-" + w.canary})
		must(t, err)
		w.holds("ibmcloud-secrets-manager-example", map[string]string{"username": "user123", "password": "new-" + w.canary})
	})
	t.Run("no more tokens, and no read while nothing changes", func(t *testing.T) {
		w.ibm.ResetStats()
		w.polls(3)
		stats := w.ibm.Stats()
		if got := stats.Kinds[ibmsm.KindToken]; got != 0 {
			t.Errorf("%d more tokens were asked for", got)
		}
		if stats.Reads[id] > 0 {
			t.Errorf("%d reads of a secret that did not change", stats.Reads[id])
		}
	})
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(tutorial, w.login())
	w.status("ibmcloud-secrets-manager-example", success)
	s := w.secret("ibmcloud-secrets-manager-example")
	es, err := w.object("ibmcloud-secrets-manager-example")
	must(t, err)
	w.polls(4)
	if now := w.secret(s.Name); now.ResourceVersion != s.ResourceVersion {
		t.Error("the Secret was written")
	}
	now, err := w.object(es.Name)
	must(t, err)
	if now.ResourceVersion != es.ResourceVersion {
		t.Error("the ExternalSecret was written")
	}
}

// rarely is an interval whose turn does not come within a test: what happens
// meanwhile was not brought by polling. It is a year, since turns go by the wall
// clock, and that of an hour comes within some run.
var rarely = with("POLLER_INTERVAL_MILLISECONDS", "31536000000")

func TestRepairWithoutPolling(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		harm   func(w *world, s *corev1.Secret) error
	}{
		"deleted": {
			reason: "a deleted Secret comes back with a new UID",
			harm:   func(w *world, s *corev1.Secret) error { return w.user.Delete(w.t.Context(), s) },
		},
		"edited": {
			reason: "a value that was edited is put back",
			harm: func(w *world, s *corev1.Secret) error {
				s.Data["password"] = []byte("edited")
				return w.user.Update(w.t.Context(), s)
			},
		},
		"added": {
			reason: "a key that nobody asked for goes",
			harm: func(w *world, s *corev1.Secret) error {
				s.Data["more"] = []byte("x")
				return w.user.Update(w.t.Context(), s)
			},
		},
		"disowned": {
			reason: "the owner reference is put back, or the Secret would outlive its ExternalSecret",
			harm: func(w *world, s *corev1.Secret) error {
				s.OwnerReferences = nil
				return w.user.Update(w.t.Context(), s)
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, rarely)
			w.apply(single, w.login())
			w.status("app", success)
			s := w.holds("app", map[string]string{"password": w.canary})
			reads := w.ibm.Stats().Kinds[ibmsm.KindGet]
			must(t, tc.harm(w, s.DeepCopy()))
			w.eventually(func() error {
				now := w.secret("app")
				if now == nil || now.ResourceVersion == s.ResourceVersion || len(now.OwnerReferences) != 1 ||
					len(now.Data) != 1 || string(now.Data["password"]) != w.canary {
					return fmt.Errorf("not repaired: %s", tc.reason)
				}
				return nil
			})
			if got := w.ibm.Stats().Kinds[ibmsm.KindGet] - reads; got > 1 {
				t.Errorf("the repair cost %d reads", got)
			}
		})
	}
}

func TestSecretGoesWithItsExternalSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(single, w.login())
	w.status("app", success)
	es, err := w.object("app")
	must(t, err)
	must(t, w.user.Delete(t.Context(), es))
	w.eventually(func() error {
		if w.secret("app") != nil {
			return errors.New("the Secret is still there")
		}
		return nil
	})
}

func TestSpecChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rarely)
	id := w.login()
	w.apply(single, id)
	w.status("app", success)
	w.apply(`apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: app}
spec:
  backendType: ibmcloudSecretsManager
  data:
    - {key: %s, name: user, property: username, secretType: username_password}
  template:
    type: example.com/login
    metadata:
      labels: {app: shop}
      annotations: {note: a}
`, id)
	w.status("app", success)
	s := w.holds("app", map[string]string{"user": "user123"})
	if s.Type != "example.com/login" || s.Labels["app"] != "shop" || s.Annotations["note"] != "a" {
		t.Errorf("the template was not followed: type %q, labels %v, annotations %v", s.Type, s.Labels, s.Annotations)
	}
}

func TestRestartCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rarely)
	id := w.login()
	w.apply(single, id)
	w.status("app", success)
	s := w.secret("app")
	w.stop()
	w.ibm.ResetStats()

	w.start(config.Controller{Namespaces: []string{w.ns}})
	// A second object shows when the new controller has seen both.
	w.apply(`apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: later}
spec:
  backendType: ibmcloudSecretsManager
  data: []
`)
	w.status("later", success)
	if got := w.ibm.Stats().Total; got != 0 {
		t.Errorf("the restart cost %d requests", got)
	}
	if now := w.secret("app"); now.ResourceVersion != s.ResourceVersion {
		t.Error("the restart wrote the Secret")
	}
	must(t, w.user.Delete(t.Context(), s))
	w.holds("app", map[string]string{"password": w.canary})
}

func TestControllerID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("INSTANCE_ID", "blue"))
	id := w.login()
	w.apply(single, id)
	w.apply(`apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: mine}
spec:
  controllerId: blue
  backendType: ibmcloudSecretsManager
  data:
    - {key: %s, name: password, property: password, secretType: username_password}
`, id)
	w.status("mine", success)
	es, err := w.object("app")
	must(t, err)
	if es.Status.Status != "" || w.secret("app") != nil {
		t.Error("an object of another instance was touched")
	}
}

func TestEverywhere(t *testing.T) {
	t.Parallel()
	w := quietWorld(t, rarely, with("INSTANCE_ID", "everywhere"))
	must(t, shared.ApplyShipped(t.Context(), "rbac/cluster.yaml", ""))
	probes := closedPort(t)
	w.start(config.Controller{LeaderElect: true, LeaderElectionNamespace: "lockstep-system", HealthAddress: probes})
	const manifest = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: app}
spec:
  controllerId: everywhere
  backendType: ibmcloudSecretsManager
  data:
    - {key: %s, name: password, property: password, secretType: username_password}
`
	must(t, shared.AnnotateNamespace(t.Context(), w.ns, "externalsecrets.kubernetes-client.io/permitted-key-name", "^allowed-"))
	id := w.login()
	w.apply(manifest, id)
	w.status("app", fmt.Sprintf("ERROR, not allowed to fetch secret: %s/app: key name %s does not match naming convention ^allowed-", w.ns, id))
	if got := w.ibm.Stats().Total; got != 0 {
		t.Errorf("the manager was asked %d times for what is not allowed", got)
	}

	must(t, shared.AnnotateNamespace(t.Context(), w.ns, "externalsecrets.kubernetes-client.io/permitted-key-name", "."))
	w.status("app", success)
	w.holds("app", map[string]string{"password": w.canary})

	for _, path := range []string{"/healthz", "/readyz"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+probes+path, nil)
		must(t, err)
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s says %s", path, resp.Status)
		}
	}

	lease := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}}
	must(t, w.user.Get(context.Background(), types.NamespacedName{Namespace: "lockstep-system", Name: "lockstep-controller"}, lease))
}

func TestShippedRBACIsAllItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	access, err := shared.Lockstep(t.Context())
	must(t, err)
	c, err := client.New(access, client.Options{})
	must(t, err)
	must(t, shared.CreateNamespace(t.Context(), w.ns+"-other", nil))
	err = c.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(w.ns))
	if err == nil {
		t.Error("it may list ConfigMaps")
	}
	err = c.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: w.meta("x")})
	if err == nil {
		t.Error("it may create service accounts")
	}
}
