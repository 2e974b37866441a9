// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Dialect is what the controller has to know of a family of manifests. All
// functions are pure. Those that are marked optional may be nil.
type Dialect struct {
	Name string
	// New makes an empty object of the kind.
	New func() client.Object
	// Managed reports whether this instance looks after the object.
	Managed func(client.Object) bool
	// Spec reads the manifest.
	Spec func(client.Object, time.Time) spec.Spec
	// Permit tells why the object's namespace may not have what it asks for.
	// Optional.
	Permit func(client.Object, spec.Namespace) []spec.Issue
	// Stores are the kinds of stores that are objects of their own; none where
	// manifests carry their store inline.
	Stores []Store
	// Synced reports whether the status says that the present generation is in
	// place.
	Synced func(client.Object) bool
	// SyncedAt is when something last changed for the object. Optional.
	SyncedAt func(client.Object) time.Time
	// RefreshedAt is the time that the status shows, or zero.
	RefreshedAt func(client.Object) time.Time
	// Held returns the versions that the status says the Secret holds of
	// secrets that reading changes, by the refs' names.
	Held func(client.Object) map[string]string
	// Forced returns a text that changes whenever a person asks for a sync now.
	// Optional.
	Forced func(client.Object) string
	// Release returns an object that is being deleted without what only a
	// predecessor would have taken away, or nil when there is nothing.
	// Optional.
	Release func(client.Object) client.Object
	// Report returns the object with the status to show, or nil when it shows
	// that already.
	Report func(client.Object, outcome.Outcome, time.Time) client.Object
	// Paused reports whether the status says that the object is paused.
	Paused func(client.Object) bool
	// Pause returns the object with a status that says what pauses it, or with ""
	// that nothing does any more, or nil when it says that already.
	Pause func(obj client.Object, by string, now time.Time) client.Object
	// OwnerLabel is the label that Secrets have which belong to an object.
	// Optional.
	OwnerLabel string
	// Marks says that the object's labels and annotations count as its
	// generation does.
	Marks bool
	// Events says that what happens is told by events too.
	Events bool
}

// Store is a kind of store that is an object of its own.
type Store struct {
	gather.StoreKind
	Kind    string
	Cluster bool // not in a namespace
	// Managed reports whether this instance looks after the store.
	Managed func(client.Object) bool
	// Unbound reads the store regardless of who may use it.
	Unbound func(client.Object) spec.Store
	// Every is how often the store is checked.
	Every func(client.Object) time.Duration
	// Release is as for objects.
	Release func(client.Object) client.Object
	// Paused and Pause are as for objects.
	Paused func(client.Object) bool
	Pause  func(obj client.Object, by string, now time.Time) client.Object
	// Report returns the store with the status to show after a check, or nil.
	Report func(obj client.Object, issue *spec.Issue, checked feed.Checked, err error, now time.Time) client.Object
}

// Kinds are the stores as the gatherer needs them.
func (d Dialect) Kinds() gather.Stores {
	if len(d.Stores) == 0 {
		return nil
	}
	out := gather.Stores{}
	for _, s := range d.Stores {
		out[s.Kind] = s.StoreKind
	}
	return out
}

// KES is the dialect of Kubernetes External Secrets.
func KES(set kes.Settings) Dialect {
	as := func(o client.Object) *kesv1.ExternalSecret {
		es, _ := o.(*kesv1.ExternalSecret)
		return es
	}
	return Dialect{
		Name:    "kes",
		New:     func() client.Object { return &kesv1.ExternalSecret{} },
		Managed: func(o client.Object) bool { return kes.Managed(as(o), set) },
		Spec:    func(o client.Object, _ time.Time) spec.Spec { return kes.Spec(as(o), set) },
		Permit: func(o client.Object, ns spec.Namespace) []spec.Issue {
			return kes.Permit(as(o), ns, set)
		},
		Synced:      func(o client.Object) bool { return kes.Synced(as(o)) },
		RefreshedAt: func(o client.Object) time.Time { return kes.SyncedAt(as(o)) },
		Held:        func(o client.Object) map[string]string { return as(o).Status.Versions },
		Paused:      func(o client.Object) bool { return kes.Paused(as(o)) },
		Pause: func(o client.Object, by string, _ time.Time) client.Object {
			es := as(o)
			status := kes.Pause(es, by)
			if kes.SameStatus(status, es.Status) {
				return nil
			}
			next := es.DeepCopy()
			next.Status = status
			return next
		},
		Report: func(o client.Object, out outcome.Outcome, now time.Time) client.Object {
			es := as(o)
			status := kes.Status(es, out, now)
			if kes.SameStatus(status, es.Status) {
				return nil
			}
			next := es.DeepCopy()
			next.Status = status
			return next
		},
	}
}
