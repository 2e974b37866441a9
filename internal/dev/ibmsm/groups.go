// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

const maxGroups = 200

// groupFields is the body of a secret group.
var groupFields = []fieldRule{
	{name: "name", create: required, patch: optional, check: checkText(2, 64)},
	{name: "description", create: optional, patch: optional, check: checkText(0, 1024)},
}

func (st *store) createGroup(body fields, user string, now time.Time) (*group, *apiError) {
	if apiErr := validate(body, groupFields, opCreate, now); apiErr != nil {
		return nil, apiErr
	}
	name := text(body["name"])
	if st.groupNamed(name) != nil {
		return nil, errExists("secret group", name)
	}
	if len(st.groups) >= maxGroups {
		return nil, errInvalid("/", "the instance has the largest number of secret groups")
	}
	g := &group{
		id: uuid.NewString(), name: name, description: text(body["description"]), createdBy: user,
		created: now, updated: now, seq: st.next(),
	}
	st.groups[g.id] = g
	return g, nil
}

func (st *store) groupNamed(name string) *group {
	for _, g := range st.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (s *Server) createGroup(r *request) (answer, *apiError) {
	body, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	g, apiErr := s.store.createGroup(body, r.user, r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusCreated, g.render()}, nil
}

// listGroups lists all groups, the default one first.
func (s *Server) listGroups(*request) (answer, *apiError) {
	sorted := make([]*group, 0, len(s.store.groups))
	for _, g := range s.store.groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *group) int { return a.seq - b.seq })
	list := make([]fields, 0, len(sorted))
	for _, g := range sorted {
		list = append(list, g.render())
	}
	return answer{http.StatusOK, fields{"secret_groups": list, "total_count": len(list)}}, nil
}

func (s *Server) groupOf(r *request) (*group, *apiError) {
	g := s.store.groups[r.path("id")]
	if g == nil {
		return nil, errNotFound("secret group", r.path("id"))
	}
	return g, nil
}

func (s *Server) getGroup(r *request) (answer, *apiError) {
	g, apiErr := s.groupOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, g.render()}, nil
}

func (s *Server) patchGroup(r *request) (answer, *apiError) {
	g, apiErr := s.groupOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	patch, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	if g.id == defaultGroup {
		return answer{}, errInvalid("/id", "the default secret group cannot be changed")
	}
	if apiErr := validate(patch, groupFields, opPatch, r.now); apiErr != nil {
		return answer{}, apiErr
	}
	if name, given := patch["name"].(string); given {
		if other := s.store.groupNamed(name); other != nil && other != g {
			return answer{}, errExists("secret group", name)
		}
		g.name = name
	}
	if d, given := patch["description"]; given {
		g.description = text(d)
	}
	g.updated = r.now
	return answer{http.StatusOK, g.render()}, nil
}

func (s *Server) deleteGroup(r *request) (answer, *apiError) {
	g, apiErr := s.groupOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	if g.id == defaultGroup {
		return answer{}, errInvalid("/id", "the default secret group cannot be deleted")
	}
	for _, sec := range s.store.secrets {
		if sec.group == g.id {
			return answer{}, &apiError{Status: http.StatusConflict, Code: "conflict", Message: "The secret group is not empty."}
		}
	}
	delete(s.store.groups, g.id)
	return answer{status: http.StatusNoContent}, nil
}
