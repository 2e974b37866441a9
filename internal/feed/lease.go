// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Some secrets are made by reading them: a user of a database, with a lease.
// Such a secret belongs to one object, is renewed in place of being read, and
// ends when it is replaced or of no use any more.
//
//	the first read brings a lease ──▶ divide: from now on each object has a ref of its own, and the
//	                                  answer is that of one of them
//	two thirds of its life are over ─▶ Renew ─▶ extended: nobody is woken
//	                                        ├─▶ no answer: once more, after a pause
//	                                        └─▶ it ended, or cannot last: read, and the object is woken
//	the object wrote its Secret ─────▶ Settle: what was replaced is revoked, after a grace
//	it could not ────────────────────▶ Settle: what was made for it is revoked
//	it is gone, or asks no more ─────▶ revoked
//	its manifest is wrong now ───────▶ Suspend: renewed as long as that goes
//
// Pinned objects have their leases renewed as long as that goes, and get no other
// ones. What is not revoked, because the process ended, ends by itself: nobody
// renews it.

const (
	// grace is for how long a secret that was replaced is good: the kubelet
	// brings a changed Secret to the pods within about that time.
	grace = 90 * time.Second
	// revokeTries is how often a lease is tried to be revoked.
	revokeTries = 6
	// revokeTimeout bounds each try, also when the process ends meanwhile.
	revokeTimeout = 5 * time.Second
	// renewEvery caps the pause between two tries to renew.
	renewEvery = time.Minute
)

// lease is what a feed knows of one.
type lease struct {
	id       string
	life     time.Duration // the longest that was granted
	expires  time.Time     // zero when an earlier process got it
	due      time.Time     // when it is renewed, or replaced
	replace  bool          // it is not renewed any more
	stored   bool          // it is in the object's Secret
	failures int           // to renew it, in a row
}

// leaseMark begins the version of a secret with a lease. The rest is its life in
// seconds and its ID, for the next process.
const leaseMark = "lease "

func leaseVersion(l backend.Lease, now time.Time) string {
	return leaseMark + strconv.Itoa(int(l.Expires.Sub(now).Seconds())) + " " + l.ID
}

// heldLease reads a version that leaseVersion made.
func heldLease(version string) (l lease, ok bool) {
	rest, ok := strings.CutPrefix(version, leaseMark)
	if !ok {
		return lease{}, false
	}
	life, id, ok := strings.Cut(rest, " ")
	seconds, err := strconv.Atoi(life)
	if !ok || err != nil || id == "" {
		return lease{}, false
	}
	return lease{id: id, life: time.Duration(max(0, seconds)) * time.Second}, true
}

// extend takes what was granted, and sets when it is looked at again.
func (l *lease) extend(granted backend.Lease, now time.Time) {
	left := granted.Expires.Sub(now)
	l.expires, l.failures = granted.Expires, 0
	l.life = max(l.life, left)
	jitter := time.Duration(rand.Float64() * float64(left) / 10) //nolint:gosec // jitter
	l.due = now.Add(left*2/3 - jitter)
	switch {
	case !granted.Renewable:
		l.replace = true
	case left < l.life/2: // its longest life ends soon
		l.replace, l.due = true, now
	}
}

// lends remembers that each read of a ref makes a secret, for one object.
func (l *login) lends(r backend.Ref) {
	if l.lent == nil {
		l.lent = map[backend.Ref]struct{}{}
	}
	l.lent[r] = struct{}{}
}

// owned is the key of an object's own secret, where each has its own.
func (l *login) owned(key plan.Key, id spec.ID) plan.Key {
	if _, lent := l.lent[key.Ref]; lent && !key.Listing {
		key.Ref.Owner = id.String()
	}
	return key
}

// restore takes over the lease that the object's Secret holds from an earlier
// process. It is looked at soon, and each at another moment.
func (f *Feed) restore(r *ref, version string, now time.Time) {
	l, ok := heldLease(version)
	if !ok || r.ref.Owner == "" || r.lease != nil || !r.tried.IsZero() {
		return
	}
	l.stored = true
	l.due = now.Add(time.Duration(rand.Float64() * float64(l.life) / 6)) //nolint:gosec // jitter
	r.lease = &l
	r.mutates, r.version = true, version
	f.reschedule(r, now)
}

