// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// seedVariable chooses the one run to repeat.
const seedVariable = "LOCKSTEP_SEED"

// TestIsolation drives a feed through random graphs of stores, credentials and
// objects. Every value names who logged in where to read it. Whatever happens, an
// object gets what its own store with its own credentials, as they are or were,
// answers to that very question; a secret with a lease goes to one object; and a
// pinned object is woken for nothing but what it asked for itself.
func TestIsolation(t *testing.T) {
	var seeds []uint64
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	} else {
		for range 8 {
			seeds = append(seeds, rand.Uint64()) //nolint:gosec // it is printed, and may be known
		}
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Logf("to repeat: %s=%d", seedVariable, seed)
			synctest.Test(t, func(t *testing.T) { newEstate(t, seed).live() })
		})
	}
}

// estate is a feed on virtual time, and all that its objects and stores are by
// rights.
type estate struct {
	t      *testing.T
	memory *memory.Memory
	feed   *Feed

	rand *rand.Rand // chooses the steps, whatever comes of them

	mu      sync.Mutex
	delays  *rand.Rand
	tokens  map[Dep]string            // what stands in the Secrets with credentials
	stores  map[spec.StoreKey]*manor  // as they are configured now
	rights  map[right]map[string]bool // the signatures that a store answered a namespace with, or could have
	lessees map[string]spec.ID        // who had a lease, by its secret
	holders []*holder
	serial  int
	values  int // that objects got
}

// manor is a store's configuration.
type manor struct {
	key                            spec.StoreKey
	login, name, quota, credential string
	revision                       int
}

// right is what a namespace has from a store.
type right struct {
	store     spec.StoreKey
	namespace string
}

// holder is an object.
type holder struct {
	id      spec.ID
	sub     Subscription
	follows bool
	busy    bool      // its Follow is under way
	due     bool      // it was woken, or told to follow anew
	debt    bool      // it may be woken though it is pinned: it waits, or was told of a failure that passes
	rests   bool      // Suspended: it may not be woken
	quiet   time.Time // since when debt is paid; a wake of that very moment was decided before
	held    map[plan.Key]string
}

var (
	estateNamespaces = []string{"red", "blue", "green"}
	estatePaths      = append(names("p", 8), "role-0", "role-1", "once")
)

func newEstate(t *testing.T, seed uint64) *estate {
	e := &estate{
		t: t, memory: memory.NewWith(memory.Options{Batch: 3, Parallel: 2, Lease: 20 * time.Minute, LongestLease: time.Hour}),
		rand:   rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a test that can be repeated
		delays: rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // as above
		tokens: map[Dep]string{}, stores: map[spec.StoreKey]*manor{}, rights: map[right]map[string]bool{}, lessees: map[string]spec.ID{},
	}
	d := e.memory.Driver()
	d.Open = e.open
	e.feed = New(Options{Drivers: spec.Drivers{"memory": d}, Wake: e.wake, CacheBytes: 1500})
	for _, n := range []string{"", "annex"} {
		for _, p := range estatePaths {
			e.write(n, p)
		}
	}
	for _, ns := range estateNamespaces {
		for _, name := range []string{"main", "side"} {
			key := spec.StoreKey{Kind: "SecretStore", Namespace: ns, Name: name}
			e.stores[key] = &manor{key: key}
		}
		for i := range 6 {
			e.holders = append(e.holders, &holder{id: spec.ID{Dialect: backend.ESO, Kind: "ExternalSecret", Namespace: ns, Name: "o" + strconv.Itoa(i)}})
		}
	}
	for _, name := range []string{"main", "common"} {
		key := spec.StoreKey{Kind: "ClusterSecretStore", Name: name}
		e.stores[key] = &manor{key: key}
	}
	for _, key := range e.keys() {
		e.configure(e.stores[key])
	}
	for _, d := range e.secrets() {
		e.rotate(d)
	}
	return e
}

// keys are those of the stores, in one order.
func (e *estate) keys() []spec.StoreKey {
	var out []spec.StoreKey
	for key := range e.stores {
		out = append(out, key)
	}
	slices.SortFunc(out, compareStores)
	return out
}

