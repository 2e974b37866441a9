// SPDX-License-Identifier: Apache-2.0

// Package controller is the shell around the pure packages that runs in a
// cluster: it carries values from one to the next, and knows when. Everything
// it knows how to decide is in dialect, plan, render, diff and outcome.
package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
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
	Events   cluster.Events
	// Heartbeat is how old the time in the status of an object may be that is in
	// sync; 0 means that it changes with the object only.
	Heartbeat time.Duration
	// Shadow is told what would be done, in place of doing it; nil is the usual.
	Shadow *shadow.Report

	targets targets
	reports *reports
	wake    func(reconcile.Request)
}

// Reconcile looks at one object: once when it appears or changes, and then
// only when the feed, its Secret, or something it depends on gives a reason.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	defer r.reports.look(req)()
	obj := r.Dialect.New()
	err := r.Objects.Get(ctx, req.NamespacedName, obj)
	switch {
	case apierrors.IsNotFound(err):
		// Its Secret is the garbage collector's by the owner reference.
		r.forget(req, r.Feed.Gone)
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, err
	case obj.GetDeletionTimestamp() != nil:
		if slices.Contains(obj.GetFinalizers(), metav1.FinalizerOrphanDependents) {
			r.forget(req, r.Feed.Forget) // its Secret is to stay
		}
		r.suspend(req)
		return reconcile.Result{}, r.release(ctx, obj)
	case !r.Dialect.Managed(obj):
		r.forget(req, r.Feed.Forget)
		return reconcile.Result{}, nil
	}
	obj = r.reports.latest(req, r.targets.latest(req, obj))
	s := r.Dialect.Spec(obj, time.Now())
	known := r.targets.put(req, s)
	in, err := r.Gatherer.Inputs(ctx, s, r.Dialect.Kinds(), r.targets.seen(req))
	if err != nil {
		return reconcile.Result{}, err
	}
	if foreign(in.Stores) {
		r.forget(req, r.Feed.Forget)
		return reconcile.Result{}, nil
	}
	if r.Dialect.Permit != nil {
		s.Issues = append(s.Issues, r.Dialect.Permit(obj, in.Namespace)...)
	}
	if by := spec.PausedBy(obj.GetAnnotations(), s.Entries, in.Stores); by != "" {
		return reconcile.Result{}, r.pause(ctx, req, s, obj, by)
	}
	if in, err = r.mend(ctx, req, s, in); err != nil {
		return reconcile.Result{}, err
	}
	p := plan.Build(s, in, r.Drivers)
	facts := outcome.Facts{
		Issues: p.Issues, Every: s.Refresh.Every, Held: r.Dialect.Held(obj),
		Synced: r.Dialect.Synced(obj) && stands(s, in.Current) && !r.targets.mended(req),
	}
	if r.Shadow != nil {
		return r.foresee(ctx, req, s, in, p, obj, facts)
	}
	if len(p.Issues) > 0 {
		r.Feed.Suspend(s.Object.ID())
		return r.finish(ctx, req, s, obj, facts)
	}
	r.follow(ctx, s, in, r.targets.expanded(req, p), facts.Held, facts.Synced)
	if facts.Synced && r.rests(req, s, in, obj, r.familiar(known, s, obj)) {
		r.targets.saw(req, in.Current)
		return reconcile.Result{RequeueAfter: r.look(s)}, nil
	}
	answers, ok := r.ask(ctx, req, s, in, p, obj, facts.Synced)
	if !ok {
		return reconcile.Result{}, nil // the feed wakes it
	}
	facts.Desired = render.Secret(s, in, p, answers, r.Drivers)
	written := r.reports.writing()
	err = r.write(ctx, req, s, in, &facts, r.Dialect.Synced(obj))
	written()
	if errors.Is(err, errChanged) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	r.Feed.Settle(s.Object.ID(), facts.Refused == nil && (facts.Filled || facts.State == diff.Deleted))
	return r.finish(ctx, req, s, obj, facts)
}

// rests reports whether an object that is in sync, as its status says, is left
// alone. After a restart or a change of leader it waits for its phase, so that a
// restart costs nothing, unless something changed while nobody looked. A pinned
// one is left alone until somebody else touches its Secret.
func (r *Reconciler) rests(req reconcile.Request, s spec.Spec, in spec.Inputs, obj client.Object, known bool) bool {
	orphan := s.Target.Creation == spec.Orphan
	if !known {
		changed := r.Dialect.SyncedAt != nil && in.SourcesChanged.After(r.Dialect.SyncedAt(obj))
		return !changed && (orphan || !diff.Drifted(s, in.Current))
	}
	return s.Refresh.Mode == spec.Pinned && (orphan || r.targets.untouched(req, in.Current))
}

