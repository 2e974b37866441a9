// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// A store is opened once for all who use it, for that reads its credentials
// from the API server:
//
//	Follow, Check ──▶ flight, which all who come meanwhile wait for
//	                     │
//	                     ▼
//	                  opening ──▶ login, which openings of equal identity share
//
// An opening is there as long as somebody uses it. It is taken by newcomers
// until the store changes, or something it asked for does (Touch).

// opening is a store as it was opened: the login it led to, or why to none.
type opening struct {
	key openingKey
	edition
	retry    spec.Retry
	removals bool   // the store allows that much is missing
	login    *login // nil when it failed
	err      error
	ledger   *ledger
	users    map[*follower]struct{}
	holders
	slot // when it is let go of, after a check
}

// openingKey is which store is opened with whose credentials.
type openingKey struct {
	store     spec.StoreKey
	namespace string
}

// edition is what has to be the same for an opening to be taken again.
type edition struct {
	revision string
	driver   string
	tenant   bool
}

func editionOf(s spec.Store) edition { return edition{s.Revision, s.Driver, tenant(s)} }

// holders are those who hold an opening and are not among its users: Follow
// calls, by whom they are for, and Check calls.
type holders struct {
	coming []spec.ID
	checks int
}

// hold adds a Follow call for an object, or for none a Check call.
func (h *holders) hold(owner spec.ID) {
	if owner == (spec.ID{}) {
		h.checks++
		return
	}
	h.coming = append(h.coming, owner)
}

func (h *holders) letGo(owner spec.ID) {
	if owner == (spec.ID{}) {
		h.checks--
		return
	}
	i := slices.Index(h.coming, owner)
	h.coming = slices.Delete(h.coming, i, i+1)
}

func (h *holders) held() bool { return h.checks+len(h.coming) > 0 }

// flight is a store that is being opened.
type flight struct {
	key openingKey
	edition
	ledger  *ledger
	done    chan struct{} // closed when opening is set; nil when nobody may wait
	opening *opening
	founded *login // the login that asks by its credentials from now on
	gaveUp  bool   // it ended with the context of who began it
	holders
}

// open finds the opening of each store that the plan asks. Who calls it lets go
// of all of them. Stores that cannot be opened have an opening that failed.
func (f *Feed) open(ctx context.Context, sub Subscription, creds func(spec.Store) backend.Credentials) map[spec.StoreKey]*opening {
	out := map[spec.StoreKey]*opening{}
	for _, key := range sub.Plan.Stores() {
		out[key] = f.opening(ctx, key, sub.Stores[key], creds, sub.Owner)
	}
	return out
}

// opening returns a store's opening, which it makes unless there is one. owner
// is who holds it, as in hold.
func (f *Feed) opening(ctx context.Context, store spec.StoreKey, s spec.Store, creds func(spec.Store) backend.Credentials, owner spec.ID) *opening {
	k, e := openingKey{store, s.Namespace}, editionOf(s)
	for {
		f.mu.Lock()
		if o := f.openings[k]; o != nil && o.edition == e {
			o.hold(owner)
			o.retry = s.Retry
			f.permit(o, s.Removals)
			f.mu.Unlock()
			return o
		}
		fl := f.flights[k]
		if fl == nil || fl.edition != e {
			break
		}
		fl.hold(owner)
		f.mu.Unlock()
		if o := f.await(ctx, fl, owner); o != nil {
			return o
		}
	}
	fl := &flight{key: k, edition: e}
	fl.ledger = &ledger{flight: fl}
	fl.hold(owner)
	if e.revision != "" {
		fl.done = make(chan struct{})
		f.flights[k] = fl
	}
	f.mu.Unlock()
	return f.fly(ctx, fl, s, creds, owner)
}

// await waits for who opens a store already. It returns nil when that one gave
// up.
func (f *Feed) await(ctx context.Context, fl *flight, owner spec.ID) *opening {
	select {
	case <-fl.done:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case fl.gaveUp:
		return nil
	case fl.opening != nil:
		return fl.opening
	}
	fl.letGo(owner)
	late := &backend.Error{Code: backend.Unavailable, Message: "the store could not be opened in time", Err: ctx.Err()}
	out := &opening{key: fl.key, err: late}
	out.hold(owner)
	return out
}

