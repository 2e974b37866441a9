// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// hook is a manager that speaks HTTP, notes what it is asked, and fails on
// demand.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	values map[string]string                            // JSON bodies, by key
	other  func(w http.ResponseWriter, key string) bool // answers in place of values, if it does
	asked  map[string]int
	times  []time.Time   // of the questions, in order
	logins []string      // the headers Authorization, in order
	gate   chan struct{} // requests wait until it is closed
	inside int           // requests that wait
}

// newHook starts a manager that answers {"value": …} for each key.
func newHook(t *testing.T, values map[string]string) *hook {
	t.Helper()
	h := &hook{values: map[string]string{}, asked: map[string]int{}}
	for k, v := range values {
		h.put(k, v)
	}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() {
		h.open()
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

// put sets the value of a key.
func (h *hook) put(key, value string) {
	b, _ := json.Marshal(map[string]string{"value": value})
	h.body(key, string(b))
}

// body sets the whole answer for a key.
func (h *hook) body(key, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[key] = text
}

// fail answers every question with a status, and 0 ends that.
func (h *hook) fail(status int) {
	if status == 0 {
		h.instead(nil)
		return
	}
	h.instead(func(w http.ResponseWriter, _ string) bool {
		w.WriteHeader(status)
		return true
	})
}

// instead answers in another way.
func (h *hook) instead(f func(http.ResponseWriter, string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.other = f
}

// hold makes requests wait until open is called.
func (h *hook) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = make(chan struct{})
}

func (h *hook) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		close(h.gate)
		h.gate = nil
	}
}

// held reports how many requests wait.
func (h *hook) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inside
}

// reads returns how often a key was asked for; "" is all keys.
func (h *hook) reads(key string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key != "" {
		return h.asked[key]
	}
	n := 0
	for v := range maps.Values(h.asked) {
		n += v
	}
	return n
}

// span is what passed between the first question and the n-th.
func (h *hook) span(n int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.times[n-1].Sub(h.times[0])
}

// login is the last header Authorization.
func (h *hook) login() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.logins) == 0 {
		return ""
	}
	return h.logins[len(h.logins)-1]
}

// ServeHTTP answers /secrets/KEY. The root is there for checks.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, "/secrets/")
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.mu.Lock()
	h.asked[key]++
	h.times = append(h.times, time.Now())
	h.logins = append(h.logins, r.Header.Get("Authorization"))
	gate := h.gate
	h.inside++
	h.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	h.mu.Lock()
	h.inside--
	body, found := h.values[key]
	other := h.other
	h.mu.Unlock()
	if other != nil && other(w, key) {
		return
	}
	if !found {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, body)
}

// store is a store of this manager. more are further fields of its spec, and
// of its provider, each begun by a comma.
func (h *hook) store(kind, name, more, provider string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: %s
metadata: {name: %s}
spec: {provider: {webhook: {url: "%s/secrets/{{ .remoteRef.key }}", result: {jsonPath: $.value}%s}}%s}
`, kind, name, h.URL, provider, more)
}

// whole is a store whose answers are values as they are.
func (h *hook) whole(kind, name string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: %s
metadata: {name: %s}
spec: {provider: {webhook: {url: "%s/secrets/{{ .remoteRef.key }}"}}}
`, kind, name, h.URL)
}

// redirect answers with another place.
func redirect(to string, status int) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, _ string) bool {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
		return true
	}
}
