// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// login is a store together with who we are there. Everything that may be
// shared between objects is shared within one login, and nothing across.
type login struct {
	name    string // in Feed.logins; those of tenants and of the operator are apart
	driver  string
	label   atomic.Pointer[Label]
	account *account
	store   *backend.Store
	limits  backend.Limits
	refs    map[backend.Ref]*ref
	urgent  line // first syncs and forced ones
	routine line // background refreshes wait behind them
	running int
	lined   bool // it is in the line of its account
	outage  outage
	losses  losses

	listings map[backend.Query]*ref
	failing  int                     // of both, those that failed and are to be tried again after a pause
	polling  int                     // of both, those that have an interval
	paths    map[string]*ref         // the first secret of each path, where notices come of them
	openings map[openingKey]*opening // that led here
	ledger   ledger                  // of what it asked for since

	checker  bool
	checking *checking // under way
	good     time.Time // when the last good answer came; zero when it was refused since

	lent   map[backend.Ref]struct{} // of which each read makes another secret
	ending int                      // leases that are to be revoked

	watcher bool   // it tells changes as they happen
	hangUp  func() // ends the stream of notices; nil while there is none
	// listening is since when the stream is open, or tried to be.
	listening time.Time

	prober  bool      // it can tell changes without reading
	probes  []*ref    // due to be probed
	probing bool      // a probe is under way
	blind   time.Time // until then the prober is known to tell nothing
}

// account is what a limit of the product applies to, with all its logins.
type account struct {
	name    string
	quota   *backend.Quota
	most    int // reads that may be under way; 0 means any number
	running int
	waiting []*login // those that wait for room
	served  map[string]uint64
	turns   uint64
}

// backlog is for how many seconds of the product's rate reads may be under
// way. Those beyond wait in our queues, where waiting is no failure, and where
// urgent ones go first: reads of a thousand logins that wait for the quota would
// run into their timeouts.
const backlog = 2

func (a *account) full() bool { return a.most > 0 && a.running >= a.most }

// line makes a login wait for room.
func (a *account) line(l *login) {
	if !l.lined {
		l.lined = true
		a.waiting = append(a.waiting, l)
	}
}

// release ends a read, and lets others begin.
func (f *Feed) release(a *account) {
	a.running--
	for n := len(a.waiting); n > 0 && !a.full(); n-- {
		f.pump(a.next())
	}
	a.rest()
}

// ref returns the state of what a question of an object is about, and makes it
// when there is none.
func (l *login) ref(key plan.Key, id spec.ID) *ref {
	key = l.owned(key, id)
	out := l.find(key)
	if out != nil {
		return out
	}
	out = &ref{ref: key.Ref, login: l, asked: map[*question]struct{}{}}
	if !key.Listing {
		l.refs[key.Ref] = out
		l.chain(out)
		return out
	}
	out.listing = &listing{query: key.Query}
	if l.listings == nil {
		l.listings = map[backend.Query]*ref{}
	}
	l.listings[key.Query] = out
	return out
}

func (l *login) find(key plan.Key) *ref {
	if key.Listing {
		return l.listings[key.Query]
	}
	return l.refs[key.Ref]
}

// lose forgets what nobody follows any more.
func (l *login) lose(r *ref) {
	if r.listing != nil {
		delete(l.listings, r.listing.query)
	} else {
		delete(l.refs, r.ref)
		l.unchain(r)
	}
	r.pace(0)
	r.recovers()
	l.outage.drop(r)
}

// all yields what is followed.
func (l *login) all(yield func(*ref) bool) {
	for _, r := range l.refs {
		if !yield(r) {
			return
		}
	}
	for _, r := range l.listings {
		if !yield(r) {
			return
		}
	}
}

// items is how much is followed.
func (l *login) items() int { return len(l.refs) + len(l.listings) }

// answered learns from an answer whether the login works.
func (l *login) answered(err error, now time.Time) {
	switch backend.CodeOf(err) {
	case "":
		l.good = now
	case backend.Unauthenticated:
		l.good = time.Time{}
	}
}

// login returns the login that a store was opened as.
func (f *Feed) login(fl *flight, b backend.Backend, id backend.Identity, c *clients) *login {
	name := fl.driver + "\x00" + id.Login
	if fl.tenant {
		name = "\x00" + name // never the operator's, whatever it logs in as
	}
	if l := f.logins[name]; l != nil {
		if b.Close != nil {
			_ = b.Close() // it was never used
		}
		return l
	}
	a := f.account(fl.driver+"\x00"+id.Quota, b.Limits.Rate)
	c.use(a.quota)
	l := &login{
		name: name, driver: fl.driver, account: a, limits: b.Limits, refs: map[backend.Ref]*ref{},
		store: backend.NewStore(fl.key.store.Name, b, a.quota), openings: map[openingKey]*opening{},
	}
	l.ledger.login = l
	l.prober = slices.Contains(l.store.Capabilities(), backend.CanProbe)
	l.checker = slices.Contains(l.store.Capabilities(), backend.CanCheck)
	l.watcher = slices.Contains(l.store.Capabilities(), backend.CanWatch)
	f.logins[name] = l
	fl.founded = l
	c.login.Store(l)
	return l
}

// account returns the account of a name. It is kept for good, for what it was
// told to wait does not end with who was told.
func (f *Feed) account(name string, rate int) *account {
	a := f.accounts[name]
	if a == nil {
		a = &account{name: name, quota: backend.NewQuota(rate), most: backlog * max(0, rate)}
		f.accounts[name] = a
	}
	return a
}

// fingerprint makes a token of secret bytes that tells nothing about them.
func (f *Feed) fingerprint(values ...backend.Value) string {
	h := hmac.New(sha256.New, f.key)
	for _, v := range values {
		d := sha256.Sum256(v.Reveal())
		_, _ = h.Write(d[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// collect lets go of a login that nobody uses any more.
func (f *Feed) collect(l *login) {
	if l.items() > 0 || len(l.openings) > 0 || l.running > 0 || l.probing || l.ending > 0 || f.logins[l.name] != l {
		return
	}
	delete(f.logins, l.name)
	f.tune(l)
	f.erase(&l.ledger)
	f.unlabel(l)
	_ = l.store.Close() // there is nobody left to tell
}
