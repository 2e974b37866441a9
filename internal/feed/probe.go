// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Where a product can tell changes without reading, its secrets are due
// together, one probe tells of all of them, and only what changed is read.
//
//	probe says        secret                      reading changes it
//	the same version  nothing happens             nothing happens
//	another version   it is read                  it is read, once
//	nothing           it is read                  nothing happens

// blindFor is how many intervals a prober that tells nothing is left alone.
// Until then secrets are read, each in its own turn.
const blindFor = 20

// probed reports whether the secret is followed by probes.
func (r *ref) probed(now time.Time) bool {
	return r.login.prober && r.listing == nil && r.lease == nil && r.err == nil && (r.mutates || !now.Before(r.login.blind))
}

// hold learns which version of a secret that reading changes a Secret holds
// already. When two Secrets hold different ones, a read has to bring them
// together.
func (r *ref) hold(version string) {
	if _, lent := heldLease(version); lent || version == "" || !r.tried.IsZero() {
		return
	}
	if r.mutates && r.version != version {
		version = ""
	}
	r.mutates, r.version = true, version
}

// line puts a secret among those that are to be probed.
func (r *ref) line() {
	if r.busy || r.place != nowhere {
		return
	}
	r.place = inProbe
	r.login.probes = append(r.login.probes, r)
}

// ask starts a probe of all that is due.
func (f *Feed) ask(l *login) {
	if f.look == nil || l.probing {
		return
	}
	var batch []*ref
	for _, r := range l.probes {
		if r.place == inProbe { // and was not moved up, or left
			batch = append(batch, r)
		}
	}
	l.probes = nil
	if len(batch) == 0 {
		return
	}
	l.probing = true
	f.look(l, batch, l.refuse(batch, time.Now()))
}

// probe asks the store which secrets of a batch changed, and has those read.
func (f *Feed) probe(ctx context.Context, l *login, batch []*ref, refused error) {
	versions, said, err := f.versions(ctx, l, batch, refused)

	f.mu.Lock()
	l.probing = false
	now := time.Now()
	var wake []spec.ID
	if ctx.Err() == nil {
		if refused == nil {
			l.answered(said, now)
		}
		if refused == nil && l.note(batch, outcomes(batch, err), now) {
			f.revive(l)
		}
		wake = f.heard(l, batch, versions, err, now)
	}
	f.pump(l)
	f.ask(l)
	f.collect(l)
	f.nudge()
	f.mu.Unlock()
	f.wake(wake)
}

// versions returns what the store said, and what comes of that.
func (f *Feed) versions(ctx context.Context, l *login, batch []*ref, refused error) (versions []string, said, err error) {
	if refused != nil {
		return nil, refused, refused
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	versions, said = l.store.Probe(ctx, refsOf(batch))
	if code := backend.CodeOf(said); said != nil && !outcome.Transient(code) && code != backend.Unauthenticated {
		// It may not be probed, but perhaps it may be read.
		return make([]string, len(batch)), said, nil
	}
	return versions, said, said
}

// heard takes in what a probe said. With err set, the store did not answer.
func (f *Feed) heard(l *login, batch []*ref, versions []string, err error, now time.Time) []spec.ID {
	var wake []spec.ID
	plain, told := false, false
	for i, r := range batch {
		if r.place != inProbe {
			continue // it was left, or is read at this moment
		}
		r.place = nowhere
		if err != nil {
			wake = append(wake, f.settled(r, reply{Result: backend.Result{Ref: r.ref, Err: err}})...)
			continue
		}
		plain = plain || !r.mutates
		told = told || versions[i] != ""
		if r.changed(versions[i]) {
			r.enqueue(false)
			continue
		}
		wake = append(wake, f.same(r, now)...)
	}
	if plain && !told {
		// The shortest interval would be more exact, but this is only about
		// how soon a prober is given another chance.
		l.blind = now.Add(blindFor * batch[0].every)
	}
	return wake
}

// changed reports whether a secret has to be read, after what a probe said.
func (r *ref) changed(version string) bool {
	if !r.mutates {
		return version == "" || version != r.version || r.tried.IsZero()
	}
	first := !r.confirmed
	r.confirmed = true
	if version == "" || version == r.version {
		r.strange = 0
		return false
	}
	if first && !r.read.IsZero() {
		// Were our own read a new version to the product, each read would ask
		// for the next.
		if r.strange++; r.strange > 1 {
			r.version, r.strange = version, 0
			return false
		}
	}
	return true
}

// same takes note that a secret is as it was.
func (f *Feed) same(r *ref, now time.Time) []spec.ID {
	r.tried = now
	if r.value != nil {
		r.read = now
	}
	r.pace(r.shortest())
	var wake []spec.ID
	for q := range r.asked {
		if fo := q.follower; fo.mode == spec.Periodic && fo.waiting == 0 && fo.rested() {
			fo.resting = false
			if fo.complete() {
				wake = append(wake, fo.id)
			}
		}
	}
	f.reschedule(r, now)
	return wake
}

// complete reports whether waking the object would change no secret: to look
// at its Secret again, it would need all values.
func (fo *follower) complete() bool {
	for _, q := range fo.questions.list {
		if q.ref.mutates && q.ref.value == nil {
			return false
		}
	}
	return true
}

func refsOf(batch []*ref) []backend.Ref {
	out := make([]backend.Ref, len(batch))
	for i, r := range batch {
		out[i] = r.ref
	}
	return out
}

// outcomes is an error as the results of a batch.
func outcomes(batch []*ref, err error) []reply {
	out := make([]reply, len(batch))
	for i, r := range batch {
		out[i].Result = backend.Result{Ref: r.ref, Err: err}
	}
	return out
}
