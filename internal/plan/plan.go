// SPDX-License-Identifier: Apache-2.0

// Package plan decides what has to be read for one object. It is pure: it
// asks nobody. Answers come from internal/feed, and what is made of them is in
// internal/render.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Plan is what an object needs, distinct and sorted for each store.
//
//	entry of the manifest          Reads                Entries
//	data[0] key=a property=x  ─┐
//	data[1] key=a property=y  ─┴▶  store ▸ a            a, a
//	data[2] key=b             ──▶  store ▸ b            b
//	dataFrom[0].find          ──▶  Finds[0]             Finds[0].Key()
type Plan struct {
	Reads []Read
	Finds []Find
	// Entries holds, for each entry of the Spec, the question that answers it;
	// the zero Key for entries with an issue.
	Entries []Key
	// Issues forbid to ask anything: the object as it is written cannot work.
	Issues []spec.Issue
}

// Key is a question to a store: to read Ref or, for a Listing, to find what
// Query matches.
type Key struct {
	Store   spec.StoreKey
	Ref     backend.Ref
	Listing bool
	Query   backend.Query
}

// Merge returns p with the reads of more besides.
func Merge(p, more Plan) Plan {
	var keys []Key
	for _, key := range slices.Concat(p.Keys(), more.Keys()) {
		if !key.Listing {
			keys = append(keys, key)
		}
	}
	p.Reads = group(keys)
	return p
}

// Key is the question that a Find is.
func (f Find) Key() Key { return Key{Store: f.Store, Listing: true, Query: f.Query} }

// Read is all that one store is asked for.
type Read struct {
	Store spec.StoreKey
	Refs  []backend.Ref
}

// Find is a listing that a store is asked for.
type Find struct {
	Store spec.StoreKey
	Query backend.Query
}

// Build makes the plan of an object.
func Build(s spec.Spec, in spec.Inputs, drivers spec.Drivers) Plan {
	p := Plan{Entries: make([]Key, len(s.Entries)), Issues: slices.Clone(s.Issues)}
	var keys []Key
	for i, e := range s.Entries {
		store, ok := in.Stores[e.Store]
		if !ok {
			p.Issues = append(p.Issues, spec.Issue{
				Where: e.Where, Store: e.Store, Code: backend.InvalidRef, Message: e.Store.String() + " does not exist",
			})
			continue
		}
		if store.Issue != nil {
			p.Issues = append(p.Issues, spec.Issue{
				Where: e.Where, Store: e.Store, Code: store.Issue.Code, Message: store.Issue.Message,
			})
			continue
		}
		if e.Find != nil {
			p.Finds = append(p.Finds, Find{e.Store, *e.Find})
			p.Entries[i] = Find{e.Store, *e.Find}.Key()
			continue
		}
		driver, ok := drivers[store.Driver]
		if !ok {
			p.Issues = append(p.Issues, spec.Issue{
				Where: e.Where, Store: e.Store, Code: backend.InvalidRef,
				Message: fmt.Sprintf("store %q is of a product %q that this version of Lockstep does not know", e.Store.Name, store.Driver),
			})
			continue
		}
		ref, err := driver.Ref(s.Object.Dialect, question(s, e, store, driver))
		if err != nil {
			p.Issues = append(p.Issues, spec.Issue{Where: e.Where, Store: e.Store, Code: backend.CodeOf(err), Message: err.Error()})
			continue
		}
		p.Entries[i] = Key{Store: e.Store, Ref: ref}
		keys = append(keys, p.Entries[i])
	}
	p.Reads = group(keys)
	slices.SortFunc(p.Finds, compareFinds)
	p.Finds = slices.Compact(p.Finds)
	return p
}

// question is the key of an entry as its product wants it.
func question(s spec.Spec, e spec.Entry, store spec.Store, d backend.Driver) backend.Key {
	key := e.Key
	if d.OwnProperties && e.HasProperty {
		key.Args = with(key.Args, "property", e.Property)
	}
	if d.ByNamespace != nil && d.ByNamespace(store.Raw) {
		key.Args = with(key.Args, "namespace", s.Object.Namespace)
	}
	return key
}

// with returns args with one more.
func with(args map[string]string, name, value string) map[string]string {
	out := maps.Clone(args)
	if out == nil {
		out = map[string]string{}
	}
	out[name] = value
	return out
}

// Expand turns what the listings yielded into reads. A listing that failed, or
// that returned values, adds none.
func Expand(p Plan, answers Snapshot) Plan {
	var keys []Key
	for _, key := range p.Keys() {
		if !key.Listing {
			keys = append(keys, key)
			continue
		}
		for _, hit := range answers[key].Found {
			if hit.Secret == nil {
				keys = append(keys, Key{Store: key.Store, Ref: hit.Ref})
			}
		}
	}
	p.Reads = group(keys)
	return p
}

// Keys returns every question of the plan, in order.
func (p Plan) Keys() []Key {
	var keys []Key
	for _, r := range p.Reads {
		for _, ref := range r.Refs {
			keys = append(keys, Key{Store: r.Store, Ref: ref})
		}
	}
	for _, f := range p.Finds {
		keys = append(keys, f.Key())
	}
	return keys
}

// Stores returns the stores that the plan asks, in order.
func (p Plan) Stores() []spec.StoreKey {
	var out []spec.StoreKey
	for _, r := range p.Reads {
		out = append(out, r.Store)
	}
	for _, f := range p.Finds {
		out = append(out, f.Store)
	}
	slices.SortFunc(out, compareStores)
	return slices.Compact(out)
}

// group sorts questions, drops doubles and puts each store's together.
func group(keys []Key) []Read {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(compareStores(a.Store, b.Store), a.Ref.Compare(b.Ref))
	})
	keys = slices.Compact(keys)
	var out []Read
	for _, k := range keys {
		if n := len(out); n > 0 && out[n-1].Store == k.Store {
			out[n-1].Refs = append(out[n-1].Refs, k.Ref)
			continue
		}
		out = append(out, Read{Store: k.Store, Refs: []backend.Ref{k.Ref}})
	}
	return out
}

func compareStores(a, b spec.StoreKey) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func compareFinds(a, b Find) int {
	return cmp.Or(
		compareStores(a.Store, b.Store),
		strings.Compare(a.Query.Path, b.Query.Path),
		strings.Compare(a.Query.Name, b.Query.Name),
		strings.Compare(a.Query.Kind, b.Query.Kind),
		strings.Compare(a.Query.Tags, b.Query.Tags),
	)
}
