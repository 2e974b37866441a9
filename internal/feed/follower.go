// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// follower is one object.
type follower struct {
	id        spec.ID
	every     time.Duration
	mode      spec.Mode
	questions questions
	openings  []*opening          // of the stores it asks, also those that failed
	waiting   int                 // questions that are being read for it
	resting   bool                // it never asked, and was not woken yet
	held      map[plan.Key]string // as in Subscription, while it rests
	forced    time.Time           // what was read before does not count; zero once all is there
	gathers   bool                // it waits for what was read because of a change
	told      bool                // it got its answers, and they are kept until it follows what its listings yielded

	left     []left // leases in its Secret that it asks for no more
	outlived bool   // its Secret stays when it goes
	removes  bool   // something is removed for what is missing

	failed   map[plan.Key]error // questions to stores that cannot be opened
	failures int                // how often in a row that was so
	slot                        // when to open them again
}

// question is the interest of one object in one secret or listing.
//
//	waits   answer   owed   meaning
//	no      nil      no     nothing is open
//	yes     nil             asked; the answer is being read
//	no      set             answered; the object waits for others, or was woken
//	                        and did not ask yet
//	                 yes    the last answer to a pinned object was a failure
//	                        that passes: it is told when it did
type question struct {
	follower *follower
	ref      *ref
	opening  *opening  // through which it is asked
	since    time.Time // what was read before that is judged by its age
	held     string    // the version that the Secret holds, as an earlier process said
	waits    bool
	owed     bool
	answer   *plan.Answer
}

func (q *question) wait() {
	q.answer, q.owed = nil, false
	if !q.waits {
		q.waits = true
		q.follower.waiting++
	}
}

// forget takes a question back.
func (q *question) forget() {
	q.answer, q.owed = nil, false
	if q.waits {
		q.waits = false
		q.follower.waiting--
	}
}

// tell takes note of an answer that came for anybody, and reports whether the
// object has to be woken. An object that waits for another secret is woken by
// that one.
func (q *question) tell(a *plan.Answer, news bool) bool {
	fo := q.follower
	waited := q.waits
	q.waits = false
	if waited {
		fo.waiting--
	}
	due := waited || q.owed && news
	if waited || q.owed {
		q.owed = fo.mode == spec.Pinned && passing(a)
	}
	if fo.mode == spec.Periodic {
		heard, rested := news && !fo.resting, fo.rested()
		if rested && fo.asHeld() {
			fo.resting, rested = false, false
		}
		due = due || heard || rested
	}
	if due || q.answer != nil {
		q.answer = a // also when the cache has no room for it, and instead of an older one
	}
	if !due || fo.waiting > 0 {
		return false
	}
	fo.resting, fo.gathers = false, false
	return true
}

// rested reports whether all that a resting object needs was read since it
// rests. Only then it is woken: each single wake would make it ask for the
// rest at once, and a restart would be a burst.
func (fo *follower) rested() bool {
	if !fo.resting {
		return false
	}
	for _, q := range fo.questions.list {
		if q.ref.tried.Before(q.since) && !q.ref.mutates {
			return false
		}
	}
	return true
}

// asHeld reports whether a Secret with a lease holds what the store has: to look
// at it again would need a secret that nobody knows any more, and so another one
// to be made.
func (fo *follower) asHeld() bool {
	lent := false
	for _, q := range fo.questions.list {
		switch r := q.ref; {
		case r.lease != nil && r.value == nil:
			lent = true
		case q.held == "" || q.held != r.version || r.err != nil:
			return false
		}
	}
	return lent
}

// passing reports whether an answer is a failure that is tried again soon.
func passing(a *plan.Answer) bool {
	for _, err := range []error{a.Err, a.Stale} {
		if outcome.Retry(backend.CodeOf(err)) == outcome.AfterPause {
			return true
		}
	}
	return false
}

// known returns what can be told about a secret without reading it.
//
// What the schedule brought since the object follows is as good as a new read:
// that is what the schedule is for. A newcomer takes what others know if it is
// younger than its own interval. Pinned objects have no schedule, so they ask.
func (f *Feed) known(q *question, now time.Time) (plan.Answer, bool) {
	r := q.ref
	if q.answer != nil {
		a := *q.answer
		switch {
		case r.err != nil:
			a.Failing = now.Sub(r.failing)
		case !r.lost.IsZero():
			a.Failing = now.Sub(r.lost)
		}
		return a, true
	}
	if r.tried.IsZero() || r.tried.Before(q.follower.forced) || r.err == nil && r.lost.IsZero() && !r.kept() {
		return plan.Answer{}, false
	}
	if r.mutates {
		return r.answer(now), true
	}
	if q.follower.mode == spec.Pinned {
		return plan.Answer{}, false
	}
	scheduled := !r.tried.Before(q.since)
	young := r.err == nil && r.lost.IsZero() && now.Sub(r.read) <= q.follower.every
	if !scheduled && !young {
		return plan.Answer{}, false
	}
	f.cache.touch(r)
	return r.answer(now), true
}

// reopen sets when an object whose stores cannot all be opened is woken to try
// it again.
func (f *Feed) reopen(fo *follower, failed map[plan.Key]error, now time.Time) {
	fo.failed = failed
	if len(failed) == 0 {
		fo.failures = 0
		f.schedule.remove(fo)
		return
	}
	fo.failures++
	every := fo.every
	if fo.mode == spec.Pinned {
		every = 0
	}
	var first time.Time
	for key, err := range failed {
		offset := phase(fo.id.String(), standIn(key), every)
		due := again(err, fo.failures, now, now, every, offset)
		if !due.IsZero() && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	if first.IsZero() {
		f.schedule.remove(fo)
		return
	}
	f.schedule.set(fo, first)
}
