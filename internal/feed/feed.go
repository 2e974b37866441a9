// SPDX-License-Identifier: Apache-2.0

// Package feed is the only place that reads stores. It asks "is this remote
// secret due?" once for everybody that needs it, and wakes those whose secret
// changed. Listings of what a store holds are followed in the same way. What an
// object needs is decided in internal/plan, and what is made
// of the answers in internal/render.
//
// The life of one remote secret, as the feed sees it:
//
//	wanted by a new object ──urgent──┐
//	its phase came ──────────────────┤
//	                                 ▼
//	                      queue of its login ──▶ one Read ──▶ same as before: nobody is woken
//	                                                     ├──▶ changed: all who follow are woken
//	                                                     └──▶ failed: told once, then by outcome.Retry
//
// For a listing it is one Find instead, which goes alone (listing.go). Notices
// of change, where a product has them, make a secret due before its phase
// (watch.go). How a store becomes a login is in opening.go, and what makes it be
// opened anew in deps.go.
package feed

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Options configure a Feed.
type Options struct {
	Drivers spec.Drivers
	// Wake is called when there is something new for an object. It must not
	// block, and may be called for objects that are gone.
	Wake func(spec.ID)
	// Timeout is how long one read may take; 0 means 30 seconds.
	Timeout time.Duration
	// CacheBytes bounds the values that are kept in memory; 0 means 16 MiB.
	// Beyond it only a keyed digest is kept, and a value is read again when
	// an object needs it.
	CacheBytes int
	// Network says where requests may go.
	Network Network
	// Transport carries all requests; nil means those that Network makes.
	Transport http.RoundTripper
	// Meter is told what the Feed does; nil means nobody is.
	Meter Meter
	// Breaker is when what is missing is not believed.
	Breaker Breaker
	// Tell is called when a store has something to say that a Check returns. It
	// must neither block nor call the Feed; nil means nobody is told.
	Tell func(spec.StoreKey)
}

// Subscription is what one object needs, and how closely it follows.
type Subscription struct {
	Owner  spec.ID
	Plan   plan.Plan
	Stores map[spec.StoreKey]spec.Store
	Every  time.Duration
	Mode   spec.Mode
	// Held are the versions that the object's Secret holds of secrets that
	// reading changes, as far as they are known from an earlier process; of
	// others too, with plan.Plain at the beginning.
	Held map[plan.Key]string
	// Outlived says that the Secret stays when the object goes, so that the
	// leases in it are left to their end.
	Outlived bool
	// Removes says that something is removed for a secret that is missing.
	Removes bool
}

// Feed reads remote secrets for objects that follow them.
type Feed struct {
	opts       Options
	transports transports
	key        []byte // of the digests and fingerprints; random, so they tell nothing

	mu sync.Mutex
	// begin starts a read. It is nil outside Run, to whose context reads
	// belong: they serve many, and end with none of them.
	begin func(l *login, batch []*ref, refused error)
	// listen opens a stream of notices, likewise, and returns what ends it.
	listen func(l *login) (hangUp func())
	// end revokes a lease after a while, likewise.
	end func(l *login, id string, after time.Duration)
	// look starts a probe, likewise.
	look      func(l *login, batch []*ref, refused error)
	work      sync.WaitGroup
	kick      chan struct{}
	logins    map[string]*login
	accounts  map[string]*account
	labels    map[Label]int              // how many logins have each
	checked   map[spec.StoreKey]struct{} // stores that are there, used or not
	idle      map[Label]struct{}         // of those, without a login
	openings  map[openingKey]*opening    // that newcomers take
	flights   map[openingKey]*flight     // that newcomers wait for
	asked     map[Dep]map[*ledger]struct{}
	followers map[spec.ID]*follower
	schedule  schedule
	cache     cache
	pulse     pulse // taken without mu
}

