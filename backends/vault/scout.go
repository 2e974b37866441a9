// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/lockstep-secrets/lockstep/backend"
)

// constant are the engines of which no GET changes anything. Others may make a
// user of a database, a token or a certificate of it.
var constant = []string{"kv", "generic", "cubbyhole"}

// scout tells by the engine whether a read changes something.
type scout struct{ api *api }

// Scout implements backend.Scout. Paths below data/ of an engine of version 2
// need no question: no other engine has such paths.
func (s *scout) Scout(ctx context.Context, refs []backend.Ref) ([]error, error) {
	out := make([]error, len(refs))
	for i, ref := range refs {
		p, err := s.api.engine.locate(ref)
		if err == nil && !p.versioned && ref.Part == backend.Data {
			out[i] = s.one(ctx, ref, p)
		}
	}
	return out, nil
}

func (s *scout) one(ctx context.Context, ref backend.Ref, p place) error {
	session, err := s.api.session(ref.Args)
	if err != nil {
		return err
	}
	const unknown = "the login may not learn of which engine the path is (sys/internal/ui/mounts)"
	path := "sys/internal/ui/mounts/" + p.data
	out, err := s.api.ask(ctx, session, question{path: path})
	if err = s.api.words.classify(err, task{"read", path}); err != nil {
		switch backend.CodeOf(err) {
		case backend.NotFound, backend.PermissionDenied:
			return backend.Untouched(ref, unknown)
		}
		return err
	}
	var mount struct {
		Type string `json:"type"`
	}
	switch {
	case json.Unmarshal(out.Data, &mount) != nil || mount.Type == "":
		return backend.Untouched(ref, unknown)
	case !slices.Contains(constant, mount.Type):
		return backend.Untouched(ref, "it is not in a key-value engine")
	}
	return nil
}