// secrets are those with credentials, also where there are none.
func (e *estate) secrets() []Dep {
	var out []Dep
	for _, ns := range estateNamespaces {
		out = append(out, Dep{"Secret", ns, "creds-0"}, Dep{"Secret", ns, "creds-1"})
	}
	return out
}

func pick[T any](e *estate, list ...T) T { return list[e.rand.IntN(len(list))] }

// configure gives a store another configuration, which may be that of another.
func (e *estate) configure(m *manor) {
	m.login, m.name, m.quota = pick(e, "l0", "l1"), pick(e, "", "annex"), pick(e, "q0", "q1")
	m.credential = pick(e, "creds-0", "creds-0", "creds-1", "")
	m.revision++
	e.note()
}

// rotate gives a Secret other credentials, which may be those of another, or
// takes them away.
func (e *estate) rotate(d Dep) {
	if e.tokens[d] = pick(e, "t0", "t1", "t2", "t3", ""); e.tokens[d] == "" {
		delete(e.tokens, d)
	}
	e.note()
}

// write stores a new value.
func (e *estate) write(store, path string) {
	e.serial++
	m := e.memory.Named(store)
	m.Set(path, backend.Secret{Payload: backend.NewValue([]byte(path + "#" + strconv.Itoa(e.serial)))})
	m.SetLends(path, strings.HasPrefix(path, "role-"))
	m.SetReadMutates(path, path == "once")
}

// signature is who reads where. What a tenant's store reads is never the
// operator's.
func (m *manor) signature(tenant bool, token string) string {
	return fmt.Sprintf("tenant=%t login=%s store=%q token=%s", tenant, m.login, m.name, token)
}

// note remembers what each namespace has by rights now.
func (e *estate) note() {
	for _, key := range e.keys() {
		for _, ns := range estateNamespaces {
			if key.Namespace != "" && key.Namespace != ns {
				continue
			}
			r := right{key, ns}
			if e.rights[r] == nil {
				e.rights[r] = map[string]bool{}
			}
			if s, ok := e.now(r); ok {
				e.rights[r][s] = true
			}
		}
	}
}

// now is the signature that a store answers a namespace with.
func (e *estate) now(r right) (string, bool) {
	m := e.stores[r.store]
	token, ok := e.tokens[Dep{"Secret", r.namespace, m.credential}]
	return m.signature(r.store.Namespace != "", token), ok || m.credential == ""
}

// store is a store as the objects of a namespace have it.
func (e *estate) store(key spec.StoreKey, namespace string) spec.Store {
	m := e.stores[key]
	raw := fmt.Sprintf(`{"login":%q,"store":%q,"quota":%q,"secret":{"name":%q,"key":"k"}}`, m.login, m.name, m.quota, m.credential)
	return spec.Store{
		Driver: "memory", Namespace: namespace, Shared: key.Namespace == "", Raw: []byte(raw), Revision: key.Name + "/" + strconv.Itoa(m.revision),
	}
}

// purse are the credentials of one namespace.
type purse struct {
	nobody
	estate    *estate
	namespace string
}

func (p purse) Secret(_ context.Context, name, _ string) (backend.Value, error) {
	p.estate.pause(200) // of the API server
	p.estate.mu.Lock()
	defer p.estate.mu.Unlock()
	token, ok := p.estate.tokens[Dep{"Secret", p.namespace, name}]
	if !ok {
		return backend.Value{}, backend.Errorf(backend.NotFound, "no Secret")
	}
	return backend.NewValue([]byte(token)), nil
}

func (e *estate) credentials(s spec.Store) backend.Credentials {
	return purse{estate: e, namespace: s.Namespace}
}

// overheard notes the credentials that a store was opened with.
type overheard struct {
	backend.Credentials
	token string
}

func (o *overheard) Secret(ctx context.Context, name, key string) (backend.Value, error) {
	v, err := o.Credentials.Secret(ctx, name, key)
	o.token = string(v.Reveal())
	return v, err
}

