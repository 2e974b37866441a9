// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

const (
	pageSize = 1000 // the most that the API gives at once
	maxPages = 200  // of one listing; 200 000 secrets
)

// item is what listings, and requests for metadata, say of a secret. They never
// hold a value. The SDK's models are not used: one secret of a type that is
// newer than the SDK would fail the whole list.
type item struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Type     string          `json:"secret_type"`
	Group    string          `json:"secret_group_id"`
	State    int             `json:"state"`
	Versions int             `json:"versions_total"`
	Updated  string          `json:"updated_at"`
	Labels   []string        `json:"labels"`
	Reuse    bool            `json:"reuse_api_key"` // of iam_credentials only
	Custom   json.RawMessage `json:"custom_metadata"`
	Username *string         `json:"username"` // only where values were asked for
}

// version is what a read of the current version would answer with.
func (i item) version() string { return versionOf(i.Type, i.Reuse, i.Versions, i.Updated) }

// versionOf makes the Version of a secret's current version. It changes with
// every new version and with the metadata. The metadata of iam_credentials
// without reuse changes with every read too, so it does not count.
func versionOf(typ string, reuse bool, versions int, updated string) string {
	switch {
	case typ == mutatingType && !reuse:
		if versions == 0 {
			return ""
		}
		return strconv.Itoa(versions)
	case versions == 0 && updated == "":
		return ""
	}
	return strconv.Itoa(versions) + " " + updated
}

// mutatingType is the only type of which some secrets change when they are
// read: those that do not reuse their API key.
const mutatingType = typeIAMCredentials

// mutates reports whether reading the secret changes it. When the product does
// not say, it does.
func (i item) mutates() bool { return i.Type == mutatingType && !i.Reuse }

// filter narrows a listing. Its zero value is everything the login can see.
type filter struct {
	types  []string // any of them
	group  string   // id of a secret group
	labels []string // all of them
	search string   // a part of id, name, description, labels or type
}

func (f filter) query(offset int) url.Values {
	q := url.Values{"sort": {"id"}, "limit": {strconv.Itoa(pageSize)}, "offset": {strconv.Itoa(offset)}}
	for name, value := range map[string]string{
		"secret_types": strings.Join(f.types, ","), "groups": f.group, "match_all_labels": strings.Join(f.labels, ","), "search": f.search,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// theList is what messages call a listing.
var theList = backend.Ref{Path: "the list of secrets"}

// notMissing are the answers to a listing that must not pass for a missing
// secret.
func notMissing() map[int]error {
	wrong := backend.Errorf(backend.Unavailable, "%s does not give the list of secrets: check the URL of the instance", product)
	return map[int]error{http.StatusNotFound: wrong, http.StatusGone: wrong}
}

// listMeans says what the statuses of a listing mean. need is a part of the
// text for a forbidden one.
func listMeans(by party, need string) map[int]error {
	m := notMissing()
	m[http.StatusForbidden] = backend.Errorf(backend.PermissionDenied,
		"%s may not list secrets (403)%s: give it the role Reader or SecretsReader", by.name, need)
	return m
}

// list yields every secret that the filter lets through, once, in the order of
// their ids, and ends after the first error.
func (a *api) list(ctx context.Context, f filter) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for p := a.pager(f, ""); !p.done; {
			items, err := p.next(ctx)
			if err != nil {
				yield(item{}, err)
				return
			}
			for _, i := range items {
				if !yield(i, nil) {
					return
				}
			}
		}
	}
}

// pager walks a listing page by page. The API counts from the beginning, so a
// secret that is removed behind our back moves the others up, and one of them
// into the part that was already read. Therefore each page begins with the
// last secret of the page before; when it does not, we go back.
type pager struct {
	api    *api
	filter filter
	means  map[int]error
	asked  int // requests
	total  int // secrets, as the last page says
	size   int // of the first page
	at     int // where the next page begins
	seen   map[string]struct{}
	done   bool
}

