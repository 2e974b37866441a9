// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/lockstep-secrets/lockstep/backend"
)

// needByName ends the message for a login that may not list.
const needByName = ", which keyByName needs"

// byName reports whether a ref's path is a name, and in which secret group it
// is looked for; "" is any.
func byName(ref backend.Ref) (group string, ok bool) {
	if group, ok = strings.CutPrefix(ref.Args, "name:"); ok {
		return group, true
	}
	return "", ref.Args == "name"
}

// directory knows ids by names, for everybody with the same login. It holds no
// values. An entry may be out of date, so whoever uses an id looks at the name
// in the answer, and calls forget when it is another one.
type directory struct {
	mu      sync.Mutex
	shelves map[string]*shelf // by type
	groups  map[string]string // ids by name
	clock   int               // counts listings, so that one can be told to be younger than a question
}

// shelf is the part of a directory for one type of secret.
type shelf struct {
	turn chan struct{} // held by the one who asks the API; the others wait for what it learns

	// The directory's lock guards the rest.
	ids      map[string][]address
	listed   int // when the last complete listing began, by the clock
	pages    int // of a complete listing; 0 is not known
	searches int // requests since the last complete listing that one would have saved
}

type address struct{ id, group string }

// byGroup reads the secret of a name in a secret group, which takes one request
// and no directory.
func (r *reader) byGroup(ctx context.Context, group string, ref backend.Ref) (backend.Secret, error) {
	q := question{
		path:   "/api/v2/secret_groups/{group}/secret_types/{type}/secrets/{name}",
		params: map[string]string{"group": group, "type": ref.Kind, "name": ref.Path},
	}
	var a answer
	if err := r.api.ask(ctx, q, ref, &a); err != nil {
		return backend.Secret{}, err
	}
	if a.ID == "" || a.Type == "" {
		return backend.Secret{}, unreadable(ref)
	}
	return a.secret(ref)
}

// resolve returns the id of the secret that a ref names: NotFound when there
// is none.
func (a *api) resolve(ctx context.Context, ref backend.Ref) (string, error) {
	group, named := byName(ref)
	if !named {
		return ref.Path, nil
	}
	found, err := a.look(ctx, ref.Kind, ref.Path)
	if err != nil {
		return "", err
	}
	in := ""
	if group != "" {
		in = " in secret group " + group
		if found, err = a.within(ctx, group, found); err != nil {
			return "", err
		}
	}
	switch len(found) {
	case 0:
		return "", backend.Errorf(backend.NotFound, "No %s secret named %s%s", ref.Kind, ref.Path, in)
	case 1:
		return found[0].id, nil
	}
	return "", backend.Errorf(backend.Conflict, "Multiple %s secrets named %s%s", ref.Kind, ref.Path, in)
}

// locate calls f with the id of a secret. An id from the directory may be out
// of date: then f returns NotFound, and is called once more if there is another
// one.
func (a *api) locate(ctx context.Context, ref backend.Ref, f func(id string) error) error {
	id, err := a.resolve(ctx, ref)
	if err != nil {
		return err
	}
	err = f(id)
	if _, named := byName(ref); !named || backend.CodeOf(err) != backend.NotFound {
		return err
	}
	a.names.forget(ref)
	again, gone := a.resolve(ctx, ref)
	if gone != nil {
		return gone
	}
	if again == id {
		return err
	}
	return f(again)
}

// renamed is the error for an id whose secret has another name by now, and so
// is not the one that was asked for.
func renamed(ref backend.Ref) error {
	return backend.Errorf(backend.NotFound, "No %s secret named %s", ref.Kind, ref.Path)
}

// within returns those of the secrets that are in the group of that name.
func (a *api) within(ctx context.Context, name string, all []address) ([]address, error) {
	pick := func(id string) (in []address) {
		for _, one := range all {
			if one.group == id && id != "" {
				in = append(in, one)
			}
		}
		return in
	}
	id, known := a.names.group(name)
	if in := pick(id); len(in) > 0 || known && name == defaultGroup || len(all) == 0 {
		return in, nil
	}
	// The group is new, or has another name by now.
	ids, err := a.groups(ctx)
	if err != nil {
		return nil, err
	}
	return pick(ids[name]), nil
}

// defaultGroup is the name and the id of the group that every instance has.
const defaultGroup = "default"

