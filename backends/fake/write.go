// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Write implements backend.Writer. What stands in the manifest is its author's
// and stays as it is.
func (s *session) Write(ctx context.Context, w backend.Write) (string, error) {
	if err := writable(w); err != nil {
		return "", err
	}
	if err := s.admit(ctx); err != nil {
		return "", err
	}
	e := entry{key: w.Ref.Path}
	if _, ok := s.entries[e]; ok {
		return "", inManifest(w.Ref)
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	store := s.state.stores[s.name]
	if err := s.conflict(store[e], w); err != nil {
		return "", err
	}
	if store == nil {
		store = map[entry]*written{}
		s.state.stores[s.name] = store
	}
	store[e] = &written{w.Secret.Payload, w.Owner}
	return s.fingerprint(w.Secret.Payload), nil
}

// writable finds writes that cannot be right, whatever the store holds.
func writable(w backend.Write) error {
	if err := sound(w.Ref); err != nil {
		return err
	}
	switch {
	case w.Ref.Version != "" || w.Ref.Part != backend.Data:
		return backend.Errorf(backend.InvalidRef, "only the value without a version of %s can be written", w.Ref)
	case w.Owner == "":
		return backend.Errorf(backend.InvalidRef, "a write without an owner")
	case !w.Secret.Payload.IsSet():
		return backend.Errorf(backend.InvalidRef, "%s takes one value, and no named fields", w.Ref)
	}
	return nil
}

func inManifest(r backend.Ref) error {
	return backend.Errorf(backend.Conflict, "key already exists: %s stands in the manifest of the store", r)
}

// conflict says why a secret may not be written as it stands; old is nil when
// there is none.
func (s *session) conflict(old *written, w backend.Write) error {
	switch {
	case old == nil && (w.IfVersion == "" || w.IfVersion == backend.Absent):
		return nil
	case old == nil:
		return backend.Errorf(backend.Conflict, "%s was removed", w.Ref)
	case old.owner != w.Owner:
		return backend.Errorf(backend.Conflict, "%s belongs to somebody else", w.Ref)
	case w.IfVersion == backend.Absent:
		return backend.Errorf(backend.Conflict, "%s exists already", w.Ref)
	case w.IfVersion != "" && w.IfVersion != s.fingerprint(old.value):
		return backend.Errorf(backend.Conflict, "%s was changed by somebody else", w.Ref)
	}
	return nil
}

// Delete implements backend.Writer.
func (s *session) Delete(ctx context.Context, r backend.Ref, owner string) error {
	if err := sound(r); err != nil {
		return err
	}
	if err := s.admit(ctx); err != nil {
		return err
	}
	e := entry{r.Path, r.Version}
	if _, ok := s.entries[e]; ok {
		return inManifest(r)
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	store := s.state.stores[s.name]
	old, ok := store[e]
	if !ok {
		return nil
	}
	if old.owner != owner {
		return backend.Errorf(backend.Conflict, "%s belongs to somebody else", r)
	}
	delete(store, e)
	if len(store) == 0 {
		delete(s.state.stores, s.name)
	}
	return nil
}
