// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

// Events tells people what happened to an object that its status does not show
// any more, or that somebody should look at. A Secret that is written is neither:
// with an event for each, there would be one write more for each.
type Events struct {
	Recorder events.EventRecorder // nil tells nobody
}

// The reasons, which are those that External Secrets Operator has.
const (
	reasonDeleted = "Deleted"
	reasonFailed  = "UpdateFailed"
	reasonMissing = "MissingProviderSecret"
)

// Tell tells an outcome: the Secret that was deleted, the entries whose remote
// secret is gone, and a failure. changed says that the status is another one
// than before.
func (e Events) Tell(obj client.Object, o outcome.Outcome, verb diff.Verb, changed bool) {
	if e.Recorder == nil {
		return
	}
	if o.Written && verb == diff.Delete {
		e.Recorder.Eventf(obj, nil, corev1.EventTypeNormal, reasonDeleted, "Sync", "Deleted Secret")
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
