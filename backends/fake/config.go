// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/lockstep-secrets/lockstep/backend"
)

// config is the provider's part of a manifest. Fields it does not know are left
// alone.
type config struct {
	Data []struct {
		Key     string `json:"key"`
		Value   string `json:"value"`
		Version string `json:"version"`
	} `json:"data"`
	ValidationResult validity `json:"validationResult"`
}

// validity is what a check of the store shall say: a number of External Secrets
// Operator's.
type validity int

const (
	valid   validity = 0
	unknown validity = 1 // all others are invalid
)

// open is a backend.Open. It speaks no HTTP and needs no credentials.
func (s *state) open(_ context.Context, cfg backend.Config, _ backend.Credentials, _ *http.Client) (backend.Backend, backend.Identity, error) {
	var c config
	if len(cfg.Raw) > 0 {
		if json.Unmarshal(cfg.Raw, &c) != nil { // its text may quote a value
			return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef,
				"spec.provider.fake needs a list data of key, value and version, which are text, and a number validationResult")
		}
	}
	entries := make(map[entry]backend.Value, len(c.Data))
	for i, d := range c.Data {
		if d.Key == "" {
			return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.InvalidRef, "spec.provider.fake.data[%d].key is empty", i)
		}
		entries[entry{d.Key, d.Version}] = backend.NewValue([]byte(d.Value)) // the last one wins
	}
	session := &session{state: s, name: cfg.Name, entries: entries, validity: c.ValidationResult, fingerprint: cfg.Fingerprint}
	return backend.Backend{
		Reader:  session,
		Checker: session,
		Finder:  session,
		Writer:  session,
		Limits:  backend.Limits{Batch: batch, Parallel: parallel},
	}, backend.Identity{Login: cfg.Name + " " + cfg.Fingerprint(backend.NewValue(cfg.Raw)), Quota: cfg.Name}, nil
}

// Check says what the manifest wants it to say.
func (s *session) Check(ctx context.Context) error {
	if err := s.admit(ctx); err != nil {
		return err
	}
	if s.validity == unknown {
		return backend.Errorf(backend.Unknown, "spec.provider.fake.validationResult says that nobody knows whether the store is valid")
	}
	return nil
}

// admit says whether the store answers at all. One whose validity is unknown
// does.
func (s *session) admit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.validity != valid && s.validity != unknown {
		return backend.Errorf(backend.Unauthenticated, "spec.provider.fake.validationResult says that the store is invalid")
	}
	return nil
}
