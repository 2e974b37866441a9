// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// StoreReconciler keeps the status of one kind of stores true. Objects do not
// wait for it: they ask the feed, and hear from it what is wrong with a store.
type StoreReconciler struct {
	Store    Store
	Objects  client.Reader // cached
	Gatherer gather.Gatherer
	Feed     *feed.Feed
	Writer   cluster.Writer
	Events   cluster.Events
	Shadow   bool // nothing is written

	deps deps
}

// deps remembers what each store asked for at its last check.
type deps struct {
	mu    sync.Mutex
	of    map[reconcile.Request][]feed.Dep
	using map[feed.Dep]map[reconcile.Request]struct{}
}

// set replaces what a store asked for.
func (d *deps) set(req reconcile.Request, list []feed.Dep) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of, d.using = map[reconcile.Request][]feed.Dep{}, map[feed.Dep]map[reconcile.Request]struct{}{}
	}
	for _, dep := range d.of[req] {
		leave(d.using, dep, req)
	}
	delete(d.of, req)
	if len(list) > 0 {
		d.of[req] = list
	}
	for _, dep := range list {
		enter(d.using, dep, req)
	}
}

// on returns the stores that asked for something.
func (d *deps) on(dep feed.Dep) []reconcile.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.using[dep]))
}

// Reconcile checks one store: when it or its credentials change, and at its
// interval. The login is not tried while reads through it succeed.
func (r *StoreReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	obj := r.Store.New()
	err := r.Objects.Get(ctx, req.NamespacedName, obj)
	switch {
	case apierrors.IsNotFound(err):
		r.deps.set(req, nil)
		r.Feed.Drop(r.key(req))
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, err
	case obj.GetDeletionTimestamp() != nil:
		if after := r.Store.Release(obj); after != nil && !r.Shadow {
			return reconcile.Result{}, r.Writer.Object(ctx, obj, after)
		}
		return reconcile.Result{}, nil
	case !r.Store.Managed(obj):
		return reconcile.Result{}, nil
	}
	if by := spec.Paused(obj.GetAnnotations()); by != "" {
		return reconcile.Result{}, r.show(ctx, obj, r.Store.Pause(obj, "paused by "+by, time.Now()))
	}
	store, every := r.Store.Unbound(obj), r.Store.Every(obj)
	if store.Issue != nil {
		return reconcile.Result{}, r.report(ctx, obj, store.Issue, feed.Checked{}, nil)
	}
	checked, err := r.Feed.Check(ctx, r.key(req), store, r.Gatherer.Credentials, every)
	r.deps.set(req, checked.Deps)
	if err := r.report(ctx, obj, nil, checked, err); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: every}, nil
}

func (r *StoreReconciler) key(req reconcile.Request) spec.StoreKey {
	return spec.StoreKey{Kind: r.Store.Kind, Namespace: req.Namespace, Name: req.Name}
}

// report shows what a check said.
func (r *StoreReconciler) report(ctx context.Context, obj client.Object, issue *spec.Issue, checked feed.Checked, failure error) error {
	now := time.Now()
	after := r.Store.Report(obj, issue, checked, failure, now)
	latest := after
	if latest == nil {
		latest = obj
	}
	if next := r.Store.Pause(latest, "", now); next != nil {
		return r.show(ctx, obj, next) // what it says besides is no news
	}
	if after == nil || r.Shadow {
		return nil
	}
	if err := r.show(ctx, obj, after); err != nil {
		return err
	}
	switch {
	case issue != nil:
		r.Events.Store(obj, false, "InvalidProviderConfig", issue.Message)
	case failure != nil:
		r.Events.Store(obj, false, "InvalidProviderConfig", failure.Error())
	case checked.Held:
		r.Events.Store(obj, false, "RemovalsHeld", "much of what was read is missing, and nothing is removed")
	default:
		r.Events.Store(obj, true, "Valid", "store validated")
	}
	return nil
}

// show writes a status, unless it is nil.
func (r *StoreReconciler) show(ctx context.Context, obj, after client.Object) error {
	if after == nil || r.Shadow {
		return nil
	}
	if err := r.Writer.Status(ctx, obj, after); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