// lend takes note of the lease of an answer. The one before is replaced.
func (r *ref) lend(granted backend.Lease, now time.Time) {
	if r.lease != nil {
		r.former = append(r.former, r.lease)
		r.lease = nil
	}
	if granted.ID == "" {
		return
	}
	r.lease = &lease{id: granted.ID}
	r.lease.extend(granted, now)
}

// divide gives everybody who asks for a secret with a lease a ref of their own.
// The answer is for one who waits, if there is one: all others have their own
// made.
func (f *Feed) divide(r *ref, result reply) []spec.ID {
	now := time.Now()
	l := r.login
	l.lends(r.ref)
	owners := map[*ref]bool{} // whether somebody waits
	var first *ref
	for q := range r.asked {
		own := l.ref(plan.Key{Ref: r.ref}, q.follower.id)
		delete(r.asked, q)
		q.ref = own
		own.asked[q] = struct{}{}
		owners[own] = owners[own] || q.waits
		if first == nil || owners[own] && !owners[first] {
			first = own
		}
	}
	again := r.again
	f.vanish(r)
	var wake []spec.ID
	for own, waits := range owners {
		own.pace(own.shortest())
		switch {
		case own == first:
			own.again = again
			wake = f.settled(own, result)
		case waits:
			own.enqueue(true)
		default:
			f.reschedule(own, now)
		}
	}
	return wake
}

// renewal asks the store for more life.
func (f *Feed) renewal(ctx context.Context, r *ref, id string) reply {
	granted, err := r.login.store.Renew(ctx, id)
	return reply{Result: backend.Result{Ref: r.ref, Err: err, Secret: backend.Secret{Lease: granted}}}
}

// renewed takes in what a store said of a renewal.
func (f *Feed) renewed(r *ref, result reply) {
	l, now := r.lease, time.Now()
	if l == nil || len(r.asked) == 0 {
		return
	}
	switch backend.CodeOf(result.Err) {
	case "":
		l.extend(result.Secret.Lease, now)
	case backend.NotFound:
		l.replace, l.due = true, now
	case backend.PermissionDenied, backend.InvalidRef:
		l.replace, l.due = true, now.Add(l.expires.Sub(now)*2/3)
	default:
		l.failures++
		l.due = now.Add(outcome.Pause(l.failures, renewEvery, backend.RetryAfterOf(result.Err), rand.Float64())) //nolint:gosec // jitter
		l.replace = l.replace || !l.expires.IsZero() && !now.Before(l.expires)
	}
	if r.again || r.awaited() {
		r.again, l.replace = false, true
		r.enqueue(true)
		return
	}
	f.reschedule(r, now)
}

// awaited reports whether an object waits for the answer.
func (r *ref) awaited() bool {
	for q := range r.asked {
		if q.waits {
			return true
		}
	}
	return false
}

// ends is when a secret with a lease is to be looked at, or zero for never.
func (r *ref) ends() time.Time {
	if r.lease.replace && r.every <= 0 {
		return time.Time{}
	}
	return r.lease.due
}

// Settle says what became of the secrets with a lease that the object was
// answered with: they are in its Secret, or could not be written and are of no
// use. It has to be called after each Ask that was answered, unless the object
// is to be tried again at once.
func (f *Feed) Settle(id spec.ID, written bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fo := f.followers[id]
	if fo == nil {
		return
	}
	for _, q := range fo.questions.list {
		switch r := q.ref; {
		case r.lease == nil && len(r.former) == 0:
		case written:
			f.keep(r)
		case r.lease != nil && !r.lease.stored:
			f.takeBack(r)
		}
	}
	if written {
		for _, old := range fo.left {
			f.revoke(old.login, old.id, grace)
			f.let(old.login)
		}
		fo.left = nil
	}
}

