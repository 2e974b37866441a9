// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"math/rand/v2"
	"slices"
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
//
// A store is dead that does not answer, and so is one whose answers nobody
// understands, once that is so for most of its secrets: a few that nobody
// understands may be asked in a row although all others are well. There, those
// that were not asked yet are asked all the same.
type outage struct {
	refs    map[*ref]bool // that got no good answer since the last one that came; true without any answer
	silent  int           // how many of these got none
	reads   int           // that brought no good answer since
	probes  int
	probing bool
	next    time.Time
}

// dead reports whether a store is, of whose secrets so many are followed.
func (o *outage) dead(followed int) bool {
	return o.reads >= deadAfter && (o.silent >= deadAfter || len(o.refs) >= deadAfter && 2*len(o.refs) > followed)
}

// refuse returns why a batch must not be read now, or nil. It counts the read
// as the probe when the store is dead.
func (l *login) refuse(batch []*ref, now time.Time) error {
	o := &l.outage
	if !o.dead(l.items()) || o.silent < deadAfter && slices.ContainsFunc(batch, o.unheard) {
		return nil
	}
	if o.probing || now.Before(o.next) {
		return backend.Errorf(backend.Unavailable, "the store does not answer")
	}
	o.probing = true
	return nil
}

// unasked are the results of a batch that was not asked for. A secret whose
// answers nobody understood is still told that.
func unasked(batch []*ref, err error) []reply {
	out := outcomes(batch, err)
	for i, r := range batch {
		if code := backend.CodeOf(r.err); baffling(code) {
			out[i].Err = r.err
		}
	}
	return out
}

// baffling reports whether an answer says neither what a secret is nor that the
// store is in trouble.
func baffling(c backend.Code) bool { return c == backend.Unknown || c == backend.Conflict }

// note learns from a read, and reports whether it ended an outage.
func (l *login) note(batch []*ref, results []reply, now time.Time) (over bool) {
	o := &l.outage
	o.probing = false
	dead := o.dead(l.items())
	for _, result := range results {
		switch backend.CodeOf(result.Err) {
		case "", backend.NotFound, backend.PermissionDenied, backend.Unauthenticated:
			*o = outage{}
			return dead
		}
	}
	o.reads++
	for i, r := range batch {
		code := backend.CodeOf(results[i].Err)
		if silent := code == backend.Unavailable; (silent || baffling(code)) && len(r.asked) > 0 {
			o.add(r, silent)
		}
	}
	if o.dead(l.items()) && !now.Before(o.next) { // those that began before it was dead do not count
		o.probes++
		o.next = now.Add(outcome.Pause(o.probes, probeEvery, 0, rand.Float64())) //nolint:gosec // jitter
	}
	return false
}

// unheard reports whether a secret may have a good answer.
func (o *outage) unheard(r *ref) bool {
	_, heard := o.refs[r]
	return !heard
}

// add counts a secret that got no good answer.
func (o *outage) add(r *ref, silent bool) {
	if o.refs == nil {
		o.refs = map[*ref]bool{}
	}
	o.drop(r)
	o.refs[r] = silent
	if silent {
		o.silent++
	}
}

// drop forgets a secret.
func (o *outage) drop(r *ref) {
	if o.refs[r] {
		o.silent--
	}
	delete(o.refs, r)
}

// revive queues what failed while the store was dead.
func (f *Feed) revive(l *login) {
	f.requeue(l, func(err error) bool { return outcome.Retry(backend.CodeOf(err)) == outcome.AfterPause })
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
