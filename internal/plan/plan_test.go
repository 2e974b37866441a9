// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

var (
	alpha = spec.StoreKey{Kind: "k", Namespace: "ns", Name: "alpha"}
	beta  = spec.StoreKey{Kind: "k", Namespace: "ns", Name: "beta"}
	// far differs from alpha in the kind only, and comes first.
	far = spec.StoreKey{Kind: "a", Namespace: "ns", Name: "alpha"}
)

// drivers has one product, whose refs are its keys; a key "bad" is none.
func drivers() spec.Drivers {
	return spec.Drivers{"plain": {
		Ref: func(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
			if k.Key == "bad" {
				return backend.Ref{}, backend.Errorf(backend.InvalidRef, "%q is no key", k.Key)
			}
			return backend.Ref{Path: k.Key, Kind: k.Kind, Version: k.Version}, nil
		},
	}}
}

func inputs(keys ...spec.StoreKey) spec.Inputs {
	in := spec.Inputs{Stores: map[spec.StoreKey]spec.Store{}}
	for _, k := range keys {
		in.Stores[k] = spec.Store{Driver: "plain"}
	}
	return in
}

func entry(where string, store spec.StoreKey, key string) spec.Entry {
	return spec.Entry{Where: where, Store: store, Key: backend.Key{Key: key}, Name: where}
}

func field(where string, store spec.StoreKey, key, property string) spec.Entry {
	e := entry(where, store, key)
	e.Property, e.HasProperty = property, true
	return e
}

func find(where string, store spec.StoreKey, q backend.Query) spec.Entry {
	return spec.Entry{Where: where, Store: store, Find: &q}
}

func listing(store spec.StoreKey, q backend.Query) plan.Key {
	return plan.Key{Store: store, Listing: true, Query: q}
}

func key(store spec.StoreKey, path string) plan.Key {
	return plan.Key{Store: store, Ref: backend.Ref{Path: path}}
}

func read(store spec.StoreKey, paths ...string) plan.Read {
	r := plan.Read{Store: store}
	for _, p := range paths {
		r.Refs = append(r.Refs, backend.Ref{Path: p})
	}
	return r
}

