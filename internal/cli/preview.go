// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// preview runs the same steps as the controller, without a cluster.
type preview struct {
	drivers  spec.Drivers
	feed     *feed.Feed
	gatherer gather.Gatherer
	woken    chan struct{}
	ctx      context.Context //nolint:containedctx // the life of one command
	stop     context.CancelFunc
}

func newPreview(ctx context.Context, drivers spec.Drivers, m *manifests) *preview {
	files := gather.Files(m.objects)
	p := &preview{drivers: drivers, gatherer: gather.Gatherer{Live: files, Cached: files}, woken: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(ctx)
	here, _ := permitted(loopback, true, "") // a constant
	p.feed = feed.New(feed.Options{Drivers: drivers, Network: feed.Network{Permit: here}, Wake: func(spec.ID) {
		select {
		case p.woken <- struct{}{}:
		default:
		}
	}})
	go p.feed.Run(p.ctx)
	return p
}

// secret returns the Secret that an object would lead to, or nil when it would
// lead to none.
func (p *preview) secret(d controller.Dialect, obj client.Object) (*spec.Secret, outcome.Outcome) {
	s := d.Spec(obj, time.Now())
	in, err := p.gatherer.Inputs(p.ctx, s, d.Kinds(), true)
	if err != nil {
		return nil, outcome.Decide(outcome.Facts{Refused: &spec.Issue{Where: "lockstep", Code: backend.Unknown, Message: err.Error()}})
	}
	pl := plan.Build(s, in, p.drivers)
	facts := outcome.Facts{Issues: pl.Issues}
	if len(pl.Issues) > 0 {
		return nil, outcome.Decide(facts)
	}
	defer p.feed.Forget(s.Object.ID())
	answers, ok := p.answers(s, in, pl)
	if !ok {
		facts.Refused = &spec.Issue{Where: "lockstep", Code: backend.Unavailable, Message: "interrupted"}
		return nil, outcome.Decide(facts)
	}
	facts.Desired = render.Secret(s, in, pl, answers, p.drivers)
	done := diff.Compute(s, in, facts.Desired, diff.AdoptMerge)
	facts.Refused, facts.State, facts.Filled = done.Refused, done.State, done.Filled
	out := outcome.Decide(facts)
	for _, c := range done.Changes {
		if c.Verb != diff.Delete {
			return &c.Secret, out
		}
	}
	return nil, out
}

// answers asks for what a plan needs, and for what its listings yield.
func (p *preview) answers(s spec.Spec, in spec.Inputs, pl plan.Plan) (plan.Snapshot, bool) {
	answers, ok := p.ask(s, in, pl)
	if !ok || len(pl.Finds) == 0 {
		return answers, ok
	}
	return p.ask(s, in, plan.Expand(pl, answers))
}

func (p *preview) ask(s spec.Spec, in spec.Inputs, pl plan.Plan) (plan.Snapshot, bool) {
	// Pinned, so that nothing is polled.
	p.feed.Follow(p.ctx, feed.Subscription{
		Owner: s.Object.ID(), Plan: pl, Stores: in.Stores, Mode: spec.Pinned,
	}, p.gatherer.Credentials)
	answers, ok := p.feed.Ask(s.Object.ID(), false)
	for !ok {
		select {
		case <-p.woken:
			answers, ok = p.feed.Ask(s.Object.ID(), false)
		case <-p.ctx.Done():
			return nil, false
		}
	}
	return answers, true
}
