// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

const (
	managerKey = "manager-api-key"
	readerKey  = "reader-api-key"
	secretsKey = "secrets-reader-api-key"
	writerKey  = "writer-api-key"
	nobodyKey  = "nobody-api-key"
)

var allKeys = map[string]Role{
	managerKey: Manager, readerKey: Reader, secretsKey: SecretsReader, writerKey: Writer, nobodyKey: NoRole,
}

// clock is a hand-set clock that starts at the real time, because IBM's SDK judges a token's age by the real one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start serves a stand-in that knows allKeys.
func start(t *testing.T, opts Options) (*Server, *httptest.Server) {
	t.Helper()
	if opts.Keys == nil {
		opts.Keys = allKeys
	}
	s := New(opts)
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	return s, hs
}

// client is IBM's SDK with IBM's IAM authenticator.
func client(t *testing.T, hs *httptest.Server, apiKey string) *sm.SecretsManagerV2 {
	t.Helper()
	auth, err := core.NewIamAuthenticatorBuilder().SetApiKey(apiKey).SetURL(hs.URL).Build()
	if err != nil {
		t.Fatal(err)
	}
	c, err := sm.NewSecretsManagerV2(&sm.SecretsManagerV2Options{URL: hs.URL, Authenticator: auth})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// code is the HTTP status of a call through the SDK, also when the SDK returned an error.
func code(t *testing.T, r *core.DetailedResponse, err error) int {
	t.Helper()
	if r != nil {
		return r.StatusCode
	}
	var auth *core.AuthenticationError
	if errors.As(err, &auth) && auth.HTTPProblem != nil {
		return auth.Response.StatusCode
	}
	t.Fatalf("no response: %v", err)
	return 0
}

func arbitrary(name, payload string) *sm.ArbitrarySecretPrototype {
	return &sm.ArbitrarySecretPrototype{
		Name: core.StringPtr(name), SecretType: core.StringPtr("arbitrary"), Payload: core.StringPtr(payload),
	}
}

// put seeds an arbitrary secret.
func put(t *testing.T, s *Server, name, payload string) string {
	t.Helper()
	id, err := s.Put(Seed{Name: name, Fields: map[string]any{"payload": payload}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func getPayload(t *testing.T, c *sm.SecretsManagerV2, id string) string {
	t.Helper()
	got, _, err := c.GetSecret(&sm.GetSecretOptions{ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	return *got.(*sm.ArbitrarySecret).Payload
}

// tokenFor fetches a token without the SDK.
func tokenFor(t testing.TB, s *Server, apiKey string) string {
	t.Helper()
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	who := s.tokens.keys[apiKey]
	if who == nil {
		t.Fatal("the key is unknown")
	}
	token, _ := s.tokens.give(who, apiKeyGrant, s.opts.Now())
	return token
}

// call is one plain HTTP request with a manager's token.
func call(t testing.TB, s *Server, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+tokenFor(t, s, managerKey))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
