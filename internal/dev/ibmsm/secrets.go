// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net/http"
	"time"
)

func (s *Server) createSecret(r *request) (answer, *apiError) {
	body, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	sec, apiErr := s.store.create(body, opCreate, r.user, r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusCreated, s.store.withData(sec)}, nil
}

func (s *Server) getSecret(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return s.read(sec, r.now)
}

func (s *Server) getByName(r *request) (answer, *apiError) {
	sec := s.store.byName(r.path("group"), r.path("type"), r.path("name"))
	if sec == nil {
		return answer{}, errNotFound("secret", r.path("name"))
	}
	s.store.settle(sec, r.now)
	return s.read(sec, r.now)
}

// read answers with values and notes that they were read.
func (s *Server) read(sec *secret, now time.Time) (answer, *apiError) {
	if apiErr := s.reveal(sec, sec.current(), now); apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, s.store.withData(sec)}, nil
}

func (s *Server) getMetadata(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, s.store.metadata(sec)}, nil
}

func (s *Server) deleteSecret(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{status: http.StatusNoContent}, s.store.remove(sec)
}

func (s *Server) patchMetadata(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	patch, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	merged, apiErr := sec.patched(patch, r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	if apiErr := s.store.rename(sec, text(merged["name"])); apiErr != nil {
		return answer{}, apiErr
	}
	sec.apply(merged, r.now)
	return answer{http.StatusOK, s.store.metadata(sec)}, nil
}

// patched is the secret's editable metadata after a merge patch. The patch's keys are checked with the values they lead
// to, so that a partial object is judged as a whole.
func (sec *secret) patched(patch fields, now time.Time) (fields, *apiError) {
	before := fields{
		"name": sec.name, "description": sec.description, "labels": orEmpty(sec.labels), "custom_metadata": orEmptyObject(sec.custom),
	}
	if !sec.expires.IsZero() {
		before["expiration_date"] = stamp(sec.expires)
	}
	for k, v := range sec.meta {
		before[k] = v
	}
	after := object(mergePatch(before, patch))
	touched := fields{}
	for k := range patch {
		touched[k] = after[k]
	}
	if v, given := patch["name"]; given && v == nil {
		return nil, errInvalid("/name", "required")
	}
	if _, given := patch["expiration_date"]; given && sec.state == stateDestroyed {
		return nil, errInvalid("/expiration_date", "the secret is in the Destroyed state")
	}
	return after, validate(touched, secretTypes[sec.typ].rules(), opPatch, now)
}

func (sec *secret) apply(after fields, now time.Time) {
	sec.description, sec.custom = text(after["description"]), object(after["custom_metadata"])
	sec.labels, _ = after["labels"].([]any)
	if sec.state != stateDestroyed && secretTypes[sec.typ].expires {
		sec.expires = date(after["expiration_date"])
	}
	sec.meta = secretTypes[sec.typ].metadata(after)
	sec.updated = now
}

func (st *store) rename(sec *secret, name string) *apiError {
	if name == sec.name {
		return nil
	}
	key := nameKey{sec.typ, name}
	if _, taken := st.names[key]; taken {
		return errExists("secret", name)
	}
	delete(st.names, nameKey{sec.typ, sec.name})
	st.names[key], sec.name = sec.id, name
	return nil
}
