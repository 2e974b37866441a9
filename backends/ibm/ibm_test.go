// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// The API keys of the tests. The role of each is in start.
const (
	goodKey    = "canary-key-good-5b1e"
	otherKey   = "canary-key-other-77c0"
	readerKey  = "canary-key-reader-90ab" // lists, and reads no values
	unknownKey = "canary-key-unknown-ee12"
)

// canary is a text that a server says or holds and that must stay inside.
const canary = "canary-4f2c-said-by-the-server"

// patience is how long what happens at once may take on a busy machine.
const patience = 20 * time.Second

// world is an instance and an IAM.
type world struct {
	*ibmsm.Server
	t    testing.TB
	http *httptest.Server
}

func start(t testing.TB, opts ibmsm.Options) *world {
	t.Helper()
	opts.Keys = map[string]ibmsm.Role{
		goodKey: ibmsm.SecretsReader, otherKey: ibmsm.SecretsReader, readerKey: ibmsm.Reader,
	}
	w := &world{Server: ibmsm.New(opts), t: t}
	w.http = httptest.NewServer(w.Server)
	t.Cleanup(func() {
		w.ClearFaults()
		w.http.CloseClientConnections()
		w.http.Close()
	})
	return w
}

// env is the operator's environment, with changes.
func (w *world) env(changes map[string]string) map[string]string {
	env := map[string]string{
		envPrefix + "ENDPOINT": w.http.URL,
		envPrefix + "AUTH_URL": w.http.URL,
		envPrefix + "APIKEY":   goodKey,
	}
	for name, value := range changes {
		env[envPrefix+name] = value
	}
	return env
}

// open opens the instance with a client of its own.
func (w *world) open(changes map[string]string) backend.Backend {
	w.t.Helper()
	return open(w.t, w.env(changes), nil)
}

