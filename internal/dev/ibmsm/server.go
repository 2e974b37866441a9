// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// maxBody is more than the largest secret (1 MiB) takes in JSON when every byte of it is escaped.
	maxBody = 8 << 20

	defaultTokenTTL   = time.Hour
	defaultPageLimit  = 200
	defaultMaxPage    = 1000
	defaultLocksLimit = 25
)

// Options configure a Server. The zero value is a server that knows no API key.
type Options struct {
	// Keys are the API keys IAM knows and the role each has. A key with NoRole gets tokens and 403 everywhere.
	Keys map[string]Role

	// Profiles are IAM's trusted profiles, by id, name or CRN, and the role each has.
	Profiles map[string]Role
	// CRTokens are the compute resource tokens for which IAM gives a profile's token.
	CRTokens []string
	// Clients are OAuth client ids with their secrets. When it is nil any Basic authorization of a token request is ignored,
	// else one that is not in it is refused. A request without is always served.
	Clients map[string]string

	// Anonymous is the role of API requests without an Authorization header; NoRole answers them with 401.
	Anonymous Role

	// RateLimit is how many API requests are served in any second; more get 429. Zero is no limit. Token requests
	// are IAM's and do not count.
	RateLimit int
	// RetryAfter is the Retry-After header of those 429s, rounded up to whole seconds; zero sends none.
	RetryAfter time.Duration

	// TokenTTL is how long a token is accepted, by default an hour. IBM's SDK treats the last ten seconds of a token as
	// expired, so with less than that it fetches one for every request.
	TokenTTL time.Duration

	// PageLimit and MaxPageLimit replace IBM's default (200) and largest (1000) page of secrets.
	PageLimit, MaxPageLimit int

	// Now is the server's only clock: tokens, expiry, timestamps, rate. Default time.Now.
	Now func() time.Time
}

// Server is the stand-in. It is an http.Handler and safe for concurrent use.
type Server struct {
	opts    Options
	mux     *http.ServeMux
	tokens  *issuer
	traffic *traffic
	faults  *faults

	mu    sync.Mutex // guards store
	store *store
}

// New returns a server with an empty instance: the default group and no secrets.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.TokenTTL <= 0 {
		opts.TokenTTL = defaultTokenTTL
	}
	if opts.MaxPageLimit <= 0 {
		opts.MaxPageLimit = defaultMaxPage
	}
	if opts.PageLimit <= 0 {
		opts.PageLimit = min(defaultPageLimit, opts.MaxPageLimit)
	}
	s := &Server{
		opts:    opts,
		mux:     http.NewServeMux(),
		tokens:  newIssuer(opts),
		traffic: newTraffic(),
		faults:  &faults{},
	}
	s.store = newStore(opts.Now(), s.tokens)
	for _, rt := range routes {
		s.mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt) })
	}
	s.mux.HandleFunc("GET /_standin/stats", s.serveStats)
	s.mux.HandleFunc("POST /_standin/reset-stats", s.serveResetStats)
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// request is what a handler sees of a call.
type request struct {
	http *http.Request
	body []byte
	who  *identity // nil for token requests
	user string    // its IAM id
	now  time.Time
}

func (r *request) path(name string) string { return r.http.PathValue(name) }

// object decodes the body, which must be one JSON object. Numbers keep their digits.
func (r *request) object() (fields, *apiError) { return decodeObject(r.body) }

// answer is a handler's result; a nil body is an empty response, and one that is encoded is sent as it stands.
type answer struct {
	status int
	body   any
}

// serve takes a request through the gates in the order the service has them: count, injected fault, rate, token, role.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route) {
	trace := r.Header.Get("X-Correlation-Id")
	if trace == "" {
		trace = uuid.NewString()
	}
	w.Header().Set("X-Correlation-Id", trace)
	w.Header().Set("X-Request-Id", trace)

	// The body is read first: only then does the HTTP server notice a client that goes away while a fault holds it.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, rt.kind, trace, bodyError(err))
		return
	}
	req := &request{http: r, body: body, now: s.opts.Now()}
	tgt := s.target(r, rt)
	admitted := s.traffic.arrive(req.now, rt.kind, tgt.id, s.opts.RateLimit)
	if rt.kind == KindToken {
		s.traffic.granted(grantName(body))
	}

	if f, ok := s.faults.take(rt.kind, tgt.id, tgt.name); ok {
		var done func()
		if w, done = f.shape(w); done != nil {
			defer done()
		}
		if f.play(w, r, rt.kind, trace) {
			return
		}
	}
	if !admitted {
		writeError(w, rt.kind, trace, errRate(s.opts.RetryAfter))
		return
	}
	if apiErr := s.admit(req, rt, tgt); apiErr != nil {
		writeError(w, rt.kind, trace, apiErr)
		return
	}
	status, out, apiErr := s.answer(req, rt)
	if apiErr != nil {
		writeError(w, rt.kind, trace, apiErr)
		return
	}
	writeJSON(w, status, out)
}

// admit finds out who asks and whether the role permits it.
func (s *Server) admit(req *request, rt route, tgt target) *apiError {
	if rt.kind == KindToken {
		return nil
	}
	who, ok := s.tokens.caller(req.http.Header.Get("Authorization"), req.now)
	if !ok {
		return errUnauthorized()
	}
	req.who, req.user = who, who.iamID
	if !s.tokens.may(who, rt, tgt.group) {
		return errForbidden()
	}
	return nil
}

// answer runs the handler and encodes its result while the state is locked, because results alias it.
func (s *Server) answer(req *request, rt route) (int, []byte, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, apiErr := rt.do(s, req)
	if apiErr != nil || a.body == nil {
		return a.status, nil, apiErr
	}
	if out, ok := a.body.(encoded); ok {
		return a.status, out, nil
	}
	out, err := json.Marshal(a.body)
	if err != nil {
		return 0, nil, errInternal("the response cannot be encoded")
	}
	return a.status, out, nil
}

// target is the secret that a request is about, as far as it exists.
type target struct{ id, name, group string }

// target finds it by id, or by group, type and name.
func (s *Server) target(r *http.Request, rt route) target {
	if !rt.secret {
		return target{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, sec := target{id: r.PathValue("id")}, s.store.secrets[r.PathValue("id")]
	if rt.kind == KindGetByName {
		t.name = r.PathValue("name")
		sec = s.store.byName(r.PathValue("group"), r.PathValue("type"), t.name)
	}
	if sec != nil {
		t = target{id: sec.id, name: sec.name, group: s.store.groups[sec.group].name}
	}
	return t
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}

func bodyError(err error) *apiError {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return errInvalid("/", "the request body is too large")
	}
	return errInvalid("/", "the request body cannot be read")
}

// decodeObject decodes exactly one JSON object.
func decodeObject(body []byte) (fields, *apiError) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var f fields
	if err := dec.Decode(&f); err != nil || f == nil {
		return nil, errInvalid("/", "the request body must be a JSON object")
	}
	if dec.More() {
		return nil, errInvalid("/", "the request body must be one JSON object")
	}
	return f, nil
}
