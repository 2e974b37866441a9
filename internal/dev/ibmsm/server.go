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
		tokens:  newIssuer(opts.Keys, opts.TokenTTL),
		traffic: newTraffic(),
		faults:  &faults{},
		store:   newStore(opts.Now()),
	}
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
	user string // IAM id of the caller
	now  time.Time
}

func (r *request) path(name string) string { return r.http.PathValue(name) }

// object decodes the body, which must be one JSON object. Numbers keep their digits.
func (r *request) object() (fields, *apiError) { return decodeObject(r.body) }

// answer is a handler's result; a nil body is an empty response.
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
	now := s.opts.Now()
	id, name := s.target(r, rt)
	admitted := s.traffic.arrive(now, rt.kind, id, s.opts.RateLimit)

	if f, ok := s.faults.take(rt.kind, id, name); ok && f.play(w, r, rt.kind, trace) {
		return
	}
	if !admitted {
		writeError(w, rt.kind, trace, errRate(s.opts.RetryAfter))
		return
	}
	req := &request{http: r, body: body, now: now}
	if rt.kind != KindToken {
		user, role, ok := s.tokens.caller(r.Header.Get("Authorization"), now)
		if !ok {
			writeError(w, rt.kind, trace, errUnauthorized())
			return
		}
		if role < rt.role {
			writeError(w, rt.kind, trace, errForbidden())
			return
		}
		req.user = user
	}
	status, out, apiErr := s.answer(req, rt)
	if apiErr != nil {
		writeError(w, rt.kind, trace, apiErr)
		return
	}
	writeJSON(w, status, out)
}

// answer runs the handler and encodes its result while the state is locked, because results alias it.
func (s *Server) answer(req *request, rt route) (int, []byte, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, apiErr := rt.do(s, req)
	if apiErr != nil || a.body == nil {
		return a.status, nil, apiErr
	}
	out, err := json.Marshal(a.body)
	if err != nil {
		return 0, nil, &apiError{Status: http.StatusInternalServerError, Code: "internal_error", Message: "the response cannot be encoded"}
	}
	return a.status, out, nil
}

// target says which secret a request is about, as far as it exists: by id, or by group, type and name.
func (s *Server) target(r *http.Request, rt route) (id, name string) {
	if !rt.secret {
		return "", ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if rt.kind == KindGetByName {
		name = r.PathValue("name")
		if sec := s.store.byName(r.PathValue("group"), r.PathValue("type"), name); sec != nil {
			id = sec.id
		}
		return id, name
	}
	id = r.PathValue("id")
	if sec := s.store.secrets[id]; sec != nil {
		name = sec.name
	}
	return id, name
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