// New makes a Feed. Nothing is read before Run.
func New(opts Options) *Feed {
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 16 << 20
	}
	if opts.Meter == nil {
		opts.Meter = deaf{}
	}
	if opts.Tell == nil {
		opts.Tell = func(spec.StoreKey) {}
	}
	opts.Breaker = Breaker{Percent: cmp.Or(opts.Breaker.Percent, 50), Least: cmp.Or(opts.Breaker.Least, 20)}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, by its documentation
	return &Feed{
		opts:       opts,
		transports: opts.transports(),
		key:        key,
		kick:       make(chan struct{}, 1),
		logins:     map[string]*login{},
		accounts:   map[string]*account{},
		labels:     map[Label]int{},
		checked:    map[spec.StoreKey]struct{}{},
		idle:       map[Label]struct{}{},
		openings:   map[openingKey]*opening{},
		flights:    map[openingKey]*flight{},
		asked:      map[Dep]map[*ledger]struct{}{},
		followers:  map[spec.ID]*follower{},
		cache:      cache{limit: opts.CacheBytes},
		pulse:      pulse{beat: make(chan struct{})},
	}
}

// Run reads what is due until ctx ends, and then waits for the reads that are
// under way.
func (f *Feed) Run(ctx context.Context) {
	end := f.pulse.starts()
	f.mu.Lock()
	f.begin = func(l *login, batch []*ref, refused error) {
		f.work.Go(func() { f.read(ctx, l, batch, refused) })
	}
	f.look = func(l *login, batch []*ref, refused error) {
		f.work.Go(func() { f.probe(ctx, l, batch, refused) })
	}
	f.listen = func(l *login) func() {
		ctx, hangUp := context.WithCancel(ctx)
		f.work.Go(func() { f.watch(ctx, l) })
		return hangUp
	}
	f.end = func(l *login, id string, after time.Duration) {
		f.work.Go(func() { f.revoking(ctx, l, id, after) })
	}
	for _, l := range f.logins {
		f.pump(l)
		f.tune(l)
	}
	f.mu.Unlock()
	defer f.halt()
	defer end()
	for {
		wait, wake := f.dispatch()
		for _, id := range wake {
			f.opts.Wake(id)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-f.kick:
			timer.Stop()
		case <-f.pulse.beat:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// halt sees to it that no read begins any more, and waits for the others.
func (f *Feed) halt() {
	f.mu.Lock()
	f.begin, f.look, f.listen, f.end = nil, nil, nil, nil
	for _, l := range f.logins {
		if l.hangUp != nil {
			l.hangUp()
			l.hangUp = nil
		}
	}
	f.mu.Unlock()
	f.work.Wait()
}

// idle is how long Run sleeps when nothing is scheduled.
const idle = time.Hour

// dispatch queues what is due. It returns how long until the next is, and who
// has to be woken because a store of theirs may be opened now.
func (f *Feed) dispatch() (time.Duration, []spec.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var wake []spec.ID
	asked := map[*login]struct{}{}
	wait := idle
	for {
		next := f.schedule.first()
		if next == nil {
			break
		}
		if left := next.at().due.Sub(now); left > 0 {
			wait = left
			break
		}
		f.schedule.remove(next)
		switch t := next.(type) {
		case *ref:
			if t.probed(now) {
				t.line()
			} else {
				t.enqueue(false)
			}
			asked[t.login] = struct{}{}
		case *follower:
			wake = append(wake, t.id)
		case *opening:
			f.discard(t)
		}
	}
	for l := range asked {
		f.pump(l)
		f.ask(l)
	}
	return wait, wake
}

// Follow replaces what an object needs. It reads nothing: until the object
// asks, it rests, and is woken once when all it needs was read in its turn.
//
// What a listing yields is followed when the plan says so. Then an object that
// learned what that is follows once more, with a plan of both.
func (f *Feed) Follow(ctx context.Context, sub Subscription, creds func(spec.Store) backend.Credentials) {
	opened := f.open(ctx, sub, creds)
	f.mu.Lock()
	defer f.mu.Unlock()
	fo := f.followers[sub.Owner]
	if fo == nil {
		fo = &follower{id: sub.Owner, resting: true}
		f.followers[sub.Owner] = fo
	}
	if sub.Every <= 0 {
		sub.Mode = spec.Pinned
	}
	changed := fo.every != sub.Every || fo.mode != sub.Mode
	fo.every, fo.mode, fo.held, fo.outlived = sub.Every, sub.Mode, sub.Held, sub.Outlived
	fo.removes = sub.Removes
	old := fo.questions
	fo.questions = questions{list: make([]*question, 0, len(old.list))}
	now := time.Now()
	failed := map[plan.Key]error{}
	for _, key := range sub.Plan.Keys() {
		switch o := opened[key.Store]; {
		case o.login == nil:
			failed[key] = o.err
		case fo.questions.get(key) == nil:
			f.want(fo, key, o, old.get(key), now)
		}
	}
	for key, o := range fo.hits {
		// An object that rested follows more than it knows of.
		if old.get(key) != nil && fo.questions.get(key) == nil {
			f.want(fo, key, o, old.get(key), now)
		}
	}
	if fo.told && !fo.expanded() {
		fo.told = false // it has given that up
		fo.forgetAnswers()
	}
	if changed {
		for _, q := range fo.questions.list {
			q.since = now
		}
	}
	if !fo.resting {
		fo.held = nil
	}
	for _, q := range old.list {
		if fo.questions.get(q.key()) != q {
			f.leave(q)
		}
	}
	f.use(fo, opened)
	for _, o := range opened {
		if o.login != nil {
			f.tune(o.login)
		}
	}
	f.reopen(fo, failed, now)
	f.nudge()
}

// want makes an object follow what a question is about. old is the same
// question as it was asked before, or nil.
func (f *Feed) want(fo *follower, key plan.Key, o *opening, old *question, now time.Time) {
	held := fo.held[key]
	if _, lent := heldLease(held); lent {
		o.login.lends(key.Ref)
	}
	r, q := o.login.ref(key, fo.id), old
	if q == nil || q.ref != r {
		if q != nil && (q.ref.there || !q.ref.lost.IsZero()) {
			r.there = true // it is asked for by other credentials now, or elsewhere
		}
		q = &question{follower: fo, ref: r, since: now}
		r.asked[q] = struct{}{}
	}
	q.opening = o
	fo.questions.add(q)
	if plain, ok := strings.CutPrefix(held, plan.Plain); ok {
		q.held = plain
	} else if held != "" {
		q.held = held
		r.hold(held)
	}
	f.hurry(r, fo)
	f.restore(r, held, now)
}

// Forget ends what an object needs. Leases in its Secret end by themselves.
func (f *Feed) Forget(id spec.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(id)
}

func (f *Feed) forget(id spec.ID) {
	fo := f.followers[id]
	if fo == nil {
		return
	}
	for _, q := range fo.questions.list {
		f.leave(q)
	}
	for _, old := range fo.left {
		f.let(old.login)
	}
	f.use(fo, nil)
	f.schedule.remove(fo)
	delete(f.followers, id)
}

// Ask returns an answer to everything that the object follows, or false when
// something has to be read first; the object is woken when all is there. With
// force, nothing that was read before the call counts; who is woken after that
// asks without.
func (f *Feed) Ask(id spec.ID, force bool) (plan.Snapshot, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fo := f.followers[id]
	if fo == nil {
		return nil, false
	}
	fo.resting, fo.held, fo.gathers = false, nil, false
	now := time.Now()
	if force {
		fo.forced = now
	}
	out := plan.Snapshot{}
	for key, err := range fo.failed {
		out[key] = plan.Answer{Err: err}
	}
	for _, q := range fo.questions.list {
		if force {
			q.forget()
		}
		if q.waits {
			continue
		}
		a, ok := f.known(q, now)
		if !ok || force {
			q.wait()
			f.demand(q.ref, !fo.forced.IsZero())
			continue
		}
		// Kept until the others came: what is read for them may drive it out
		// of the cache.
		if q.answer == nil && a.Err == nil {
			f.shared(q.ref.login, 1)
		}
		q.answer = &a
		out[q.key()] = a
	}
	if fo.waiting > 0 {
		for _, q := range fo.questions.list {
			f.pump(q.ref.login) // once all are in the queue, so that they go together
		}
		return nil, false
	}
	if fo.told = !fo.expanded(); !fo.told {
		fo.forced = time.Time{}
		fo.forgetAnswers()
	}
	return out, true
}

// nudge makes Run look at the schedule again.
func (f *Feed) nudge() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}
