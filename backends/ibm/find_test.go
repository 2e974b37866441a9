// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// seed puts a secret with metadata into the instance.
func (w *world) seed(s ibmsm.Seed) backend.Ref {
	w.t.Helper()
	if s.Type == "" {
		s.Type = typeArbitrary
	}
	if s.Fields == nil {
		s.Fields = map[string]any{"payload": "p"}
	}
	id, err := w.Put(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return backend.Ref{Path: id, Kind: s.Type}
}

// mutating puts a secret into the instance that reading changes.
func (w *world) mutating(name string) backend.Ref {
	w.t.Helper()
	return w.seed(ibmsm.Seed{Name: name, Type: mutatingType, Fields: map[string]any{
		"ttl": "1h", "reuse_api_key": false, "access_groups": []any{"AccessGroupId-1"},
	}})
}

func TestFind(t *testing.T) {
	w := start(t, ibmsm.Options{})
	db := w.seed(ibmsm.Seed{Name: "db", Labels: []string{"prod", "team=blue"}})
	web := w.seed(ibmsm.Seed{Name: "web-db", Group: "web", Labels: []string{"prod"}})
	kv := w.seed(ibmsm.Seed{Name: "db", Type: typeKV, Fields: map[string]any{"data": map[string]any{"k": "v"}}})
	key := w.mutating("key")
	all := []backend.Ref{db, web, kv}
	cases := map[string]struct {
		reason string
		query  backend.Query
		want   []backend.Ref
	}{
		"All":       {"but what reading changes", backend.Query{}, all},
		"Kind":      {"the secret type", backend.Query{Kind: typeKV}, []backend.Ref{kv}},
		"Mutating":  {"when it is asked for", backend.Query{Kind: mutatingType}, []backend.Ref{key}},
		"Name":      {"an expression, not a part", backend.Query{Name: "^db$"}, []backend.Ref{db, kv}},
		"NotByID":   {"ids are no names", backend.Query{Name: db.Path}, nil},
		"Unmatched": {"anywhere in the name", backend.Query{Name: "b-d"}, []backend.Ref{web}},
		"Group":     {"as a path", backend.Query{Path: "web"}, []backend.Ref{web}},
		"Default":   {"as a path", backend.Query{Path: "default"}, []backend.Ref{db, kv}},
		"Label":     {"a tag without a value", backend.Query{Tags: "prod="}, []backend.Ref{db, web}},
		"Bare":      {"as above", backend.Query{Tags: "prod"}, []backend.Ref{db, web}},
		"Pair":      {"a label that looks like a tag", backend.Query{Tags: "team=blue"}, []backend.Ref{db}},
		"Both":      {"all labels", backend.Query{Tags: "prod=,team=blue"}, []backend.Ref{db}},
		"NoLabel":   {"not a part of one", backend.Query{Tags: "pro="}, nil},
		"Together":  {"all fields", backend.Query{Path: "default", Kind: typeArbitrary, Name: "d", Tags: "prod"}, []backend.Ref{db}},
	}
	b := w.open(nil)
	if !b.Partial {
		t.Error("an empty list passes for a proof")
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []backend.Ref
			for f, err := range b.Finder.Find(t.Context(), c.query) {
				if err != nil {
					t.Fatal(err)
				}
				if f.Secret != nil {
					t.Error("a value")
				}
				if name := map[backend.Ref]string{db: "db", web: "web-db", kv: "db", key: "key"}[f.Ref]; f.Name != name {
					t.Errorf("%s is called %q, want %q", f.Ref, f.Name, name)
				}
				got = append(got, f.Ref)
			}
			slices.SortFunc(c.want, backend.Ref.Compare)
			slices.SortFunc(got, backend.Ref.Compare)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// TestFindRefs: what is found is what a manifest with the id means.
func TestFindRefs(t *testing.T) {
	w := start(t, ibmsm.Options{})
	w.seed(ibmsm.Seed{Name: "db"})
	w.mutating("key")
	for _, kind := range []string{typeArbitrary, mutatingType} {
		for f, err := range w.open(nil).Finder.Find(t.Context(), backend.Query{Kind: kind}) {
			if err != nil {
				t.Fatal(err)
			}
			want, err := parseRef(backend.KES, backend.Key{Key: f.Ref.Path, Kind: kind})
			if err != nil || want != f.Ref {
				t.Errorf("%s: found %#v, want %#v (%v)", kind, f.Ref, want, err)
			}
		}
	}
}

func TestFindRefused(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	cases := map[string]struct {
		reason string
		query  backend.Query
		code   backend.Code
		text   string
	}{
		"Name": {"no expression", backend.Query{Name: "("}, backend.InvalidRef, `the name to search for is not an RE2 expression: "("`},
		"Kind": {"no type", backend.Query{Kind: "x"}, backend.InvalidRef, `secrets of type "x" are not supported by this version of Lockstep`},
		"Group": {
			"not a proof that all its secrets are gone",
			backend.Query{Path: "x"},
			backend.PermissionDenied,
			`there is no secret group named "x", or the API key may not see it`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := 0
			for _, err := range b.Finder.Find(t.Context(), c.query) {
				failed(t, err, c.code, c.text)
				n++
			}
			if n != 1 {
				t.Errorf("%s: %d answers", c.reason, n)
			}
		})
	}
}