// release takes away from an object that is being deleted what nobody else
// would.
func (r *Reconciler) release(ctx context.Context, obj client.Object) error {
	if r.Dialect.Release == nil || r.Shadow != nil {
		return nil
	}
	after := r.Dialect.Release(obj)
	if after == nil {
		return nil
	}
	return r.Writer.Object(ctx, obj, after)
}

// foreign reports whether another controller looks after one of the stores,
// and so after the object.
func foreign(stores map[spec.StoreKey]spec.Store) bool {
	for _, s := range stores {
		if s.Foreign {
			return true
		}
	}
	return false
}

func (r *Reconciler) follow(ctx context.Context, s spec.Spec, in spec.Inputs, p plan.Plan, versions map[string]string, synced bool) {
	r.Feed.Follow(ctx, feed.Subscription{
		Owner: s.Object.ID(), Plan: p, Stores: in.Stores, Every: s.Refresh.Every, Mode: s.Refresh.Mode,
		Held: held(p, versions, synced), Outlived: s.Target.Creation != spec.Owner,
		Removes: s.Target.Deletion != spec.Retain,
	}, r.Gatherer.Credentials)
}

// ask returns the answers to a plan. What its listings yield is asked for too,
// and is part of what the object follows from then on.
func (r *Reconciler) ask(ctx context.Context, req reconcile.Request, s spec.Spec, in spec.Inputs, p plan.Plan, obj client.Object, synced bool) (plan.Snapshot, bool) {
	force := r.Dialect.Forced != nil && r.targets.force(req, r.Dialect.Forced(obj))
	answers, ok := r.Feed.Ask(s.Object.ID(), force)
	if !ok || len(p.Finds) == 0 {
		return answers, ok
	}
	whole := plan.Expand(p, answers)
	if !r.targets.expand(req, whole) {
		return answers, true // it followed all of it already
	}
	r.follow(ctx, s, in, whole, r.Dialect.Held(obj), synced)
	return r.Feed.Ask(s.Object.ID(), false)
}

// write carries out what the diff asks for. synced says that the object was in
// sync before.
func (r *Reconciler) write(ctx context.Context, req reconcile.Request, s spec.Spec, in spec.Inputs, facts *outcome.Facts, synced bool) error {
	d := diff.Compute(s, in, facts.Desired, r.Adopt)
	facts.Refused, facts.State, facts.Filled = d.Refused, d.State, d.Filled
	facts.Bound = in.Current != nil && s.Target.Creation != spec.None && !unread(facts.Desired.Problems)
	if d.Refused != nil || len(d.Changes) == 0 {
		r.targets.saw(req, in.Current)
		return nil
	}
	objects := r.Objects
	if synced && d.Changes[0].Verb == diff.Create {
		// Its Secret is gone, as it is when the object was deleted and the cache is
		// late: the garbage collector would take what is made each time.
		objects = r.Gatherer.Live
	}
	if issue, err := r.stillAllowed(ctx, objects, req, s, in.Stores); err != nil || issue != nil {
		facts.Refused = issue
		return err
	}
	r.targets.begin(req)
	version, err := r.Writer.Apply(ctx, s.Target.Manager, d.Changes)
	if r.targets.end(req, version, err == nil) {
		defer r.wake(req) // somebody else wrote it, too
	}
	if err != nil {
		logr.FromContextOrDiscard(ctx).V(1).Info("Secret not written", "reason", apierrors.ReasonForError(err))
		issue := cluster.Issue(s.Target.Name, err)
		facts.Refused = &issue
		return nil
	}
	facts.Written, facts.Verb = true, d.Changes[0].Verb
	facts.Bound = facts.Bound || version != ""
	return nil
}

// unread reports whether something could not be read, as opposed to rendered.
func unread(problems []render.Problem) bool {
	return slices.ContainsFunc(problems, func(p render.Problem) bool { return p.Store != (spec.StoreKey{}) })
}

// errChanged says that the object, or a store of it, is no longer the one that was
// decided on. Its change wakes the object.
var errChanged = errors.New("the object or a store of it changed meanwhile")

