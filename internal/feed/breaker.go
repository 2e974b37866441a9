// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// A manager that was emptied, or a store that was pointed to an empty one, says
// of every secret that it is missing, and proves it. Before Secrets are removed
// for that, a whole cycle has to go by, in which each of the others was looked
// at:
//
//	a secret is missing, or empty ─▶ withheld: it is as if the store did not answer
//	  an interval later it is again ─▶ told, when few others are missing
//	                                ├▶ withheld on, when more than the limit are: the store says so
//	                                │    until none is missing any more, or somebody allows it
//	  it is there again            ─▶ as before
//
// In stores with fewer secrets than the limit needs nothing is withheld. Secrets
// that no object had before are told at once, and so are those whose objects keep
// what they have anyway.

// Breaker is when so much is missing in a store that it is not believed.
type Breaker struct {
	// Percent is how much of what was there may be missing at a time; 0 means
	// 50, and 100 or more that everything may.
	Percent int
	// Least is how many secrets have to be missing at least; 0 means 20.
	Least int
}

func (b Breaker) off() bool { return b.Percent >= 100 }

// rejudge is how long a judgement is good while hardly more is missing.
const rejudge = time.Second

// losses are what is withheld in a login.
type losses struct {
	missing int           // secrets, and what listings yield less
	every   time.Duration // the longest interval of these
	judged  int           // how many were missing when it was judged
	when    time.Time
	tripped bool
}

// errHeld is what objects are told in place of what is withheld.
func errHeld(r *ref) error {
	if r.login.losses.tripped {
		return backend.Errorf(backend.Unavailable, "%s is missing, as many others of the store are: nothing is removed until they are there again or the store allows it", r.what())
	}
	return backend.Errorf(backend.Unavailable, "%s is missing, which is believed when it is so for an interval", r.what())
}

// what names a secret or a listing, for messages.
func (r *ref) what() string {
	if r.listing != nil {
		return "what was found"
	}
	return r.ref.String()
}

// withhold reports whether an answer is kept back. Otherwise it is recorded.
func (f *Feed) withhold(r *ref, result reply, now time.Time) bool {
	followed, gone := r.followed(), r.gone(result, f.opts.Breaker.Least)
	if gone == 0 && result.Err != nil {
		return false // which says nothing of what is there
	}
	if gone == 0 || !followed || r.every <= 0 || r.mutates || r.lease != nil || f.opts.Breaker.off() ||
		r.login.released() || f.small(r.login) {
		f.regain(r)
		return false
	}
	l := &r.login.losses
	r.recovers()
	r.err, r.failing = nil, time.Time{}
	if r.lost.IsZero() {
		r.lost, r.gap = now, gone
		l.missing += gone
		l.every = max(l.every, r.every)
		f.judge(r.login, now)
		return true
	}
	f.judge(r.login, now)
	if looked := now.Sub(r.lost) >= r.every*9/10; looked && !l.tripped {
		f.regain(r)
		return false
	}
	return true
}

// gone is how much less there is than there was.
func (r *ref) gone(result reply, least int) int {
	switch {
	case r.listing == nil && (backend.CodeOf(result.Err) == backend.NotFound && r.removes() || result.Err == nil && hollow(result.Secret)):
		return 1
	case r.listing == nil || result.Err != nil:
		return 0
	}
	if less := r.listing.size - len(result.found); len(result.found) == 0 || less >= least && less > len(result.found) {
		return max(1, less)
	}
	return 0
}

// removes reports whether something would be removed for a secret that is missing.
// What is there and empty, or found no more, always replaces what an object has.
func (r *ref) removes() bool {
	for q := range r.asked {
		if q.follower.removes {
			return true
		}
	}
	return false
}

// hollow reports whether a secret has no bytes.
func hollow(s backend.Secret) bool {
	for _, v := range s.Fields {
		if v.Len() > 0 {
			return false
		}
	}
	return s.Payload.Len() == 0
}

// followed reports whether some object has the secret, so that something would
// be removed. One that rests is in sync, as its status says.
func (r *ref) followed() bool {
	if r.tried.IsZero() {
		for q := range r.asked {
			r.there = r.there || q.follower.resting
		}
	}
	return r.there || !r.lost.IsZero()
}

// regain ends that a secret is withheld.
func (f *Feed) regain(r *ref) {
	if r.lost.IsZero() {
		return
	}
	l := &r.login.losses
	l.missing -= r.gap
	r.lost, r.gap = time.Time{}, 0
	if l.missing > 0 {
		return
	}
	tripped := l.tripped
	*l = losses{}
	if tripped {
		f.report(r.login)
	}
}

// judge decides whether too much is missing. Once it is, that ends only with
// what is missing.
func (f *Feed) judge(l *login, now time.Time) {
	s, b := &l.losses, f.opts.Breaker
	if s.tripped || s.missing < b.Least {
		return
	}
	if s.missing <= s.judged+s.judged/20 && now.Sub(s.when) < rejudge {
		return // to judge takes a look at all secrets
	}
	s.judged, s.when = s.missing, now
	if s.missing*100 > b.Percent*l.weight(s.every) {
		s.tripped = true
		f.report(l)
	}
}

// small reports whether a store has fewer secrets than the limit needs. Those that
// are on their way from another login of it count, too.
func (f *Feed) small(l *login) bool {
	n := l.weight(0)
	if n >= f.opts.Breaker.Least {
		return false
	}
	for _, other := range f.logins {
		if other == l {
			continue
		}
		for key := range l.openings {
			if _, same := other.openings[key]; same {
				n += other.weight(0)
				break
			}
		}
	}
	return n < f.opts.Breaker.Least
}

// weight is how much there was of what is looked at within a time; 0 is any.
func (l *login) weight(every time.Duration) int {
	n := 0
	if every == 0 && len(l.listings) == 0 {
		return len(l.refs) // near enough, and at once
	}
	for r := range l.all {
		switch {
		case every > 0 && (r.every <= 0 || r.every > every):
		case r.listing != nil:
			n += max(r.listing.size, r.gap)
		case every == 0 || r.there || !r.lost.IsZero():
			n++
		}
	}
	return n
}

// released reports whether a store that is this login allows removals.
func (l *login) released() bool {
	for _, o := range l.openings {
		if o.removals {
			return true
		}
	}
	return false
}

// permit takes in whether a store allows removals. What is withheld is looked at
// at once then.
func (f *Feed) permit(o *opening, removals bool) {
	if o.removals == removals {
		return
	}
	o.removals = removals
	l := o.login
	if !removals || l == nil || l.losses.missing == 0 {
		return
	}
	for r := range l.all {
		if !r.lost.IsZero() {
			f.schedule.remove(r)
			r.enqueue(false)
		}
	}
	f.pump(l)
}

// report has the stores looked at that are a login, to say what they withhold.
func (f *Feed) report(l *login) {
	for key := range l.openings {
		f.opts.Tell(key.store)
	}
}

// withheld reports whether a store does not believe what is missing, because it
// is too much.
func (o *opening) withheld() bool { return o.login != nil && o.login.losses.tripped }