// look returns the secrets of a type and name. What is known costs nothing. The
// first name that is not lets a page be listed; if that is not all, names are
// searched for one by one until everything could have been listed for the
// price.
func (a *api) look(ctx context.Context, typ, name string) ([]address, error) {
	s, since := a.names.shelf(typ)
	if found, _ := a.names.get(s, name); len(found) > 0 {
		return found, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, given(product, ctx.Err())
	}
	for {
		found, state := a.names.get(s, name)
		if len(found) > 0 || state.listed > since {
			return found, nil
		}
		whole := state.listed > 0
		switch {
		case state.pages == 0:
			if err := a.browse(ctx, typ, 1); err != nil {
				return nil, err
			}
		case state.pages <= maxPages && state.searches >= state.pages:
			if err := a.browse(ctx, typ, maxPages); err != nil {
				return nil, err
			}
		default:
			return a.search(ctx, s, typ, name, whole)
		}
	}
}

// browse lists the secrets of a type, but no more pages than that.
func (a *api) browse(ctx context.Context, typ string, most int) error {
	began := a.names.tick()
	p := a.pager(filter{types: []string{typ}}, needByName)
	var all []item
	for !p.done && p.asked < most {
		items, err := p.next(ctx)
		if err != nil {
			return err
		}
		all = append(all, items...)
	}
	a.names.learn([]string{typ}, all, began, p)
	return nil
}

// search looks for one name. Where everything was listed before, only a name
// that is new speaks for listing again.
func (a *api) search(ctx context.Context, s *shelf, typ, name string, whole bool) ([]address, error) {
	p := a.pager(filter{types: []string{typ}, search: name}, needByName)
	var all []item
	for !p.done {
		items, err := p.next(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	n := &a.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.enter(s, typ, all)
	if found := s.ids[name]; len(found) > 0 || !whole {
		s.searches += p.asked
		return found, nil
	}
	return nil, nil
}

// shelf returns the shelf of a type, and what the clock shows.
func (n *directory) shelf(typ string) (*shelf, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.locked(typ), n.clock
}

// locked is shelf for those who hold the lock.
func (n *directory) locked(typ string) *shelf {
	s := n.shelves[typ]
	if s == nil {
		s = &shelf{turn: make(chan struct{}, 1), ids: map[string][]address{}}
		if n.shelves == nil {
			n.shelves = map[string]*shelf{}
		}
		n.shelves[typ] = s
	}
	return s
}

// counts is what a shelf knows about itself.
type counts struct{ listed, pages, searches int }

func (n *directory) get(s *shelf, name string) ([]address, counts) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return s.ids[name], counts{s.listed, s.pages, s.searches}
}

// tick is called when a listing begins.
func (n *directory) tick() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock++
	return n.clock
}

// learn takes in what a listing of some types brought, which may have stopped
// before its end.
func (n *directory) learn(types []string, items []item, began int, p *pager) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, typ := range types {
		s := n.locked(typ)
		if p.done && began > s.listed {
			s.ids = map[string][]address{}
			s.listed, s.searches = began, 0
		}
		if in := n.enter(s, typ, items); p.done {
			s.pages = pages(in, pageSize)
		} else if s.pages == 0 {
			s.pages = pages(p.total, p.size)
		}
	}
}

// enter puts secrets on a shelf and returns how many are of its type. What a
// listing says of a name replaces what was known of it: old ids may be dead.
func (n *directory) enter(s *shelf, typ string, items []item) (count int) {
	now := map[string][]address{}
	for _, i := range items {
		if i.Type == typ {
			now[i.Name] = append(now[i.Name], address{i.ID, i.Group})
			count++
		}
	}
	maps.Copy(s.ids, now)
	return count
}

// add takes in a secret that was just made.
func (n *directory) add(i item) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.enter(n.locked(i.Type), i.Type, []item{i})
}

// forget makes the next resolve of a ref ask the API.
func (n *directory) forget(ref backend.Ref) {
	if _, named := byName(ref); !named {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.locked(ref.Kind).ids, ref.Path)
}

// group returns the id of a secret group, as far as it is known.
func (n *directory) group(name string) (id string, known bool) {
	if name == defaultGroup {
		return name, true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	id, known = n.groups[name]
	return id, known
}

// setGroups replaces what is known of secret groups.
func (n *directory) setGroups(ids map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = maps.Clone(ids)
}
