// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"net"
	"net/http"
	"strings"
	"sync"
)

// Match selects requests; an empty field matches all. ID and Name are those of the secret, and both match however the
// request names it: a fault on an id also hits a read by name.
type Match struct {
	Kind Kind
	ID   string
	Name string
}

func (m Match) matches(k Kind, id, name string) bool {
	return (m.Kind == "" || m.Kind == k) && (m.ID == "" || m.ID == id) && (m.Name == "" || m.Name == name)
}

// Fault is what happens to a matching request instead of its answer. It comes before the checks of rate, token and role.
type Fault struct {
	// Status answers with this status. Zero, with Reset unset, lets the request go on once it is no longer held.
	Status int
	// RetryAfter is sent as the Retry-After header as it stands: seconds or an HTTP date.
	RetryAfter string
	// Body replaces the service's error body.
	Body string
	// Hold keeps the request waiting until the fault is released or cleared, or the client goes away.
	Hold bool
	// Reset closes the connection without an answer (a TCP reset where the connection permits it). Go's HTTP client repeats
	// a GET by itself when a connection it had kept open is reset, so a Count of 1 may pass unseen.
	Reset bool
	// Count is how many requests the fault hits; zero is every one until it is cleared.
	Count int
}

type faults struct {
	mu   sync.Mutex
	list []*planted
}

type planted struct {
	Fault
	match    Match
	left     int
	released chan struct{}
	once     sync.Once
}

func (p *planted) release() { p.once.Do(func() { close(p.released) }) }

// Fail plants a fault. Of several that match, the first planted that is not used up is played. The returned function
// releases the requests that the fault holds, and later ones are not held any more; its other effects remain.
func (s *Server) Fail(m Match, f Fault) (release func()) {
	p := &planted{Fault: f, match: m, left: f.Count, released: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, p)
	return p.release
}

// ClearFaults removes all faults and releases what they hold.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, p := range s.faults.list {
		p.release()
	}
	s.faults.list = nil
}

// take finds the fault for a request and uses it once.
func (f *faults) take(k Kind, id, name string) (*planted, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.list {
		if !p.match.matches(k, id, name) || (p.Count > 0 && p.left == 0) {
			continue
		}
		p.left--
		return p, true
	}
	return nil, false
}

// play carries the fault out and says whether the request is thereby answered.
func (p *planted) play(w http.ResponseWriter, r *http.Request, k Kind, trace string) bool {
	if p.Hold {
		select {
		case <-p.released:
		case <-r.Context().Done():
			return true
		}
	}
	if p.Reset {
		reset(w)
		return true
	}
	if p.Status == 0 {
		return false
	}
	if p.Body == "" {
		writeError(w, k, trace, &apiError{
			Status: p.Status, Code: "injected_fault", Message: http.StatusText(p.Status), retryAfter: p.RetryAfter,
		})
		return true
	}
	if p.RetryAfter != "" {
		w.Header().Set("Retry-After", p.RetryAfter)
	}
	w.Header().Set("Content-Type", "text/plain")
	if strings.HasPrefix(strings.TrimSpace(p.Body), "{") {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write([]byte(p.Body)) // the client is gone; there is nobody to tell
	return true
}

// reset drops the connection.
func reset(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok { // HTTP/2, or a wrapped writer: the server aborts the response for us
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an orderly end instead of a reset
	}
	_ = conn.Close()
}
