// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// ref is one remote secret that somebody follows, or a listing.
type ref struct {
	ref     backend.Ref
	listing *listing // nil for a secret; else ref is empty
	login   *login
	asked   map[*question]struct{}
	// every is the shortest interval of those who follow it, and 0 when all
	// of them are pinned. It grows only when an answer comes. pace sets it.
	every time.Duration
	slot

	place  place     // in the queue of the login
	busy   bool      // a read is under way
	queued time.Time // when it joined the queue
	urgent bool      // the read under way is
	again  bool      // it must be read once more, because the read under way began too early
	news   bool      // an answer that was superseded by again was news
	// noticed is set when a notice came while the read was under way.
	noticed bool
	turned  time.Time // when it was last read with another value than before
	aside   time.Time // when it was read because another one changed

	tried     time.Time // when the last answer came, good or bad; zero before the first
	read      time.Time // when the last good one came
	digest    [sha256.Size]byte
	value     *backend.Secret // the last good one; nil when it was dropped from the cache
	mutates   bool            // reading changes it: it is never polled, only probed
	version   string          // what a probe says as long as the last good one is current
	strange   int             // probes in a row that said otherwise right after a read
	confirmed bool            // a probe came since the last read
	err       error
	failing   time.Time // since when; zero when it does not
	failures  int       // in a row that call for a pause

	lease    *lease   // nil when the product made none
	former   []*lease // that were replaced since the object's Secret was written
	renewing string   // the lease, while the read under way is its renewal

	there bool      // an object has it: the last answer that was no trouble had a value
	lost  time.Time // since when what is missing is withheld; zero when nothing is
	gap   int       // how much is

	older, newer *ref // in the cache
	size         int

	before, after *ref // of the same path, where a notice may come of it
}

// answer is what is known now.
func (r *ref) answer(now time.Time) plan.Answer {
	if r.err == nil && !r.lost.IsZero() {
		out := plan.Answer{Err: errHeld(r)}
		if r.kept() {
			out = r.last()
			out.Stale = errHeld(r)
		}
		out.Failing = now.Sub(r.lost)
		return out
	}
	if r.err == nil {
		return r.last()
	}
	failing := now.Sub(r.failing)
	if r.kept() && outcome.Transient(backend.CodeOf(r.err)) {
		out := r.last()
		out.Stale, out.Failing = r.err, failing
		return out
	}
	return plan.Answer{Err: r.err, Failing: failing}
}

// kept reports whether the last good answer is in memory.
func (r *ref) kept() bool {
	if r.listing != nil {
		return r.listing.found != nil
	}
	return r.value != nil
}

// last is the last good answer, which is in memory.
func (r *ref) last() plan.Answer {
	if r.listing != nil {
		return r.list(r.listing.found)
	}
	return plan.Answer{Secret: *r.value}
}

func (r *ref) list(found []backend.Found) plan.Answer {
	return plan.Answer{Found: found, Partial: r.login.store.Partial()}
}

// fresh is the answer for those who wait, even when the value is too large for
// the cache.
func (r *ref) fresh(result reply, now time.Time) plan.Answer {
	switch {
	case result.Err != nil || !r.lost.IsZero():
		return r.answer(now)
	case r.listing != nil:
		return r.list(result.found)
	}
	return plan.Answer{Secret: result.Secret}
}

