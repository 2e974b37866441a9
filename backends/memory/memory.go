// SPDX-License-Identifier: Apache-2.0

// Package memory is a secret manager inside the process: the reference
// backend. It can do everything the contract knows, so it shows what each
// method means, and it has a back door, so tests of other packages can say
// what the store holds and how it fails.
//
// It keeps nothing, and is not a product to run workloads on. The contract is
// package backend; what holds it to the contract is TestConformance here.
package memory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Options are what a test may want another way. Zero fields stay as New has
// them, and negative ones switch a limit off.
type Options struct {
	Batch      int  // as backend.Limits; 20
	Parallel   int  // as backend.Limits; 4
	Rate       int  // as backend.Limits; no limit
	Payload    int  // as backend.Limits; 1 MiB
	Page       int  // secrets on one page of Find; 100
	ListValues bool // Find returns values too

	Lease        time.Duration // life of a credential that a read makes; one hour
	LongestLease time.Duration // its life with all renewals; no bound
	FixedLease   bool          // it cannot be renewed
}

// Memory is the store behind every Backend that its Open makes, with a back
// door. Its methods may be called by many goroutines at once.
type Memory struct {
	options Options

	mu       sync.Mutex
	named    map[string]*Memory
	secrets  map[string]*entry
	serial   int // makes versions and leases; never used twice
	sessions int
	requests int
	calls    int
	reads    map[string]int
	faults   map[string]error
	refused  map[string]bool
	held     map[string][]chan struct{}
	watchers map[*watcher]bool
	leases   map[string]*lease
}

// entry is one secret with its history, the newest version last.
type entry struct {
	kind     string
	owner    string
	mutates  bool
	lends    bool
	versions []version
}

type version struct {
	id      string
	created time.Time
	secret  backend.Secret
}

// New returns an empty store.
func New() *Memory { return NewWith(Options{}) }

// NewWith returns an empty store with other limits.
func NewWith(o Options) *Memory {
	pick := func(given *int, usual int) {
		if *given == 0 {
			*given = usual
		}
		*given = max(0, *given)
	}
	pick(&o.Batch, 20)
	pick(&o.Parallel, 4)
	pick(&o.Rate, 0)
	pick(&o.Payload, 1<<20)
	pick(&o.Page, 100)
	if o.Lease <= 0 {
		o.Lease = time.Hour
	}
	return &Memory{
		options:  o,
		named:    map[string]*Memory{},
		secrets:  map[string]*entry{},
		reads:    map[string]int{},
		faults:   map[string]error{},
		refused:  map[string]bool{},
		held:     map[string][]chan struct{}{},
		watchers: map[*watcher]bool{},
		leases:   map[string]*lease{},
	}
}

// Named returns the store of that name, which begins empty; "" is m itself.
// A configuration chooses it with its field "store".
func (m *Memory) Named(name string) *Memory {
	if name == "" {
		return m
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.named[name]
	if !ok {
		n = NewWith(m.options)
		m.named[name] = n
	}
	return n
}

// Set makes s the newest version under path, whoever owns it, and tells the
// watchers. s.Version becomes the version's id, or a fresh one where it is "".
func (m *Memory) Set(path string, s backend.Secret) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(path, "", s)
}

// SetKind makes path a secret of that kind: a Ref of another kind does not
// find it, and a Query of that kind does. It must have been Set.
func (m *Memory) SetKind(path, kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets[path].kind = kind
}

// SetReadMutates marks what is read under path as changed by reading. It must
// have been Set.
func (m *Memory) SetReadMutates(path string, mutates bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets[path].mutates = mutates
}

// SetLends says whether each read of path makes another credential, with a
// lease. It must have been Set.
func (m *Memory) SetLends(path string, lends bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets[path].lends = lends
}

// Remove takes path and its history away and tells the watchers.
func (m *Memory) Remove(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(path)
}

// Fail makes the store answer err, until Unfail: for one path, for each of all
// paths where it is "*", or for every call as a whole where it is "".
func (m *Memory) Fail(path string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[path] = err
	if path == "" {
		m.wake(backend.Ref{})
	}
}

// Unfail ends what Fail began for the same path.
func (m *Memory) Unfail(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.faults, path)
}

// Refuse makes the store refuse the credentials of that login.
func (m *Memory) Refuse(login string, refuse bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused[login] = refuse
}

// Hold keeps every Read that asks for path waiting until release is called or
// its context ends; "" holds all of them. A Read that waits is counted.
func (m *Memory) Hold(path string) (release func()) {
	gate := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[path] = append(m.held[path], gate)
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.held[path] = slices.DeleteFunc(m.held[path], func(g chan struct{}) bool { return g == gate })
		close(gate)
	})
}

// Notify gives all watchers a notice; an empty Ref says that anything may have
// changed.
func (m *Memory) Notify(ref backend.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake(ref)
}

// Calls counts the Read calls that reached the store.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Requests counts what reached the store by any method; each page of Find is
// one.
func (m *Memory) Requests() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests
}

// Sessions counts the Backends that were opened and not closed.
func (m *Memory) Sessions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions
}

// Reads counts how often path was read.
func (m *Memory) Reads(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads[path]
}

// set adds a version and returns its id; kind is for a secret that has none.
// The caller holds the lock, as with all that follow.
func (m *Memory) set(path, kind string, s backend.Secret) string {
	e, ok := m.secrets[path]
	if !ok {
		e = &entry{}
		m.secrets[path] = e
	}
	e.kind = cmp.Or(e.kind, kind)
	if s.Version == "" {
		s.Version = m.fresh("v")
	}
	e.versions = append(e.versions, version{id: s.Version, created: time.Now(), secret: clone(s)})
	m.wake(backend.Ref{Path: path, Kind: e.kind})
	return s.Version
}

func (m *Memory) remove(path string) {
	e, ok := m.secrets[path]
	if !ok {
		return
	}
	delete(m.secrets, path)
	m.wake(backend.Ref{Path: path, Kind: e.kind})
}

// clone keeps the maps of the store and those of its callers apart.
func clone(s backend.Secret) backend.Secret {
	s.Fields, s.Labels = maps.Clone(s.Fields), maps.Clone(s.Labels)
	return s
}