// pager begins a listing. need is for the message when it is forbidden.
func (a *api) pager(f filter, need string) *pager {
	return &pager{api: a, filter: f, means: listMeans(a.by(), need), seen: map[string]struct{}{}}
}

// pages returns how many requests a listing takes for so many secrets, when
// each page but the first begins with what is known.
func pages(secrets, size int) int {
	step := max(1, size-1)
	return 1 + max(0, secrets-size+step-1)/step
}

// next returns what is new on the next page.
func (p *pager) next(ctx context.Context) ([]item, error) {
	found, err := p.ask(ctx)
	if err == nil && !p.connects(found) {
		p.at = max(0, min(p.at, p.total)-p.size/2)
		found, err = p.ask(ctx)
	}
	if err != nil {
		return nil, err
	}
	whole := p.connects(found)
	var fresh []item
	for _, i := range found {
		if _, old := p.seen[i.ID]; !old {
			p.seen[i.ID] = struct{}{}
			fresh = append(fresh, i)
		}
	}
	end := p.at + len(found)
	p.done = end >= p.total
	p.at = max(0, end-1)
	switch {
	case !whole || !p.done && len(fresh) == 0:
		return nil, backend.Errorf(backend.Unavailable, "%s gives a list of secrets that is not complete", product)
	case !p.done && p.asked >= maxPages:
		return nil, backend.Errorf(backend.Conflict, "the list has more than %d secrets; narrow the search", maxPages*pageSize)
	}
	return fresh, nil
}

// connects reports whether nothing can be missing between the pages before and
// this one.
func (p *pager) connects(found []item) bool {
	if p.at == 0 {
		return true
	}
	if len(found) == 0 {
		return false
	}
	_, ok := p.seen[found[0].ID]
	return ok
}

// ask makes the request for one page.
func (p *pager) ask(ctx context.Context) ([]item, error) {
	p.asked++
	var page struct {
		Total   *int    `json:"total_count"`
		Secrets *[]item `json:"secrets"`
	}
	q := question{path: "/api/v2/secrets", query: p.filter.query(p.at), means: p.means}
	if err := p.api.ask(ctx, q, theList, &page); err != nil {
		return nil, err
	}
	// Somebody else's JSON must not pass for an instance without secrets.
	if page.Total == nil || page.Secrets == nil {
		return nil, unreadable(theList)
	}
	for _, i := range *page.Secrets {
		if i.ID == "" || i.Type == "" {
			return nil, unreadable(theList)
		}
	}
	p.total = *page.Total
	if p.asked == 1 {
		p.size = len(*page.Secrets)
	}
	return *page.Secrets, nil
}

// metadata asks for what a listing says of one secret.
func (a *api) metadata(ctx context.Context, id string, about backend.Ref) (item, error) {
	return a.one(ctx, question{path: "/api/v2/secrets/{id}/metadata", params: map[string]string{"id": id}}, id, about)
}

// one asks a question whose answer is one secret.
func (a *api) one(ctx context.Context, q question, id string, about backend.Ref) (item, error) {
	var i item
	if err := a.ask(ctx, q, about, &i); err != nil {
		return item{}, err
	}
	if !strings.EqualFold(i.ID, id) || i.Type == "" {
		return item{}, unreadable(about)
	}
	return i, nil
}

// groups asks for the ids of the secret groups, by name.
func (a *api) groups(ctx context.Context) (map[string]string, error) {
	var answer struct {
		Groups *[]struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"secret_groups"`
	}
	list := backend.Ref{Path: "the list of secret groups"}
	means := notMissing()
	means[http.StatusForbidden] = backend.Errorf(backend.PermissionDenied,
		"%s may not list secret groups (403): give it the role Reader or SecretsReader", a.by().name)
	if err := a.ask(ctx, question{path: "/api/v2/secret_groups", means: means}, list, &answer); err != nil {
		return nil, err
	}
	if answer.Groups == nil {
		return nil, unreadable(list)
	}
	ids := map[string]string{}
	for _, g := range *answer.Groups {
		ids[g.Name] = g.ID
	}
	a.names.setGroups(ids)
	return ids, nil
}
