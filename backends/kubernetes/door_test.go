// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backend/backendtest"
)

// door stands in front of the real API server. It counts, and can say something
// else than the server does.
type door struct {
	server     *httptest.Server
	smallPages int // when set, no page of a listing is longer

	requests atomic.Int64
	values   atomic.Int64 // requests for Secrets with their data

	mu     sync.Mutex
	faults map[string]backendtest.Fault // by the name of a Secret; "" is all
	held   map[string]chan struct{}
	answer http.HandlerFunc // when set, instead of the server
	before func(*http.Request)
}

func newDoor(t testing.TB) *door {
	t.Helper()
	target, err := url.Parse(shared.Admin.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(&rest.Config{Host: shared.Admin.Host, TLSClientConfig: rest.TLSClientConfig{CAData: shared.Admin.CAData}})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{faults: map[string]backendtest.Fault{}, held: map[string]chan struct{}{}}
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
	d.server.StartTLS()
	t.Cleanup(func() {
		d.server.CloseClientConnections()
		d.server.Close()
	})
	return d
}

// interfere counts a request, and reports whether it answered it.
func (d *door) interfere(w http.ResponseWriter, r *http.Request) bool {
	d.requests.Add(1)
	_, name, _ := strings.Cut(r.URL.Path, "/secrets/")
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/secrets") && !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
		d.values.Add(1)
	}
	d.mu.Lock()
	gate, fault, answer, before := d.held[name], d.faults[name], d.answer, d.before
	if all, ok := d.faults[""]; ok {
		fault = all
	}
	d.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	if before != nil {
		before(r)
	}
	if answer != nil {
		answer(w, r)
		return true
	}
	if fault.Code != "" {
		refuseWith(w, fault, name)
		return true
	}
	if q := r.URL.Query(); d.smallPages > 0 && q.Has("limit") {
		q.Set("limit", strconv.Itoa(d.smallPages))
		r.URL.RawQuery = q.Encode()
	}
	return false
}

// statuses are how the API server says a code of the contract.
var statuses = map[backend.Code]int{
	backend.NotFound:         http.StatusNotFound,
	backend.PermissionDenied: http.StatusForbidden,
	backend.Unauthenticated:  http.StatusUnauthorized,
	backend.RateLimited:      http.StatusTooManyRequests,
	backend.Unavailable:      http.StatusInternalServerError,
	backend.InvalidRef:       http.StatusUnprocessableEntity,
	backend.Conflict:         http.StatusConflict,
	backend.Unknown:          http.StatusBadRequest,
}

// fail implements backendtest.Harness.Fail.
func (d *door) fail(r backend.Ref, f backendtest.Fault) bool {
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

// say makes the door answer by itself.
func (d *door) say(answer http.HandlerFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

// first makes something happen before a request goes on to the server.
func (d *door) first(before func(*http.Request)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

func refuseWith(w http.ResponseWriter, f backendtest.Fault, name string) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	code := statuses[f.Code]
	sayStatus(w, metav1.Status{
		Status: metav1.StatusFailure, Code: int32(code), Message: "the server says " + f.Canary, Reason: reasonOf(code), //nolint:gosec // a status code
		Details: &metav1.StatusDetails{Kind: "secrets", Name: name},
	})
}

func reasonOf(code int) metav1.StatusReason {
	if i := slices.Index([]int{http.StatusNotFound, http.StatusGone}, code); i >= 0 {
		return []metav1.StatusReason{metav1.StatusReasonNotFound, metav1.StatusReasonExpired}[i]
	}
	return metav1.StatusReasonUnknown
}

func sayStatus(w http.ResponseWriter, s metav1.Status) {
	s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	say(w, int(s.Code), s)
}

func say(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // nobody is left to tell
}
