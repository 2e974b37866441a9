// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Dialect is what the controller has to know of a family of manifests. All
// functions are pure.
type Dialect struct {
	Name string
	// New makes an empty object of the kind.
	New func() client.Object
	// Managed reports whether this instance looks after the object.
	Managed func(client.Object) bool
	// Spec reads the manifest.
	Spec func(client.Object) spec.Spec
	// Permit tells why the object's namespace may not have what it asks for.
	Permit func(client.Object, spec.Namespace) []spec.Issue
	// Synced reports whether the status says that the present generation is in
	// place.
	Synced func(client.Object) bool
	// Held returns the versions that the status says the Secret holds of
	// secrets that reading changes, by the refs' names.
	Held func(client.Object) map[string]string
	// Report returns the object with the status to show, or nil when it shows
	// that already.
	Report func(client.Object, outcome.Outcome, time.Time) client.Object
}

// KES is the dialect of Kubernetes External Secrets.
func KES(set kes.Settings) Dialect {
	as := func(o client.Object) *v1.ExternalSecret {
		es, _ := o.(*v1.ExternalSecret)
		return es
	}
	return Dialect{
		Name:    "kes",
		New:     func() client.Object { return &v1.ExternalSecret{} },
		Managed: func(o client.Object) bool { return kes.Managed(as(o), set) },
		Spec:    func(o client.Object) spec.Spec { return kes.Spec(as(o), set) },
		Permit: func(o client.Object, ns spec.Namespace) []spec.Issue {
			return kes.Permit(as(o), ns, set)
		},
		Synced: func(o client.Object) bool { return kes.Synced(as(o)) },
		Held:   func(o client.Object) map[string]string { return as(o).Status.Versions },
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