// open is the memory store's, which signs what is read.
func (e *estate) open(ctx context.Context, cfg backend.Config, creds backend.Credentials, c *http.Client) (backend.Backend, backend.Identity, error) {
	heard := &overheard{Credentials: creds}
	e.pause(500)
	b, id, err := e.memory.Open(ctx, cfg, heard, c)
	e.pause(500)
	if err != nil {
		return b, id, err
	}
	var m manor
	_, _ = fmt.Sscanf(strings.NewReplacer(`"`, " ", ",", " ", ":", " ").Replace(string(cfg.Raw)), "{ login  %s", &m.login)
	if strings.Contains(string(cfg.Raw), "annex") {
		m.name = "annex"
	}
	s := signer{b.Reader, b.Finder, e, m.signature(!cfg.Shared, heard.token)}
	b.Reader, b.Finder = s, s
	return b, id, nil
}

type signer struct {
	backend.Reader
	backend.Finder
	estate    *estate
	signature string
}

func (s signer) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	s.estate.pause(800)
	out, err := s.Reader.Read(ctx, refs)
	for i := range out {
		s.sign(&out[i].Secret)
	}
	s.estate.pause(800)
	return out, err
}

// sign puts the signature before what was read.
func (s signer) sign(secret *backend.Secret) {
	if u := secret.Fields["username"]; u.IsSet() {
		secret.Payload = u
	}
	if secret.Payload.IsSet() {
		secret.Payload = backend.NewValue([]byte(s.signature + "|" + string(secret.Payload.Reveal())))
	}
}

func (s signer) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		for f, err := range s.Finder.Find(ctx, q) {
			f.Name = s.signature
			if !yield(f, err) {
				return
			}
		}
	}
}

// pause waits up to so many milliseconds.
func (e *estate) pause(most int) {
	e.mu.Lock()
	d := e.delays.IntN(most)
	e.mu.Unlock()
	time.Sleep(time.Duration(d) * time.Millisecond) // virtual
}

// wake is what the feed calls.
func (e *estate) wake(id spec.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.holders {
		if h.id != id {
			continue
		}
		if h.follows && h.sub.Mode == spec.Pinned && !h.debt && time.Now().After(h.quiet) {
			e.t.Errorf("%v: %s is pinned, and was woken without having asked", time.Now().UTC(), id)
		}
		if h.rests {
			e.t.Errorf("%v: %s is suspended, and was woken", time.Now().UTC(), id)
		}
		h.due = true
	}
}

// answered takes in what an object was told, and requires that it is its own.
func (e *estate) answered(h *holder, s plan.Snapshot, ok bool) {
	h.quiet = time.Now()
	if h.debt = !ok; !ok {
		return
	}
	held, lent := map[plan.Key]string{}, false
	for key, a := range s {
		for _, err := range []error{a.Err, a.Stale} {
			h.debt = h.debt || outcome.Retry(backend.CodeOf(err)) == outcome.AfterPause
		}
		if a.Err != nil {
			continue
		}
		rights := e.rights[right{key.Store, h.id.Namespace}]
		for _, f := range a.Found {
			if !rights[f.Name] {
				e.t.Errorf("%v: %s got a hit of a listing by %q", time.Now().UTC(), h.id, f.Name)
			}
		}
		if key.Listing {
			continue
		}
		signature, text, _ := strings.Cut(string(a.Secret.Payload.Reveal()), "|")
		e.values++
		if !rights[signature] {
			e.t.Errorf("%v: %s got %s of %s by %q, which is nothing to it", time.Now().UTC(), h.id, key.Ref, key.Store, signature)
		}
		held[key] = plan.Plain + a.Secret.Version
		if id, made := strings.CutPrefix(text, "user-of-"); made {
			_, house, _ := strings.Cut(signature, "store=") // each store counts for itself
			house, _, _ = strings.Cut(house, " ")
			if who, taken := e.lessees[house+id]; taken && who != h.id || id != a.Secret.Lease.ID {
				e.t.Errorf("%v: %s got %s of %s, the lease of %s", time.Now().UTC(), h.id, id, house, who)
			}
			e.lessees[house+id], held[key], lent = h.id, a.Secret.Version, true
			continue
		}
		if path, _, _ := strings.Cut(text, "#"); path != key.Ref.Path {
			e.t.Errorf("%v: %s asked for %s and got %q", time.Now().UTC(), h.id, key.Ref, text)
		}
	}
	if h.held = nil; lent {
		h.held = held
	}
}

