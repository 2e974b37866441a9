// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// lock keeps a version, and so its secret, from being deleted or rotated away.
type lock struct {
	name, description, createdBy string
	attributes                   fields
	created, updated             time.Time
}

var lockFields = []fieldRule{
	{name: "name", create: required, check: checkText(2, 64)},
	{name: "description", create: optional, check: checkText(0, 1024)},
	{name: "attributes", create: optional, check: checkMetadata},
}

// lockTarget is the version that a lock request is about: the one in the path, or the current one.
func (s *Server) lockTarget(r *request) (*secret, *version, *apiError) {
	if r.path("version") != "" {
		return s.versionOf(r)
	}
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return nil, nil, apiErr
	}
	return sec, sec.current(), nil
}

func (s *Server) createLocks(r *request) (answer, *apiError) {
	sec, v, apiErr := s.lockTarget(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	mode := r.http.URL.Query().Get("mode")
	if mode != "" && mode != "remove_previous" && mode != "remove_previous_and_delete" {
		return answer{}, errInvalid("/mode", "must be remove_previous or remove_previous_and_delete")
	}
	locks, apiErr := r.locks()
	if apiErr != nil {
		return answer{}, apiErr
	}
	if sec.alias(v) == "" || v.data == nil {
		return answer{}, errInvalid("/id", "only a version that has data can be locked")
	}
	for _, l := range locks {
		v.lock(l)
	}
	// The mode clears the same names from the version before; there is none before the previous one.
	if p := sec.previous(); mode != "" && p != nil && p != v {
		for _, l := range locks {
			p.unlock([]string{l.name})
		}
		if mode == "remove_previous_and_delete" && len(p.locks) == 0 {
			s.store.drop(p)
		}
	}
	return answer{http.StatusCreated, sec.renderLocks()}, nil
}

// locks reads the body of a request for locks.
func (r *request) locks() ([]lock, *apiError) {
	body, apiErr := r.object()
	if apiErr != nil {
		return nil, apiErr
	}
	list, _ := body["locks"].([]any)
	if len(list) == 0 {
		return nil, errInvalid("/locks", "required")
	}
	var out []lock
	for _, e := range list {
		f := object(e)
		if apiErr := validate(f, lockFields, opCreate, r.now); apiErr != nil {
			return nil, apiErr
		}
		out = append(out, lock{
			name: text(f["name"]), description: text(f["description"]), attributes: object(f["attributes"]),
			createdBy: r.user, created: r.now, updated: r.now,
		})
	}
	return out, nil
}

// lock adds a lock or replaces the one of the same name.
func (v *version) lock(l lock) {
	i := slices.IndexFunc(v.locks, func(o lock) bool { return o.name == l.name })
	if i < 0 {
		v.locks = append(v.locks, l)
		return
	}
	l.created = v.locks[i].created
	v.locks[i] = l
}

// unlock removes the named locks, or all if no name is given.
func (v *version) unlock(names []string) {
	v.locks = slices.DeleteFunc(v.locks, func(l lock) bool { return len(names) == 0 || slices.Contains(names, l.name) })
}

// deleteLocks unlocks the version in the path, or without one every version of the secret.
func (s *Server) deleteLocks(r *request) (answer, *apiError) {
	sec, v, apiErr := s.lockTarget(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	names := commaList(r.http.URL.Query().Get("name"))
	targets := []*version{v}
	if r.path("version") == "" {
		targets = sec.versions
	}
	for _, t := range targets {
		t.unlock(names)
	}
	return answer{http.StatusOK, sec.renderLocks()}, nil
}

var lockSortKeys = map[string]func(a, b lock) int{
	"name":       func(a, b lock) int { return cmp.Compare(a.name, b.name) },
	"created_at": func(a, b lock) int { return a.created.Compare(b.created) },
	"updated_at": func(a, b lock) int { return a.updated.Compare(b.updated) },
}

func (s *Server) listLocks(r *request) (answer, *apiError) {
	sec, v, apiErr := s.lockTarget(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	q := r.http.URL.Query()
	p, apiErr := parsePage(q, min(defaultLocksLimit, s.opts.MaxPageLimit), s.opts.MaxPageLimit)
	if apiErr != nil {
		return answer{}, apiErr
	}
	key, desc := strings.CutPrefix(cmp.Or(q.Get("sort"), "created_at"), "-")
	by := lockSortKeys[key]
	if by == nil {
		return answer{}, errInvalid("/sort", "unknown field")
	}
	type held struct {
		lock
		in *version
	}
	var found []held
	for _, o := range sec.versions {
		for _, l := range o.locks {
			if (o == v || r.path("version") == "") && strings.Contains(l.name, q.Get("search")) {
				found = append(found, held{l, o})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b held) int {
		if desc {
			return by(b.lock, a.lock)
		}
		return by(a.lock, b.lock)
	})
	list := []fields{}
	for _, h := range cut(p, found) {
		list = append(list, h.render(sec, h.in))
	}
	out := p.envelope(selfURL(r.http), len(found))
	out["locks"] = list
	return answer{http.StatusOK, out}, nil
}

// listSecretsLocks lists the secrets that have locks whose name contains the searched text.
func (s *Server) listSecretsLocks(r *request) (answer, *apiError) {
	v := r.http.URL.Query()
	p, apiErr := parsePage(v, s.opts.PageLimit, s.opts.MaxPageLimit)
	if apiErr != nil {
		return answer{}, apiErr
	}
	q := query{page: p, sort: "created_at", groups: commaList(v.Get("groups"))}
	found := slices.DeleteFunc(s.store.find(q, r.now), func(sec *secret) bool { return !sec.lockedAs(v.Get("search")) })
	list := []fields{}
	for _, sec := range cut(p, found) {
		list = append(list, sec.renderLocks())
	}
	out := p.envelope(selfURL(r.http), len(found))
	out["secrets_locks"] = list
	return answer{http.StatusOK, out}, nil
}

func (sec *secret) lockedAs(part string) bool {
	return slices.ContainsFunc(sec.versions, func(v *version) bool {
		return slices.ContainsFunc(v.locks, func(l lock) bool { return strings.Contains(l.name, part) })
	})
}

func (l lock) render(sec *secret, v *version) fields {
	return fields{
		"name": l.name, "description": l.description, "attributes": orEmptyObject(l.attributes), "created_by": l.createdBy,
		"created_at": stamp(l.created), "updated_at": stamp(l.updated), "secret_group_id": sec.group,
		"secret_id": sec.id, "secret_version_id": v.id, "secret_version_alias": sec.alias(v),
	}
}

// renderLocks is the secret's current and previous version with the names of their locks.
func (sec *secret) renderLocks() fields {
	versions := []fields{}
	for _, v := range []*version{sec.current(), sec.previous()} {
		if v == nil {
			continue
		}
		names := []string{}
		for _, l := range v.locks {
			names = append(names, l.name)
		}
		versions = append(versions, fields{
			"version_id": v.id, "version_alias": sec.alias(v), "locks": names, "payload_available": v.data != nil,
		})
	}
	return fields{
		"secret_id": sec.id, "secret_group_id": sec.group, "secret_type": sec.typ, "secret_name": sec.name, "versions": versions,
	}
}
