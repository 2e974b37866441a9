// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"encoding/json"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Read implements backend.Reader.
func (s *session) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	if most := max(1, s.memory.options.Batch); len(refs) > most {
		return nil, backend.Errorf(backend.InvalidRef, "more than %d secrets in one request", most)
	}
	out := make([]backend.Result, len(refs))
	var asked []int
	for i, r := range refs {
		out[i].Ref = r
		if out[i].Err = valid(r); out[i].Err == nil {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return out, nil
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	m := s.memory
	m.mu.Lock()
	m.calls++
	for _, i := range asked {
		m.reads[refs[i].Path]++
	}
	m.mu.Unlock()
	if err := m.wait(ctx, ""); err != nil {
		return nil, err
	}
	for _, i := range asked {
		if err := m.wait(ctx, refs[i].Path); err != nil {
			return nil, err
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	if err := s.admit(); err != nil {
		return nil, err
	}
	for _, i := range asked {
		out[i].Secret, out[i].Err = m.secret(refs[i])
	}
	return out, nil
}

// wait returns when nobody holds path.
func (m *Memory) wait(ctx context.Context, path string) error {
	for {
		m.mu.Lock()
		gates := m.held[path]
		if len(gates) == 0 {
			m.mu.Unlock()
			return ctx.Err()
		}
		gate := gates[0]
		m.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// secret answers one ref. The caller holds the lock, as with all that follow.
func (m *Memory) secret(r backend.Ref) (backend.Secret, error) {
	e, v, err := m.find(r)
	if err != nil {
		return backend.Secret{}, err
	}
	if e.lends && r.Part == backend.Data {
		return m.lend(), nil
	}
	s := clone(v.secret)
	s.ReadMutates = e.mutates
	if r.Part == backend.Data {
		return s, nil
	}
	labels := s.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return backend.Secret{}, backend.Errorf(backend.Unknown, "the labels of %s are no JSON", r)
	}
	s.Payload, s.JSON, s.Fields = backend.NewValue(text), true, nil
	return s, nil
}

// find returns the entry and the version that r means.
func (m *Memory) find(r backend.Ref) (*entry, version, error) {
	if err := m.fault(r.Path); err != nil {
		return nil, version{}, err
	}
	e, ok := m.secrets[r.Path]
	if !ok || e.kind != "" && r.Kind != "" && e.kind != r.Kind {
		return nil, version{}, backend.Errorf(backend.NotFound, "no secret %s", r)
	}
	newest := len(e.versions) - 1
	switch r.Version {
	case "":
		return e, e.versions[newest], nil
	case previous:
		if newest > 0 {
			return e, e.versions[newest-1], nil
		}
	default:
		for i := newest; i >= 0; i-- {
			if e.versions[i].id == r.Version {
				return e, e.versions[i], nil
			}
		}
	}
	return nil, version{}, backend.Errorf(backend.NotFound, "no secret %s", r)
}
