// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// versioner lists the versions of secrets. The product keeps the values of the
// current and the previous one.
type versioner struct{ api *api }

// edition is what the API says of one version, without its value.
type edition struct {
	ID        string `json:"id"`
	Secret    string `json:"secret_id"`
	Name      string `json:"secret_name"`
	Type      string `json:"secret_type"`
	Alias     string `json:"alias"` // current, previous, or nothing
	Created   string `json:"created_at"`
	Available *bool  `json:"payload_available"`
}

// rank is the order of the aliases, whatever their dates.
func (e edition) rank() int {
	switch e.Alias {
	case "current":
		return 0
	case "previous":
		return 1
	}
	return 2
}

// available is true for the versions that have an alias when the API does not
// say.
func (e edition) available() bool {
	if e.Available == nil {
		return e.Alias != ""
	}
	return *e.Available
}

// created is zero when the API does not say.
func (e edition) created() time.Time {
	t, _ := time.Parse(time.RFC3339, e.Created)
	return t
}

// Versions yields the newest version first.
func (v *versioner) Versions(ctx context.Context, ref backend.Ref) iter.Seq2[backend.Version, error] {
	return func(yield func(backend.Version, error) bool) {
		all, err := v.all(ctx, ref)
		if err != nil {
			yield(backend.Version{}, err)
			return
		}
		for _, e := range all {
			if !yield(backend.Version{ID: e.ID, Created: e.created(), Available: e.available()}, nil) {
				return
			}
		}
	}
}

func (v *versioner) all(ctx context.Context, ref backend.Ref) ([]edition, error) {
	if err := readable(ref); err != nil {
		return nil, err
	}
	var all []edition
	err := v.api.locate(ctx, ref, func(id string) (err error) {
		all, err = v.of(ctx, id, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b edition) int {
		return cmp.Or(a.rank()-b.rank(), b.created().Compare(a.created()))
	})
	return all, nil
}

// of makes the request for the versions of one secret.
func (v *versioner) of(ctx context.Context, id string, about backend.Ref) ([]edition, error) {
	var history struct {
		Versions *[]edition `json:"versions"`
	}
	q := question{path: "/api/v2/secrets/{id}/versions", params: map[string]string{"id": id}}
	if err := v.api.ask(ctx, q, about, &history); err != nil {
		return nil, err
	}
	if history.Versions == nil {
		return nil, unreadable(about)
	}
	_, named := byName(about)
	for _, e := range *history.Versions {
		switch {
		case e.ID == "" || !strings.EqualFold(e.Secret, id):
			return nil, unreadable(about)
		case named && e.Name != about.Path:
			return nil, renamed(about)
		case e.Type != about.Kind:
			return nil, answer{Type: e.Type}.wrongType(about)
		}
	}
	return *history.Versions, nil
}
