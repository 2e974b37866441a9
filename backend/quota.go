// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// window is the second that a rate limit speaks of, and a little more: what
// left one second apart here may arrive closer together there.
const window = time.Second + 25*time.Millisecond

// A Quota is the budget of one instance or account of a product. Everybody
// who talks to it spends the same Quota, so retries, listings and several
// stores together stay below the product's limit.
type Quota struct {
	limit int

	turn chan struct{} // held by the one caller who waits for the window; the others queue

	mu    sync.Mutex
	sent  []time.Time // ring of the last limit departures
	next  int
	quiet time.Time
}

// NewQuota allows at most limit requests in any one-second window; 0 means
// any number.
func NewQuota(limit int) *Quota {
	return &Quota{limit: limit, turn: make(chan struct{}, 1), sent: make([]time.Time, max(limit, 0))}
}

// Spend waits until one more request may leave. While the quota is quiet it
// fails at once with RateLimited, so that nobody hangs for as long as a
// product may ask to be left alone.
func (q *Quota) Spend(ctx context.Context) error {
	if err := q.silenced(); err != nil {
		return err
	}
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := q.silenced(); err != nil {
			return err
		}
		wait := q.take()
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// silenced returns the error to give while the quota is quiet.
func (q *Quota) silenced() error {
	d := q.Quiet()
	if d <= 0 {
		return nil
	}
	return &Error{Code: RateLimited, Message: "the store asked to be left alone for a while", RetryAfter: d}
}

// take books a departure now, or says how long until one is free.
func (q *Quota) take() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limit <= 0 {
		return 0
	}
	now := time.Now()
	if oldest := q.sent[q.next]; !oldest.IsZero() {
		if wait := oldest.Add(window).Sub(now); wait > 0 {
			return wait
		}
	}
	q.sent[q.next] = now
	q.next = (q.next + 1) % q.limit
	return 0
}

// Silence keeps everybody away for d, or longer where an earlier call said so.
func (q *Quota) Silence(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(d); until.After(q.quiet) {
		q.quiet = until
	}
}

// Quiet returns how long the quota still has to be left alone; 0 when not.
func (q *Quota) Quiet() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, time.Until(q.quiet))
}

// Metered is a RoundTripper that spends a Quota for each request. The Quota
// is set after the backend was opened, since only then it is known which one
// it is; no request is made before.
type Metered struct {
	Base http.RoundTripper

	mu    sync.Mutex
	quota *Quota
}

// Use makes m spend q from here on.
func (m *Metered) Use(q *Quota) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quota = q
}

// Spend waits for the quota, if there is one.
func (m *Metered) Spend(ctx context.Context) error {
	m.mu.Lock()
	q := m.quota
	m.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Spend(ctx)
}

// RoundTrip waits for the quota and makes the request.
func (m *Metered) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := m.Spend(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, whatever happens
		}
		return nil, err
	}
	return m.Base.RoundTrip(r)
}

// ParseRetryAfter reads a Retry-After header: seconds or an HTTP date
// (RFC 9110, section 10.2.3). It returns 0 for what it cannot read.
func ParseRetryAfter(header string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(header); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
