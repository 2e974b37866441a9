// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"math/rand/v2"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// foresee says what would become of an object, in place of doing it. Its own
// status counts for less than usual: somebody else may have written it, and what
// rests until its turn is looked at now, since that is what is asked for.
func (r *Reconciler) foresee(
	ctx context.Context, req reconcile.Request, s spec.Spec, in spec.Inputs, p plan.Plan, obj client.Object, facts outcome.Facts,
) (reconcile.Result, error) {
	r.Shadow.Begin(s)
	r.targets.saw(req, in.Current)
	if len(p.Issues) > 0 {
		r.Feed.Suspend(s.Object.ID())
		return r.foreseen(req, s, in, facts, diff.Decision{}, nil)
	}
	// Nothing is held: whose leases these are, renews them.
	r.follow(ctx, s, in, r.targets.expanded(req, p), nil, false)
	if facts.Synced && s.Refresh.Mode == spec.Pinned && r.rests(req, s, in, obj, false) {
		o := shadow.Of(s)
		o.Result, o.Message = shadow.Unchanged, "its manifest keeps the Secret as it is for now"
		r.Shadow.Set(s.Object.ID(), o)
		return reconcile.Result{RequeueAfter: r.look(s)}, nil
	}
	facts.Synced = false
	answers, ok := r.ask(ctx, req, s, in, p, obj, false)
	if !ok {
		return reconcile.Result{}, nil // the feed wakes it
	}
	facts.Desired = render.Secret(s, in, p, answers, r.Drivers)
	d := diff.Compute(s, in, facts.Desired, r.Adopt)
	facts.Refused, facts.State, facts.Filled = d.Refused, d.State, d.Filled
	return r.foreseen(req, s, in, facts, d, untouched(p, answers))
}

// foreseen notes what was found out.
func (r *Reconciler) foreseen(
	req reconcile.Request, s spec.Spec, in spec.Inputs, facts outcome.Facts, d diff.Decision, kept error,
) (reconcile.Result, error) {
	out := outcome.Decide(facts)
	r.Shadow.Set(s.Object.ID(), shadow.Predict(s, in.Current, d, out, kept))
	if out.Backoff {
		n := r.targets.failed(req)
		return reconcile.Result{RequeueAfter: outcome.Pause(n, facts.Every, 0, rand.Float64())}, nil //nolint:gosec // jitter
	}
	r.targets.succeeded(req)
	return reconcile.Result{RequeueAfter: sooner(out.Again, r.look(s))}, nil
}

// untouched is why the first of the secrets that were not read was not.
func untouched(p plan.Plan, answers plan.Snapshot) error {
	for _, key := range plan.Expand(p, answers).Keys() {
		if err := answers[key].Err; errors.Is(err, backend.ErrUntouched) {
			return err
		}
	}
	return nil
}
