// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// quiet is how long no write must come for a phase to be over.
const quiet = 3 * time.Second

// measureSize measures everything about a number of objects.
func measureSize(ctx context.Context, opts options, objects int) (f figures, err error) {
	say("%d objects:", objects)
	r, err := newRig(ctx, opts)
	if err != nil {
		return f, err
	}
	defer r.close(&err)
	f.workload, f.interval = workloadOf(objects), opts.interval
	v, err := startVault(newState(f.workload), opts.delay, false)
	if err != nil {
		return f, err
	}
	r.manager = v
	f.apiServer, err = r.version()
	if err != nil {
		return f, err
	}
	if f.base, err = r.idle(ctx); err != nil {
		return f, err
	}
	say("raw ceiling: %d Secrets and statuses by %d clients", objects, clients)
	if f.raw, err = r.raw(ctx); err != nil {
		return f, err
	}
	say("  %s", seconds(f.raw))
	if err := r.prepare(ctx); err != nil {
		return f, err
	}
	if f.sync, err = r.firstSync(ctx); err != nil {
		return f, err
	}
	if f.rest, err = r.rest(ctx); err != nil {
		return f, err
	}
	say("a change of every path, that nobody tells of")
	if f.polled, err = r.change(ctx); err != nil {
		return f, err
	}
	if f.restart, err = r.restart(ctx); err != nil {
		return f, err
	}
	f.noticed, err = r.notices(ctx, v)
	return f, err
}

// measureProber measures what objects cost at rest whose product tells what
// changed.
func measureProber(ctx context.Context, opts options, objects int) (f figures, err error) {
	say("%d objects of a product that can be probed:", objects)
	r, err := newRig(ctx, opts)
	if err != nil {
		return f, err
	}
	defer r.close(&err)
	f.workload, f.interval = workloadOf(objects), opts.interval
	if r.manager, err = startIBM(newState(f.workload), opts.delay); err != nil {
		return f, err
	}
	if err := r.prepare(ctx); err != nil {
		return f, err
	}
	if f.sync, err = r.firstSync(ctx); err != nil {
		return f, err
	}
	if f.rest, err = r.rest(ctx); err != nil {
		return f, err
	}
	say("a change of every path, that nobody tells of")
	f.polled, err = r.change(ctx)
	return f, err
}

// close is stop, for a defer.
func (r *rig) close(err *error) {
	say("stopping")
	if stopErr := r.stop(); *err == nil {
		*err = stopErr
	}
}

func (r *rig) version() (string, error) {
	v, err := r.sets.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return v.GitVersion, nil
}

// idle is what Lockstep has resident with nothing to do.
func (r *rig) idle(ctx context.Context) (memory, error) {
	say("Lockstep with nothing to do, for %s", r.opts.settle)
	if err := r.run(ctx); err != nil {
		return memory{}, err
	}
	if err := r.wait(ctx, r.opts.settle); err != nil {
		return memory{}, err
	}
	m, err := r.child.memory()
	if err != nil {
		return m, err
	}
	say("  %s resident", megabytes(m.all))
	return m, r.end()
}

// prepare makes the objects, and watches their Secrets.
func (r *rig) prepare(ctx context.Context) error {
	say("creating the objects")
	if _, err := r.create(ctx, lookedAfter, r.manager.stores(storeName)); err != nil {
		return err
	}
	r.follow = newFollower(ctx, r.sets, r.manager.values())
	return nil
}

// firstSync starts Lockstep, and waits until every Secret is right and every
// object says so.
func (r *rig) firstSync(ctx context.Context) (s synced, err error) {
	say("first sync")
	m, err := r.mark(ctx)
	if err != nil {
		return s, err
	}
	if err := r.run(ctx); err != nil {
		return s, err
	}
	objects := r.manager.values().objects
	err = r.until(ctx, "all are synced", func() (bool, error) {
		if r.follow.count() < objects {
			return false, nil
		}
		if s.asked == 0 {
			s.asked = len(r.manager.requests().since(m.requests))
		}
		if s.cost, err = r.since(m); err != nil || len(firsts(s.list, patchStatus, lookedAfter)) < objects {
			return false, err
		}
		n, _, err := r.unready(ctx)
		return n == 0, err
	})
	if err != nil {
		if n, example, listErr := r.unready(context.WithoutCancel(ctx)); listErr == nil && n > 0 {
			err = fmt.Errorf("%d are not ready, such as %s: %w", n, example, err)
		}
		return s, err
	}
	var each []time.Duration
	for _, t := range firsts(s.list, patchStatus, lookedAfter) {
		each = append(each, t.Sub(r.child.started))
	}
	s.spread, s.secrets = spreadOf(each), spreadOf(r.follow.after(r.child.started))
	// What comes late is a part of what it costs.
	if err := r.settled(ctx, m); err != nil {
		return s, err
	}
	late, err := r.whole(ctx, m)
	s.reads, s.writes, s.refused, s.list = late.reads, late.writes, late.refused, late.list
	say("  all after %s, all Secrets after %s; %s", seconds(s.last), seconds(s.secrets.last), s.cost)
	return s, err
}