// open opens an instance. Without a transport it gets one of its own.
func open(t testing.TB, env map[string]string, transport http.RoundTripper) backend.Backend {
	t.Helper()
	if transport == nil {
		transport = &http.Transport{}
	}
	b, _, err := Open(t.Context(), backend.Config{Env: backend.NewEnv(env), Fingerprint: fingerprint}, nil, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func fingerprint(values ...backend.Value) string {
	sum := sha256.New()
	for _, v := range values {
		_, _ = fmt.Fprintf(sum, "%d:%s", v.Len(), v.Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// put puts a secret into the instance and returns the Ref to it.
func (w *world) put(name, typ string, fields map[string]any) backend.Ref {
	w.t.Helper()
	id, err := w.Put(ibmsm.Seed{Name: name, Type: typ, Fields: fields})
	if err != nil {
		w.t.Fatal(err)
	}
	return backend.Ref{Path: id, Kind: typ}
}

func (w *world) arbitrary(payload string) backend.Ref {
	w.t.Helper()
	return w.put("some-secret", typeArbitrary, map[string]any{"payload": payload})
}

// tokens counts the token requests.
func (w *world) tokens() int { return w.Stats().Kinds[ibmsm.KindToken] }

// read reads one secret.
func read(ctx context.Context, b backend.Backend, ref backend.Ref) (backend.Secret, error) {
	results, err := b.Reader.Read(ctx, []backend.Ref{ref})
	if err != nil {
		return backend.Secret{}, err
	}
	return results[0].Secret, results[0].Err
}

// eventually fails the test unless what happens within the patience.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// clean fails the test when the error, any of its causes or any way to print
// them has a canary in it.
func clean(t testing.TB, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "canary") {
			t.Errorf("an error of type %T contains a canary", e)
		}
	}
}

// failed checks code and text of an error, and that it is clean.
func failed(t testing.TB, err error, code backend.Code, text string) {
	t.Helper()
	if got := backend.CodeOf(err); got != code {
		t.Errorf("code %q, want %q", got, code)
	}
	if err != nil && err.Error() != text {
		t.Errorf("the text is\n%s\nwant\n%s", err, text)
	}
	clean(t, err)
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness { return newStore(t).harness() })
}

// TestConformanceByName holds the backend to the same with refs that are names.
func TestConformanceByName(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Harness {
		s := newStore(t)
		s.byName = true
		h := s.harness()
		h.Name = "ibm by name"
		h.BadRef = backend.Ref{Path: "../secrets", Kind: typeArbitrary, Args: "name"}
		for _, check := range backendtest.Checks {
			if check.Needs == backend.CanFind {
				h.Skips[check.Name] = "what is found are ids; TestConformance covers them"
			}
		}
		return h
	})
}

// store is a world behind the back doors of the suite.
type store struct {
	*world
	byName bool // refs are names
	mu     sync.Mutex
	faults map[string]backendtest.Fault // by id, "" for all
	ids    map[string]string            // by the names in refs
}

// ref is what the suite gets for a secret with that name and id.
func (s *store) ref(name string, id backend.Ref) backend.Ref {
	if !s.byName {
		return id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[name] = id.Path
	id.Path, id.Args = name, "name"
	return id
}

// id is the id of what a ref means, and "" of the zero Ref.
func (s *store) id(r backend.Ref) string {
	if r.Args == "" {
		return r.Path
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[r.Path]
}

func newStore(t testing.TB) *store {
	return &store{world: start(t, ibmsm.Options{}), faults: map[string]backendtest.Fault{}, ids: map[string]string{}}
}

func (s *store) harness() backendtest.Harness {
	s.SetRole(goodKey, ibmsm.Manager) // for the writes
	b, _, err := s.login(s.t.Context(), backendtest.Same)
	if err != nil {
		s.t.Fatal(err)
	}
	return backendtest.Harness{
		Name:     "ibm",
		Backend:  b,
		Seed:     s.seed,
		Payloads: true,
		Open:     s.login,
		Rotate:   s.rotate,
		Previous: func(r backend.Ref) backend.Ref { r.Version = "previous"; return r },
		Remove:   s.remove,
		Fail:     s.fail,
		Hold: func(r backend.Ref) func() {
			return s.Fail(ibmsm.Match{Kind: ibmsm.KindGet, ID: s.id(r)}, ibmsm.Fault{Hold: true})
		},
		Calls: func() int {
			kinds := s.Stats().Kinds
			return kinds[ibmsm.KindGet] + kinds[ibmsm.KindGetByName]
		},
		Requests:     func() int { return s.Stats().Total },
		NewRef:       named,
		SeedMutating: func(name string) backend.Ref { return s.ref(name, s.mutating(name)) },
		Page:         pageSize,
		BadRef:       backend.Ref{Path: "../secrets", Kind: typeArbitrary},
		Canary:       "canary-key",
		Skips: map[string]string{
			"find/prefix":      "a secret has no path; TestFind covers groups",
			"find/name":        "a name is not the path of a Ref, which is an id; TestFind covers names",
			"read/binary":      "a value is text in JSON; IBM's own tools store binary data as base64",
			"read/empty-value": "the product refuses an empty payload",
			"read/fields":      "the types with fields have those and no others; TestReadTypes covers them",
		},
	}
}

func (s *store) login(ctx context.Context, l backendtest.Login) (backend.Backend, backend.Identity, error) {
	key := map[backendtest.Login]string{
		backendtest.Same: goodKey, backendtest.Other: otherKey, backendtest.Refused: unknownKey, backendtest.Missing: "",
	}[l]
	client := &http.Client{Transport: &http.Transport{}}
	b, id, err := Open(ctx, backend.Config{Env: backend.NewEnv(s.env(map[string]string{"APIKEY": key})), Fingerprint: fingerprint}, nil, client)
	if err == nil {
		s.t.Cleanup(func() { _ = b.Close() })
	}
	return b, id, err
}

func (s *store) seed(name string, secret backend.Secret) backend.Ref {
	var labels []string
	for k, v := range secret.Labels {
		labels = append(labels, k+"="+v)
	}
	return s.ref(name, s.world.seed(ibmsm.Seed{Name: name, Labels: labels, Fields: map[string]any{"payload": string(secret.Payload.Reveal())}}))
}

func (s *store) rotate(r backend.Ref, secret backend.Secret) {
	if _, err := s.Rotate(s.id(r), map[string]any{"payload": string(secret.Payload.Reveal())}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) remove(r backend.Ref) {
	if err := s.Delete(s.id(r)); err != nil {
		s.t.Fatal(err)
	}
}

// statuses are how the product says what the suite wants to hear. It has no
// answer that means InvalidRef.
var statuses = map[backend.Code]int{
	backend.NotFound:         http.StatusNotFound,
	backend.PermissionDenied: http.StatusForbidden,
	backend.Unauthenticated:  http.StatusUnauthorized,
	backend.RateLimited:      http.StatusTooManyRequests,
	backend.Unavailable:      http.StatusServiceUnavailable,
	backend.Conflict:         http.StatusPreconditionFailed,
	backend.Unknown:          http.StatusBadRequest,
}

// fail makes the instance answer an error, or IAM and the instance when the
// Ref is zero. A login that is forbidden does not exist.
func (s *store) fail(r backend.Ref, f backendtest.Fault) bool {
	if f.Code != "" && statuses[f.Code] == 0 || r == (backend.Ref{}) && f.Code == backend.PermissionDenied {
		return false
	}
	id := s.id(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[id] = f
	if f.Code == "" {
		delete(s.faults, id)
	}
	s.ClearFaults()
	for id, f := range maps.All(s.faults) {
		fault := ibmsm.Fault{Status: statuses[f.Code], Body: errorBody(f.Canary)}
		if f.RetryAfter > 0 {
			fault.RetryAfter = strconv.Itoa(int(f.RetryAfter.Seconds()))
		}
		s.Fail(ibmsm.Match{ID: id}, fault)
	}
	return true
}

// errorBody is an error in the shapes of both services.
func errorBody(text string) string {
	body, _ := json.Marshal(map[string]any{
		"errors":    []any{map[string]any{"code": text, "message": text, "more_info": text}},
		"errorCode": text, "errorMessage": text, "trace": text,
	})
	return string(body)
}
