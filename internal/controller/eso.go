// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// ESO is the dialect of External Secrets Operator.
func ESO(set eso.Settings) Dialect {
	as := func(o client.Object) *v1.ExternalSecret {
		es, _ := o.(*v1.ExternalSecret)
		return es
	}
	refreshed := func(o client.Object) time.Time {
		if t := as(o).Status.RefreshTime; t != nil {
			return t.Time
		}
		return time.Time{}
	}
	out := Dialect{
		Name:        "eso",
		New:         func() client.Object { return &v1.ExternalSecret{} },
		Managed:     func(client.Object) bool { return true }, // its stores decide
		Spec:        func(o client.Object, now time.Time) spec.Spec { return eso.Spec(as(o), set, now) },
		Stores:      []Store{esoStore(eso.KindStore, set)},
		Synced:      func(o client.Object) bool { return eso.Synced(as(o)) },
		SyncedAt:    refreshed,
		RefreshedAt: refreshed,
		Held:        func(o client.Object) map[string]string { return as(o).Status.Versions },
		Forced:      func(o client.Object) string { return eso.Forced(as(o)) },
		Release:     released,
		Paused:      func(o client.Object) bool { return eso.Paused(as(o).Status.Conditions) },
		Pause: func(o client.Object, by string, now time.Time) client.Object {
			es := as(o)
			conditions := eso.Pause(es.Status.Conditions, by, now)
			if eso.SameConditions(conditions, es.Status.Conditions) {
				return nil
			}
			next := es.DeepCopy()
			next.Status.Conditions = conditions
			return next
		},
		Report: func(o client.Object, out outcome.Outcome, now time.Time) client.Object {
			es := as(o)
			status := eso.Status(es, out, now)
			if eso.SameStatus(status, es.Status) {
				return nil
			}
			next := es.DeepCopy()
			next.Status = status
			return next
		},
		OwnerLabel: eso.LabelOwner,
		Marks:      true,
		Events:     true,
	}
	if len(set.Namespaces) == 0 {
		out.Stores = append(out.Stores, esoStore(eso.KindClusterStore, set))
	}
	return out
}

// released takes away the finalizers that the operator leaves on its objects.
func released(o client.Object) client.Object {
	keep, changed := eso.Released(o.GetFinalizers())
	if !changed {
		return nil
	}
	next, _ := o.DeepCopyObject().(client.Object)
	next.SetFinalizers(keep)
	return next
}

// esoStore is SecretStore or ClusterSecretStore.
func esoStore(kind string, set eso.Settings) Store {
	cluster := kind == eso.KindClusterStore
	return Store{
		Kind: kind, Cluster: cluster,
		StoreKind: gather.StoreKind{
			New: func() client.Object {
				if cluster {
					return &v1.ClusterSecretStore{}
				}
				return &v1.SecretStore{}
			},
			Read: func(o client.Object, ns spec.Namespace) spec.Store {
				p := parts(o)
				return eso.Store(kind, *p.meta, *p.spec, ns, set)
			},
		},
		Managed: func(o client.Object) bool { return eso.Managed(*parts(o).spec, set) },
		Unbound: func(o client.Object) spec.Store {
			p := parts(o)
			return eso.Unbound(kind, *p.meta, *p.spec, p.meta.Namespace, set)
		},
		Every: func(o client.Object) time.Duration {
			every, _ := eso.CheckEvery(*parts(o).spec) // what is wrong with it is the store's issue
			return every
		},
		Release: released,
		Paused:  func(o client.Object) bool { return eso.Paused(parts(o).status.Conditions) },
		Pause: func(o client.Object, by string, now time.Time) client.Object {
			old := parts(o).status
			conditions := eso.Pause(old.Conditions, by, now)
			if eso.SameConditions(conditions, old.Conditions) {
				return nil
			}
			next, _ := o.DeepCopyObject().(client.Object)
			parts(next).status.Conditions = conditions
			return next
		},
		Report: func(o client.Object, issue *spec.Issue, checked feed.Checked, err error, now time.Time) client.Object {
			old := parts(o).status
			status := eso.StoreStatus(*old, issue, checked.Can, checked.Held, err, now)
			if eso.SameStoreStatus(status, *old) {
				return nil
			}
			next, _ := o.DeepCopyObject().(client.Object)
			*parts(next).status = status
			return next
		},
	}
}

// storeParts are what both kinds of stores are made of.
type storeParts struct {
	meta   *metav1.ObjectMeta
	spec   *v1.SecretStoreSpec
	status *v1.SecretStoreStatus
}

func parts(o client.Object) storeParts {
	switch s := o.(type) {
	case *v1.SecretStore:
		return storeParts{&s.ObjectMeta, &s.Spec, &s.Status}
	case *v1.ClusterSecretStore:
		return storeParts{&s.ObjectMeta, &s.Spec, &s.Status}
	}
	return storeParts{&metav1.ObjectMeta{}, &v1.SecretStoreSpec{}, &v1.SecretStoreStatus{}}
}
