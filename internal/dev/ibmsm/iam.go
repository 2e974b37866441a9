// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The grants served. What follows the last colon is their name in Stats.
const (
	grantPrefix  = "urn:ibm:params:oauth:grant-type:" // #nosec G101 -- a grant type, not a credential
	apiKeyGrant  = grantPrefix + "apikey"
	crTokenGrant = grantPrefix + "cr-token"
	assumeGrant  = grantPrefix + "assume"
)

// issuer is IAM: the API keys and profiles it knows and the tokens it gave out. A role is looked up on each use of a token,
// so that a change holds at once.
type issuer struct {
	ttl       time.Duration
	clients   map[string]string
	anonymous *identity // nil when there is none

	mu       sync.Mutex
	keys     map[string]*identity
	profiles map[string]*identity
	crTokens map[string]bool
	tokens   map[string]grant
}

// identity is who a token is for. All but iamID is guarded by the issuer's lock.
type identity struct {
	iamID  string
	role   Role            // in the whole instance
	groups map[string]Role // in secret groups, by their names
	noList bool
	minted bool // the API key is the value of a secret
}

type grant struct {
	who     *identity
	expires time.Time
}

func newIssuer(opts Options) *issuer {
	is := &issuer{
		ttl: opts.TokenTTL, clients: opts.Clients, keys: map[string]*identity{}, profiles: map[string]*identity{},
		crTokens: map[string]bool{}, tokens: map[string]grant{},
	}
	for key, role := range opts.Keys {
		is.setRole(key, role)
	}
	for name, role := range opts.Profiles {
		is.profiles[name] = &identity{iamID: "iam-Profile-" + uuid.NewString(), role: role}
	}
	for _, t := range opts.CRTokens {
		is.crTokens[t] = true
	}
	if opts.Anonymous > NoRole {
		is.anonymous = &identity{iamID: "iam-Anonymous", role: opts.Anonymous}
	}
	return is
}

func (is *issuer) setRole(key string, role Role) {
	is.edit(key, func(who *identity) { who.role = role })
}

// edit changes the identity of an API key, which it makes known if it is not.
func (is *issuer) edit(key string, f func(*identity)) {
	is.mu.Lock()
	defer is.mu.Unlock()
	who := is.keys[key]
	if who == nil {
		// Random, not derived from the key: the id shows in created_by and must not be a hash of a credential.
		who = &identity{iamID: "iam-ServiceId-" + uuid.NewString()}
		is.keys[key] = who
	}
	f(who)
}

// mint makes the API key of a secret known, without a role. One that is known already stays what it is.
func (is *issuer) mint(key string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.keys[key] == nil {
		is.keys[key] = &identity{iamID: "iam-ServiceId-" + uuid.NewString(), minted: true}
	}
}

