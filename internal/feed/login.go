// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// login is a store together with who we are there. Everything that may be
// shared between objects is shared within one login, and nothing across.
type login struct {
	name     string // in Feed.logins
	account  *account
	store    *backend.Store
	limits   backend.Limits
	refs     map[backend.Ref]*ref
	urgent   []*ref // first syncs and forced ones
	routine  []*ref // background refreshes wait behind them
	running  int
	openings int  // Follow calls that hold the login but have no ref in it yet
	lined    bool // it is in the line of its account
	outage   outage

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
}

// backlog is for how many seconds of the product's rate reads may be under
// way. Those beyond wait in our queues, where waiting is no failure: reads of
// a thousand logins that wait for the quota would run into their timeouts.
const backlog = 10

func (a *account) full() bool { return a.most > 0 && a.running >= a.most }

// line makes a login wait for room.
func (a *account) line(l *login) {
	if !l.lined {
		l.lined = true
		a.waiting = append(a.waiting, l)
	}
}

// release ends a read. The logins take turns, so that the one with the longest
// queue does not keep the others out.
func (f *Feed) release(a *account) {
	a.running--
	for n := len(a.waiting); n > 0 && !a.full(); n-- {
		l := a.waiting[0]
		a.waiting[0] = nil
		a.waiting = a.waiting[1:]
		l.lined = false
		f.pump(l)
	}
}

// ref returns the state of a secret, and makes it when there is none.
func (l *login) ref(r backend.Ref) *ref {
	out := l.refs[r]
	if out == nil {
		out = &ref{ref: r, login: l, asked: map[*question]struct{}{}}
		l.refs[r] = out
	}
	return out
}

// open finds the login of each store that the plan asks. Stores that cannot be
// opened fail the questions that are put to them.
func (f *Feed) open(ctx context.Context, sub Subscription, creds func(spec.Store) backend.Credentials) (map[spec.StoreKey]*login, map[plan.Key]error) {
	logins := map[spec.StoreKey]*login{}
	failed := map[plan.Key]error{}
	for _, read := range sub.Plan.Reads {
		store := sub.Stores[read.Store]
		l, err := f.login(ctx, read.Store, store, creds(store))
		if err != nil {
			for _, r := range read.Refs {
				failed[plan.Key{Store: read.Store, Ref: r}] = err
			}
			continue
		}
		logins[read.Store] = l
	}
	return logins, failed
}

// login opens a store, and returns the login it belongs to.
func (f *Feed) login(ctx context.Context, key spec.StoreKey, s spec.Store, creds backend.Credentials) (*login, error) {
	metered := &backend.Metered{Base: f.opts.Transport}
	cfg := backend.Config{Raw: s.Raw, Env: s.Env, Fingerprint: f.fingerprint, Spend: metered.Spend}
	client := &http.Client{Transport: metered, CheckRedirect: sameHost}
	open := f.opts.Drivers[s.Driver].Open
	if open == nil {
		return nil, backend.Errorf(backend.InvalidRef, "store %q is of a product that is not served here", key.Name)
	}
	b, id, err := open(ctx, cfg, creds, client)
	if err != nil {
		return nil, err
	}
	name := s.Driver + "\x00" + id.Login
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.logins[name]; l != nil {
		l.openings++
		if b.Close != nil {
			_ = b.Close() // it was never used
		}
		return l, nil
	}
	a := f.account(s.Driver+"\x00"+id.Quota, b.Limits.Rate)
	metered.Use(a.quota)
	l := &login{
		name: name, account: a, limits: b.Limits, refs: map[backend.Ref]*ref{},
		store: backend.NewStore(key.Name, b, a.quota), openings: 1,
	}
	l.prober = slices.Contains(l.store.Capabilities(), backend.CanProbe)
	f.logins[name] = l
	return l, nil
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

// settle ends an opening, now that its refs are in the login.
func (f *Feed) settle(l *login) {
	l.openings--
	f.collect(l)
}

// collect lets go of a login that nobody uses any more.
func (f *Feed) collect(l *login) {
	if len(l.refs) > 0 || l.openings > 0 || l.running > 0 || l.probing || f.logins[l.name] != l {
		return
	}
	delete(f.logins, l.name)
	_ = l.store.Close() // there is nobody left to tell
}
