// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestReadOnly: nothing that changes something leaves, and who logs in to a store
// as a service account still can.
func TestReadOnly(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer server.Close()
	for _, tc := range []struct {
		method, path string
		passes       bool
	}{
		{http.MethodGet, "/api/v1/namespaces/a/secrets", true},
		{http.MethodPost, "/api/v1/namespaces/a/serviceaccounts/b/token", true},
		{http.MethodPost, "/api/v1/namespaces/a/secrets", false},
		{http.MethodPost, "/api/v1/namespaces/a/serviceaccounts", false},
		{http.MethodPut, "/api/v1/namespaces/a/serviceaccounts/b/token", false},
		{http.MethodPost, "/api/v1/namespaces/a/secrets/serviceaccounts/b/c/token", false},
		{http.MethodPut, "/api/v1/namespaces/a/secrets/b", false},
		{http.MethodPatch, "/apis/external-secrets.io/v1/namespaces/a/externalsecrets/b/status", false},
		{http.MethodDelete, "/api/v1/namespaces/a/secrets/b", false},
	} {
		reached = false
		r, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+tc.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := ReadOnly(http.DefaultTransport).RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
		}
		if reached != tc.passes || tc.passes != (err == nil) || err != nil && !errors.Is(err, errReadOnly) {
			t.Errorf("%s %s: reached %t, %v", tc.method, tc.path, reached, err)
		}
	}
}
