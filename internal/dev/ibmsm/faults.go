// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"bufio"
	"cmp"
	"net"
	"net/http"
	"strconv"
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
	// Body replaces the service's error body. With Status 200 it is an answer of the wrong shape.
	Body string
	// Empty answers with Status (200 when it is zero) and no body.
	Empty bool
	// ContentType replaces that of the answer, also of one that the request gets after all.
	ContentType string
	// Cut, if not zero, breaks the connection after so many bytes of the answer's body, also of one that the request gets
	// after all; the headers promise the whole. Negative is before the first byte.
	Cut int
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
	if p.Empty {
		if p.RetryAfter != "" {
			w.Header().Set("Retry-After", p.RetryAfter)
		}
		w.WriteHeader(cmp.Or(p.Status, http.StatusOK))
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

// shape changes the answer on its way out as the fault says; done, if not nil, must be called when the answer is written.
func (p *planted) shape(w http.ResponseWriter) (shaped http.ResponseWriter, done func()) {
	if p.Cut == 0 && p.ContentType == "" {
		return w, nil
	}
	s := &shaper{ResponseWriter: w, fault: p.Fault, status: http.StatusOK}
	return s, s.send
}

// shaper holds an answer back until it is complete.
type shaper struct {
	http.ResponseWriter
	fault  Fault
	status int
	body   []byte
	taken  bool // the connection was hijacked
}

func (s *shaper) WriteHeader(status int) { s.status = status }

func (s *shaper) Write(b []byte) (int, error) {
	s.body = append(s.body, b...)
	return len(b), nil
}

// Hijack lets a fault reset the connection.
func (s *shaper) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.taken = true
	return http.NewResponseController(s.ResponseWriter).Hijack()
}

func (s *shaper) send() {
	if s.taken {
		return
	}
	if s.fault.ContentType != "" {
		s.Header().Set("Content-Type", s.fault.ContentType)
	}
	n := len(s.body)
	s.Header().Set("Content-Length", strconv.Itoa(n))
	s.ResponseWriter.WriteHeader(s.status)
	if s.fault.Cut != 0 {
		n = min(n, max(0, s.fault.Cut))
	}
	_, _ = s.ResponseWriter.Write(s.body[:n]) // the client is gone; there is nobody to tell
	if n < len(s.body) {
		_ = http.NewResponseController(s.ResponseWriter).Flush() // what is not flushed is not sent either
		panic(http.ErrAbortHandler)
	}
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
