// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"math/rand/v2"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

const (
	// deadAfter is how many reads in a row, of as many secrets, have to fail
	// before a store counts as dead. One secret may have a trouble of its
	// own, and one read bad luck.
	deadAfter = 3
	// probeEvery caps the pause between two questions to a dead store.
	probeEvery = 30 * time.Second
)

// outage is what a login knows of its store being dead. A dead store is asked
// by one read at a time, with a back-off; all other reads fail without being
// made, so that many secrets cost no more than one.
type outage struct {
	refs    map[*ref]struct{} // that got no answer since the last one that came
	reads   int               // that brought none since
	probes  int
	probing bool
	next    time.Time
}

func (o *outage) dead() bool { return len(o.refs) >= deadAfter && o.reads >= deadAfter }

// refuse returns why a read must not be made now, or nil. It counts the read
// as the probe when the store is dead.
func (o *outage) refuse(now time.Time) error {
	if !o.dead() {
		return nil
	}
	if o.probing || now.Before(o.next) {
		return backend.Errorf(backend.Unavailable, "the store does not answer")
	}
	o.probing = true
	return nil
}

// note learns from a read, and reports whether it ended an outage.
func (o *outage) note(batch []*ref, results []reply, now time.Time) (over bool) {
	o.probing = false
	dead := o.dead()
	for _, result := range results {
		switch backend.CodeOf(result.Err) {
		case "", backend.NotFound, backend.PermissionDenied, backend.Unauthenticated, backend.Conflict:
			*o = outage{}
			return dead
		}
	}
	o.reads++
	for i, r := range batch {
		if backend.CodeOf(results[i].Err) == backend.Unavailable && len(r.asked) > 0 {
			if o.refs == nil {
				o.refs = map[*ref]struct{}{}
			}
			o.refs[r] = struct{}{}
		}
	}
	if o.dead() && !now.Before(o.next) { // those that began before it was dead do not count
		o.probes++
		o.next = now.Add(outcome.Pause(o.probes, probeEvery, 0, rand.Float64())) //nolint:gosec // jitter
	}
	return false
}

// revive queues what failed while the store was dead.
func (f *Feed) revive(l *login) {
	f.requeue(l, func(err error) bool { return outcome.Transient(backend.CodeOf(err)) })
}

// requeue queues what failed in a certain way and waits for its time.
func (f *Feed) requeue(l *login, failed func(error) bool) {
	for r := range l.all {
		if failed(r.err) && r.scheduled() {
			f.schedule.remove(r)
			r.enqueue(false)
		}
	}
}
