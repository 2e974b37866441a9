// SPDX-License-Identifier: Apache-2.0

// Package controller is the shell around the pure packages that runs in a
// cluster: it carries values from one to the next, and knows when. Everything
// it knows how to decide is in dialect, plan, render, diff and outcome.
package controller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Reconciler brings the Secrets of one dialect's objects up to date.
type Reconciler struct {
	Dialect  Dialect
	Drivers  spec.Drivers
	Adopt    diff.Adopt
	Objects  client.Reader // cached
	Gatherer gather.Gatherer
	Feed     *feed.Feed
	Writer   cluster.Writer

	targets targets
}

// Reconcile looks at one object: once when it appears or changes, and then
// only when the feed, its Secret or its namespace gives a reason.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	obj := r.Dialect.New()
	err := r.Objects.Get(ctx, req.NamespacedName, obj)
	if apierrors.IsNotFound(err) || err == nil && (obj.GetDeletionTimestamp() != nil || !r.Dialect.Managed(obj)) {
		// Its Secret is the garbage collector's by the owner reference, or
		// another instance's.
		r.forget(req)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	obj = r.targets.latest(req, obj)
	s := r.Dialect.Spec(obj)
	known := r.targets.put(req, s)
	in, err := r.Gatherer.Inputs(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	s.Issues = append(s.Issues, r.Dialect.Permit(obj, in.Namespace)...)
	p := plan.Build(s, in, r.Drivers)
	facts := outcome.Facts{Issues: p.Issues, Synced: r.Dialect.Synced(obj) && in.Current != nil, Every: s.Refresh.Every}
	if len(p.Issues) > 0 {
		r.Feed.Forget(s.Object.ID())
		return r.finish(ctx, req, obj, facts)
	}
	r.Feed.Follow(ctx, feed.Subscription{
		Owner: s.Object.ID(), Plan: p, Stores: in.Stores, Every: s.Refresh.Every, Mode: s.Refresh.Mode,
		Held: held(p, r.Dialect.Held(obj), facts.Synced && stands(s, in.Current)),
	}, r.Gatherer.Credentials)
	if !known && facts.Synced && stands(s, in.Current) {
		// A restart or a new leader: it waits for its phase, so that a restart
		// costs nothing.
		return reconcile.Result{}, nil
	}
	answers, ok := r.Feed.Ask(s.Object.ID(), false)
	if !ok {
		return reconcile.Result{}, nil // the feed wakes it
	}
	facts.Desired = render.Secret(s, in, p, answers, r.Drivers)
	facts.Refused, facts.Written = r.write(ctx, req, s, in, facts.Desired)
	return r.finish(ctx, req, obj, facts)
}

// write carries out what the diff asks for.
func (r *Reconciler) write(ctx context.Context, req reconcile.Request, s spec.Spec, in spec.Inputs, want render.Desired) (*spec.Issue, bool) {
	changes, refused := diff.Compute(s, in.Current, want, r.Adopt)
	if refused != nil || len(changes) == 0 {
		return refused, false
	}
	version, err := r.Writer.Apply(ctx, s.Target.Manager, changes)
	if err != nil {
		logr.FromContextOrDiscard(ctx).V(1).Info("Secret not written", "reason", apierrors.ReasonForError(err))
		issue := cluster.Issue(s.Target.Name, err)
		return &issue, false
	}
	r.targets.wrote(req, version)
	return nil, true
}

// finish is the only exit that tells people something.
func (r *Reconciler) finish(ctx context.Context, req reconcile.Request, obj client.Object, facts outcome.Facts) (reconcile.Result, error) {
	out := outcome.Decide(facts)
	if after := r.Dialect.Report(obj, out, time.Now()); after != nil {
		if err := r.Writer.Status(ctx, obj, after); err != nil {
			return reconcile.Result{}, fmt.Errorf("write status: %w", err)
		}
		r.targets.reported(req, obj, after)
	}
	if out.Backoff {
		n := r.targets.failed(req)
		return reconcile.Result{RequeueAfter: outcome.Pause(n, facts.Every, 0, rand.Float64())}, nil //nolint:gosec // jitter
	}
	r.targets.succeeded(req)
	return reconcile.Result{RequeueAfter: out.Again}, nil
}

// forget ends everything about an object that is gone or somebody else's.
func (r *Reconciler) forget(req reconcile.Request) {
	if id, ok := r.targets.remove(req); ok {
		r.Feed.Forget(id)
	}
}

// held are the versions that the object's Secret holds already, while it
// stands.
func held(p plan.Plan, versions map[string]string, stands bool) map[plan.Key]string {
	if len(versions) == 0 || !stands {
		return nil
	}
	out := map[plan.Key]string{}
	for _, key := range p.Keys() {
		if v := versions[key.Ref.String()]; v != "" {
			out[key] = v
		}
	}
	return out
}

// stands reports whether the Secret is there and the object's.
func stands(s spec.Spec, current *spec.Secret) bool {
	if current == nil {
		return false
	}
	owner, ok := current.Controller()
	return ok && owner == spec.OwnerRefTo(s.Object)
}
