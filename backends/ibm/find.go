// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// finder lists secrets.
type finder struct{ api *api }

// Find yields the secrets that match, by their ids and with their names. The product has no paths
// and its tags are plain words, so the fields of a Query mean
//
//	Path  the name of a secret group
//	Name  an RE2 expression, unanchored, on the secret's name, not on its id
//	Kind  the secret type
//	Tags  labels: "k=v" is the label k=v, and "k=" the label k
//
// Left out are secrets that are destroyed, those of types that are not served,
// and, unless Kind asks for them, those that reading changes.
func (f *finder) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		narrow, match, err := f.narrow(ctx, q)
		if err != nil {
			yield(backend.Found{}, err)
			return
		}
		for i, err := range f.api.list(ctx, narrow) {
			switch {
			case err != nil:
				yield(backend.Found{}, err)
				return
			case !match(i):
			case !yield(backend.Found{Ref: backend.Ref{Path: i.ID, Kind: i.Type}, Name: i.Name}, nil):
				return
			}
		}
	}
}

// narrow turns a query into a filter, which the product applies, and a test of
// what comes back, which includes the filter.
func (f *finder) narrow(ctx context.Context, q backend.Query) (filter, func(item) bool, error) {
	name, err := regexp.Compile(q.Name)
	if err != nil {
		return filter{}, nil, backend.Errorf(backend.InvalidRef, "the name to search for is not an RE2 expression: %q", q.Name)
	}
	var narrow filter
	if q.Kind != "" {
		if !slices.Contains(served, q.Kind) {
			return filter{}, nil, backend.Errorf(backend.InvalidRef, "secrets of type %q are not supported by this version of Lockstep", q.Kind)
		}
		narrow.types = []string{q.Kind}
	}
	for pair := range strings.SplitSeq(q.Tags, ",") {
		if label := strings.TrimSuffix(pair, "="); label != "" {
			narrow.labels = append(narrow.labels, label)
		}
	}
	if q.Path != "" {
		if narrow.group, err = f.group(ctx, q.Path); err != nil {
			return filter{}, nil, err
		}
	}
	return narrow, func(i item) bool {
		return i.State != stateDestroyed && name.MatchString(i.Name) && narrow.lets(i) &&
			slices.Contains(served, i.Type) && (q.Kind != "" || !i.mutates())
	}, nil
}

// lets reports whether the filter lets a secret through.
func (f filter) lets(i item) bool {
	for _, l := range f.labels {
		if !slices.Contains(i.Labels, l) {
			return false
		}
	}
	return (f.group == "" || f.group == i.Group) && (len(f.types) == 0 || slices.Contains(f.types, i.Type))
}

// group returns the id of a secret group.
func (f *finder) group(ctx context.Context, name string) (string, error) {
	if name == defaultGroup {
		return name, nil
	}
	ids, err := f.api.groups(ctx)
	if err != nil {
		return "", err
	}
	if ids[name] == "" {
		// It is not NotFound, which would say that all its secrets are gone.
		return "", backend.Errorf(backend.PermissionDenied, "there is no secret group named %q, or %s may not see it", name, f.api.by().name)
	}
	return ids[name], nil
}
