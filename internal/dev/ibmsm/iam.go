// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const apiKeyGrant = "urn:ibm:params:oauth:grant-type:apikey" // #nosec G101 -- a grant type, not a credential

// issuer is IAM: the API keys it knows and the tokens it gave out. A role is looked up on each use of a token, so that a
// change holds at once.
type issuer struct {
	ttl time.Duration

	mu     sync.Mutex
	keys   map[string]*identity
	tokens map[string]grant
}

type identity struct {
	iamID string
	role  Role
}

type grant struct {
	who     *identity
	expires time.Time
}

func newIssuer(keys map[string]Role, ttl time.Duration) *issuer {
	is := &issuer{ttl: ttl, keys: map[string]*identity{}, tokens: map[string]grant{}}
	for key, role := range keys {
		is.setRole(key, role)
	}
	return is
}

func (is *issuer) setRole(key string, role Role) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if who := is.keys[key]; who != nil {
		who.role = role
		return
	}
	// Random, not derived from the key: the id shows in created_by and must not be a hash of a credential.
	is.keys[key] = &identity{iamID: "iam-ServiceId-" + uuid.NewString(), role: role}
}

func (is *issuer) removeKey(key string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	delete(is.keys, key)
}

func (is *issuer) expireAll() {
	is.mu.Lock()
	defer is.mu.Unlock()
	clear(is.tokens)
}

// issue returns a token for a known key. Tokens look like a JWT, as IAM's do, but nothing signs them.
func (is *issuer) issue(key string, now time.Time) (token string, expires time.Time, ok bool) {
	is.mu.Lock()
	defer is.mu.Unlock()
	who := is.keys[key]
	if who == nil {
		return "", time.Time{}, false
	}
	for t, g := range is.tokens {
		if !now.Before(g.expires) {
			delete(is.tokens, t)
		}
	}
	expires = now.Add(is.ttl)
	token = tokenText(who.iamID, now, expires)
	is.tokens[token] = grant{who: who, expires: expires}
	return token, expires, true
}

func tokenText(iamID string, now, expires time.Time) string {
	seg := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{
		"iam_id": iamID, "sub": strings.TrimPrefix(iamID, "iam-"), "iss": "https://iam.cloud.ibm.com/identity",
		"grant_type": apiKeyGrant, "iat": now.Unix(), "exp": expires.Unix(), "jti": uuid.NewString(),
	})
	if err != nil { // strings and integers always encode
		claims = nil
	}
	return seg([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + seg(claims) + "." + rand.Text()
}

// caller resolves an Authorization header.
func (is *issuer) caller(header string, now time.Time) (iamID string, role Role, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", NoRole, false
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	g, known := is.tokens[token]
	if !known || !now.Before(g.expires) {
		return "", NoRole, false
	}
	return g.who.iamID, g.who.role, true
}

// token answers POST /identity/token for the API key grant.
func (s *Server) token(r *request) (answer, *apiError) {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return answer{}, iamError("BXNIM0109E", "The request form cannot be parsed.")
	}
	switch form.Get("grant_type") {
	case apiKeyGrant:
	case "":
		return answer{}, iamError("BXNIM0109E", "Property missing or empty: grant_type")
	default:
		return answer{}, iamError("BXNIM0137E", "This stand-in serves the API key grant only.")
	}
	if form.Get("apikey") == "" {
		return answer{}, iamError("BXNIM0109E", "Property missing or empty: apikey")
	}
	token, expires, ok := s.tokens.issue(form.Get("apikey"), r.now)
	if !ok {
		return answer{}, iamError("BXNIM0415E", "Provided API key could not be found.")
	}
	return answer{http.StatusOK, fields{
		"access_token":  token,
		"refresh_token": "not_supported", // what IAM says when the caller has no OAuth client id
		"token_type":    "Bearer",
		"expires_in":    int64(s.opts.TokenTTL / time.Second),
		"expiration":    expires.Unix(),
		"scope":         "ibm openid",
	}}, nil
}

func iamError(code, message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: code, Message: message}
}