// record remembers an answer, and reports whether it is news: another value,
// another failure, or an end of failing.
func (f *Feed) record(r *ref, result reply, now time.Time) (news bool) {
	before := r.err
	r.tried = now
	if result.Err != nil {
		if before == nil {
			r.failing = now
		}
		r.fails()
		r.err = result.Err
		if outcome.Retry(backend.CodeOf(r.err)) != outcome.AfterPause {
			r.recovers()
			// The store answered, and it is not the value any more: an outage
			// later must not bring that back.
			f.cache.drop(r)
			r.mutates = false
			r.there = r.there && backend.CodeOf(r.err) != backend.NotFound
		}
		return !sameFailure(before, r.err)
	}
	digest := result.digest
	if r.listing == nil {
		digest = digestOf(f.key, result.Secret)
	}
	news = before != nil || digest != r.digest
	r.recovers()
	r.err, r.failing = nil, time.Time{}
	r.read, r.digest, r.mutates = now, digest, result.Secret.ReadMutates
	r.version, r.confirmed = result.Secret.Version, false
	r.lend(result.Secret.Lease, now)
	if r.listing != nil {
		r.listing.size, r.there = len(result.found), len(result.found) > 0
		f.cache.putList(r, result.found)
		return news
	}
	r.there = !hollow(result.Secret)
	f.cache.put(r, result.Secret)
	return news
}

// fails counts a failure that calls for a pause.
func (r *ref) fails() {
	if r.failures++; r.failures == 1 {
		r.login.failing++
	}
}

// recovers is the reverse of fails.
func (r *ref) recovers() {
	if r.failures > 0 {
		r.login.failing--
	}
	r.failures = 0
}

// sameFailure reports whether two failures mean the same to those who follow.
// A store in trouble words it in many ways.
func sameFailure(a, b error) bool {
	if a == nil || backend.CodeOf(a) != backend.CodeOf(b) {
		return false
	}
	return outcome.Transient(backend.CodeOf(b)) || a.Error() == b.Error()
}

// hurry makes a secret follow an interval that is shorter than all others.
func (f *Feed) hurry(r *ref, fo *follower) {
	if fo.mode == spec.Periodic && (r.every == 0 || fo.every < r.every) {
		r.pace(fo.every)
		f.reschedule(r, time.Now())
	}
}

// pace sets the interval of a secret.
func (r *ref) pace(every time.Duration) {
	if r.every > 0 {
		r.login.polling--
	}
	if r.every = every; every > 0 {
		r.login.polling++
	}
}

// shortest is the interval of those who follow a secret.
func (r *ref) shortest() time.Duration {
	var out time.Duration
	for q := range r.asked {
		if fo := q.follower; fo.mode == spec.Periodic && (out == 0 || fo.every < out) {
			out = fo.every
		}
	}
	return out
}

// owed reports whether a pinned object waits for the end of a failure.
func (r *ref) owed() bool {
	for q := range r.asked {
		if q.owed {
			return true
		}
	}
	return false
}

// leave ends that an object follows a secret.
func (f *Feed) leave(q *question) {
	q.forget()
	r := q.ref
	delete(r.asked, q)
	if len(r.asked) > 0 {
		return
	}
	f.abandon(r, q.follower)
	f.vanish(r)
	f.tune(r.login)
	f.collect(r.login)
}

// vanish ends the state of what nobody asks for.
func (f *Feed) vanish(r *ref) {
	f.schedule.remove(r)
	f.cache.drop(r)
	f.regain(r)
	r.place = nowhere
	r.login.lose(r)
}

// digestOf is a keyed digest of the bytes of a secret.
func digestOf(key []byte, s backend.Secret) (out [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	put := func(v backend.Value) {
		var head [9]byte
		if v.IsSet() {
			head[0] = 1 // absent is not empty
		}
		binary.BigEndian.PutUint64(head[1:], uint64(v.Len())) //nolint:gosec // a length is not negative
		_, _ = h.Write(head[:])
		_, _ = h.Write(v.Reveal())
	}
	put(s.Payload)
	for _, name := range s.FieldNames() {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(name)))
		_, _ = h.Write(n[:])
		_, _ = io.WriteString(h, name)
		put(s.Fields[name])
	}
	h.Sum(out[:0])
	return out
}

// sizeOf is how many bytes a secret takes in the cache, roughly.
func sizeOf(s backend.Secret) int {
	n := 256 + s.Payload.Len()
	for name, v := range s.Fields {
		n += 64 + len(name) + v.Len()
	}
	return n
}