// stillAllowed looks again at the object and at its stores right before a
// write: since they were read, the manifest may have changed, a store may be
// gone or mean another place, and a namespace may have lost its label.
func (r *Reconciler) stillAllowed(ctx context.Context, objects client.Reader, req reconcile.Request, s spec.Spec, read map[spec.StoreKey]spec.Store) (*spec.Issue, error) {
	obj := r.Dialect.New()
	if err := objects.Get(ctx, req.NamespacedName, obj); err != nil || string(obj.GetUID()) != s.Object.UID ||
		obj.GetGeneration() != s.Object.Generation || spec.Paused(obj.GetAnnotations()) != "" {
		return nil, errors.Join(errChanged, client.IgnoreNotFound(err))
	}
	kinds := r.Dialect.Kinds()
	if len(kinds) == 0 {
		return nil, nil //nolint:nilnil // there is nothing to find
	}
	stores, err := r.Gatherer.Allowed(ctx, s, kinds)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Entries {
		store, ok := stores[e.Store]
		switch {
		case !ok:
			return &spec.Issue{Where: e.Where, Store: e.Store, Code: backend.InvalidRef, Message: e.Store.String() + " does not exist"}, nil
		case store.Issue != nil:
			return &spec.Issue{Where: e.Where, Store: e.Store, Code: store.Issue.Code, Message: store.Issue.Message}, nil
		case store.Revision != read[e.Store].Revision, store.Paused != "":
			return nil, errChanged
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// finish is the only exit that tells people something.
func (r *Reconciler) finish(ctx context.Context, req reconcile.Request, s spec.Spec, obj client.Object, facts outcome.Facts) (reconcile.Result, error) {
	out := outcome.Decide(facts)
	now := time.Now()
	beat := r.beat(obj, &out, facts, now)
	after := r.resumed(obj, r.Dialect.Report(obj, out, now), now)
	switch {
	case after == nil:
		r.reports.settled(req, obj)
	case facts.Written && !out.Backoff:
		r.reports.later(req, obj, after)
	default:
		if err := r.report(ctx, req, obj, after); err != nil {
			return reconcile.Result{}, err
		}
	}
	if r.Dialect.Events {
		r.Events.Tell(obj, out, facts.Verb, after != nil)
	}
	if out.Backoff {
		n := r.targets.failed(req)
		return reconcile.Result{RequeueAfter: outcome.Pause(n, facts.Every, 0, rand.Float64())}, nil //nolint:gosec // jitter
	}
	r.targets.succeeded(req)
	return reconcile.Result{RequeueAfter: sooner(sooner(out.Again, r.look(s)), beat)}, nil
}

// report writes a status now.
func (r *Reconciler) report(ctx context.Context, req reconcile.Request, obj, after client.Object) error {
	before := r.reports.instead(req, obj)
	if err := r.Writer.Status(ctx, before, after); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	r.targets.reported(req, before, after)
	return nil
}

// reportLate writes a status that waited, unless its object is gone.
func (r *Reconciler) reportLate(ctx context.Context, req reconcile.Request, before, after client.Object) error {
	now := r.Dialect.New()
	if err := r.Objects.Get(ctx, req.NamespacedName, now); err != nil || now.GetUID() != before.GetUID() {
		return client.IgnoreNotFound(err)
	}
	if err := r.Writer.Status(ctx, before, after); err != nil {
		return err
	}
	r.targets.reported(req, before, after)
	return nil
}

// beat has the status of an object that is in sync written when its time is too
// old, and returns when it will be next; 0 is never.
func (r *Reconciler) beat(obj client.Object, out *outcome.Outcome, facts outcome.Facts, now time.Time) time.Duration {
	if r.Heartbeat <= 0 || out.Ready != outcome.IsReady || facts.Desired.Stale != nil {
		return 0
	}
	left := r.Heartbeat - now.Sub(r.Dialect.RefreshedAt(obj))
	if left > 0 && !out.Written {
		return left
	}
	out.Written = true
	return r.Heartbeat
}

// look is when an object is looked at without any reason. The Secrets of
// orphans are repaired at their interval only, as their users know it.
func (r *Reconciler) look(s spec.Spec) time.Duration {
	out := s.Refresh.Until(time.Now())
	if s.Target.Creation == spec.Orphan && s.Refresh.Mode == spec.Periodic {
		out = sooner(out, s.Refresh.Every)
	}
	return out
}

// sooner returns the shorter of two waits, of which 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// forget ends what is known of an object, in the feed by Gone or Forget.
func (r *Reconciler) forget(req reconcile.Request, end func(spec.ID)) {
	r.reports.drop(req)
	if id, ok := r.targets.remove(req); ok {
		end(id)
		r.Shadow.Drop(id)
	}
}

// suspend stops following an object that is there still.
func (r *Reconciler) suspend(req reconcile.Request) {
	if id, ok := r.targets.known(req); ok {
		r.Feed.Suspend(id)
		r.Shadow.Drop(id)
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

// stands reports whether the Secret is there and the object's, as far as the
// object wants one.
func stands(s spec.Spec, current *spec.Secret) bool {
	switch {
	case s.Target.Creation == spec.None, s.Target.Creation == spec.Orphan:
		return true // an orphan that is gone is made again at its interval
	case current == nil:
		return false
	case s.Target.Creation != spec.Owner:
		return len(current.Fields) > 0
	}
	owner, ok := current.Controller()
	ours := spec.OwnerRefTo(s.Object)
	ours.Block = owner.Block
	return ok && owner == ours
}
