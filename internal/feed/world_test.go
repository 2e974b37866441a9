// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// hour is the interval of most tests: long against everything that happens
// besides.
const hour = time.Hour

// A world is a feed that runs on virtual time, with a store in the process and
// a record of what it does. It lives inside a synctest bubble.
type world struct {
	t      *testing.T
	memory *memory.Memory
	feed   *Feed
	stop   func() // ends Run and returns when it has

	mu         sync.Mutex
	wakes      map[spec.ID]int
	reads      []seen
	departures []time.Time
	gates      map[string]chan struct{}
	linger     time.Duration // how long a read takes after its end
	hook       func()        // called while a store is opened that says "hook"
	prober     *prober       // nil when the store has none
	watches    bool          // the store tells of changes
	finder     finder
	opener     opener
	checker    checker
}

// seen is one ref of one Read as the backend saw it.
type seen struct {
	at          time.Time
	login, path string
}

// in runs a test in a bubble, with a feed that runs.
func in(t *testing.T, mo memory.Options, fo Options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.NewWith(mo), fo)
		w.start()
		test(t, w)
	})
}

// newWorld makes a world whose feed does not run yet.
func newWorld(t *testing.T, m *memory.Memory, o Options) *world {
	w := &world{t: t, memory: m, wakes: map[spec.ID]int{}, gates: map[string]chan struct{}{}, stop: func() {}}
	d := m.Driver()
	d.Open = w.open
	o.Drivers = spec.Drivers{"memory": d}
	o.Wake = func(id spec.ID) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wakes[id]++
	}
	w.feed = New(o)
	return w
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		w.feed.Run(ctx)
		close(ended)
	}()
	w.stop = func() { cancel(); <-ended }
	w.t.Cleanup(func() { w.stop() })
	synctest.Wait()
}

// restart is a new process: a new feed, and the same store.
func (w *world) restart() *world {
	w.stop()
	n := newWorld(w.t, w.memory, Options{})
	if w.prober != nil {
		n.prober = &prober{}
	}
	n.start()
	return n
}

// open is the memory store's, with a record of what is read and when. A
// configuration that says "broken" cannot be opened.
func (w *world) open(ctx context.Context, cfg backend.Config, creds backend.Credentials, c *http.Client) (backend.Backend, backend.Identity, error) {
	if code, broken := strings.CutPrefix(string(cfg.Raw), "broken "); broken {
		return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.Code(code), "this store cannot be opened")
	}
	if string(cfg.Raw) == "hook" {
		cfg.Raw = nil
		w.hook()
	}
	if err := w.opener.opens(ctx, cfg, creds); err != nil {
		return backend.Backend{}, backend.Identity{}, err
	}
	spend := cfg.Spend
	cfg.Spend = func(ctx context.Context) error {
		err := spend(ctx)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.departures = append(w.departures, time.Now())
		}
		return err
	}
	b, id, err := w.memory.Open(ctx, cfg, creds, c)
	if err != nil {
		return b, id, err
	}
	b.Reader = recorder{b.Reader, w, id.Login}
	b.Lessor = lessor{b.Lessor, w}
	b.Finder = finding{b.Finder, &w.finder}
	b.Partial = w.finder.partial
	b.Checker = w.checker.of(b.Checker)
	own := b.Prober
	b.Prober = nil
	if !w.watches {
		b.Watcher = nil
	}
	if w.prober != nil {
		b.Prober = via{w.prober, own}
	}
	return b, id, err
}

type recorder struct {
	backend.Reader
	w     *world
	login string
}

func (r recorder) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	r.w.mu.Lock()
	gates := map[string]chan struct{}{}
	for _, ref := range refs {
		r.w.reads = append(r.w.reads, seen{time.Now(), r.login, ref.Path})
		if gate, ok := r.w.gates[ref.Path]; ok {
			gates[ref.Path] = gate
			delete(r.w.gates, ref.Path)
		}
	}
	r.w.mu.Unlock()
	out, err := r.Reader.Read(ctx, refs)
	for _, gate := range gates {
		<-gate
	}
	r.w.mu.Lock()
	linger := r.w.linger
	r.w.mu.Unlock()
	time.Sleep(linger) // virtual
	return out, err
}

// lingers makes reads take so long after their end.
func (w *world) lingers(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.linger = d
}

type lessor struct {
	backend.Lessor
	w *world
}

func (l lessor) Renew(ctx context.Context, id string) (backend.Lease, error) {
	l.w.mu.Lock()
	gate, ok := l.w.gates[renewal]
	delete(l.w.gates, renewal)
	l.w.mu.Unlock()
	granted, err := l.Lessor.Renew(ctx, id)
	if ok {
		<-gate
	}
	return granted, err
}

// renewal is what slow calls the next renewal of a lease.
const renewal = "the renewal of a lease"

// slow makes the next read of a path bring its answer late: what the store
// held when it was asked, at the time of release.
func (w *world) slow(path string) (release func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gates[path] = gate
	return func() { close(gate) }
}

// nobody has no credentials.
type nobody struct{}

func (n nobody) In(string) (backend.Credentials, error) { return n, nil }

func (nobody) All(context.Context, string) (backend.Secret, error) {
	return backend.Secret{}, backend.Errorf(backend.NotFound, "no Secret")
}

func (nobody) Secret(context.Context, string, string) (backend.Value, error) {
	return backend.Value{}, backend.Errorf(backend.NotFound, "no Secret")
}

