// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"net/http"

	"github.com/lockstep-secrets/lockstep/backend"
)

// checker asks whether the token of the store is good.
type checker struct{ api *api }

// Check implements backend.Checker: the token looks itself up, which the policy
// "default" allows. A login that was just made is good without asking.
func (c *checker) Check(ctx context.Context) error {
	s, err := c.api.session("")
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return given(err)
	}
	before := s.now()
	g, err := s.grant(ctx)
	if err != nil || g.made.After(before) {
		return err
	}
	holds, err := s.holds(ctx, g)
	switch {
	case err != nil || holds:
		return err
	case !g.token.IsSet():
		return backend.Errorf(backend.Unauthenticated, "Vault wants a token (%d), and %s is not given", http.StatusForbidden, c.api.words.field)
	case s.method.path == "":
		return s.words.expired(http.StatusForbidden)
	}
	if _, err = s.again(ctx, g); errors.Is(err, context.Canceled) {
		return given(err)
	}
	return err
}
