// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// A Meter is told what a Feed does. Its methods must not block.
type Meter interface {
	// Request is one that left for a store.
	Request(s Label, o backend.Observation)
	// Waited is how long a secret that was due waited for its read to begin.
	Waited(urgent bool, d time.Duration)
	// Shared are reads that were not made, because another's served.
	Shared(s Label, reads int)
	// Forget ends all that was told of a store, which is gone.
	Forget(s Label)
}

// Label names a store and its product. Stores that are one login have the label
// of the first of them.
type Label struct {
	Store  spec.StoreKey
	Driver string
}

// deaf is a Meter that nobody reads.
type deaf struct{}

func (deaf) Request(Label, backend.Observation) {}
func (deaf) Waited(bool, time.Duration)         {}
func (deaf) Shared(Label, int)                  {}
func (deaf) Forget(Label)                       {}

// seen tells the Meter of a request of a login. It is called from outside.
func (f *Feed) seen(l *login, o backend.Observation) {
	if at := l.label.Load(); at != nil {
		f.opts.Meter.Request(*at, o)
	}
}

// shared tells of reads that another's spared.
func (f *Feed) shared(l *login, n int) {
	if at := l.label.Load(); at != nil {
		f.opts.Meter.Shared(*at, n)
	}
}

// relabel names a login after the first of the stores that led to it. Without
// one it keeps the name that it had.
func (f *Feed) relabel(l *login) {
	var first *Label
	for key := range l.openings {
		if first == nil || compareStores(key.store, first.Store) < 0 {
			first = &Label{key.store, l.driver}
		}
	}
	if first == nil {
		return
	}
	if now := l.label.Load(); now == nil || *now != *first {
		f.unlabel(l)
		f.labels[*first]++
		l.label.Store(first)
		delete(f.idle, *first)
	}
}

// unlabel takes the name of a login away. What comes after that is not told.
func (f *Feed) unlabel(l *login) {
	old := l.label.Swap(nil)
	if old == nil {
		return
	}
	if f.labels[*old]--; f.labels[*old] > 0 {
		return
	}
	delete(f.labels, *old)
	if _, there := f.checked[old.Store]; there {
		f.idle[*old] = struct{}{}
		return
	}
	f.opts.Meter.Forget(*old)
}

// Drop takes note that a store which was checked does not exist any more.
func (f *Feed) Drop(key spec.StoreKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.checked, key)
	for at := range f.idle {
		if at.Store == key {
			delete(f.idle, at)
			f.opts.Meter.Forget(at)
		}
	}
}

// StoreStats is the state of a store, with all that are one login with it.
type StoreStats struct {
	Label
	Secrets int // that are followed, listings among them
	Due     int // of these, wait to be read, or are being read
	Late    int // of these, had no good answer for two intervals
	// Oldest is how long ago the oldest answer came of those that are polled; 0
	// when there is none. What an earlier process knew does not count: for a
	// secret that was not read yet it is since somebody follows it.
	Oldest  time.Duration
	Quiet   time.Duration // for how long its quota is to be left alone
	Down    bool          // it gave nobody a good answer for a while, and is asked one question at a time
	Missing int           // secrets that are missing and not told yet
	Held    bool          // so many are missing that none of them is told
}

// Stats returns the state of all stores, sorted.
func (f *Feed) Stats() []StoreStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	all := map[Label]StoreStats{}
	for _, l := range f.logins {
		at := l.label.Load()
		if at == nil {
			continue
		}
		s := l.stats(now)
		if o, ok := all[*at]; ok { // its credentials were replaced a moment ago
			s = StoreStats{
				Secrets: s.Secrets + o.Secrets, Due: s.Due + o.Due, Late: s.Late + o.Late,
				Oldest: max(s.Oldest, o.Oldest), Quiet: max(s.Quiet, o.Quiet), Down: s.Down || o.Down, Missing: s.Missing + o.Missing, Held: s.Held || o.Held,
			}
		}
		s.Label = *at
		all[*at] = s
	}
	out := make([]StoreStats, 0, len(all))
	for _, s := range all {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b StoreStats) int {
		return cmp.Or(compareStores(a.Store, b.Store), cmp.Compare(a.Driver, b.Driver))
	})
	return out
}

func (l *login) stats(now time.Time) StoreStats {
	s := StoreStats{Secrets: l.items(), Quiet: l.account.quota.Quiet(), Down: l.outage.dead(l.items()), Missing: l.losses.missing, Held: l.losses.tripped}
	for r := range l.all {
		if r.busy || r.place != nowhere {
			s.Due++
		}
		if r.every <= 0 {
			continue
		}
		age := r.age(now)
		s.Oldest = max(s.Oldest, age)
		if age > 2*r.every {
			s.Late++
		}
	}
	return s
}

// age is how long ago a polled secret was known to be what it is.
func (r *ref) age(now time.Time) time.Duration {
	good := r.read
	if r.err == nil && r.lost.IsZero() {
		good = r.tried // a probe counts
	}
	if good.IsZero() {
		for q := range r.asked {
			if good.IsZero() || q.since.Before(good) {
				good = q.since
			}
		}
	}
	return now.Sub(good)
}
