// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

// Where a product tells of changes as they happen, a notice makes a secret due
// now. It never carries data, and nothing relies on it: secrets are polled as
// if there were none, so a notice that is lost, late or repeated changes
// nothing but the delay.

const (
	// settle is how long a secret is left alone after a read, however many
	// notices come: a writer in a loop must not make a reader in a loop. For a
	// listing it is slack.
	settle = time.Second
	// healthy is how long a stream has to last for its end to be bad luck.
	healthy = time.Minute
	// reconnect caps the pause before a broken stream is opened again.
	reconnect = time.Minute
	// refusal is how long a store that has no stream for us is left alone.
	refusal = time.Hour
)

// tune opens or closes the stream of a login: there is one while somebody polls
// a secret of the login.
func (f *Feed) tune(l *login) {
	if !l.watcher || f.listen == nil {
		return
	}
	switch wanted := l.polling > 0; {
	case wanted && l.hangUp == nil:
		l.hangUp = f.listen(l)
	case !wanted && l.hangUp != nil:
		l.hangUp()
		l.hangUp = nil
	}
}

// chain makes a secret known by its path, of which there may be many versions
// and parts.
func (l *login) chain(r *ref) {
	if !l.watcher {
		return
	}
	if l.paths == nil {
		l.paths = map[string]*ref{}
	}
	if first := l.paths[r.ref.Path]; first != nil {
		r.after, first.before = first, r
	}
	l.paths[r.ref.Path] = r
}

// unchain is the reverse of chain.
func (l *login) unchain(r *ref) {
	if r.after != nil {
		r.after.before = r.before
	}
	switch {
	case r.before != nil:
		r.before.after = r.after
	case l.paths[r.ref.Path] != r:
	case r.after != nil:
		l.paths[r.ref.Path] = r.after
	default:
		delete(l.paths, r.ref.Path)
	}
	r.before, r.after = nil, nil
}

// watch keeps a stream open until ctx ends.
func (f *Feed) watch(ctx context.Context, l *login) {
	for n := 0; ; {
		began := time.Now()
		f.listens(l, began)
		err := l.store.Watch(ctx, func(ref backend.Ref) { f.noticed(l, ref) })
		f.listens(l, time.Time{})
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= healthy {
			n = 0
		}
		n++
		timer := time.NewTimer(patience(err, n))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		// What changed in between was not told.
		f.noticed(l, backend.Ref{})
	}
}

// listens notes since when there is a stream; zero when there is none.
func (f *Feed) listens(l *login, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.listening = since
}

// told reports whether changes are told as they happen. A store that has no stream
// for us says so sooner than that.
func (l *login) told(now time.Time) bool {
	return !l.listening.IsZero() && now.Sub(l.listening) >= settle
}

// patience is how long to wait before a stream is opened again.
func patience(err error, n int) time.Duration {
	switch backend.CodeOf(err) {
	case backend.NotFound, backend.PermissionDenied, backend.InvalidRef:
		return refusal
	}
	return outcome.Pause(n, reconnect, backend.RetryAfterOf(err), rand.Float64()) //nolint:gosec // jitter
}

// noticed makes due what a notice is about: every version and part of a secret,
// the listings, in which it may be, or everything.
func (f *Feed) noticed(l *login, about backend.Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if about == (backend.Ref{}) {
		for _, r := range l.refs {
			f.hasten(r, now)
		}
	}
	for r := l.paths[about.Path]; r != nil; r = r.after {
		f.hasten(r, now)
	}
	for _, r := range l.listings {
		f.hasten(r, now)
	}
	f.nudge()
}

// hasten makes a secret due as soon as it may be. Those that nobody polls are
// frozen, and those that reading changes are not read for a hint.
func (f *Feed) hasten(r *ref, now time.Time) {
	if r.every <= 0 || r.mutates || r.place == inUrgent || r.place == inRoutine {
		return
	}
	if r.busy {
		r.noticed = true // the read under way may have seen what was before
		return
	}
	due := r.tried.Add(r.rest())
	if due.Before(now) {
		due = now
	}
	if !r.scheduled() || r.due.After(due) {
		f.schedule.set(r, due)
	}
}

// rest is how long a notice waits after a read.
func (r *ref) rest() time.Duration {
	if r.listing != nil {
		return slack // it costs more, and every notice is about it
	}
	return settle
}
