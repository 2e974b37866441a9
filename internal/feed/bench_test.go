// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const many = 100_000

// BenchmarkSchedule is what it costs that a secret is due and is due again,
// without the read itself, among 100,000. bytes/ref is all that the feed holds
// for one object with one secret, besides the value.
func BenchmarkSchedule(b *testing.B) {
	m := memory.New()
	f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
	paths := names("team/app/secret-", many)
	subs := make([]Subscription, many)
	for i, p := range paths {
		subs[i] = sub(p, 10*time.Minute, p)
	}
	before := inUse()
	for _, s := range subs {
		f.Follow(b.Context(), s, credentials)
	}
	perRef := (inUse() - before) / many
	runtime.KeepAlive(subs)
	answer := reply{Result: backend.Result{Secret: backend.Secret{Payload: backend.NewValue([]byte("v"))}}}
	for b.Loop() {
		f.mu.Lock()
		r, _ := f.schedule.first().(*ref)
		f.schedule.remove(r)
		_ = f.settled(r, answer)
		f.mu.Unlock()
	}
	b.ReportMetric(perRef, "bytes/ref")
}

// BenchmarkNotice is what a notice of one of 100,000 secrets of a login costs.
func BenchmarkNotice(b *testing.B) {
	m := memory.New()
	f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
	paths := names("team/app/secret-", many)
	for _, p := range paths {
		f.Follow(b.Context(), sub(p, 10*time.Minute, p).through(tenants("1", "")), credentials)
	}
	var l *login
	for _, l = range f.logins {
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		f.noticed(l, backend.Ref{Path: paths[n%many]})
		n++
	}
}

// BenchmarkFollow is what a look at an object costs that changed nothing, with
// a store that is opened each time.
func BenchmarkFollow(b *testing.B) { benchmarkFollow(b, operators("")) }

// BenchmarkFollowOpened is the same with a store that is opened once.
func BenchmarkFollowOpened(b *testing.B) { benchmarkFollow(b, tenants("1", "")) }

func benchmarkFollow(b *testing.B, store spec.Store) {
	b.Helper()
	m := memory.New()
	f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
	for _, p := range names("o", 10_000) { // who follow the same secret
		f.Follow(b.Context(), sub(p, 10*time.Minute, "common").through(store), credentials)
	}
	s := sub("o7", 10*time.Minute, "common").through(store)
	b.ReportAllocs()
	for b.Loop() {
		f.Follow(b.Context(), s, credentials)
	}
}

// A throng is a feed that is as busy as a large cluster keeps it: objects of five
// secrets each follow 100,000 secrets of ten logins. There is no Run: what is due
// when, and when reads begin, is the benchmark's business.
type throng struct {
	feed  *Feed
	subs  []Subscription
	begun []begun
	bytes float64 // that the feed holds, besides the values
}

// begun is a read or a probe that the feed began.
type begun func(ctx context.Context)

// logins and namespaces are how many a throng has, and each how many secrets an
// object needs.
const (
	logins     = 10
	namespaces = 100
	each       = 5
)

// assemble makes a throng in which each secret has as many followers. With probes,
// the store can tell changes without reading.
func assemble(b *testing.B, followers int, probes bool) *throng {
	b.Helper()
	m := memory.NewWith(memory.Options{Parallel: many})
	d := m.Driver()
	d.Open = func(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
		out, id, err := m.Open(ctx, cfg, creds, client)
		if !probes {
			out.Prober = nil
		}
		return out, id, err
	}
	paths := names("team/app/secret-", many)
	for _, p := range paths {
		m.Set(p, backend.Secret{Payload: backend.NewValue([]byte("v"))})
	}
	c := &throng{}
	for i := range many * followers / each {
		from := i * each % many
		login := strconv.Itoa(from * logins / many)
		read := plan.Read{Store: other(login)}
		for _, p := range paths[from : from+each] {
			read.Refs = append(read.Refs, backend.Ref{Path: p})
		}
		id := object("object-" + strconv.Itoa(i))
		id.Namespace = "team-" + strconv.Itoa(i%namespaces)
		c.subs = append(c.subs, Subscription{
			Owner: id, Plan: plan.Plan{Reads: []plan.Read{read}}, Every: 10 * time.Minute,
			Stores: map[spec.StoreKey]spec.Store{other(login): tenants("1", `{"login":"`+login+`"}`)},
		})
	}
	before := inUse()
	c.feed = New(Options{Drivers: spec.Drivers{"memory": d}, Wake: func(spec.ID) {}, CacheBytes: 1})
	c.feed.begin = func(l *login, batch []*ref, refused error) {
		c.begun = append(c.begun, func(ctx context.Context) { c.feed.read(ctx, l, batch, refused) })
	}
	c.feed.look = func(l *login, batch []*ref, refused error) {
		c.begun = append(c.begun, func(ctx context.Context) { c.feed.probe(ctx, l, batch, refused) })
	}
	for _, s := range c.subs {
		c.feed.Follow(b.Context(), s, credentials)
	}
	c.cycle(b)
	c.bytes = inUse() - before
	return c
}

