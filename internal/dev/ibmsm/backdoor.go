// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"fmt"
	"time"
)

// backdoorUser is created_by of what Go code put in.
const backdoorUser = "iam-ServiceId-00000000-0000-0000-0000-000000000000"

// Seed is a secret for Put.
type Seed struct {
	Name  string
	Type  string // "arbitrary" when empty
	Group string // name of the group, made if it is missing; "default" when empty
	// Fields are the type's own, as the API takes them: payload; username, password; data; ttl, reuse_api_key; ... What the
	// service makes itself may be given too: api_key, credentials, credentials_content, a certificate and its parts.
	Fields         map[string]any
	Description    string
	Labels         []string
	CustomMetadata map[string]any
	Expires        time.Time // zero is never
}

// Put creates a secret, or gives the one of the same type and name a new version if its values differ. Only the values of
// an existing secret change, not its metadata. It counts as no request.
func (s *Server) Put(seed Seed) (id string, err error) {
	if seed.Type == "" {
		seed.Type = "arbitrary"
	}
	own, err := plain(seed.Fields)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", seed.Name, err)
	}
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := s.store.secrets[s.store.names[nameKey{seed.Type, seed.Name}]]; sec != nil {
		return sec.id, s.store.revise(sec, own, now)
	}
	group, err := s.groupID(seed.Group, now)
	if err != nil {
		return "", err
	}
	body := fields{"name": seed.Name, "secret_type": seed.Type, "secret_group_id": group, "description": seed.Description}
	if seed.CustomMetadata != nil {
		if body["custom_metadata"], err = plain(seed.CustomMetadata); err != nil {
			return "", fmt.Errorf("secret %q: %w", seed.Name, err)
		}
	}
	labels := make([]any, 0, len(seed.Labels))
	for _, l := range seed.Labels {
		labels = append(labels, l)
	}
	body["labels"] = labels
	if !seed.Expires.IsZero() {
		body["expiration_date"] = seed.Expires.UTC().Format(time.RFC3339Nano)
	}
	for k, v := range own {
		body[k] = v
	}
	sec, apiErr := s.store.create(body, opPut, backdoorUser, now)
	if apiErr != nil {
		return "", fmt.Errorf("secret %q: %w", seed.Name, apiErr)
	}
	return sec.id, nil
}

// revise rotates if one of the given values differs from the current one.
func (st *store) revise(sec *secret, own fields, now time.Time) error {
	st.settle(sec, now)
	t := secretTypes[sec.typ]
	body, changed := fields{}, false
	for _, r := range t.fields {
		v, given := own[r.name]
		if !r.value || !given {
			continue
		}
		differs := !sameData(fields{r.name: v}, fields{r.name: sec.current().data[r.name]})
		if r.at(opPutRotate) == never && differs {
			return fmt.Errorf("secret %q: %s cannot be changed by a new version", sec.name, r.name)
		}
		if r.at(opPutRotate) != never {
			body[r.name] = v
		}
		changed = changed || differs
	}
	if !changed {
		return nil
	}
	if _, apiErr := st.rotate(sec, body, opPutRotate, backdoorUser, now); apiErr != nil {
		return fmt.Errorf("secret %q: %w", sec.name, apiErr)
	}
	return nil
}

// Rotate gives a secret a new version and returns the version's id. Fields are those of the API's request: payload, data,
// or password, which is generated when it is missing; and those that the service makes itself, see [Seed].
func (s *Server) Rotate(id string, own map[string]any) (versionID string, err error) {
	body, err := plain(own)
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", id, err)
	}
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, apiErr := s.store.get(id, now)
	if apiErr != nil {
		return "", apiErr
	}
	v, apiErr := s.store.rotate(sec, body, opPutRotate, backdoorUser, now)
	if apiErr != nil {
		return "", fmt.Errorf("secret %q: %w", sec.name, apiErr)
	}
	return v.id, nil
}

// Delete removes a secret; like the API it refuses a locked one.
func (s *Server) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec, apiErr := s.store.get(id, s.opts.Now())
	if apiErr != nil {
		return apiErr
	}
	if apiErr := s.store.remove(sec); apiErr != nil {
		return fmt.Errorf("secret %q: %w", sec.name, apiErr)
	}
	return nil
}

// Lookup finds a secret's id by its group's name, its type and its name.
func (s *Server) Lookup(group, typ, name string) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.store.byName(group, typ, name)
	if sec == nil {
		return "", false
	}
	return sec.id, true
}

// Group returns the id of the group of that name, which it makes if it is missing.
func (s *Server) Group(name string) (id string, err error) {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groupID(name, now)
}

func (s *Server) groupID(name string, now time.Time) (string, error) {
	if name == "" {
		return defaultGroup, nil
	}
	if g := s.store.groupNamed(name); g != nil {
		return g.id, nil
	}
	g, apiErr := s.store.createGroup(fields{"name": name}, backdoorUser, now)
	if apiErr != nil {
		return "", fmt.Errorf("group %q: %w", name, apiErr)
	}
	return g.id, nil
}

// SetRole makes an API key known to IAM, or changes its role for tokens already given out too.
func (s *Server) SetRole(apiKey string, role Role) { s.tokens.setRole(apiKey, role) }

// RemoveKey makes IAM forget an API key. Its tokens live on until they expire, as on the real service.
func (s *Server) RemoveKey(apiKey string) { s.tokens.removeKey(apiKey) }

// ExpireTokens makes every token given out so far answer 401.
func (s *Server) ExpireTokens() { s.tokens.expireAll() }

// plain is Go data as the API would have decoded it, so that a caller's maps are not shared. A nil map becomes an empty one.
func plain(f map[string]any) (fields, error) {
	if f == nil {
		return fields{}, nil
	}
	text, err := json.Marshal(f)
	if err != nil {
		// The encoder's error may quote a value.
		return nil, fmt.Errorf("its fields cannot be written as JSON")
	}
	out, apiErr := decodeObject(text)
	if apiErr != nil {
		return nil, apiErr
	}
	return out, nil
}
