// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

// Events tells people what happened to an object. Nothing is told while nothing
// changes.
type Events struct {
	Recorder events.EventRecorder // nil tells nobody
}

// The reasons, which are those that External Secrets Operator has.
const (
	reasonCreated = "Created"
	reasonUpdated = "Updated"
	reasonDeleted = "Deleted"
	reasonFailed  = "UpdateFailed"
	reasonMissing = "MissingProviderSecret"
)

// Tell tells an outcome: the Secret that was written, the entries whose remote
// secret is gone, and a failure. changed says that the status is another one
// than before.
func (e Events) Tell(obj client.Object, o outcome.Outcome, verb diff.Verb, changed bool) {
	if e.Recorder == nil {
		return
	}
	if o.Written {
		switch verb {
		case diff.Create:
			e.Recorder.Eventf(obj, nil, corev1.EventTypeNormal, reasonCreated, "Sync", "Created Secret")
		case diff.Update:
			e.Recorder.Eventf(obj, nil, corev1.EventTypeNormal, reasonUpdated, "Sync", "Updated Secret")
		case diff.Delete:
			e.Recorder.Eventf(obj, nil, corev1.EventTypeNormal, reasonDeleted, "Sync", "Deleted Secret")
		}
	}
	if !changed {
		return
	}
	for _, m := range o.Missing {
		e.Recorder.Eventf(obj, nil, corev1.EventTypeNormal, reasonMissing, "Sync", "%s: %s", m.Where, m.Message)
	}
	if o.Ready == outcome.NotReady {
		e.Recorder.Eventf(obj, nil, corev1.EventTypeWarning, reasonFailed, "Sync", "%s: %s: %s", o.Where, o.Code, o.Message)
	}
}

// Store tells the result of a store's check.
func (e Events) Store(obj client.Object, ready bool, reason, message string) {
	if e.Recorder == nil {
		return
	}
	kind := corev1.EventTypeWarning
	if ready {
		kind = corev1.EventTypeNormal
	}
	e.Recorder.Eventf(obj, nil, kind, reason, "Check", "%s", message)
}
