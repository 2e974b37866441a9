// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
)

// door stands in front of the real Vault. It counts, and can say something else
// than the server does.
type door struct {
	server *httptest.Server
	world  *world

	requests atomic.Int64
	values   atomic.Int64 // requests for values

	mu     sync.Mutex
	logins map[string]int // by path below /v1/
	faults map[string]backendtest.Fault
	held   map[string]chan struct{}
	answer func(http.ResponseWriter, *http.Request) bool // when set, it may answer
	last   http.Header                                   // of the last request
}

func newDoor(t testing.TB, address string, w *world) *door {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{world: w, logins: map[string]int{}, faults: map[string]backendtest.Fault{}, held: map[string]chan struct{}{}}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.interfere(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	d.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.server.Start()
	t.Cleanup(func() {
		d.server.CloseClientConnections()
		d.server.Close()
		transport.CloseIdleConnections()
	})
	return d
}

// interfere counts a request, and reports whether it answered it.
func (d *door) interfere(w http.ResponseWriter, r *http.Request) bool {
	d.requests.Add(1)
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	name, isData := strings.CutPrefix(path, strings.TrimSuffix(d.world.data("x"), "x"))
	isData = isData && r.Method == http.MethodGet && r.URL.Query().Get("list") == ""
	if isData || strings.Contains(path, "-db/creds/") {
		d.values.Add(1)
	}
	d.mu.Lock()
	if strings.HasPrefix(path, "auth/") && r.Method != http.MethodGet {
		d.logins[path]++
	}
	d.last = r.Header.Clone()
	gate, answer := d.held[name], d.answer
	fault, failing := d.faults[""]
	if one, ok := d.faults[name]; isData && ok {
		fault, failing = one, true
	}
	if path == "auth/token/lookup-self" {
		for _, f := range d.faults {
			if f.Code == backend.Unauthenticated {
				fault, failing = f, true
			}
		}
	}
	d.mu.Unlock()
	if isData && gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	if answer != nil && answer(w, r) {
		return true
	}
	if failing {
		failWith(w, fault)
	}
	return failing
}

// failWith answers as Vault does when it fails.
func failWith(w http.ResponseWriter, f backendtest.Fault) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	say := map[backend.Code]struct {
		status int
		text   string
	}{
		backend.NotFound:         {http.StatusNotFound, ""},
		backend.PermissionDenied: {http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n"},
		backend.Unauthenticated:  {http.StatusForbidden, "permission denied"},
		backend.RateLimited:      {http.StatusTooManyRequests, `request path "x": rate limit quota exceeded`},
		backend.Unavailable:      {http.StatusServiceUnavailable, "Vault is sealed"},
		backend.Conflict:         {http.StatusNotFound, `no handler for route "x". route entry not found.`},
		backend.Unknown:          {http.StatusBadRequest, "something is wrong"},
	}[f.Code]
	errs := []string{}
	if say.text != "" {
		errs = append(errs, say.text, f.Canary)
	}
	answerJSON(w, say.status, map[string]any{"errors": errs, "request_id": f.Canary})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody is left to tell
}

// fail implements backendtest.Harness.Fail. Vault cannot forbid everything: a
// token that may not even look itself up is one that has ended.
func (d *door) fail(r backend.Ref, f backendtest.Fault) bool {
	if f.Code == backend.InvalidRef || r.Path == "" && f.Code == backend.PermissionDenied {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Code == "" {
		delete(d.faults, r.Path)
		return true
	}
	d.faults[r.Path] = f
	return true
}

// hold implements backendtest.Harness.Hold.
func (d *door) hold(r backend.Ref) func() {
	gate := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[r.Path] = gate
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.held, r.Path)
		close(gate)
	})
}

// say makes the door answer, where answer reports that it did.
func (d *door) say(answer func(http.ResponseWriter, *http.Request) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

// count is how many requests of a login's were made.
func (d *door) count(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logins[path]
}

// header is what the last request had.
func (d *door) header() http.Header {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}