// cycle is what happens within one interval: everything is due once, and is
// read.
func (c *throng) cycle(b *testing.B) {
	b.Helper()
	var all []*ref
	for _, t := range c.feed.schedule.heap {
		if r, ok := t.(*ref); ok {
			all = append(all, r)
		}
	}
	if len(all) != many {
		b.Fatalf("%d secrets are scheduled", len(all))
	}
	now := time.Now()
	for _, r := range all {
		c.feed.schedule.set(r, now)
	}
	c.feed.dispatch()
	c.work(b)
}

// work makes what began, and what begins then.
func (c *throng) work(b *testing.B) {
	b.Helper()
	for len(c.begun) > 0 {
		now := c.begun
		c.begun = nil
		for _, work := range now {
			work(b.Context())
		}
	}
}

// sync asks for all secrets of an object, and has them read.
func (c *throng) sync(b *testing.B, id spec.ID) {
	b.Helper()
	if _, ok := c.feed.Ask(id, false); ok {
		return
	}
	c.work(b)
	if _, ok := c.feed.Ask(id, false); !ok {
		b.Fatal("no answer after all was read")
	}
}

// BenchmarkCycle is what it costs that each of 100,000 secrets is due once, is
// read from a store in the process, and did not change. B/ref and B/object are
// what the feed holds for a secret with its followers, and for an object with its
// five questions, besides the values.
func BenchmarkCycle(b *testing.B) {
	for name, kind := range map[string]struct {
		followers int
		probes    bool
	}{"OneFollower": {1, false}, "FiveFollowers": {5, false}, "Probed": {1, true}} {
		b.Run(name, func(b *testing.B) {
			c := assemble(b, kind.followers, kind.probes)
			b.ReportAllocs()
			for b.Loop() {
				c.cycle(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/ref")
			b.ReportMetric(c.bytes/many, "B/ref")
			b.ReportMetric(c.bytes/float64(len(c.subs)), "B/object")
			runtime.KeepAlive(c)
		})
	}
}

// BenchmarkTurns is what it costs to take a secret out of the queue of its login
// when 10,000 wait there, with a new object each, for as many namespaces.
func BenchmarkTurns(b *testing.B) {
	for _, namespaces := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(namespaces)+"Namespaces", func(b *testing.B) {
			const waiting = 10_000
			m := memory.NewWith(memory.Options{Parallel: many})
			f := New(Options{Drivers: spec.Drivers{"memory": m.Driver()}, Wake: func(spec.ID) {}})
			var l *login
			for i, p := range names("p", waiting) {
				s := sub(p, 10*time.Minute, p).through(tenants("1", ""))
				s.Owner.Namespace = "team-" + strconv.Itoa(i%namespaces)
				f.Follow(b.Context(), s, credentials)
				l = f.followers[s.Owner].openings[0].login
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range l.refs {
					r.busy = false
					r.enqueue(true)
				}
				for n := waiting; n > 0; {
					n -= len(l.take(20))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/waiting, "ns/ref")
		})
	}
}

// BenchmarkThrong is what single calls cost in a throng.
func BenchmarkThrong(b *testing.B) {
	c := assemble(b, 5, false)
	c.feed.cache.limit = 16 << 20
	s := c.subs[many/2]
	c.sync(b, s.Owner)
	for name, call := range map[string]func(){
		"Follow": func() { c.feed.Follow(b.Context(), s, credentials) },
		"Ask":    func() { c.feed.Ask(s.Owner, false) },
		"Settle": func() { c.feed.Settle(s.Owner, true) },
		"FollowAndAsk": func() {
			c.feed.Follow(b.Context(), s, credentials)
			c.feed.Ask(s.Owner, false)
		},
		"Forced": func() { // and back to rest
			c.feed.Ask(s.Owner, true)
			c.sync(b, s.Owner)
		},
		"Newcomer": func() {
			n := s
			n.Owner = object("newcomer")
			c.feed.Follow(b.Context(), n, credentials)
			c.feed.Forget(n.Owner)
		},
		"Notice": func() { // of one among 10,000 secrets of a login
			c.feed.noticed(c.feed.followers[s.Owner].openings[0].login, s.Plan.Reads[0].Refs[0])
		},
		"Touch": func() { c.feed.Touch(secretDep("nobody asked for it")) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// inUse returns the bytes in use.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