// fly opens a store.
func (f *Feed) fly(ctx context.Context, fl *flight, s spec.Store, creds func(spec.Store) backend.Credentials, owner spec.ID) (o *opening) {
	var b backend.Backend
	var id backend.Identity
	var err error = backend.Errorf(backend.Unknown, "the store could not be opened")
	c := f.clients(fl.tenant)
	defer func() { // also when the driver panics: others wait
		f.mu.Lock()
		defer f.mu.Unlock()
		if fl.gaveUp = err != nil && ctx.Err() != nil; fl.gaveUp {
			fl.holders = holders{} // the others try for themselves
			fl.hold(owner)
		}
		var l *login
		if err == nil {
			l = f.login(fl, b, id, c)
		}
		o = f.land(fl, l, err)
		o.retry = s.Retry
		f.permit(o, s.Removals)
	}()
	open := f.opts.Drivers[s.Driver].Open
	if open == nil {
		err = backend.Errorf(backend.InvalidRef, "store %q is of a product that is not served here", fl.key.store.Name)
		return nil
	}
	cfg := backend.Config{
		Name:   fl.key.store.Kind + "/" + fl.key.store.Namespace + "/" + fl.key.store.Name,
		Shared: !tenant(s), Raw: s.Raw, Env: s.Env, Fingerprint: f.fingerprint, Spend: c.common.Spend, Client: c.client,
	}
	b, id, err = open(ctx, cfg, f.noting(fl, creds(s), s.Namespace), c.client(nil))
	return nil
}

// land makes an opening of a flight. The same store by the same login has one
// opening, whatever edition it was opened as.
func (f *Feed) land(fl *flight, l *login, err error) *opening {
	current := f.flights[fl.key] == fl // no newer edition came, and nothing that it asked for changed
	if current {
		delete(f.flights, fl.key)
	}
	current = current && err == nil
	var o *opening
	if l != nil {
		o = l.openings[fl.key]
	}
	if o == nil {
		o = &opening{key: fl.key, login: l, err: err, users: map[*follower]struct{}{}}
		if l != nil {
			l.openings[fl.key] = o
			f.relabel(l)
		}
	}
	if current {
		f.openings[fl.key], o.edition = o, fl.edition
	}
	f.take(o, fl.ledger, current)
	o.coming = append(o.coming, fl.coming...)
	o.checks += fl.checks
	fl.opening = o
	if fl.done != nil {
		close(fl.done)
	}
	return o
}

// use makes the openings that a Follow call holds those of its object, instead
// of the ones it had.
func (f *Feed) use(fo *follower, opened map[spec.StoreKey]*opening) {
	for _, o := range opened {
		o.letGo(fo.id)
		if o.users == nil { // of a Follow that did not wait
			continue
		}
		if _, ok := o.users[fo]; !ok {
			o.users[fo] = struct{}{}
			fo.openings = append(fo.openings, o)
		}
	}
	fo.openings = slices.DeleteFunc(fo.openings, func(o *opening) bool {
		if opened[o.key.store] == o {
			return false
		}
		delete(o.users, fo)
		f.discard(o)
		return true
	})
}

// linger is for how long a store stays open that was checked and that nobody
// uses: those who are about to use it need not log in once more.
const linger = time.Minute

// soon lets go of an opening that nobody uses in a while.
func (f *Feed) soon(o *opening) {
	if f.begin == nil || o.login == nil || o.ledger == nil || f.openings[o.key] != o {
		f.discard(o)
		return
	}
	f.schedule.set(o, time.Now().Add(linger))
	f.nudge()
}

// discard lets go of an opening that nobody uses any more.
func (f *Feed) discard(o *opening) {
	if len(o.users) > 0 || o.held() || o.ledger == nil {
		return
	}
	f.retire(o)
	f.schedule.remove(o)
	f.erase(o.ledger)
	o.ledger = nil
	if o.login != nil {
		delete(o.login.openings, o.key)
		f.relabel(o.login)
		f.collect(o.login)
	}
}

// retire keeps newcomers from taking an opening.
func (f *Feed) retire(o *opening) {
	if f.openings[o.key] == o {
		delete(f.openings, o.key)
	}
}
