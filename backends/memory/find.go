// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Find implements backend.Finder, in the order of the paths.
func (s *session) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		match, err := matcher(q)
		if err != nil {
			yield(backend.Found{}, err)
			return
		}
		after, more := "", true
		for more {
			var page []backend.Found
			err := s.request(ctx, func(m *Memory) error {
				page, after, more = m.page(match, after)
				return nil
			})
			if err != nil {
				yield(backend.Found{}, err)
				return
			}
			for _, f := range page {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

// page returns what matches behind the path after, where the next page begins,
// and whether there is one. The caller holds the lock.
func (m *Memory) page(match func(string, *entry) bool, after string) ([]backend.Found, string, bool) {
	var out []backend.Found
	for _, path := range slices.Sorted(maps.Keys(m.secrets)) {
		e := m.secrets[path]
		if path <= after || !match(path, e) {
			continue
		}
		if len(out) == max(1, m.options.Page) {
			return out, after, true
		}
		f := backend.Found{Ref: backend.Ref{Path: path, Kind: e.kind}}
		if m.options.ListValues {
			s := clone(e.versions[len(e.versions)-1].secret)
			f.Secret = &s
		}
		out, after = append(out, f), path
	}
	return out, after, false
}

// matcher makes a test of a query.
func matcher(q backend.Query) (func(string, *entry) bool, error) {
	name, err := regexp.Compile(q.Name)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "the name to search for is not an RE2 expression: %q", q.Name)
	}
	tags := map[string]string{}
	for pair := range strings.SplitSeq(q.Tags, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok && pair != "" {
			return nil, backend.Errorf(backend.InvalidRef, "the tag to search for has no value: %q", pair)
		}
		if ok {
			tags[k] = v
		}
	}
	return func(path string, e *entry) bool {
		labels := e.versions[len(e.versions)-1].secret.Labels
		for k, v := range tags {
			if have, ok := labels[k]; !ok || have != v {
				return false
			}
		}
		return strings.HasPrefix(path, q.Path) && name.MatchString(path) && (q.Kind == "" || q.Kind == e.kind)
	}, nil
}

// Probe implements backend.Prober: the token is the version.
func (s *session) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	tokens := make([]string, len(refs))
	err := s.request(ctx, func(m *Memory) error {
		for i, r := range refs {
			if _, v, err := m.find(r); err == nil {
				tokens[i] = v.id
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tokens, nil
}
