// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Workloads wait for Secrets, and people for statuses. When a thousand Secrets
// change at once, all of them are written first: the status of an object that is
// in sync waits while there is a Secret to write.
//
//	Secrets are being written     statuses wait, but those older than patience go
//	                              a few at a time
//	none is                       as many go as Secrets would
//	the object is looked at       its status waits, and the next one takes its place
//	the process ends              what waits is written, for a few seconds
//
// A status that is lost with its process is made good by the next one, which
// looks at each object again.

const (
	// patience is how long a status waits for Secrets.
	patience = 5 * time.Second
	// few is how many statuses are written together while Secrets are.
	few = 2
	// goodbye is how long statuses are written after the process was told to end.
	goodbye = 3 * time.Second
	// rewrite caps the pause after which a status is written again that could not be.
	rewrite = 10 * time.Second
)

// reports are the statuses that are to be written.
type reports struct {
	// put writes the status of after, which is an edition of before.
	put func(ctx context.Context, req reconcile.Request, before, after client.Object) error

	mu      sync.Mutex
	free    *sync.Cond
	kick    chan struct{}
	waiting map[reconcile.Request]*pending
	order   []reconcile.Request            // of these, the oldest first; who has to wait goes to the end
	busy    map[reconcile.Request]struct{} // is looked at, or its status is being written
	secrets int                            // that are being written
	running int
	work    sync.WaitGroup
}

// pending is a status that is to be written.
type pending struct {
	before, after client.Object
	since         time.Time
	due           time.Time // not sooner, after a failure
	failures      int
}

func newReports(put func(ctx context.Context, req reconcile.Request, before, after client.Object) error) *reports {
	out := &reports{
		put: put, kick: make(chan struct{}, 1),
		waiting: map[reconcile.Request]*pending{}, busy: map[reconcile.Request]struct{}{},
	}
	out.free = sync.NewCond(&out.mu)
	return out
}

// look is called before an object is looked at, and what it returns after that.
// In between its status is not written by anybody else.
func (r *reports) look(req reconcile.Request) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if _, taken := r.busy[req]; !taken {
			break
		}
		r.free.Wait()
	}
	r.busy[req] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.let(req)
	}
}

// let ends that an object is busy.
func (r *reports) let(req reconcile.Request) {
	delete(r.busy, req)
	r.free.Broadcast()
	if len(r.waiting) > 0 {
		r.nudge()
	}
}

// writing is called before a Secret is written, and what it returns after that.
func (r *reports) writing() (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.secrets--; r.secrets == 0 && len(r.waiting) > 0 {
			r.nudge()
		}
	}
}

// latest returns an object with the status that waits to be written, if there is
// one.
func (r *reports) latest(req reconcile.Request, obj client.Object) client.Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.waiting[req]; p != nil && same(p.before, obj) {
		return p.after
	}
	return obj
}

// same reports whether two are one edition of one object.
func same(a, b client.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion()
}

// later has a status written when there is time. before is what latest returned.
func (r *reports) later(req reconcile.Request, before, after client.Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.waiting[req]
	if p == nil {
		p = &pending{since: time.Now()}
		r.waiting[req] = p
		r.order = append(r.order, req)
	}
	if p.after != before {
		p.before = before
	}
	p.after = after
	r.nudge()
}

// instead takes back the status that waits, because another one is written now,
// and returns what that is an edition of.
func (r *reports) instead(req reconcile.Request, before client.Object) client.Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.waiting[req]
	delete(r.waiting, req)
	if p != nil && p.after == before {
		return p.before
	}
	return before
}

// settled is called when an object's status needs no change. One that waits and is
// not what the object was judged by is out of date.
func (r *reports) settled(req reconcile.Request, obj client.Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.waiting[req]; p != nil && p.after != obj {
		delete(r.waiting, req)
	}
}

// drop forgets an object.
func (r *reports) drop(req reconcile.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, req)
}

func (r *reports) nudge() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// run writes statuses until ctx ends, and then those that wait still.
func (r *reports) run(ctx context.Context) {
	for ctx.Err() == nil {
		timer := time.NewTimer(r.start(ctx, time.Now(), false))
		select {
		case <-timer.C:
		case <-r.kick:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	// Those under way end with ctx, and wait again.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	for r.start(last, time.Now(), true); r.any(); r.start(last, time.Now(), true) {
		select {
		case <-r.kick:
		case <-last.Done():
			r.work.Wait()
			return
		}
	}
}

// any reports whether statuses wait or are being written.
func (r *reports) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) > 0 || r.running > 0
}

// start writes those that may be written now, and returns when to look again if
// nothing happens. At the end there is nothing to wait for.
func (r *reports) start(ctx context.Context, now time.Time, end bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := time.Hour
	for n := len(r.order); n > 0; n-- {
		req := r.order[0]
		p := r.waiting[req]
		if p == nil {
			r.order = r.order[1:]
			continue
		}
		most := workers
		if r.secrets > 0 && !end {
			if left := patience - now.Sub(p.since); left > 0 {
				return min(wait, left)
			}
			most = few
		}
		if r.running >= most {
			return wait
		}
		r.order = r.order[1:]
		_, busy := r.busy[req]
		if left := p.due.Sub(now); busy || left > 0 && !end {
			if !busy {
				wait = min(wait, left)
			}
			r.order = append(r.order, req)
			continue
		}
		delete(r.waiting, req)
		r.busy[req] = struct{}{}
		r.running++
		r.work.Go(func() { r.write(ctx, req, p, end) })
	}
	return wait
}

// write writes one.
func (r *reports) write(ctx context.Context, req reconcile.Request, p *pending, end bool) {
	err := r.put(ctx, req, p.before, p.after)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if err != nil && !end {
		logr.FromContextOrDiscard(ctx).V(1).Info("status not written yet", "reason", apierrors.ReasonForError(err))
		p.due = time.Now().Add(min(rewrite, 100*time.Millisecond<<min(p.failures, 10)))
		p.failures++
		r.waiting[req] = p
		r.order = append(r.order, req)
	}
	if r.running == 0 && len(r.waiting) == 0 {
		r.waiting, r.order = map[reconcile.Request]*pending{}, nil // what a rush needed is kept else
	}
	r.let(req)
	r.nudge()
}
