// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/config"
)

// gone is a UID of another cluster.
const gone = types.UID("00000000-0000-4000-8000-000000000000")

// restored makes a Secret as it comes out of a backup: its owner is of the
// cluster that was backed up.
func restored(t *testing.T, s *stage, ns, name string, owner client.Object, change func(*corev1.Secret)) *corev1.Secret {
	t.Helper()
	gvk, err := s.user.GroupVersionKindFor(owner)
	must(t, err)
	out := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: "es", UID: gone, Controller: new(true), BlockOwnerDeletion: new(true),
		}}},
		Data: map[string][]byte{"password": []byte(canary + "-backup")},
	}
	if change != nil {
		change(out)
	}
	must(t, s.user.Create(t.Context(), out, client.FieldOwner("velero-server")))
	return out
}

// owned fails unless a Secret has exactly one owner that controls it, which is
// the object that there is.
func owned(t *testing.T, s *stage, secret *corev1.Secret, obj client.Object) error {
	t.Helper()
	must(t, s.user.Get(t.Context(), types.NamespacedName{Namespace: secret.Namespace, Name: "es"}, obj))
	var controllers []metav1.OwnerReference
	for _, o := range secret.OwnerReferences {
		if o.UID == gone {
			return fmt.Errorf("%s/%s still has the owner of before", secret.Namespace, secret.Name)
		}
		if o.Controller != nil && *o.Controller {
			controllers = append(controllers, o)
		}
	}
	if len(controllers) != 1 || controllers[0].UID != obj.GetUID() {
		return fmt.Errorf("%s/%s has the owners %+v", secret.Namespace, secret.Name, secret.OwnerReferences)
	}
	return nil
}

// TestRestore: the owner of a restored Secret is mended while its store is away,
// and the garbage collector, which comes after that, takes it for what it is.
// Once the store is back the Secret holds what is in it, unless it is immutable.
func TestRestore(t *testing.T) {
	s, err := newStage(context.Background())
	must(t, err)
	t.Cleanup(func() { must(t, s.stop()) })
	var away atomic.Bool
	away.Store(true)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(canary + "-store"))
	}))
	defer hook.Close()
	ibm, env := manager(t)
	object := func(kind client.Object) client.Object { return kind }
	scenes := map[string]struct {
		objects, secret string
		owner           client.Object
		change          func(*corev1.Secret)
		stays           bool // the data is that of the backup
		bare            bool // without an owner, as Velero restores
		unread          bool // its manager stays away
	}{
		"eso": {objects: webhookObjects(hook.URL), secret: "s", owner: object(&esv1.ExternalSecret{})},
		"eso-immutable": {
			objects: webhookObjects(hook.URL), secret: "s", owner: object(&esv1.ExternalSecret{}), stays: true,
			change: func(o *corev1.Secret) { o.Immutable = new(true) },
		},
		"eso-twice": {
			objects: webhookObjects(hook.URL), secret: "s", owner: object(&esv1.ExternalSecret{}),
			change: func(o *corev1.Secret) {
				second := o.OwnerReferences[0]
				second.UID, second.Controller, second.BlockOwnerDeletion = gone+"1", nil, nil
				o.OwnerReferences = append(o.OwnerReferences, second)
			},
		},
		"eso-velero": {
			objects: webhookObjects(hook.URL), secret: "s", owner: object(&esv1.ExternalSecret{}), bare: true,
			change: func(o *corev1.Secret) {
				o.OwnerReferences = nil
				o.Labels = map[string]string{"reconcile.external-secrets.io/managed": "true", "velero.io/restore-name": "r"}
			},
		},
		"kes": {
			objects: strings.ReplaceAll(kes, "IBM_LOGIN", "00000000-0000-4000-8000-000000000009"), secret: "es",
			owner: object(&kesv1.ExternalSecret{}), unread: true,
		},
	}
	_ = ibm
	before := map[string]*corev1.Secret{}
	var spaces []string
	for name, c := range scenes {
		ns := s.namespace(t, "restore-"+name)
		s.apply(t, ns, c.objects)
		before[name] = restored(t, s, ns, c.secret, c.owner, c.change)
		spaces = append(spaces, ns)
	}
	access := s.account(t, "restoring", false)
	start(t, access, env, config.Controller{Namespaces: spaces})
	for name, c := range scenes {
		if !c.bare {
			eventually(t, func() error { return owned(t, s, s.secret(t, before[name].Namespace, c.secret), c.owner) })
		}
	}

	// The garbage collector has been through when what is nobody's is gone.
	lost := restored(t, s, spaces[0], "lost", &corev1.ConfigMap{}, nil)
	must(t, s.plane.StartControllerManager(context.Background()))
	eventually(t, func() error {
		if s.secret(t, lost.Namespace, lost.Name) != nil {
			return fmt.Errorf("the garbage collector has not been here")
		}
		return nil
	})
	for name, c := range scenes {
		if now := s.secret(t, before[name].Namespace, c.secret); now == nil || now.UID != before[name].UID {
			t.Errorf("%s: the Secret was lost", name)
		} else if string(now.Data["password"]) != canary+"-backup" {
			t.Errorf("%s: mending the owner changed the data", name)
		}
	}

	away.Store(false)
	for name, c := range scenes {
		switch {
		case c.unread:
		case c.stays:
			if now := s.secret(t, before[name].Namespace, c.secret); string(now.Data["password"]) != canary+"-backup" {
				t.Errorf("%s: an immutable Secret changed", name)
			}
		default:
			now := s.holds(t, before[name].Namespace, c.secret, "password", canary+"-store")
			if err := owned(t, s, now, c.owner); err != nil || now.UID != before[name].UID {
				t.Errorf("%s: after the sync: %v", name, err)
			}
		}
	}

	// One that is restored while the garbage collector runs may be lost to it for
	// a moment, and is there in the end.
	for name, c := range scenes {
		if c.unread || c.stays {
			continue
		}
		now := s.secret(t, before[name].Namespace, c.secret)
		must(t, s.user.Delete(t.Context(), now))
		eventually(t, func() error {
			again := now.DeepCopy()
			again.UID, again.ResourceVersion, again.ManagedFields = "", "", nil
			again.OwnerReferences[0].UID = gone // as tools restore that are not Velero
			err := s.user.Create(t.Context(), again)
			if err == nil || client.IgnoreAlreadyExists(err) == nil {
				return nil
			}
			return err
		})
		eventually(t, func() error {
			there := s.secret(t, before[name].Namespace, c.secret)
			if there == nil || string(there.Data["password"]) != canary+"-store" {
				return fmt.Errorf("%s: the Secret is not there", name)
			}
			return owned(t, s, there, c.owner)
		})
	}
}

// webhookObjects are an object and its store.
func webhookObjects(url string) string {
	return `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: store}
spec: {provider: {webhook: {url: "` + url + `/{{ .remoteRef.key }}"}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: es}
spec:
  refreshInterval: 8760h
  secretStoreRef: {name: store}
  target: {name: s}
  data: [{secretKey: password, remoteRef: {key: password}}]
`
}
