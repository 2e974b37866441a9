// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// TestTextsOfKES: an answer has the code that it has for everybody, in the
// words that Kubernetes External Secrets had for it, as far as they are known.
func TestTextsOfKES(t *testing.T) {
	const path = "secret/data/app"
	for name, c := range map[string]struct {
		reason string
		status int
		body   string
		code   backend.Code
		want   string // "" is our own text
	}{
		"Missing":      {"no text", 404, `{"errors":[]}`, backend.NotFound, "Status 404"},
		"Gone":         {"a version that was deleted", 404, `{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2026-01-01T00:00:00Z"}}}`, backend.NotFound, "Status 404"},
		"Page404":      {"it does not say that the secret is missing", 404, `<html>canary</html>`, backend.Unavailable, ""},
		"Warned404":    {"the engine is of the other version", 404, `{"errors":[],"warnings":["canary"]}`, backend.Conflict, ""},
		"NoEngine":     {"the path is ours", 404, `{"errors":["no handler for route \"secret/data/app\". route entry not found."]}`, backend.Conflict, `no handler for route "secret/data/app". route entry not found.`},
		"NoEngineOld":  {"as Vault 1.11 said it", 404, `{"errors":["no handler for route 'secret/data/app'"]}`, backend.Conflict, "no handler for route 'secret/data/app'"},
		"OtherRoute":   {"a path that nobody asked for", 404, `{"errors":["no handler for route 'canary'"]}`, backend.Conflict, ""},
		"Denied":       {"in one line", 403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`, backend.PermissionDenied, "1 error occurred: * permission denied"},
		"DeniedShort":  {"another of Vault's", 403, `{"errors":["permission denied"]}`, backend.PermissionDenied, "permission denied"},
		"DeniedOther":  {"what is said is not shown", 403, `{"errors":["canary"]}`, backend.PermissionDenied, "1 error occurred: * permission denied"},
		"DeniedNoText": {"the number", 403, `{"errors":[]}`, backend.PermissionDenied, "Status 403"},
		"Ended":        {"two texts for one thing, which a login mends", 403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`, backend.Unauthenticated, "permission denied"},
		"Bad":          {"the number", 400, `{"errors":[]}`, backend.Unknown, "Status 400"},
		"BadOther":     {"what is said is not shown", 400, `{"errors":["canary"]}`, backend.Unknown, ""},
		"Upgrading":    {"for some seconds", 400, `{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`, backend.Unavailable, "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."},
		"Method":       {"in one line", 405, `{"errors":["1 error occurred:\n\t* unsupported operation\n\n"]}`, backend.Conflict, "1 error occurred: * unsupported operation"},
		"Limited":      {"the number, and when to ask again", 429, `{"errors":[]}`, backend.RateLimited, "Status 429"},
		"Broken":       {"the number", 500, `{"errors":[]}`, backend.Unavailable, "Status 500"},
		"Internal":     {"in one line", 500, `{"errors":["1 error occurred:\n\t* internal error\n\n"]}`, backend.Unavailable, "1 error occurred: * internal error"},
		"FirstOnly":    {"the first counts", 500, `{"errors":["internal error","canary"]}`, backend.Unavailable, "internal error"},
		"Page500":      {"the number", 502, `<html>canary</html>`, backend.Unavailable, "Status 502"},
		"Sealed":       {"as it is", 503, `{"errors":["Vault is sealed"]}`, backend.Unavailable, "Vault is sealed"},
		"Elsewhere":    {"redirects were followed there", 307, ``, backend.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer := refuse(c.status, http.Header{"Retry-After": {"7"}}, []byte(c.body))
			what := task{"read", path}
			err := words{field: "role app", kes: true}.classify(answer, what)
			want := c.want
			if want == "" {
				want = words{field: "role app"}.classify(answer, what).Error()
			}
			if got := err.Error(); got != want || strings.Contains(got, "canary") {
				t.Errorf("%s: %q, want %q", c.reason, got, want)
			}
			if got := backend.CodeOf(err); got != c.code {
				t.Errorf("%s: code %s, want %s", c.reason, got, c.code)
			}
			if got := backend.RetryAfterOf(err); c.code == backend.RateLimited && got != 7*time.Second {
				t.Errorf("%s: again after %s", c.reason, got)
			}
			if other := (words{field: "x"}).classify(answer, what).Error(); c.want != "" && other == c.want && name != "Sealed" {
				t.Errorf("%s: other manifests get the words of KES: %q", c.reason, other)
			}
		})
	}
}

// TestLoginTextsOfKES: what a login answers has the words it had, too.
func TestLoginTextsOfKES(t *testing.T) {
	s := session{method: method{path: "auth/kubernetes/login", role: "app"}, words: words{field: "role app", kes: true}}
	for name, c := range map[string]struct {
		reason string
		status int
		body   string
		code   backend.Code
		want   string
	}{
		"Role":     {"the role is ours", 400, `{"errors":["invalid role name \"canary\""]}`, backend.Unauthenticated, `invalid role name "app"`},
		"Denied":   {"as it is", 403, `{"errors":["permission denied"]}`, backend.Unauthenticated, "permission denied"},
		"Other":    {"what is said is not shown", 403, `{"errors":["canary"]}`, backend.Unauthenticated, "permission denied"},
		"NoMount":  {"the path is ours", 404, `{"errors":["no handler for route \"auth/kubernetes/login\". route entry not found."]}`, backend.Unauthenticated, `no handler for route "auth/kubernetes/login". route entry not found.`},
		"Missing":  {"the number", 404, `{"errors":[]}`, backend.Unauthenticated, "Status 404"},
		"Broken":   {"the number", 500, `{"errors":[]}`, backend.Unavailable, "Status 500"},
		"Internal": {"as it is", 500, `{"errors":["internal error"]}`, backend.Unavailable, "internal error"},
		"Teapot":   {"the number", 418, `{"errors":[]}`, backend.Unknown, "Status 418"},
		"Sealed":   {"as it is", 503, `{"errors":["Vault is sealed"]}`, backend.Unavailable, "Vault is sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.loginError(refuse(c.status, nil, []byte(c.body)))
			if err.Error() != c.want || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %s %q, want %s %q", c.reason, backend.CodeOf(err), err, c.code, c.want)
			}
		})
	}
}
