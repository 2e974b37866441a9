// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"container/heap"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
)

// phase is where in its interval a secret is read. It depends on nothing but
// the secret, so reads are spread by construction, and a restart needs no
// record and makes no burst.
func phase(quota string, r backend.Ref, every time.Duration) time.Duration {
	if every <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(quota + "\x00" + r.Path + "\x00" + r.Kind + "\x00" + r.Version + "\x00" + r.Args + "\x00" + r.Owner))
	_, _ = h.Write([]byte{byte(r.Part)})
	return time.Duration(h.Sum64() % uint64(every)) //nolint:gosec // less than every, which is a positive int64
}

// phase is where in its interval a secret is due. Those that are probed are
// due together, for one probe tells of all.
func (r *ref) phase(now time.Time) time.Duration {
	if r.probed(now) {
		return phase(r.login.account.name, backend.Ref{}, r.every)
	}
	if r.listing != nil {
		return phase(r.login.account.name, standIn(plan.Key{Listing: true, Query: r.listing.query}), r.every)
	}
	return phase(r.login.account.name, r.ref, r.every)
}

// slack is for how long after a read that was made out of turn a secret is not
// due, at most. By so much a change may come later than after the interval.
const slack = 5 * time.Second

// next returns the first moment after now at which a secret is due: when the
// wall clock, divided by the interval, leaves its phase.
func next(now time.Time, every, phase time.Duration) time.Time {
	past := time.Duration(now.UnixNano()) % every
	wait := phase - past
	if wait <= 0 {
		wait += every
	}
	return now.Add(wait)
}

// again returns when to try again after an answer, or zero for never. every is
// 0 when there is no schedule.
func again(err error, failures int, tried, now time.Time, every, phase time.Duration) time.Time {
	switch outcome.Retry(backend.CodeOf(err)) {
	case outcome.AtRefresh:
		if every <= 0 {
			break
		}
		due := next(now, every, phase)
		if !tried.IsZero() && due.Sub(tried) < min(every/12, slack) {
			due = due.Add(every) // it was just read
		}
		return due
	case outcome.AfterPause:
		jitter := rand.Float64() //nolint:gosec // jitter
		return tried.Add(outcome.Pause(failures, every, backend.RetryAfterOf(err), jitter))
	case outcome.OnChange:
	}
	return time.Time{}
}

const (
	// retryEvery is how often a login tries again what fails, all of it together,
	// before it is due.
	retryEvery = 10 * time.Second
	// manyFail is with how many that fail this begins. Fewer have a back-off each.
	manyFail = 10
)

// usual returns when a secret is looked at again by itself. One that failed is
// tried again before its turn, but not much before, and never after it: all in
// all, what fails costs what is well, and a few reads besides.
func (r *ref) usual(now time.Time) time.Time {
	phase := r.phase(now)
	due := again(r.err, r.failures, r.tried, now, r.every, phase)
	if outcome.Retry(backend.CodeOf(r.err)) != outcome.AfterPause || backend.RetryAfterOf(r.err) > 0 {
		return due
	}
	if n := r.login.failing; n > manyFail && !r.login.outage.dead(r.login.items()) {
		share := retryEvery * time.Duration(n)
		if mine := r.tried.Add(share/2 + time.Duration(rand.Float64()*float64(share))); mine.After(due) { //nolint:gosec // jitter
			due = mine
		}
	}
	if r.every <= 0 {
		return due
	}
	turn := again(nil, 0, r.tried, now, r.every, phase)
	if turn.Before(due) || outcome.Pause(r.failures, r.every, 0, 0) >= r.every/2 {
		return turn
	}
	return due
}

// soonest returns when to try again, after a failure that calls for a pause. For
// who follows through a store with a Retry that is not used up it is after that
// pause, or what the store asked for if that is longer; for all others it is
// usual. The first of these counts.
func (r *ref) soonest(usual time.Time) time.Time {
	if outcome.Retry(backend.CodeOf(r.err)) != outcome.AfterPause {
		return usual
	}
	out, first := usual, true
	for q := range r.asked {
		due := usual
		if retry := q.opening.retry; r.failures <= retry.Max && retry.Pause > 0 {
			due = r.tried.Add(retry.Pause)
			if backend.RetryAfterOf(r.err) > retry.Pause {
				due = usual
			}
		}
		if first || due.Before(out) {
			out, first = due, false
		}
	}
	return out
}

// reschedule sets when a secret is read again.
func (f *Feed) reschedule(r *ref, now time.Time) {
	if r.busy || r.place != nowhere {
		return // it is rescheduled when the answer comes
	}
	if r.scheduled() && !r.due.After(now) {
		return // its turn came, and must not be put off
	}
	var due time.Time
	if r.lease != nil && r.err == nil {
		due = r.ends()
	} else if r.lease != nil && r.every > 0 || r.login.prober && r.every > 0 || !r.mutates && (r.every > 0 || r.owed()) {
		due = r.soonest(r.usual(now))
	}
	if r.noticed && r.err == nil {
		due = r.tried.Add(r.rest())
	}
	r.noticed = false
	if due.IsZero() {
		f.schedule.remove(r)
		return
	}
	f.schedule.set(r, due)
}

// timed is what can be in a schedule: a *ref that is due to be read, a *follower
// whose stores are due to be opened, or an *opening that is due to be let go of.
type timed interface{ at() *slot }

// slot is a place in a schedule.
type slot struct {
	due   time.Time
	index int // and 1; 0 when it is not in the schedule
}

func (s *slot) at() *slot       { return s }
func (s *slot) scheduled() bool { return s.index > 0 }

// schedule holds what is due when, the first one first.
type schedule struct{ heap timedHeap }

func (s *schedule) first() timed {
	if len(s.heap) == 0 {
		return nil
	}
	return s.heap[0]
}

// set makes t due at a time, whether or not it was in the schedule.
func (s *schedule) set(t timed, due time.Time) {
	at := t.at()
	at.due = due
	if at.scheduled() {
		heap.Fix(&s.heap, at.index-1)
		return
	}
	heap.Push(&s.heap, t)
}

func (s *schedule) remove(t timed) {
	if at := t.at(); at.scheduled() {
		heap.Remove(&s.heap, at.index-1)
	}
}

// timedHeap implements heap.Interface.
type timedHeap []timed

func (h timedHeap) Len() int           { return len(h) }
func (h timedHeap) Less(i, j int) bool { return h[i].at().due.Before(h[j].at().due) }
func (h timedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at().index, h[j].at().index = i+1, j+1
}

// Push adds x, which is a timed.
func (h *timedHeap) Push(x any) {
	t, _ := x.(timed)
	*h = append(*h, t)
	t.at().index = len(*h)
}

// Pop takes the last one away.
func (h *timedHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.at().index = 0
	return t
}
