// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// A write of ours comes back as an event of the Secret, often before the API
// server has answered. It must wake nobody: each look at an object reads its
// Secret.
//
//	event                                    object
//	the version that it wrote or saw last    sleeps
//	another, or the Secret is gone           is woken
//	any, while its own write is under way    is woken after that, unless the last one is what it wrote

// secrets wakes those who fill a Secret, by what it is now. What it was before
// is of no interest: that was judged then.
func (r *Reconciler) secrets() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(q queue, secret client.Object, gone bool) {
		for _, req := range r.bySecret(secret, gone) {
			q.Add(req)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e ctrlevent.CreateEvent, q queue) { wake(q, e.Object, false) },
		UpdateFunc: func(_ context.Context, e ctrlevent.UpdateEvent, q queue) { wake(q, e.ObjectNew, false) },
		DeleteFunc: func(_ context.Context, e ctrlevent.DeleteEvent, q queue) { wake(q, e.Object, true) },
	}
}

// bySecret returns whom an event of a Secret wakes. One that is gone is known as it
// was last seen, which may be as we wrote it.
func (r *Reconciler) bySecret(secret client.Object, gone bool) []reconcile.Request {
	version := secret.GetResourceVersion()
	if gone || secret.GetDeletionTimestamp() != nil {
		version = ""
	}
	return r.targets.following(client.ObjectKeyFromObject(secret), version)
}

// underway is a write of a Secret that the API server has not answered yet.
type underway struct {
	heard   bool
	version string // the last that was heard of; "" when the Secret is gone
}

// begin notes that an object's Secret is being written.
func (t *targets) begin(req reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[req]; o != nil {
		o.write = &underway{}
	}
}

// end notes what came of that: the version that the Secret has now, or that
// nothing was written. It reports whether somebody else changed the Secret
// meanwhile, so that the object has to be looked at again.
func (t *targets) end(req reconcile.Request, version string, written bool) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil || o.write == nil {
		return false
	}
	w := o.write
	o.write = nil
	if written {
		o.version = version
	}
	return w.heard && w.version != o.version
}
