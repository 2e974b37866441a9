// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Drivers returns drivers whose stores change nothing: they write no secret, read
// none that reading changes, and renew and revoke no lease.
func Drivers(drivers spec.Drivers) spec.Drivers {
	out := maps.Clone(drivers)
	for name, d := range out {
		d.Open = harmless(d.Open)
		out[name] = d
	}
	return out
}

func harmless(open backend.Open) backend.Open {
	return func(ctx context.Context, cfg backend.Config, creds backend.Credentials, client *http.Client) (backend.Backend, backend.Identity, error) {
		b, id, err := open(ctx, cfg, creds, client)
		if err != nil {
			return b, id, err
		}
		b.Writer, b.Lessor = nil, nil
		if b.Scout != nil {
			b.Reader = careful{b.Reader, b.Scout}
		}
		return b, id, nil
	}
}

// careful reads what reading does not change.
type careful struct {
	reader backend.Reader
	scout  backend.Scout
}

// Read implements backend.Reader.
func (c careful) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	told, err := c.scout.Scout(ctx, refs)
	if err != nil {
		return nil, err
	}
	if len(told) != len(refs) {
		return nil, backend.Errorf(backend.Unknown, "%d of %d questions were answered", len(told), len(refs))
	}
	out := make([]backend.Result, len(refs))
	var asked []int
	for i, ref := range refs {
		out[i] = backend.Result{Ref: ref, Err: told[i]}
		if told[i] == nil {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return out, nil
	}
	allowed := make([]backend.Ref, 0, len(asked))
	for _, i := range asked {
		allowed = append(allowed, refs[i])
	}
	answers, err := c.reader.Read(ctx, slices.Clip(allowed))
	if err != nil {
		return nil, err
	}
	if len(answers) != len(asked) {
		return nil, backend.Errorf(backend.Unknown, "%d of %d questions were answered", len(answers), len(asked))
	}
	for n, i := range asked {
		out[i] = answers[n]
	}
	return out, nil
}
