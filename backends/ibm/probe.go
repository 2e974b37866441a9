// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/lockstep-secrets/lockstep/backend"
)

// relearn is after how many probes a listing that would have cost too much, or
// that was forbidden, is tried again.
const relearn = 100

// prober tells from a listing which secrets changed. It makes at most as many
// requests as reading the secrets would take.
type prober struct {
	api *api

	mu       sync.Mutex
	outlooks map[string]*outlook // by the types listed
}

// outlook is what a listing is expected to cost.
type outlook struct {
	pages   int // 0 is not known yet
	skipped int // probes without a listing since the last one
}

// forbidden is the cost of a listing that is not permitted.
const forbidden = math.MaxInt

// probe is one call of Probe.
type probe struct {
	*prober
	refs   []backend.Ref
	tokens []string
	left   int               // requests that may still be made
	byID   map[string]*item  // what the listing says of the refs by id, nil for nothing
	byName map[titled][]item // and of those by name
	whole  bool              // the listing was complete
	groups map[string]string // ids by name, where a ref names a group
}

// titled is what a name is unique for.
type titled struct{ typ, name string }

// Probe returns the Version that a Read would answer with now.
//
//	ref                            listing affordable   else
//	current version                from the listing     ""
//	…, of a type that may mutate   from the listing     by a request for its metadata
//	another version                ""                   ""
//	…, of a type that may mutate   by a request for its metadata
func (p *prober) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	c := &probe{
		prober: p, refs: refs, tokens: make([]string, len(refs)),
		byID: map[string]*item{}, byName: map[titled][]item{}, groups: map[string]string{defaultGroup: defaultGroup},
	}
	var current, single []int // indexes of refs
	for i, ref := range refs {
		switch {
		case readable(ref) != nil:
			continue
		case ref.Version == "":
			current = append(current, i)
		case ref.Kind == mutatingType:
			single = append(single, i)
		}
		c.left++
	}
	if len(current) > 0 {
		if err := c.list(ctx, current); err != nil {
			return nil, err
		}
	}
	for _, i := range current {
		c.tokens[i] = c.token(refs[i])
		if c.tokens[i] == "" && refs[i].Kind == mutatingType && !c.whole {
			single = append(single, i)
		}
	}
	for _, i := range single {
		if c.left <= 0 {
			break
		}
		c.left--
		var err error
		if c.tokens[i], err = c.ask(ctx, refs[i]); err != nil {
			return nil, err
		}
	}
	return c.tokens, nil
}

// list lists the types of the refs, if that costs no more than reading them.
// What it costs is learned from the first page.
func (c *probe) list(ctx context.Context, current []int) error {
	types, named, grouped := c.want(current)
	key := strings.Join(types, ",")
	if !c.affordable(key, len(current)) {
		return nil
	}
	began := c.api.names.tick()
	p := c.api.pager(filter{types: types}, "")
	cost := 1
	var all []item
	for !p.done && cost <= len(current) && p.asked < c.left {
		items, err := p.next(ctx)
		if backend.CodeOf(err) == backend.PermissionDenied {
			c.left -= p.asked
			c.learn(key, forbidden)
			return nil
		}
		if err != nil {
			return err
		}
		c.take(items)
		if named {
			all = append(all, items...)
		}
		cost = pages(p.total, p.size)
	}
	c.left -= p.asked
	c.whole = p.done
	c.learn(key, cost)
	if named {
		c.api.names.learn(types, all, began, p)
	}
	if grouped && c.left > 0 {
		return c.learnGroups(ctx)
	}
	return nil
}

// want notes what to look for in the listing. It returns the types to list,
// whether there are names among the refs, and names in secret groups.
func (c *probe) want(current []int) (types []string, named, grouped bool) {
	for _, i := range current {
		ref := c.refs[i]
		types = append(types, ref.Kind)
		group, is := byName(ref)
		if !is {
			c.byID[strings.ToLower(ref.Path)] = nil
			continue
		}
		c.byName[titled{ref.Kind, ref.Path}] = nil
		named, grouped = true, grouped || group != "" && group != defaultGroup
	}
	slices.Sort(types)
	return slices.Compact(types), named, grouped
}

// take keeps what is wanted.
func (c *probe) take(items []item) {
	for _, i := range items {
		if id := strings.ToLower(i.ID); contains(c.byID, id) {
			c.byID[id] = &i
		}
		if at := (titled{i.Type, i.Name}); contains(c.byName, at) {
			c.byName[at] = append(c.byName[at], i)
		}
	}
}

func contains[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// affordable reports whether to list for so many refs.
func (p *prober) affordable(key string, refs int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.outlooks[key]
	if o == nil || o.pages <= refs {
		return true
	}
	o.skipped++
	return o.skipped >= relearn
}

func (p *prober) learn(key string, pages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outlooks == nil {
		p.outlooks = map[string]*outlook{}
	}
	p.outlooks[key] = &outlook{pages: pages}
}

// learnGroups asks anew each time: a group that has another name by now holds
// other secrets.
func (c *probe) learnGroups(ctx context.Context) error {
	c.left--
	ids, err := c.api.groups(ctx)
	if backend.CodeOf(err) == backend.PermissionDenied {
		return nil
	}
	if err != nil {
		return err
	}
	c.groups = ids
	return nil
}

// token is what the listing says of a ref, or "".
func (c *probe) token(ref backend.Ref) string {
	i := c.byID[strings.ToLower(ref.Path)]
	if group, named := byName(ref); named {
		i = c.only(titled{ref.Kind, ref.Path}, group)
	}
	if i == nil || i.Type != ref.Kind || i.State == stateDestroyed {
		return ""
	}
	return i.version()
}

// only returns the one secret of that name, or nil when there are others. That
// there are none, only the end of the list tells.
func (c *probe) only(at titled, group string) *item {
	all := slices.DeleteFunc(slices.Clone(c.byName[at]), func(i item) bool {
		return group != "" && (i.Group == "" || i.Group != c.groups[group])
	})
	if len(all) != 1 || !c.whole {
		return nil
	}
	return &all[0]
}

// ask asks for the metadata of one secret, or of one version. That it is
// missing or forbidden, a read tells better.
func (c *probe) ask(ctx context.Context, ref backend.Ref) (token string, err error) {
	err = c.api.locate(ctx, ref, func(id string) (err error) {
		token, err = c.api.tokenOf(ctx, id, ref)
		return err
	})
	switch backend.CodeOf(err) {
	case backend.Unavailable, backend.RateLimited, backend.Unauthenticated:
		return "", err
	}
	return token, nil
}

func (a *api) tokenOf(ctx context.Context, id string, ref backend.Ref) (string, error) {
	if ref.Version == "" {
		i, err := a.metadata(ctx, id, ref)
		if _, named := byName(ref); err == nil && named && i.Name != ref.Path {
			return "", renamed(ref)
		}
		if err != nil || i.Type != ref.Kind || i.State == stateDestroyed {
			return "", err
		}
		return i.version(), nil
	}
	q := question{
		path:   "/api/v2/secrets/{id}/versions/{version}/metadata",
		params: map[string]string{"id": id, "version": ref.Version},
	}
	var e edition
	if err := a.ask(ctx, q, ref, &e); err != nil {
		return "", err
	}
	if !strings.EqualFold(e.Secret, id) {
		return "", unreadable(ref)
	}
	if _, named := byName(ref); named && e.Name != ref.Path {
		return "", renamed(ref)
	}
	return e.ID, nil
}