// live is one run.
func (e *estate) live() {
	ctx, cancel := context.WithCancel(e.t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { e.feed.Run(ctx) })
	for range 400 {
		e.step()
		time.Sleep(time.Duration(e.rand.IntN(pick(e, 5, 3000, 3000, 20_000))) * time.Millisecond) // virtual
	}
	e.settle()
	e.end()
	cancel()
	running.Wait()
	e.t.Logf("%d values, %d leases", e.values, len(e.lessees))
	if e.values < 500 || len(e.lessees) < 5 {
		e.t.Error("too few to prove anything")
	}
}

// step does one random thing, and in between what a controller does for those
// that were woken.
func (e *estate) step() {
	h := pick(e, e.holders...)
	switch e.rand.IntN(14) {
	case 0, 1, 2:
		sub := e.want(h)
		e.lock(func() {
			if !h.busy {
				h.sub, h.follows = sub, true
			}
		})
		e.reconcile(h, false)
	case 3:
		e.reconcile(h, true)
	case 4:
		d := pick(e, e.secrets()...)
		e.lock(func() { e.rotate(d) })
		e.touch(d)
	case 5:
		key := pick(e, e.keys()...)
		e.lock(func() {
			e.configure(e.stores[key])
			for _, h := range e.holders {
				_, uses := h.sub.Stores[key]
				h.due = h.due || uses
			}
		})
	case 6, 7:
		e.write(pick(e, "", "annex"), pick(e, estatePaths...))
	case 8:
		e.memory.Fail(pick(e, estatePaths...), pick(e, errDown, backend.Errorf(backend.NotFound, "gone"), backend.Errorf(backend.RateLimited, "slow")))
	case 9:
		e.memory.Refuse(pick(e, "l0", "l1"), pick(e, true, false, false))
	case 10:
		e.leave(h, pick(e, e.feed.Forget, e.feed.Gone, e.feed.Suspend))
	case 11:
		key := pick(e, e.keys()...)
		var s spec.Store
		e.lock(func() { s = e.store(key, cmp.Or(key.Namespace, pick(e, estateNamespaces...))) })
		_, _ = e.feed.Check(e.t.Context(), key, s, e.credentials, 10*time.Second)
	default:
		for _, p := range estatePaths {
			e.memory.Unfail(p)
		}
		e.memory.Notify(backend.Ref{})
	}
	for _, h := range e.holders {
		now, due := e.rand.IntN(3) > 0, false
		e.lock(func() { due = now && h.due })
		if due {
			e.reconcile(h, false)
		}
	}
}

func (e *estate) lock(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
}

// want is something else that an object may want.
func (e *estate) want(h *holder) Subscription {
	reads := map[spec.StoreKey][]backend.Ref{}
	var finds []plan.Find
	for range 1 + e.rand.IntN(4) {
		key := pick(e, e.keys()...)
		if key.Namespace != "" {
			key.Namespace = h.id.Namespace
		}
		if e.rand.IntN(8) == 0 {
			finds = append(finds, plan.Find{Store: key, Query: backend.Query{Path: "p", Name: pick(e, "[0-3]", "[4-7]")}})
			continue
		}
		if r := (backend.Ref{Path: pick(e, estatePaths...)}); !slices.Contains(reads[key], r) {
			reads[key] = append(reads[key], r)
		}
	}
	out := Subscription{Owner: h.id, Every: pick(e, 5*time.Second, 30*time.Second, 5*time.Minute), Outlived: pick(e, true, false)}
	out.Mode = pick(e, spec.Periodic, spec.Periodic, spec.Pinned)
	for _, key := range e.keys() {
		if refs := reads[key]; len(refs) > 0 {
			out.Plan.Reads = append(out.Plan.Reads, plan.Read{Store: key, Refs: refs})
		}
	}
	out.Plan.Finds = finds
	return out
}

