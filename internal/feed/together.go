// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"time"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Secrets that one object needs often change together, as a user and its password
// do. When one of them has another value, its object waits for the others that are
// being read, and those that were not due are read with it: so it gets all that
// changed at once, and is written once.
//
//	the other secret                          the object
//	is being read, or in the queue            waits for it
//	is polled, and its turn comes later       has it read now, and waits for it
//	… but was read a moment ago               takes what is known; it is read soon
//	… and had changed then, was read so in    takes what is known
//	  this interval already, is one of too
//	  many, or something tells of changes
//	is failing, is lent, changes by reading,  takes what is known
//	  or is another login's
//
// So a change costs no secret more than one read besides in an interval. An object
// waits once: what comes up while it does, it gets the next time. Nobody waits, and
// nothing is read besides, where a product's rate is used up and secrets are late
// anyway.

// most is how many secrets may be read because one changed: a quarter of what is
// read in an interval anyway, but some at any rate, and no more than what two
// seconds of the product's rate allow. When there are more, as with a certificate
// that everybody has, none is read.
func (l *login) most() int {
	const least, top = 100, 500
	out := min(max(least, len(l.refs)/4), top)
	if l.limits.Rate > 0 {
		out = min(out, backlog*l.limits.Rate)
	}
	return out
}

// behind reports whether so much waits for the product's rate that who waits for
// the end of the line waits for long: more than ten seconds.
func (l *login) behind() bool {
	return l.limits.Rate > 0 && l.routine.size() > 10*l.limits.Rate
}

// bring has those who follow a secret that has another value wait for what else
// they need.
func (f *Feed) bring(r *ref, now time.Time) {
	if r.listing != nil || r.err != nil || !r.lost.IsZero() || r.login.behind() {
		return
	}
	for other := range r.along(now) {
		rest := other.tried.Add(min(other.every/12, slack))
		if rest.After(now) && other.turned.Equal(other.tried) {
			continue
		}
		other.aside = now
		if rest.After(now) {
			f.schedule.set(other, rest)
			continue
		}
		f.schedule.remove(other)
		other.enqueue(false)
	}
	for q := range r.asked {
		fo := q.follower
		if !fo.listens() || fo.gathers {
			continue
		}
		for _, o := range fo.questions.list {
			if o.ref == r || !o.ref.beside(r.login) {
				continue
			}
			if o.ref.busy || o.ref.place == inRoutine || o.ref.place == inUrgent {
				o.wait()
				fo.gathers = true
			}
		}
	}
}

// along are the secrets that are read because r changed.
func (r *ref) along(now time.Time) map[*ref]struct{} {
	l := r.login
	if l.told(now) {
		return nil
	}
	most := l.most()
	out := map[*ref]struct{}{}
	for q := range r.asked {
		if !q.follower.listens() {
			continue
		}
		for _, o := range q.follower.questions.list {
			x := o.ref
			if x == r || !x.beside(l) || x.busy || x.place != nowhere || x.probed(now) || now.Sub(x.aside) < x.every {
				continue
			}
			if out[x] = struct{}{}; len(out) > most {
				return nil
			}
		}
	}
	return out
}

// listens reports whether an object is told what changes as soon as it does.
func (fo *follower) listens() bool { return fo.mode == spec.Periodic && !fo.resting }

// beside reports whether a secret may be waited for when another one of a login
// changed.
func (r *ref) beside(l *login) bool {
	return r.login == l && r.listing == nil && r.lease == nil && !r.mutates && r.err == nil
}