// keep takes note that a secret is in the Secret of its object.
func (f *Feed) keep(r *ref) {
	if r.lease != nil {
		r.lease.stored = true
	}
	for _, old := range r.former {
		f.revoke(r.login, old.id, grace)
	}
	r.former = nil
}

// takeBack ends a lease that came to nothing. What the Secret holds is what it
// held before.
func (f *Feed) takeBack(r *ref) {
	now := time.Now()
	f.revoke(r.login, r.lease.id, 0)
	r.lease = nil
	for _, old := range r.former {
		if old.stored {
			r.lease = old
			continue
		}
		f.revoke(r.login, old.id, 0)
	}
	r.former = nil
	f.cache.drop(r)
	r.tried, r.mutates, r.version = time.Time{}, false, ""
	if r.lease != nil {
		r.mutates = true
		if next := now.Add(r.every); r.lease.replace && r.lease.due.Before(next) {
			r.lease.due = next
		}
	}
	f.reschedule(r, now)
}

// left is a lease in an object's Secret that the object asks for no more.
type left struct {
	login *login
	id    string
}

// abandon ends the leases of a secret that its object asks for no more. Those in
// its Secret end when the Secret was written without them.
func (f *Feed) abandon(r *ref, fo *follower) {
	all := r.former
	if r.lease != nil {
		all = append(all, r.lease)
	}
	r.lease, r.former = nil, nil
	for _, l := range all {
		if !l.stored {
			f.revoke(r.login, l.id, 0)
			continue
		}
		r.login.ending++ // it must stay until they are revoked
		fo.left = append(fo.left, left{r.login, l.id})
	}
}

// Gone is Forget for an object that does not exist any more: leases in its
// Secret are revoked, unless that is there still.
func (f *Feed) Gone(id spec.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fo := f.followers[id]
	if fo == nil {
		return
	}
	for _, q := range fo.questions.list {
		f.abandon(q.ref, fo)
	}
	for _, old := range fo.left {
		if !fo.outlived {
			f.revoke(old.login, old.id, 0)
		}
	}
	f.forget(id)
}

// Suspend is Forget for an object that cannot be understood at the moment: the
// leases in its Secret are renewed as long as that goes, and get no successors,
// until it follows again.
func (f *Feed) Suspend(id spec.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fo := f.followers[id]
	if fo == nil {
		return
	}
	f.schedule.remove(fo)
	fo.mode, fo.failed, fo.failures, fo.told = spec.Pinned, nil, 0, false
	now := time.Now()
	all := fo.questions
	fo.questions = questions{}
	for _, q := range all.list {
		if l := q.ref.lease; l == nil || !l.stored {
			f.leave(q)
			continue
		}
		fo.questions.add(q)
		q.forget()
		q.ref.pace(q.ref.shortest())
		f.reschedule(q.ref, now)
	}
	if len(fo.questions.list) == 0 && len(fo.left) == 0 {
		f.forget(id)
	}
}

// let ends one reason for a login to stay.
func (f *Feed) let(l *login) {
	l.ending--
	f.collect(l)
}

// revoke ends a lease after a while.
func (f *Feed) revoke(l *login, id string, after time.Duration) {
	if f.end == nil {
		return // it ends by itself
	}
	l.ending++
	f.end(l, id, after)
}

// revoking tries to end a lease. A first try that is due is made also when ctx
// ended: a process that ends leaves nothing behind that it made for nothing.
func (f *Feed) revoking(ctx context.Context, l *login, id string, after time.Duration) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.let(l)
	}()
	if !elapse(ctx, after) {
		return
	}
	for n := 1; n <= revokeTries; n++ {
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		err := l.store.Revoke(one, id)
		cancel()
		if err == nil || outcome.Retry(backend.CodeOf(err)) != outcome.AfterPause {
			return
		}
		if !elapse(ctx, outcome.Pause(n, time.Minute, backend.RetryAfterOf(err), rand.Float64())) { //nolint:gosec // jitter
			return
		}
	}
}

// elapse waits, and reports whether the time is over and ctx is not.
func elapse(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
