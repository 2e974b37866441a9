// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// window is the second that a rate limit speaks of, and a little more for
// clocks that do not run alike.
const window = time.Second + 25*time.Millisecond

// A Quota is the budget of one instance or account of a product. Everybody
// who talks to it spends the same Quota, so retries, listings and several
// stores together stay below the product's limit.
//
// A request counts from when it leaves until one second after its answer. The
// other side saw it somewhere between, so of any limit+1 requests it sees the
// first and the last more than a second apart, however unevenly a network or a
// busy machine delays them.
type Quota struct {
	limit int

	turn chan struct{} // held by the one caller who waits for the window; the others queue

	mu       sync.Mutex
	underway int
	answered []time.Time   // of the last window, oldest first
	changed  chan struct{} // holds one when a request was answered
	quiet    time.Time
}

// NewQuota allows at most limit requests in any one-second window; 0 means
// any number.
func NewQuota(limit int) *Quota {
	return &Quota{limit: limit, turn: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
}

// Spend waits until one more request may leave, for callers who cannot say when
// it is answered. While the quota is quiet it fails at once with RateLimited, so
// that nobody hangs for as long as a product may ask to be left alone.
func (q *Quota) Spend(ctx context.Context) error {
	answered, err := q.Begin(ctx)
	if err != nil {
		return err
	}
	answered()
	return nil
}

// Begin is Spend for callers who say when the request is answered, or failed.
// They have to call answered once.
func (q *Quota) Begin(ctx context.Context) (answered func(), err error) {
	if err := q.silenced(); err != nil {
		return nil, err
	}
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		if err := q.silenced(); err != nil {
			return nil, err
		}
		wait, ok := q.take()
		if ok {
			return q.answer, nil
		}
		if err := q.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// wait returns after d, or earlier when a request was answered; with d 0 then
// only.
func (q *Quota) wait(ctx context.Context, d time.Duration) error {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-q.changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// silenced returns the error to give while the quota is quiet.
func (q *Quota) silenced() error {
	d := q.Quiet()
	if d <= 0 {
		return nil
	}
	return &Error{Code: RateLimited, Message: "the store asked to be left alone for a while", RetryAfter: d}
}

// take books a departure, or says how long until one is free: 0 when that takes
// an answer.
func (q *Quota) take() (wait time.Duration, ok bool) {
	if q.limit <= 0 {
		return 0, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	over := 0
	for over < len(q.answered) && now.Sub(q.answered[over]) >= window {
		over++
	}
	q.answered = slices.Delete(q.answered, 0, over)
	switch {
	case q.underway+len(q.answered) < q.limit:
		q.underway++
		return 0, true
	case len(q.answered) == 0:
		return 0, false
	}
	return q.answered[0].Add(window).Sub(now), false
}

// answer ends a request that take booked.
func (q *Quota) answer() {
	if q.limit <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.underway--
	q.answered = append(q.answered, time.Now())
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// longestSilence is for how long a product may ask to be left alone. More is a
// mistake, or a clock that is wrong; after an hour it may say so again.
const longestSilence = time.Hour

// Silence keeps everybody away for d, up to an hour, or longer where an earlier
// call said so.
func (q *Quota) Silence(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(min(d, longestSilence)); until.After(q.quiet) {
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
	// Observe is told of each request that left; nil is nobody.
	Observe func(Observation)

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
	if q := m.spent(); q != nil {
		return q.Spend(ctx)
	}
	return nil
}

// spent returns the quota that m spends; nil when there is none yet.
func (m *Metered) spent() *Quota {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quota
}

// RoundTrip waits for the quota and makes the request.
func (m *Metered) RoundTrip(r *http.Request) (*http.Response, error) {
	q := m.spent()
	if q == nil {
		return m.send(r)
	}
	answered, err := q.Begin(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, whatever happens
		}
		return nil, err
	}
	defer answered()
	return m.send(r)
}

func (m *Metered) send(r *http.Request) (*http.Response, error) {
	if m.Observe == nil {
		return m.Base.RoundTrip(r)
	}
	return observed(r, m.Base, m.Observe)
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
