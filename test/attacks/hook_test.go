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
	URL string // of what is below its path
	// path is another one for each hook. A port is given to somebody else as
	// soon as it is free, and what belongs to a test that is over may still ask
	// there.
	path   string
	mu     sync.Mutex
	values map[string]string // JSON bodies, by key
	other  answer            // in place of values, if it is one
	asked  map[string]int
	times  []time.Time   // of the questions, in order
	good   time.Time     // when it gave a value last
	logins []string      // the headers Authorization, in order
	gate   chan struct{} // requests wait until it is closed
	inside int           // requests that wait
}

// answer answers a question, or leaves that to others.
type answer func(http.ResponseWriter, *http.Request) bool

// newHook starts a manager that answers {"value": …} for each key.
func newHook(t *testing.T, values map[string]string) *hook {
	t.Helper()
	h := &hook{path: "/" + random(t), values: map[string]string{}, asked: map[string]int{}}
	for k, v := range values {
		h.put(k, v)
	}
	h.Server = httptest.NewServer(h)
	h.URL = h.Server.URL + h.path
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
	h.instead(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		return true
	})
}

// instead answers in another way.
func (h *hook) instead(f answer) {
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

// answered is when it gave a value last.
func (h *hook) answered() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.good
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

// ServeHTTP answers /secrets/KEY below its path.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, h.path)
	key, ok := strings.CutPrefix(path, "/secrets/")
	if !ours || !ok {
		http.NotFound(w, r)
		return
	}
	h.mu.Lock()
	h.asked[key]++
	h.times = append(h.times, time.Now())
	h.logins = append(h.logins, r.Header.Get("Authorization"))
	if gate := h.gate; gate != nil {
		h.inside++
		h.mu.Unlock()
		select {
		case <-gate:
		case <-r.Context().Done():
		}
		h.mu.Lock()
		h.inside--
	}
	// Who is not held is answered with what there is at this moment: what is put
	// after hold is for those who are held.
	body, found := h.values[key]
	other := h.other
	if found && other == nil {
		h.good = time.Now()
	}
	h.mu.Unlock()
	if other != nil && other(w, r) {
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
func redirect(to string, status int) answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
		return true
	}
}