func TestBuild(t *testing.T) {
	byName := backend.Query{Name: "^x"}
	byPath := backend.Query{Path: "x/"}
	cases := map[string]struct {
		reason  string
		entries []spec.Entry
		issues  []spec.Issue
		in      spec.Inputs
		want    plan.Plan
	}{
		"Nothing": {
			reason: "a manifest without entries asks nothing",
			in:     inputs(alpha),
			want:   plan.Plan{Entries: []plan.Key{}},
		},
		"TwoFieldsOneRead": {
			reason:  "two fields of one secret are one read",
			entries: []spec.Entry{field("0", alpha, "a", "x"), field("1", alpha, "a", "y")},
			in:      inputs(alpha),
			want: plan.Plan{
				Reads:   []plan.Read{read(alpha, "a")},
				Entries: []plan.Key{key(alpha, "a"), key(alpha, "a")},
			},
		},
		"Sorted": {
			reason:  "reads do not show in which order the manifest has them; entries do",
			entries: []spec.Entry{entry("0", alpha, "c"), entry("1", alpha, "a"), entry("2", alpha, "b"), entry("3", alpha, "a")},
			in:      inputs(alpha),
			want: plan.Plan{
				Reads:   []plan.Read{read(alpha, "a", "b", "c")},
				Entries: []plan.Key{key(alpha, "c"), key(alpha, "a"), key(alpha, "b"), key(alpha, "a")},
			},
		},
		"PerStore": {
			reason:  "each store is asked once for all, and the same path in two stores is two reads",
			entries: []spec.Entry{entry("0", beta, "a"), entry("1", alpha, "a"), entry("2", far, "b"), entry("3", beta, "b")},
			in:      inputs(alpha, beta, far),
			want: plan.Plan{
				Reads:   []plan.Read{read(far, "b"), read(alpha, "a"), read(beta, "a", "b")},
				Entries: []plan.Key{key(beta, "a"), key(alpha, "a"), key(far, "b"), key(beta, "b")},
			},
		},
		"KindAndVersion": {
			reason: "another version or type of a secret is another secret",
			entries: []spec.Entry{
				{Where: "0", Store: alpha, Key: backend.Key{Key: "a", Version: "2"}},
				{Where: "1", Store: alpha, Key: backend.Key{Key: "a", Version: "1"}},
				{Where: "2", Store: alpha, Key: backend.Key{Key: "a", Kind: "kv"}},
			},
			in: inputs(alpha),
			want: plan.Plan{
				Reads: []plan.Read{{Store: alpha, Refs: []backend.Ref{
					{Path: "a", Version: "1"}, {Path: "a", Version: "2"}, {Path: "a", Kind: "kv"},
				}}},
				Entries: []plan.Key{
					{Store: alpha, Ref: backend.Ref{Path: "a", Version: "2"}},
					{Store: alpha, Ref: backend.Ref{Path: "a", Version: "1"}},
					{Store: alpha, Ref: backend.Ref{Path: "a", Kind: "kv"}},
				},
			},
		},
		"Finds": {
			reason: "equal listings are one, sorted, and answer all entries that ask the same",
			entries: []spec.Entry{
				find("0", beta, byName), find("1", alpha, byPath), find("2", alpha, byName), find("3", alpha, byPath), entry("4", alpha, "a"),
			},
			in: inputs(alpha, beta),
			want: plan.Plan{
				Reads:   []plan.Read{read(alpha, "a")},
				Finds:   []plan.Find{{Store: alpha, Query: byName}, {Store: alpha, Query: byPath}, {Store: beta, Query: byName}},
				Entries: []plan.Key{listing(beta, byName), listing(alpha, byPath), listing(alpha, byName), listing(alpha, byPath), key(alpha, "a")},
			},
		},
		"MissingStore": {
			reason:  "an entry of a store that is not there is an issue, found before anybody is asked",
			entries: []spec.Entry{entry("spec.data[0]", beta, "a"), entry("spec.data[1]", alpha, "a")},
			in:      inputs(alpha),
			want: plan.Plan{
				Reads:   []plan.Read{read(alpha, "a")},
				Entries: []plan.Key{{}, key(alpha, "a")},
				Issues:  []spec.Issue{{Where: "spec.data[0]", Store: beta, Code: backend.InvalidRef, Message: `k "beta" does not exist`}},
			},
		},
		"UnknownProduct": {
			reason:  "a store of a product without a driver is an issue and no panic",
			entries: []spec.Entry{entry("spec.data[0]", alpha, "a")},
			in:      spec.Inputs{Stores: map[spec.StoreKey]spec.Store{alpha: {Driver: "other"}}},
			want: plan.Plan{
				Entries: []plan.Key{{}},
				Issues: []spec.Issue{{
					Where: "spec.data[0]", Store: alpha, Code: backend.InvalidRef,
					Message: `store "alpha" is of a product "other" that this version of Lockstep does not know`,
				}},
			},
		},
		"BadRefs": {
			reason:  "issues are in the order of the manifest, after those it had already",
			entries: []spec.Entry{entry("spec.data[0]", alpha, "bad"), entry("spec.data[1]", alpha, "a"), entry("spec.data[2]", alpha, "bad")},
			issues:  []spec.Issue{{Where: "spec", Code: backend.PermissionDenied, Message: "no"}},
			in:      inputs(alpha),
			want: plan.Plan{
				Reads:   []plan.Read{read(alpha, "a")},
				Entries: []plan.Key{{}, key(alpha, "a"), {}},
				Issues: []spec.Issue{
					{Where: "spec", Code: backend.PermissionDenied, Message: "no"},
					{Where: "spec.data[0]", Store: alpha, Code: backend.InvalidRef, Message: `"bad" is no key`},
					{Where: "spec.data[2]", Store: alpha, Code: backend.InvalidRef, Message: `"bad" is no key`},
				},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := plan.Build(spec.Spec{Entries: tc.entries, Issues: tc.issues}, tc.in, drivers())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestBuildOrder holds that what is asked does not depend on the order in which
// the manifest asks.
func TestBuildOrder(t *testing.T) {
	q := backend.Query{Tags: "a=b"}
	entries := []spec.Entry{
		entry("0", beta, "a"), entry("1", alpha, "b"), find("2", beta, q), entry("3", alpha, "a"), find("4", alpha, q), entry("5", alpha, "b"),
	}
	want := plan.Build(spec.Spec{Entries: entries}, inputs(alpha, beta), drivers())
	permutations(entries, func(other []spec.Entry) {
		got := plan.Build(spec.Spec{Entries: other}, inputs(alpha, beta), drivers())
		if diff := cmp.Diff(want.Reads, got.Reads); diff != "" {
			t.Fatalf("reads depend on the order: -want, +got:\n%s", diff)
		}
		if diff := cmp.Diff(want.Finds, got.Finds); diff != "" {
			t.Fatalf("finds depend on the order: -want, +got:\n%s", diff)
		}
	})
}

// permutations calls f with every order of in.
func permutations[T any](in []T, f func([]T)) {
	var walk func(n int)
	work := slices.Clone(in)
	walk = func(n int) {
		if n == len(work) {
			f(slices.Clone(work))
			return
		}
		for i := n; i < len(work); i++ {
			work[n], work[i] = work[i], work[n]
			walk(n + 1)
			work[n], work[i] = work[i], work[n]
		}
	}
	walk(0)
}

// TestBuildKeepsTheSpec holds that a plan shares no list with the spec that it
// could write to.
func TestBuildKeepsTheSpec(t *testing.T) {
	issues := make([]spec.Issue, 1, 4)
	issues[0] = spec.Issue{Where: "spec"}
	s := spec.Spec{Entries: []spec.Entry{entry("0", alpha, "bad")}, Issues: issues}
	plan.Build(s, inputs(alpha), drivers())
	if got := issues[:2][1]; got != (spec.Issue{}) {
		t.Errorf("Build wrote %v behind the issues of the spec", got)
	}
}

func TestExpand(t *testing.T) {
	first := plan.Find{Store: alpha, Query: backend.Query{Name: "^x"}}
	other := plan.Find{Store: beta, Query: backend.Query{Name: "^x"}}
	base := plan.Plan{
		Reads:   []plan.Read{read(alpha, "b")},
		Finds:   []plan.Find{first, other},
		Entries: []plan.Key{key(alpha, "b"), first.Key(), other.Key()},
	}
	cases := map[string]struct {
		reason string
		found  map[plan.Find][]backend.Found
		want   []plan.Read
	}{
		"Nothing": {
			reason: "a listing without hits adds nothing",
			want:   []plan.Read{read(alpha, "b")},
		},
		"Hits": {
			reason: "hits are read from the store that listed them, sorted in with the rest",
			found: map[plan.Find][]backend.Found{
				first: {{Ref: backend.Ref{Path: "c"}}, {Ref: backend.Ref{Path: "a"}}},
				other: {{Ref: backend.Ref{Path: "a"}}},
			},
			want: []plan.Read{read(alpha, "a", "b", "c"), read(beta, "a")},
		},
		"Doubles": {
			reason: "what is read anyway, and what was listed twice, is read once",
			found:  map[plan.Find][]backend.Found{first: {{Ref: backend.Ref{Path: "b"}}, {Ref: backend.Ref{Path: "a"}}, {Ref: backend.Ref{Path: "a"}}}},
			want:   []plan.Read{read(alpha, "a", "b")},
		},
		"WithValue": {
			reason: "a listing that brought the value along needs no read",
			found:  map[plan.Find][]backend.Found{first: {{Ref: backend.Ref{Path: "a"}, Secret: &backend.Secret{}}}},
			want:   []plan.Read{read(alpha, "b")},
		},
		"Unasked": {
			reason: "hits of a listing that the plan does not have belong to somebody else",
			found:  map[plan.Find][]backend.Found{{Store: alpha, Query: backend.Query{Name: "y"}}: {{Ref: backend.Ref{Path: "z"}}}},
			want:   []plan.Read{read(alpha, "b")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answers := plan.Snapshot{}
			for f, hits := range tc.found {
				answers[f.Key()] = plan.Answer{Found: hits}
			}
			got := plan.Expand(base, answers)
			if diff := cmp.Diff(tc.want, got.Reads); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(base.Entries, got.Entries); diff != "" {
				t.Errorf("entries changed: -want, +got:\n%s", diff)
			}
			if diff := cmp.Diff([]plan.Read{read(alpha, "b")}, base.Reads); diff != "" {
				t.Errorf("the plan that was given changed: -want, +got:\n%s", diff)
			}
		})
	}
}

func TestKeysAndStores(t *testing.T) {
	p := plan.Plan{
		Reads: []plan.Read{read(alpha, "a", "b"), read(beta, "a")},
		Finds: []plan.Find{{Store: far}, {Store: beta}},
	}
	if diff := cmp.Diff([]plan.Key{
		key(alpha, "a"), key(alpha, "b"), key(beta, "a"), listing(far, backend.Query{}), listing(beta, backend.Query{}),
	}, p.Keys()); diff != "" {
		t.Errorf("keys: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff([]spec.StoreKey{far, alpha, beta}, p.Stores()); diff != "" {
		t.Errorf("stores are distinct and sorted: -want, +got:\n%s", diff)
	}
	if got := (plan.Plan{}).Keys(); len(got) != 0 {
		t.Errorf("an empty plan has the keys %v", got)
	}
}

func TestQuestions(t *testing.T) {
	parse := func(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
		return backend.Ref{Path: k.Key, Args: k.Args["property"] + "@" + k.Args["namespace"]}, nil
	}
	in := spec.Inputs{Stores: map[spec.StoreKey]spec.Store{alpha: {Driver: "d", Raw: []byte("by namespace")}}}
	for name, tc := range map[string]struct {
		reason string
		driver backend.Driver
		want   string
	}{
		"Most":        {"two properties are one question, and namespaces share it", backend.Driver{Ref: parse}, "@"},
		"Properties":  {"a product that resolves them itself is asked for each", backend.Driver{Ref: parse, OwnProperties: true}, "p@"},
		"ByNamespace": {"a store that answers by namespace is asked by each", backend.Driver{Ref: parse, ByNamespace: func(raw []byte) bool { return len(raw) > 0 }}, "@ns"},
	} {
		s := spec.Spec{Object: spec.Object{Namespace: "ns"}, Entries: []spec.Entry{field("0", alpha, "a", "p")}}
		p := plan.Build(s, in, spec.Drivers{"d": tc.driver})
		if got := p.Entries[0].Ref.Args; got != tc.want {
			t.Errorf("%s: %s: asks %q, want %q", name, tc.reason, got, tc.want)
		}
		if len(s.Entries[0].Key.Args) > 0 {
			t.Errorf("%s: the manifest's own key changed", name)
		}
	}
}
