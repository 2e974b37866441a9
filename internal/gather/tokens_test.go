// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/backend"
)

var _ Tokens = TokenRequests{}

// canary is in what the API server says, and nowhere else.
const canary = "CANARY-5f1e"

// apiServer answers every request alike and keeps what it was asked.
type apiServer struct {
	status int
	answer any
	asked  []string // method, path and body
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, r.Method+" "+r.URL.Path+" "+strings.TrimSpace(string(body)))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(s.status)
	_ = json.NewEncoder(w).Encode(s.answer)
}

func (s *apiServer) requests(t *testing.T) TokenRequests {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	out, err := NewTokenRequests(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func granted(token string, until time.Time) authenticationv1.TokenRequest {
	return authenticationv1.TokenRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
		Status:   authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(until)},
	}
}

func refused(code int, reason metav1.StatusReason) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: reason, Message: canary, Code: int32(code), //nolint:gosec // an HTTP status
	}
}

func TestTokenRequests(t *testing.T) {
	until := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		reason    string
		audiences []string
		want      string
	}{
		"as given":     {"in order, and no other", []string{"vault", "sts.example"}, `"audiences":["vault","sts.example"],`},
		"no audiences": {"then the API server chooses", nil, `"audiences":null,`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &apiServer{status: http.StatusCreated, answer: granted("header.payload.signature", until)}
			r := s.requests(t)
			for range 2 {
				v, expires, err := r.Token(t.Context(), "team", "reader", c.audiences)
				if err != nil {
					t.Fatal(err)
				}
				if string(v.Reveal()) != "header.payload.signature" || !expires.Equal(until) {
					t.Errorf("%s: another token, or until %s", c.reason, expires)
				}
			}
			ask := `POST /api/v1/namespaces/team/serviceaccounts/reader/token {"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{` +
				c.want + `"expirationSeconds":600,"boundObjectRef":null},"status":{"token":"","expirationTimestamp":null}}`
			if diff := cmp.Diff([]string{ask, ask}, s.asked); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	const who = `service account "reader" of namespace "team"`
	for name, c := range map[string]struct {
		reason  string
		status  int
		answer  any
		code    backend.Code
		message string
	}{
		"forbidden": {
			"says who can change that, and how",
			403, refused(403, metav1.StatusReasonForbidden),
			backend.PermissionDenied, "Lockstep may not make tokens for " + who + ": the operator grants it with the chart's rbac.serviceAccountTokenCreate, or deploy/rbac/token-requests.yaml",
		},
		"missing": {
			"proved by the API server",
			404, refused(404, metav1.StatusReasonNotFound),
			backend.NotFound, who + " does not exist",
		},
		"invalid": {
			"audiences that cannot be",
			422, refused(422, metav1.StatusReasonInvalid),
			backend.InvalidRef, "the API server refuses to make a token for " + who + " and these audiences",
		},
		"broken": {
			"it will be better later",
			500, refused(500, metav1.StatusReasonInternalError),
			backend.Unavailable, "the API server makes no token for " + who,
		},
		"unauthorized": {
			"that Lockstep itself is not known says nothing of the store's login",
			401, refused(401, metav1.StatusReasonUnauthorized),
			backend.Unavailable, "the API server makes no token for " + who,
		},
		"empty": {
			"no store would take it",
			201, granted("", time.Time{}),
			backend.Unavailable, "the API server gave an empty token for " + who,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &apiServer{status: c.status, answer: c.answer}
			v, _, err := s.requests(t).Token(t.Context(), "team", "reader", nil)
			if len(v.Reveal()) > 0 {
				t.Error("there is a token")
			}
			if backend.CodeOf(err) != c.code || err.Error() != c.message {
				t.Errorf("%s: got %s: %v", c.reason, backend.CodeOf(err), err)
			}
			var cause *backend.Error
			if errors.As(err, &cause) && name != "empty" && cause.Err == nil {
				t.Error("the cause is lost")
			}
		})
	}
}

// TestTokenRequestsNames: what cannot be a name does not become part of a path.
func TestTokenRequestsNames(t *testing.T) {
	for name, c := range map[string]struct{ reason, namespace, account string }{
		"path":           {"of another namespace", "team", "../../victim/serviceaccounts/admin"},
		"percent":        {"a server may decode it once more", "team", "%2e%2e"},
		"dots":           {"the collection", "team", ".."},
		"empty":          {"would be every account", "team", ""},
		"no namespace":   {"would be every namespace", "", "reader"},
		"path namespace": {"nor the namespace", "team/../victim", "reader"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &apiServer{status: http.StatusCreated, answer: granted("token", time.Time{})}
			_, _, err := s.requests(t).Token(t.Context(), c.namespace, c.account, nil)
			if backend.CodeOf(err) != backend.InvalidRef || len(s.asked) > 0 {
				t.Errorf("%s: got %v after %q", c.reason, err, s.asked)
			}
		})
	}
}