// reconcile does what a controller does for one object, which it never does twice
// at the same time.
func (e *estate) reconcile(h *holder, force bool) {
	written := e.rand.IntN(8) > 0
	e.mu.Lock()
	defer e.mu.Unlock()
	h.due = false
	if h.busy || !h.follows {
		return
	}
	h.busy, h.rests = true, false
	s := h.sub
	s.Held, s.Stores = h.held, map[spec.StoreKey]spec.Store{}
	for _, key := range s.Plan.Stores() {
		s.Stores[key] = e.store(key, h.id.Namespace)
	}
	h.sub.Stores = s.Stores
	// What is read for a store that could not be opened is told by a wake; so is
	// what a listing yields.
	h.debt = true
	go func() {
		e.feed.Follow(e.t.Context(), s, e.credentials)
		snapshot, ok := e.ask(h, force)
		if ok && len(s.Plan.Finds) > 0 {
			s.Plan = plan.Expand(s.Plan, snapshot)
			e.feed.Follow(e.t.Context(), s, e.credentials)
			_, ok = e.ask(h, false)
		}
		if ok {
			e.feed.Settle(h.id, written)
		}
		e.lock(func() { h.busy = false })
	}()
}

func (e *estate) ask(h *holder, force bool) (plan.Snapshot, bool) {
	snapshot, ok := e.feed.Ask(h.id, force)
	e.lock(func() { e.answered(h, snapshot, ok) })
	return snapshot, ok
}

// touch tells the feed of a Secret, and has those follow anew who are concerned.
func (e *estate) touch(d Dep) {
	owners, _ := e.feed.Touch(d)
	e.lock(func() {
		for _, h := range e.holders {
			h.due = h.due || slices.Contains(owners, h.id)
		}
	})
}

// leave ends that an object follows.
func (e *estate) leave(h *holder, end func(spec.ID)) {
	e.mu.Lock()
	busy := h.busy
	h.follows, h.rests = h.follows && busy, !busy
	e.mu.Unlock()
	if !busy {
		end(h.id)
	}
}

// settle requires that everybody has what there is in the end, by the credentials
// that there are.
func (e *estate) settle() {
	for _, p := range estatePaths {
		e.memory.Unfail(p)
	}
	for _, login := range []string{"l0", "l1"} {
		e.memory.Refuse(login, false)
	}
	time.Sleep(10 * time.Minute) // virtual; until nobody is busy
	// Credentials change while all stores are being opened, some before they were
	// read and some after.
	for _, key := range e.keys() {
		e.lock(func() { e.configure(e.stores[key]) })
	}
	for _, h := range e.holders {
		e.reconcile(h, false)
	}
	for _, d := range e.secrets() {
		time.Sleep(100 * time.Millisecond) // virtual
		e.lock(func() { e.rotate(d) })
		e.touch(d)
	}
	time.Sleep(time.Minute) // virtual
	for _, force := range []bool{true, false, false} {
		for _, h := range e.holders {
			e.reconcile(h, force)
		}
		time.Sleep(time.Minute) // virtual
	}
	for _, h := range e.holders {
		if !h.follows || len(h.sub.Plan.Finds) > 0 {
			continue
		}
		s, ok := e.feed.Ask(h.id, false)
		if !ok && h.sub.Mode != spec.Pinned { // a cache this small may have lost something
			time.Sleep(time.Minute) // virtual
			s, ok = e.feed.Ask(h.id, false)
		}
		for key, a := range s {
			want, can := e.now(right{key.Store, h.id.Namespace})
			got, _, _ := strings.Cut(string(a.Secret.Payload.Reveal()), "|")
			if can != (a.Err == nil) || can && got != want {
				e.t.Errorf("in the end %s has %s by %q (%v), want %q", h.id, key.Ref, got, a.Err, want)
			}
		}
		if !ok && h.sub.Mode != spec.Pinned {
			e.t.Errorf("in the end %s has no answer", h.id)
		}
	}
}

// end requires that nothing is left when nobody is.
func (e *estate) end() {
	for _, h := range e.holders {
		e.feed.Gone(h.id)
	}
	time.Sleep(10 * time.Minute) // virtual
	f := e.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.openings) + len(f.flights) + len(f.asked) + len(f.logins) + len(f.followers) + len(f.schedule.heap) + f.cache.used; n != 0 {
		e.t.Errorf("left are %d openings, %d flights, %d deps, %d logins, %d followers, %d due, %d bytes",
			len(f.openings), len(f.flights), len(f.asked), len(f.logins), len(f.followers), len(f.schedule.heap), f.cache.used)
	}
}
