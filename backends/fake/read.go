// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Read implements backend.Reader. A version must be exactly that of the entry;
// none is asked for by "".
func (s *session) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	out := make([]backend.Result, len(refs))
	for i, r := range refs {
		out[i].Ref = r
		if out[i].Err = sound(r); out[i].Err != nil {
			continue
		}
		v, ok := s.get(entry{r.Path, r.Version})
		if !ok {
			out[i].Err = backend.Errorf(backend.NotFound, "the manifest of the store has no %s", r)
			continue
		}
		out[i].Secret = s.secret(v)
	}
	return out, nil
}

// Find implements backend.Finder. Of each key it yields the version that comes
// last in the order of text. Path and Tags mean nothing here: alone they are
// refused, and next to Name they are left out, as External Secrets Operator
// does.
func (s *session) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		name, err := expression(q)
		if err == nil {
			err = s.admit(ctx)
		}
		if err != nil {
			yield(backend.Found{}, err)
			return
		}
		for _, e := range s.latest() {
			v, ok := s.get(e)
			if !ok || !name.MatchString(e.key) {
				continue
			}
			secret := s.secret(v)
			if !yield(backend.Found{Ref: backend.Ref{Path: e.key, Version: e.version}, Secret: &secret}, nil) {
				return
			}
		}
	}
}

func expression(q backend.Query) (*regexp.Regexp, error) {
	if q.Kind != "" || q.Name == "" && (q.Path != "" || q.Tags != "") {
		return nil, backend.Errorf(backend.InvalidRef, "the fake store is searched by name only: unsupported find operator")
	}
	name, err := regexp.Compile(q.Name)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "the name to search for is not an RE2 expression: %q", q.Name)
	}
	return name, nil
}

// latest returns one entry for each key, sorted.
func (s *session) latest() []entry {
	all := slices.Collect(maps.Keys(s.entries))
	s.state.mu.Lock()
	all = slices.AppendSeq(all, maps.Keys(s.state.stores[s.name]))
	s.state.mu.Unlock()
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(b.version, a.version))
	})
	return slices.CompactFunc(all, func(a, b entry) bool { return a.key == b.key })
}