// settled waits until nothing is written any more since a mark.
func (r *rig) settled(ctx context.Context, m mark) error {
	return r.until(ctx, "nothing is written", func() (bool, error) {
		list, err := r.audit.since(m.writes)
		return time.Since(latest(work(list))) > quiet, err
	})
}

// rest measures what is done while nothing changes.
func (r *rig) rest(ctx context.Context) (out resting, err error) {
	say("at rest, for %s after %s", r.opts.rest, r.opts.settle)
	if err := r.wait(ctx, r.opts.settle); err != nil {
		return out, err
	}
	m, err := r.mark(ctx)
	if err != nil {
		return out, err
	}
	if err := r.wait(ctx, r.opts.rest); err != nil {
		return out, err
	}
	if out.cost, err = r.whole(ctx, m); err != nil {
		return out, err
	}
	out.memory, err = r.child.memory()
	say("  %s; %s resident, of it %s not of files", out.cost, megabytes(out.memory.all), megabytes(out.memory.anon))
	return out, err
}

// change changes every path, and waits until all Secrets hold that.
func (r *rig) change(ctx context.Context) (c changed, err error) {
	m, err := r.mark(ctx)
	if err != nil {
		return c, err
	}
	values := r.manager.values()
	began, err := r.follow.change(r.manager, values.all())
	if err != nil {
		return c, err
	}
	err = r.until(ctx, "the change is everywhere", func() (bool, error) { return r.follow.count() == values.objects, nil })
	if err != nil {
		return c, err
	}
	c.spread = spreadOf(r.follow.after(began))
	if err := r.settled(ctx, m); err != nil {
		return c, err
	}
	c.cost, err = r.whole(ctx, m)
	say("  in all Secrets after %s, in half of them after %s; %s", seconds(c.last), seconds(c.median), c.cost)
	return c, err
}

// restart stops Lockstep, changes one path, and looks at what Lockstep does in
// the interval after it was started again.
func (r *rig) restart(ctx context.Context) (out restarted, err error) {
	say("a restart, with a change of one path meanwhile")
	if err := r.end(); err != nil {
		return out, err
	}
	m, err := r.mark(ctx)
	if err != nil {
		return out, err
	}
	m.cpu = 0
	values := r.manager.values()
	if _, err := r.follow.change(r.manager, []int{0}); err != nil {
		return out, err
	}
	out.users = values.users(0)
	if err := r.run(ctx); err != nil {
		return out, err
	}
	err = r.until(ctx, "the change is in its Secrets", func() (bool, error) { return r.follow.count() == values.objects, nil })
	if err != nil {
		return out, err
	}
	out.arrived = spreadOf(r.follow.after(r.child.started)).last
	if err := r.wait(ctx, time.Until(r.child.started.Add(r.opts.interval))); err != nil {
		return out, err
	}
	out.cost, err = r.whole(ctx, m)
	if err != nil {
		return out, err
	}
	out.memory, err = r.child.memory()
	say("  the change arrived after %s; in an interval %s; %d in the busiest second", seconds(out.arrived), out.cost, out.burst)
	return out, err
}

// notices starts Lockstep once more with a manager that tells what changes, and
// changes every path.
func (r *rig) notices(ctx context.Context, v *vault) (changed, error) {
	say("a change of every path, that the manager tells of")
	if err := r.end(); err != nil {
		return changed{}, err
	}
	v.streams.turn(true)
	if err := r.run(ctx); err != nil {
		return changed{}, err
	}
	err := r.until(ctx, "Lockstep listens", func() (bool, error) { return v.streams.listeners() > 0, nil })
	if err != nil {
		return changed{}, err
	}
	// All that a start does is done.
	if err := r.wait(ctx, r.opts.settle); err != nil {
		return changed{}, err
	}
	return r.change(ctx)
}
