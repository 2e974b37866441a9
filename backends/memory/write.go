// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Write implements backend.Writer. A secret that nobody marked becomes the
// owner's.
func (s *session) Write(ctx context.Context, w backend.Write) (string, error) {
	if err := s.writable(w); err != nil {
		return "", err
	}
	var id string
	err := s.request(ctx, func(m *Memory) error {
		if err := m.fault(w.Ref.Path); err != nil {
			return err
		}
		if err := m.conflict(w); err != nil {
			return err
		}
		secret := w.Secret
		secret.Version = ""
		id = m.set(w.Ref.Path, w.Ref.Kind, secret)
		m.secrets[w.Ref.Path].owner = w.Owner
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// writable finds writes that cannot be right, whatever the store holds.
func (s *session) writable(w backend.Write) error {
	if err := valid(w.Ref); err != nil {
		return err
	}
	if w.Ref.Version != "" || w.Ref.Part != backend.Data {
		return backend.Errorf(backend.InvalidRef, "only the current value of %s can be written", w.Ref)
	}
	if w.Owner == "" {
		return backend.Errorf(backend.InvalidRef, "a write without an owner")
	}
	size := w.Secret.Payload.Len()
	for _, v := range w.Secret.Fields {
		size += v.Len()
	}
	if most := s.memory.options.Payload; most > 0 && size > most {
		return backend.Errorf(backend.InvalidRef, "%s is larger than %d bytes", w.Ref, most)
	}
	return nil
}

// fault returns what Fail was given for a path. The caller holds the lock, as
// with the next one.
func (m *Memory) fault(path string) error {
	if err := m.faults["*"]; err != nil {
		return err
	}
	return m.faults[path]
}

// conflict says why the secret may not be written as it stands.
func (m *Memory) conflict(w backend.Write) error {
	e, ok := m.secrets[w.Ref.Path]
	if !ok {
		if w.IfVersion == "" || w.IfVersion == backend.Absent {
			return nil
		}
		return backend.Errorf(backend.Conflict, "%s was removed", w.Ref)
	}
	if e.owner != "" && e.owner != w.Owner {
		return backend.Errorf(backend.Conflict, "%s belongs to somebody else", w.Ref)
	}
	switch w.IfVersion {
	case "", e.versions[len(e.versions)-1].id:
		return nil
	case backend.Absent:
		return backend.Errorf(backend.Conflict, "%s exists already", w.Ref)
	default:
		return backend.Errorf(backend.Conflict, "%s was changed by somebody else", w.Ref)
	}
}

// Delete implements backend.Writer. A secret that nobody marked is not the
// owner's to delete.
func (s *session) Delete(ctx context.Context, r backend.Ref, owner string) error {
	if err := valid(r); err != nil {
		return err
	}
	return s.request(ctx, func(m *Memory) error {
		if err := m.fault(r.Path); err != nil {
			return err
		}
		e, ok := m.secrets[r.Path]
		if !ok {
			return nil
		}
		if e.owner != owner {
			return backend.Errorf(backend.Conflict, "%s belongs to somebody else", r)
		}
		m.remove(r.Path)
		return nil
	})
}
