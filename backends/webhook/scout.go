// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// scout goes by the method, as HTTP does (RFC 9110, 9.2.1).
type scout struct{ hook *hook }

// Scout implements backend.Scout.
func (s *scout) Scout(_ context.Context, refs []backend.Ref) ([]error, error) {
	out := make([]error, len(refs))
	if slices.Contains([]string{"", http.MethodGet, http.MethodHead}, strings.ToUpper(s.hook.settings.Method)) {
		return out, nil
	}
	for i, ref := range refs {
		out[i] = backend.Untouched(ref, "its webhook is called by another method than GET")
	}
	return out, nil
}
