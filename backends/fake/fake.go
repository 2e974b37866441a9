// SPDX-License-Identifier: Apache-2.0

// Package fake is the provider `fake` of External Secrets Operator: the secrets
// stand in the manifest of the store, so that examples and tests need no
// server. It is no place for real secrets, and it makes no request.
//
// Unlike there, data belongs to one store of one namespace. What is written
// lives in the process and ends with it. README.md has the rules; the contract
// is package backend.
package fake

import (
	"sync"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Limits are generous: nothing leaves the process.
const (
	batch    = 1000
	parallel = 1000
)

// New returns a Driver with a state of its own: what is written through one
// Driver is not seen through another.
func New() backend.Driver {
	s := &state{stores: map[string]map[entry]*written{}}
	return backend.Driver{
		Open:         s.open,
		Names:        map[backend.Dialect]string{backend.ESO: "fake"},
		ConvertFound: true,
		Ref:          parseRef,
	}
}

// state is what was written, by the name of the store.
type state struct {
	mu     sync.Mutex
	stores map[string]map[entry]*written
}

// entry names a secret. A version is a part of the name: nothing says which one
// is the newest.
type entry struct{ key, version string }

// written is a secret that did not come with the manifest.
type written struct {
	value backend.Value
	owner string
}

// session is one store, as its manifest says at the moment.
type session struct {
	state       *state
	name        string
	entries     map[entry]backend.Value
	validity    validity
	fingerprint func(...backend.Value) string
}

// get returns a secret, and whether there is one. What the manifest says comes
// first.
func (s *session) get(e entry) (backend.Value, bool) {
	if v, ok := s.entries[e]; ok {
		return v, true
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if w, ok := s.state.stores[s.name][e]; ok {
		return w.value, true
	}
	return backend.Value{}, false
}

// secret is a value as Read and Find return it.
func (s *session) secret(v backend.Value) backend.Secret {
	return backend.Secret{Payload: v, Version: s.fingerprint(v)}
}
