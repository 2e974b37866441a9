// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// TestReport: an entry is there while its object is, and who does not lead has
// none to show.
func TestReport(t *testing.T) {
	r := shadow.NewReport()
	get := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/shadow", nil))
		return w
	}
	if code := get(http.MethodGet).Code; code != http.StatusServiceUnavailable {
		t.Errorf("a replica that does not lead answers %d", code)
	}
	r.Lead()
	if code := get(http.MethodPost).Code; code != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered with %d", code)
	}
	s := spec.Spec{Object: spec.Object{Dialect: backend.KES, Namespace: "b", Name: "es"}}
	id := s.Object.ID()
	r.Begin(s)
	if !strings.Contains(get(http.MethodGet).Body.String(), `"result":"pending"`) {
		t.Error("an object that is waited for is not shown")
	}
	o := shadow.Of(s)
	o.Result = shadow.Create
	r.Set(id, o)
	r.Begin(s)
	if n := r.Counts()[shadow.Count{Dialect: "kes", Namespace: "b", Result: shadow.Create}]; n != 1 || len(r.Counts()) != 1 {
		t.Errorf("what is known does not stay while it is looked at again: %v", r.Counts())
	}
	r.Drop(id)
	if body := get(http.MethodGet).Body.String(); strings.TrimSpace(body) != `{"objects":[]}` || len(r.Counts()) != 0 {
		t.Errorf("an object that is gone is still there: %s", body)
	}
}
