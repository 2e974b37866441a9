// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// pause leaves an object alone and says what it is paused by. Leases in its
// Secret are renewed as long as that goes: without that they would end, and the
// Secret would be of no use.
func (r *Reconciler) pause(ctx context.Context, req reconcile.Request, s spec.Spec, obj client.Object, by string) error {
	r.Feed.Suspend(s.Object.ID())
	if r.Shadow != nil {
		o := shadow.Of(s)
		o.Result, o.Message = shadow.Unchanged, by
		r.Shadow.Set(s.Object.ID(), o)
		return nil
	}
	after := r.Dialect.Pause(obj, by, time.Now())
	if after == nil {
		r.reports.settled(req, obj)
		return nil
	}
	return r.report(ctx, req, obj, after)
}

// resumed returns the object with a status that does not say any more that it is
// paused. after is the object with the status to show, or nil when it shows it
// already.
func (r *Reconciler) resumed(obj, after client.Object, now time.Time) client.Object {
	latest := after
	if latest == nil {
		latest = obj
	}
	if next := r.Dialect.Pause(latest, "", now); next != nil {
		return next
	}
	return after
}

// familiar reports whether an object is treated as one that was looked at before.
// After a pause it is synced at once. It is not where that would read what it
// should not: secrets that reading changes, and what its manifest keeps as it is.
func (r *Reconciler) familiar(known bool, s spec.Spec, obj client.Object) bool {
	if !r.Dialect.Paused(obj) {
		return known
	}
	return s.Refresh.Mode == spec.Periodic && len(r.Dialect.Held(obj)) == 0
}

// pauses are the changes of an object's or a store's pause.
func pauses() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(ctrlevent.CreateEvent) bool { return false },
		DeleteFunc:  func(ctrlevent.DeleteEvent) bool { return false },
		GenericFunc: func(ctrlevent.GenericEvent) bool { return false },
		UpdateFunc: func(e ctrlevent.UpdateEvent) bool {
			return spec.Paused(e.ObjectOld.GetAnnotations()) != spec.Paused(e.ObjectNew.GetAnnotations())
		},
	}
}
