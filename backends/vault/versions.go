// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// versioner lists the history of a secret.
type versioner struct{ api *api }

// Versions implements backend.Versioner.
func (v *versioner) Versions(ctx context.Context, ref backend.Ref) iter.Seq2[backend.Version, error] {
	return func(yield func(backend.Version, error) bool) {
		list, err := v.all(ctx, ref)
		if err != nil {
			yield(backend.Version{}, err)
			return
		}
		for _, one := range list {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func (v *versioner) all(ctx context.Context, ref backend.Ref) ([]backend.Version, error) {
	p, err := v.api.engine.locate(ref)
	if err != nil {
		return nil, err
	}
	s, err := v.api.session(ref.Args)
	if err != nil {
		return nil, err
	}
	h, err := v.api.metadata(ctx, s, p)
	if err != nil {
		return nil, err
	}
	numbers := make([]int, 0, len(h.Versions))
	for id := range h.Versions {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, unreadable(p.metadata)
		}
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	out := make([]backend.Version, len(numbers))
	for i, n := range numbers {
		m := h.Versions[strconv.Itoa(n)]
		out[i] = backend.Version{ID: strconv.Itoa(n), Available: m.available(s.now())}
		if t, err := time.Parse(time.RFC3339Nano, m.Created); err == nil {
			out[i].Created = t
		}
	}
	return out, nil
}