// unmint forgets what mint made known.
func (is *issuer) unmint(key string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if who := is.keys[key]; who != nil && who.minted {
		delete(is.keys, key)
	}
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

// give makes a token. Tokens look like a JWT, as IAM's do, but nothing signs them. The lock is held.
func (is *issuer) give(who *identity, grantType string, now time.Time) (token string, expires time.Time) {
	for t, g := range is.tokens {
		if !now.Before(g.expires) {
			delete(is.tokens, t)
		}
	}
	expires = now.Add(is.ttl)
	token = tokenText(who.iamID, grantType, now, expires)
	is.tokens[token] = grant{who: who, expires: expires}
	return token, expires
}

func tokenText(iamID, grantType string, now, expires time.Time) string {
	seg := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{
		"iam_id": iamID, "sub": strings.TrimPrefix(iamID, "iam-"), "iss": "https://iam.cloud.ibm.com/identity",
		"grant_type": grantType, "iat": now.Unix(), "exp": expires.Unix(), "jti": uuid.NewString(),
	})
	if err != nil { // strings and integers always encode
		claims = nil
	}
	return seg([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + seg(claims) + "." + rand.Text()
}

// caller resolves an Authorization header.
func (is *issuer) caller(header string, now time.Time) (*identity, bool) {
	if header == "" {
		return is.anonymous, is.anonymous != nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, false
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.holder(token, now)
}

// holder is whom a token is for. The lock is held.
func (is *issuer) holder(token string, now time.Time) (*identity, bool) {
	g, known := is.tokens[token]
	if !known || !now.Before(g.expires) {
		return nil, false
	}
	return g.who, true
}

// may says whether an identity may use an endpoint on a secret of a group. Whoever may read in one group may ask for a list,
// and sees that group's part of it.
func (is *issuer) may(who *identity, rt route, group string) bool {
	is.mu.Lock()
	defer is.mu.Unlock()
	if rt.kind == KindList && who.noList {
		return false
	}
	if who.role >= rt.role || (group != "" && who.groups[group] >= rt.role) {
		return true
	}
	if rt.kind != KindList {
		return false
	}
	for _, role := range who.groups {
		if role >= rt.role {
			return true
		}
	}
	return false
}

// only returns which groups an identity is confined to when it lists; nil is none.
func (is *issuer) only(who *identity) map[string]Role {
	is.mu.Lock()
	defer is.mu.Unlock()
	if who.role >= Reader {
		return nil
	}
	return maps.Clone(who.groups)
}

// visible leaves of a list what the caller may see.
func (s *Server) visible(r *request, list []*secret) []*secret {
	groups := s.tokens.only(r.who)
	if groups == nil {
		return list
	}
	return slices.DeleteFunc(list, func(sec *secret) bool { return groups[s.store.groups[sec.group].name] < Reader })
}

// grantName is the name of the grant that a form asks for, as Stats has it.
func grantName(form []byte) string {
	v, err := url.ParseQuery(string(form))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(v.Get("grant_type"), grantPrefix)
}

// token answers POST /identity/token.
func (s *Server) token(r *request) (answer, *apiError) {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return answer{}, iamError("BXNIM0109E", "The request form cannot be parsed.")
	}
	is := s.tokens
	if id, secret, given := r.http.BasicAuth(); given && is.clients != nil {
		if want, known := is.clients[id]; !known || want != secret {
			return answer{}, iamError("BXNIM0103E", "The OAuth client is unknown or its secret is wrong.")
		}
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	who, apiErr := is.grantee(form, r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	token, expires := is.give(who, form.Get("grant_type"), r.now)
	return answer{http.StatusOK, fields{
		"access_token":  token,
		"refresh_token": "not_supported", // what IAM says when the caller has no OAuth client id
		"token_type":    "Bearer",
		"expires_in":    int64(s.opts.TokenTTL / time.Second),
		"expiration":    expires.Unix(),
		"scope":         "ibm openid",
	}}, nil
}

// grantee is whom the form's grant makes a token for. The lock is held.
func (is *issuer) grantee(form url.Values, now time.Time) (*identity, *apiError) {
	missing := func(name string) *apiError { return iamError("BXNIM0109E", "Property missing or empty: "+name) }
	switch form.Get("grant_type") {
	case apiKeyGrant:
		if form.Get("apikey") == "" {
			return nil, missing("apikey")
		}
		if who := is.keys[form.Get("apikey")]; who != nil {
			return who, nil
		}
		return nil, iamError("BXNIM0415E", "Provided API key could not be found.")
	case crTokenGrant:
		if form.Get("cr_token") == "" {
			return nil, missing("cr_token")
		}
		if !is.crTokens[form.Get("cr_token")] {
			return nil, iamError("BXNIM0437E", "The compute resource token is not valid.")
		}
		return is.profile(form)
	case assumeGrant:
		if form.Get("access_token") == "" {
			return nil, missing("access_token")
		}
		if _, ok := is.holder(form.Get("access_token"), now); !ok {
			return nil, iamError("BXNIM0408E", "The access token is not valid.")
		}
		if form.Get("profile_name") != "" && form.Get("account") == "" {
			return nil, missing("account")
		}
		return is.profile(form)
	case "":
		return nil, missing("grant_type")
	}
	return nil, iamError("BXNIM0137E", "This stand-in does not serve the grant.")
}

// profile finds the trusted profile that a form names by id, name or CRN; one that names none means the only one there is.
func (is *issuer) profile(form url.Values) (*identity, *apiError) {
	crn := form.Get("profile_crn")
	named := cmp.Or(form.Get("profile_id"), form.Get("profile_name"), crn)
	if named == "" && len(is.profiles) == 1 {
		for _, who := range is.profiles {
			return who, nil
		}
	}
	if who := is.profiles[named]; who != nil {
		return who, nil
	}
	if who := is.profiles[crn[strings.LastIndex(crn, ":")+1:]]; crn != "" && who != nil {
		return who, nil
	}
	return nil, iamError("BXNIM0517E", "The trusted profile could not be found.")
}

func iamError(code, message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: code, Message: message}
}
