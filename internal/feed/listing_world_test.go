// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// finder lists what the store's own lists, or something else.
type finder struct {
	mu      sync.Mutex
	say     func() ([]backend.Found, error) // nil says what the store says
	asked   []listedAt
	partial bool
}

type listedAt struct {
	at    time.Time
	query backend.Query
}

// finding is the finder of one login.
type finding struct {
	own backend.Finder
	*finder
}

func (f finding) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	f.mu.Lock()
	f.asked = append(f.asked, listedAt{time.Now(), q})
	say := f.say
	f.mu.Unlock()
	return func(yield func(backend.Found, error) bool) {
		if say == nil {
			f.own.Find(ctx, q)(yield)
			return
		}
		found, err := say()
		for _, hit := range found {
			if !yield(hit, nil) {
				return
			}
		}
		if err != nil {
			yield(backend.Found{}, err)
		}
	}
}

// says replaces what listings yield.
func (f *finder) says(found ...backend.Found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.say = func() ([]backend.Found, error) { return found, nil }
}

// fails makes listings fail; nil ends that.
func (f *finder) fails(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.say = nil; err != nil {
		f.say = func() ([]backend.Found, error) { return nil, err }
	}
}

func (f *finder) log() []listedAt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (w *world) wantFinds(want int, reason string) {
	w.t.Helper()
	if got := len(w.finder.log()); got != want {
		w.t.Errorf("%s: %d listings, want %d", reason, got, want)
	}
}

// like is a query for paths that begin with a text.
func like(prefix string) backend.Query { return backend.Query{Path: prefix} }

// all is the question for a listing of the main store.
func all(prefix string) plan.Key {
	return plan.Key{Store: main, Listing: true, Query: like(prefix)}
}

// lists adds listings of the main store to what an object subscribes to.
func (s Subscription) lists(prefixes ...string) Subscription {
	for _, p := range prefixes {
		s.Plan.Finds = append(s.Plan.Finds, plan.Find{Store: main, Query: like(p)})
	}
	return s
}

// finds subscribes to a listing alone.
func finds(name string, every time.Duration, prefixes ...string) Subscription {
	return sub(name, every).lists(prefixes...)
}

// hit is one of a listing.
func hit(path string) backend.Found { return backend.Found{Ref: backend.Ref{Path: path}} }

// valued is one that came with its value.
func valued(path, text string) backend.Found {
	return backend.Found{Ref: backend.Ref{Path: path}, Secret: &backend.Secret{Payload: backend.NewValue([]byte(text))}}
}

// paths are the hits of a good answer, and otherwise what is wrong with it.
func paths(a plan.Answer) string {
	if a.Err != nil {
		return "error " + string(backend.CodeOf(a.Err))
	}
	var out []string
	for _, f := range a.Found {
		s := f.Ref.Path
		if f.Name != "" {
			s += " " + f.Name
		}
		if f.Secret != nil {
			s += "=" + string(f.Secret.Payload.Reveal())
		}
		out = append(out, s)
	}
	if a.Stale != nil {
		out = append(out, "stale "+string(backend.CodeOf(a.Stale)))
	}
	return strings.Join(out, ",")
}

func (w *world) wantFound(s plan.Snapshot, key plan.Key, want, reason string) {
	w.t.Helper()
	a, ok := s[key]
	if !ok {
		w.t.Errorf("%s: no answer to the listing of %q", reason, key.Query.Path)
		return
	}
	if got := paths(a); got != want {
		w.t.Errorf("%s: found %q, want %q", reason, got, want)
	}
}

// whole is what a reconciler does with listings: it asks, and asks once more
// for what they yielded. It returns false where the object has to wait.
func (w *world) whole(s Subscription) (plan.Snapshot, bool) {
	w.follow(s)
	answers, ok := w.ask(s.Owner.Name)
	if !ok {
		return nil, false
	}
	s.Plan = plan.Expand(s.Plan, answers)
	for _, key := range s.Plan.Keys() {
		if _, ok := answers[key]; !ok {
			w.follow(s)
			return w.ask(s.Owner.Name)
		}
	}
	return answers, true
}

// settle is whole until there is an answer to everything.
func (w *world) settle(s Subscription) plan.Snapshot {
	w.t.Helper()
	for range 5 {
		if answers, ok := w.whole(s); ok {
			w.forgetWakes()
			return answers
		}
		w.pass(0)
	}
	w.t.Fatalf("%s is never done", s.Owner.Name)
	return nil
}

// opener notes what is opened.
type opener struct {
	mu     sync.Mutex
	opened []string                                               // names of configurations
	creds  []backend.Credentials                                  // of each
	asks   func(ctx context.Context, c backend.Credentials) error // nil asks for nothing
}

func (o *opener) opens(ctx context.Context, cfg backend.Config, c backend.Credentials) error {
	o.mu.Lock()
	o.opened, o.creds = append(o.opened, cfg.Name), append(o.creds, c)
	asks := o.asks
	o.mu.Unlock()
	if asks == nil {
		return nil
	}
	return asks(ctx, c)
}

func (o *opener) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.opened)
}

func (w *world) wantOpens(want int, reason string) {
	w.t.Helper()
	if got := w.opener.count(); got != want {
		w.t.Errorf("%s: opened %d times, want %d", reason, got, want)
	}
}

// wantNothing requires that the feed holds nothing for anybody.
func (w *world) wantNothing(reason string) {
	w.t.Helper()
	w.pass(linger)
	f := w.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.openings) + len(f.flights) + len(f.asked) + len(f.logins) + len(f.followers) + len(f.schedule.heap) + f.cache.used; n != 0 {
		w.t.Errorf("%s: left are %d openings, %d flights, %d deps, %d logins, %d followers, %d due, %d bytes", reason,
			len(f.openings), len(f.flights), len(f.asked), len(f.logins), len(f.followers), len(f.schedule.heap), f.cache.used)
	}
	if n := w.memory.Sessions(); n != 0 {
		w.t.Errorf("%s: %d sessions", reason, n)
	}
}

// tenants is a store of a tenant that is opened once for each revision.
func tenants(revision, raw string) spec.Store {
	return spec.Store{Driver: "memory", Namespace: "ns", Revision: revision, Raw: []byte(raw)}
}

// through makes an object ask another main store.
func (s Subscription) through(store spec.Store) Subscription {
	s.Stores = map[spec.StoreKey]spec.Store{main: store}
	return s
}
