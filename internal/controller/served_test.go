// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLocal: the report is for this machine, by a name of this machine.
func TestLocal(t *testing.T) {
	h := local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, tc := range []struct {
		reason, from, host string
		want               int
	}{
		{"kubectl port-forward", "127.0.0.1:1234", "127.0.0.1:8080", http.StatusOK},
		{"by name", "127.0.0.1:1234", "localhost:8080", http.StatusOK},
		{"by IPv6", "[::1]:1234", "[::1]", http.StatusOK},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:1234", "127.0.0.1", http.StatusOK},
		{"another pod", "10.0.0.7:1234", "127.0.0.1:8080", http.StatusForbidden},
		{"a browser that was led here by the name of another site", "127.0.0.1:1234", "rebound.example.com", http.StatusForbidden},
		{"nothing", "", "", http.StatusForbidden},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/shadow", nil)
		r.RemoteAddr, r.Host = tc.from, tc.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d", tc.reason, w.Code, tc.want)
		}
	}
}
