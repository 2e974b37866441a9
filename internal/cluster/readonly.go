// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/http"
	"regexp"
)

// errReadOnly is what writes get in place of an answer. That it is seen is a
// mistake: who only looks should not try.
var errReadOnly = errors.New("this instance only looks, and writes nothing")

// tokenRequest is the one POST that stores nothing in the cluster and that
// looking needs: how a store is logged in to as a service account.
var tokenRequest = regexp.MustCompile(`/api/v1/namespaces/[^/]+/serviceaccounts/[^/]+/token$`)

// ReadOnly lets no write through.
func ReadOnly(base http.RoundTripper) http.RoundTripper { return readOnly{base} }

type readOnly struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !(r.Method == http.MethodPost && tokenRequest.MatchString(r.URL.Path)) {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, whatever happens
		}
		return nil, errReadOnly
	}
	return t.base.RoundTrip(r)
}
