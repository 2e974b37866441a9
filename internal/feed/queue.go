// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// place is where in its login's queue a secret waits.
type place uint8

const (
	nowhere place = iota
	inProbe       // of all that are due together
	inRoutine
	inUrgent
)

// demand asks for a secret to be read now. With fresh, a read that is under
// way does not count, for it may have seen what was before. Who calls it pumps.
func (f *Feed) demand(r *ref, fresh bool) {
	if r.busy {
		r.again = r.again || fresh
		return
	}
	if r.lease != nil {
		r.lease.replace = true
	}
	f.schedule.remove(r)
	r.enqueue(true)
}

// enqueue puts a secret into the queue of its login, or moves it up. Who calls
// it pumps.
func (r *ref) enqueue(urgent bool) {
	if r.busy || r.place == inUrgent || r.place == inRoutine && !urgent {
		return
	}
	l := r.login
	if r.place == nowhere {
		r.queued = time.Now()
	}
	if urgent {
		r.place = inUrgent
		l.urgent.join(r)
	} else {
		r.place = inRoutine
		l.routine.join(r)
	}
}

// pump starts as many reads as the product allows.
func (f *Feed) pump(l *login) {
	for f.begin != nil && l.running < max(1, l.limits.Parallel) {
		if l.account.full() {
			l.account.line(l)
			return
		}
		batch := l.take(max(1, l.limits.Batch))
		if len(batch) == 0 {
			return
		}
		now := time.Now()
		for _, r := range batch {
			f.opts.Meter.Waited(r.urgent, now.Sub(r.queued))
		}
		l.running++
		l.account.running++
		f.begin(l, batch, l.refuse(batch, time.Now()))
	}
}

// take removes the first secrets from the queue, the urgent ones first.
func (l *login) take(n int) []*ref {
	out := l.taken(nil, &l.urgent, inUrgent, n)
	return l.taken(out, &l.routine, inRoutine, n)
}

// taken moves secrets from a line to out, the namespaces taking turns. A listing
// goes alone, and so does what has a lease.
func (l *login) taken(out []*ref, from *line, p place, n int) []*ref {
	for len(out) < n {
		ns, r := from.head(p)
		if r == nil || len(out) > 0 && (r.alone() || out[0].alone()) {
			break
		}
		from.leave()
		l.account.serve(ns)
		r.place = nowhere
		r.busy, r.urgent, r.noticed = true, p == inUrgent, false
		if r.lease != nil && !r.lease.replace {
			r.renewing = r.lease.id
		}
		out = append(out, r)
	}
	return out
}

// alone reports whether nothing can be asked together with it.
func (r *ref) alone() bool { return r.listing != nil || r.lease != nil }

// read asks the store for a batch and tells those whom the answers concern.
// With refused set, the store is known to be dead and is left alone.
func (f *Feed) read(ctx context.Context, l *login, batch []*ref, refused error) {
	results := f.results(ctx, l, batch, refused)

	f.mu.Lock()
	var wake []spec.ID
	alive := ctx.Err() == nil
	if alive && refused == nil && l.note(batch, results, time.Now()) {
		f.revive(l)
	}
	for i, r := range batch {
		r.busy = false
		if alive && refused == nil {
			l.answered(results[i].Err, time.Now())
		}
		switch lent := results[i].Secret.Lease.ID; {
		case r.renewing != "":
			r.renewing = ""
			if alive {
				f.renewed(r, results[i])
			}
		case len(r.asked) > 0 && alive:
			wake = append(wake, f.settled(r, results[i])...)
		case lent != "": // it was made for nobody
			f.revoke(l, lent, 0)
		}
	}
	l.running--
	f.release(l.account)
	f.pump(l)
	f.collect(l)
	f.nudge()
	f.mu.Unlock()

	f.wake(wake)
}

// wake tells each object once.
func (f *Feed) wake(ids []spec.ID) {
	slices.SortFunc(ids, compareIDs)
	for _, id := range slices.Compact(ids) {
		f.opts.Wake(id)
	}
}

func (f *Feed) results(ctx context.Context, l *login, batch []*ref, why error) []reply {
	if why != nil {
		return unasked(batch, why)
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	switch r := batch[0]; {
	case r.listing != nil:
		return []reply{f.list(ctx, r)}
	case r.renewing != "":
		return []reply{f.renewal(ctx, r, r.renewing)}
	}
	out := replies(l.store.Read(ctx, refsOf(batch)))
	for i, now := 0, time.Now(); i < len(out); i++ {
		if s := &out[i].Secret; s.Lease.ID != "" {
			s.ReadMutates, s.Version = true, leaseVersion(s.Lease, now)
		}
	}
	return out
}

// settled takes an answer in and returns whom it concerns.
func (f *Feed) settled(r *ref, result reply) []spec.ID {
	if result.Secret.Lease.ID != "" && r.ref.Owner == "" {
		return f.divide(r, result)
	}
	now := time.Now()
	known, digest := !r.read.IsZero(), r.digest
	if before := r.lost.IsZero(); f.withhold(r, result, now) {
		r.tried, r.news = now, before || r.news
	} else {
		r.news = f.record(r, result, now) || r.news
	}
	if r.again {
		// Whoever forced the read must not get what was read before that.
		r.again = false
		if r.lease != nil {
			r.lease.replace = true
		}
		r.enqueue(true)
		return nil
	}
	r.pace(r.shortest())
	answer := r.fresh(result, now)
	news := r.news
	r.news = false
	var wake []spec.ID
	if r.listing != nil {
		f.widen(r, now)
	}
	if known && r.digest != digest {
		r.turned = now
		f.bring(r, now)
	}
	for q := range r.asked {
		if q.tell(&answer, news) {
			wake = append(wake, q.follower.id)
		}
	}
	if n := len(r.asked) - 1; n > 0 && result.Err == nil {
		f.shared(r.login, n)
	}
	f.reschedule(r, now)
	return wake
}

func compareIDs(a, b spec.ID) int {
	return cmp.Or(
		strings.Compare(string(a.Dialect), string(b.Dialect)), strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name),
	)
}
