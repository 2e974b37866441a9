// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page is the part of a list that a request asks for.
type page struct{ offset, limit int }

// parsePage reads offset and limit.
func parsePage(q url.Values, usual, most int) (page, *apiError) {
	p := page{limit: usual}
	if s := q.Get("offset"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return page{}, errInvalid("/offset", "must be 0 or more")
		}
		p.offset = n
	}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > most {
			return page{}, errInvalid("/limit", fmt.Sprintf("must be 1 to %d", most))
		}
		p.limit = n
	}
	return p, nil
}

// cut is the page's part of a list.
func cut[T any](p page, list []T) []T {
	from := min(p.offset, len(list))
	return list[from:min(from+p.limit, len(list))]
}

// envelope is what surrounds a page. The links repeat the request's own query; next and previous are absent at the ends.
func (p page) envelope(self url.URL, total int) fields {
	link := func(offset int) fields {
		q := self.Query()
		q.Set("offset", strconv.Itoa(offset))
		q.Set("limit", strconv.Itoa(p.limit))
		u := self
		u.RawQuery = q.Encode()
		return fields{"href": u.String()}
	}
	last := 0
	if total > 0 {
		last = (total - 1) / p.limit * p.limit
	}
	out := fields{"total_count": total, "limit": p.limit, "offset": p.offset, "first": link(0), "last": link(last)}
	if p.offset+p.limit < total {
		out["next"] = link(p.offset + p.limit)
	}
	if p.offset > 0 {
		out["previous"] = link(max(0, min(p.offset-p.limit, last)))
	}
	return out
}

// selfURL is the request's absolute address.
func selfURL(r *http.Request) url.URL {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u
}

// query is a list request.
type query struct {
	page
	sort   string
	desc   bool
	search string
	groups []string
	types  []string
	labels []string
}

// sortKeys compares secrets by each field that a list can be sorted by.
var sortKeys = map[string]func(a, b *secret) int{
	"id":              func(a, b *secret) int { return cmp.Compare(a.id, b.id) },
	"name":            func(a, b *secret) int { return cmp.Compare(a.name, b.name) },
	"secret_type":     func(a, b *secret) int { return cmp.Compare(a.typ, b.typ) },
	"created_at":      func(a, b *secret) int { return a.created.Compare(b.created) },
	"updated_at":      func(a, b *secret) int { return a.updated.Compare(b.updated) },
	"retrieved_at":    func(a, b *secret) int { return a.retrieved.Compare(b.retrieved) },
	"expiration_date": func(a, b *secret) int { return a.expires.Compare(b.expires) },
}

func parseQuery(v url.Values, usual, most int) (query, *apiError) {
	p, apiErr := parsePage(v, usual, most)
	if apiErr != nil {
		return query{}, apiErr
	}
	q := query{
		page: p, sort: "created_at", search: v.Get("search"),
		groups: commaList(v.Get("groups")), types: commaList(v.Get("secret_types")), labels: commaList(v.Get("match_all_labels")),
	}
	if s := v.Get("sort"); s != "" {
		q.sort, q.desc = strings.CutPrefix(s, "-")
	}
	if sortKeys[q.sort] == nil {
		return query{}, errInvalid("/sort", "unknown field")
	}
	return q, nil
}

func commaList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// matches says whether a secret belongs in the list. Several values of one filter are alternatives, except labels.
func (q query) matches(sec *secret) bool {
	if len(q.groups) > 0 && !slices.Contains(q.groups, sec.group) {
		return false
	}
	if len(q.types) > 0 && !slices.Contains(q.types, sec.typ) {
		return false
	}
	for _, want := range q.labels {
		if !slices.Contains(sec.labels, any(want)) {
			return false
		}
	}
	return sec.contains(q.search)
}

// contains searches id, name, description, type and labels for lower-case text, without regard to case.
func (sec *secret) contains(part string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), part) }
	return part == "" || has(sec.name) || has(sec.id) || has(sec.description) || has(sec.typ) ||
		slices.ContainsFunc(sec.labels, func(l any) bool { return has(text(l)) })
}

// order sorts secrets; those equal in the field stay in the order of their creation.
func (q query) order(list []*secret) {
	by := sortKeys[q.sort]
	compare := func(a, b *secret) int {
		c := by(a, b)
		if q.desc {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.seq, b.seq))
	}
	if !slices.IsSortedFunc(list, compare) { // it mostly is, when it is by created_at
		slices.SortFunc(list, compare)
	}
}

// find lists all secrets that match, in order.
func (st *store) find(q query, now time.Time) []*secret {
	var found []*secret
	q.search = strings.ToLower(q.search)
	for _, sec := range st.sorted {
		st.settle(sec, now)
		if q.matches(sec) {
			found = append(found, sec)
		}
	}
	q.order(found)
	return found
}

func (s *Server) listSecrets(r *request) (answer, *apiError) {
	q, apiErr := parseQuery(r.http.URL.Query(), s.opts.PageLimit, s.opts.MaxPageLimit)
	if apiErr != nil {
		return answer{}, apiErr
	}
	found := s.visible(r, s.store.find(q, r.now))
	return answer{http.StatusOK, s.store.page(cut(q.page, found), q.envelope(selfURL(r.http), len(found)))}, nil
}