func (nobody) ConfigMap(context.Context, string, string) (string, error) {
	return "", backend.Errorf(backend.NotFound, "no ConfigMap")
}

func (nobody) Token(context.Context, string, []string) (backend.Value, time.Time, error) {
	return backend.Value{}, time.Time{}, backend.Errorf(backend.NotFound, "no service account")
}

// credentials is what every store is opened with.
func credentials(spec.Store) backend.Credentials { return nobody{} }

// main is the store of questions that name no other.
var main = spec.StoreKey{Kind: "Store", Namespace: "ns", Name: "main"}

// other names a store of its own.
func other(name string) spec.StoreKey {
	return spec.StoreKey{Kind: "Store", Namespace: "ns", Name: name}
}

func object(name string) spec.ID {
	return spec.ID{Dialect: backend.KES, Kind: "ExternalSecret", Namespace: "ns", Name: name}
}

// at asks the main store for a path.
func at(path string) plan.Key { return plan.Key{Store: main, Ref: backend.Ref{Path: path}} }

// sub is what an object subscribes to: these paths of the main store.
func sub(name string, every time.Duration, paths ...string) Subscription {
	read := plan.Read{Store: main}
	for _, p := range paths {
		read.Refs = append(read.Refs, backend.Ref{Path: p})
	}
	return Subscription{
		Owner:  object(name),
		Plan:   plan.Plan{Reads: []plan.Read{read}},
		Stores: map[spec.StoreKey]spec.Store{main: operators("")},
		Every:  every,
	}
}

// pinned is sub for an object that follows nothing.
func pinned(name string, paths ...string) Subscription {
	s := sub(name, 0, paths...)
	s.Mode = spec.Pinned
	return s
}

// and adds paths of a store with a configuration of its own.
func (s Subscription) and(key spec.StoreKey, raw string, paths ...string) Subscription {
	read := plan.Read{Store: key}
	for _, p := range paths {
		read.Refs = append(read.Refs, backend.Ref{Path: p})
	}
	s.Plan.Reads = append(s.Plan.Reads, read)
	s.Stores[key] = operators(raw)
	return s
}

// operators is a store that the operator's environment configures, which is
// opened for each Follow.
func operators(raw string) spec.Store {
	return spec.Store{Driver: "memory", Env: backend.Env{}, Raw: []byte(raw)}
}

// only is and without the main store.
func only(name string, every time.Duration, key spec.StoreKey, raw string, paths ...string) Subscription {
	s := sub(name, every)
	s.Plan.Reads = nil
	return s.and(key, raw, paths...)
}

func (w *world) follow(s Subscription) {
	w.feed.Follow(w.t.Context(), s, credentials)
}

// set stores a text under each path.
func (w *world) set(text string, paths ...string) {
	for _, p := range paths {
		w.memory.Set(p, backend.Secret{Payload: backend.NewValue([]byte(text))})
	}
}

// ask asks without force and says whether there was an answer at once.
func (w *world) ask(name string) (plan.Snapshot, bool) { return w.feed.Ask(object(name), false) }

// now is what the object knows once all was read for it.
func (w *world) now(name string) plan.Snapshot {
	w.t.Helper()
	s, ok := w.ask(name)
	if !ok {
		synctest.Wait()
		s, ok = w.ask(name)
	}
	if !ok {
		w.t.Fatalf("%s got no answer", name)
	}
	return s
}

// sync follows and asks, as a reconciler does with a new object.
func (w *world) sync(s Subscription) plan.Snapshot {
	w.t.Helper()
	w.follow(s)
	out := w.now(s.Owner.Name)
	w.forgetWakes()
	return out
}

// pass lets virtual time pass, and what happens at its end settle.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// woken returns how often an object was woken since it was last asked.
func (w *world) woken(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.wakes[object(name)]
	delete(w.wakes, object(name))
	return n
}

func (w *world) forgetWakes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.wakes)
}

// log returns what was read so far.
func (w *world) log() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.reads)
}

func (w *world) wantReads(path string, want int, reason string) {
	w.t.Helper()
	if got := w.memory.Reads(path); got != want {
		w.t.Errorf("%s: %s was read %d times, want %d", reason, path, got, want)
	}
}

func (w *world) wantWoken(name string, want int, reason string) {
	w.t.Helper()
	if got := w.woken(name); got != want {
		w.t.Errorf("%s: %s was woken %d times, want %d", reason, name, got, want)
	}
}

// text is the value of a good answer, and otherwise what is wrong with it.
func text(a plan.Answer) string {
	if a.Err != nil {
		return "error " + string(backend.CodeOf(a.Err))
	}
	out := string(a.Secret.Payload.Reveal())
	if a.Stale != nil {
		out += " stale " + string(backend.CodeOf(a.Stale))
	}
	return out
}

func (w *world) wantText(s plan.Snapshot, key plan.Key, want, reason string) {
	w.t.Helper()
	a, ok := s[key]
	if !ok {
		w.t.Errorf("%s: no answer about %s", reason, key.Ref)
		return
	}
	if got := text(a); got != want {
		w.t.Errorf("%s: %s is %q, want %q", reason, key.Ref, got, want)
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = prefix + strconv.Itoa(i)
	}
	return out
}

var errDown = backend.Errorf(backend.Unavailable, "the memory store is down")
