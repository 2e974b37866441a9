// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestQuotaKeepsTheWindow(t *testing.T) {
	for _, limit := range []int{1, 7, 20} {
		synctest.Test(t, func(t *testing.T) {
			q := backend.NewQuota(limit)
			start := time.Now()
			var mu sync.Mutex
			var left []time.Time
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					time.Sleep(time.Duration(i%10) * 37 * time.Millisecond) // virtual: they come at odd moments
					if err := q.Spend(t.Context()); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					left = append(left, time.Now())
				})
			}
			wg.Wait()
			for i := range left {
				n := 0
				for k := i; k < len(left) && left[k].Sub(left[i]) < time.Second; k++ {
					n++
				}
				if n > limit {
					t.Fatalf("limit %d: %d departures within one second", limit, n)
				}
			}
			// Slower than it must be would starve everybody: one window for
			// each limit departures after the first, and a little more each.
			most := time.Duration((100-1)/limit+1) * (time.Second + 50*time.Millisecond)
			if took := time.Since(start); took > most {
				t.Errorf("limit %d: 100 departures took %s, want at most %s", limit, took, most)
			}
		})
	}
}

// TestQuotaOnUnevenRoads lets requests be delayed at random before the other
// side sees them, as a busy machine does.
func TestQuotaOnUnevenRoads(t *testing.T) {
	for _, limit := range []int{1, 7, 20} {
		synctest.Test(t, func(t *testing.T) {
			q := backend.NewQuota(limit)
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // delays, the same in each run
			var mu sync.Mutex
			var seen []time.Time
			var wg sync.WaitGroup
			for range 200 {
				there, back := time.Duration(random.IntN(900))*time.Millisecond, time.Duration(random.IntN(300))*time.Millisecond
				wg.Go(func() {
					answered, err := q.Begin(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					defer answered()
					time.Sleep(there) // virtual
					mu.Lock()
					seen = append(seen, time.Now())
					mu.Unlock()
					time.Sleep(back)
				})
			}
			wg.Wait()
			for i := limit; i < len(seen); i++ {
				if apart := seen[i].Sub(seen[i-limit]); apart < time.Second {
					t.Fatalf("limit %d: %d requests arrived within %s", limit, limit+1, apart)
				}
			}
			if q.Spend(t.Context()) != nil || len(seen) != 200 {
				t.Errorf("limit %d: %d of 200 requests left", limit, len(seen))
			}
		})
	}
}

// TestQuotaWaitsForAnswers has every request unanswered, so that no clock says
// when the next may leave.
func TestQuotaWaitsForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := backend.NewQuota(2)
		one, err := q.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := q.Begin(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third request while two were not answered: %v", err)
		}
		start := time.Now()
		time.AfterFunc(time.Minute, one)
		if err := q.Spend(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 61*time.Second || took > 62*time.Second {
			t.Errorf("the next left after %s, want a second after the answer", took)
		}
	})
}

func TestQuotaWithoutLimit(t *testing.T) {
	for _, limit := range []int{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			q := backend.NewQuota(limit)
			start := time.Now()
			for range 1000 {
				if err := q.Spend(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("limit %d: waited %s", limit, took)
			}
		})
	}
}

func TestQuotaQuietFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := backend.NewQuota(1)
		if err := q.Spend(t.Context()); err != nil {
			t.Fatal(err)
		}
		// One who waits for the window holds the turn; he must not keep the
		// others from hearing of the silence.
		waiting := make(chan error)
		go func() { waiting <- q.Spend(t.Context()) }()
		synctest.Wait()
		q.Silence(30 * time.Second)
		q.Silence(time.Second) // shorter, so it changes nothing

		start := time.Now()
		err := q.Spend(t.Context())
		if took := time.Since(start); took != 0 {
			t.Errorf("hung for %s", took)
		}
		if backend.CodeOf(err) != backend.RateLimited || backend.RetryAfterOf(err) != 30*time.Second {
			t.Errorf("code %q, retry after %s", backend.CodeOf(err), backend.RetryAfterOf(err))
		}
		if err := <-waiting; backend.CodeOf(err) != backend.RateLimited {
			t.Errorf("the one who waited left into the silence: %v", err)
		}
		time.Sleep(30*time.Second - time.Since(start))
		if err := q.Spend(t.Context()); err != nil || q.Quiet() != 0 {
			t.Errorf("after the silence: %v, quiet for %s", err, q.Quiet())
		}
	})
}

func TestQuotaIsNotQuietForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := backend.NewQuota(0)
		q.Silence(100 * 365 * 24 * time.Hour)
		if d := q.Quiet(); d != time.Hour {
			t.Errorf("quiet for %s, want an hour", d)
		}
	})
}

func TestQuotaCancelWhileQueueing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := backend.NewQuota(1)
		if err := q.Spend(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		type end struct {
			err   error
			after time.Duration
		}
		ends := make([]chan end, 3)
		var cancels []context.CancelFunc
		for i := range ends {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cancels = append(cancels, cancel)
			ends[i] = make(chan end, 1)
			go func() {
				err := q.Spend(ctx)
				ends[i] <- end{err, time.Since(start)}
			}()
			synctest.Wait()
		}
		cancels[0]() // waits for the window
		cancels[1]() // waits for its turn
		for i := range 2 {
			if e := <-ends[i]; !errors.Is(e.err, context.Canceled) || e.after != 0 {
				t.Errorf("spender %d: %v after %s", i, e.err, e.after)
			}
		}
		if e := <-ends[2]; e.err != nil || e.after < time.Second || e.after > 1100*time.Millisecond {
			t.Errorf("the one behind them: %v after %s", e.err, e.after)
		}
	})
}

// closer tells whether it was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestMetered(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	m := &backend.Metered{Base: http.DefaultTransport}
	client := &http.Client{Transport: m}
	post := func(body io.Reader) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
	if err := post(strings.NewReader("a")); err != nil || requests.Load() != 1 {
		t.Fatalf("without a quota: %v, %d requests", err, requests.Load())
	}
	q := backend.NewQuota(2)
	m.Use(q)
	q.Silence(time.Hour)
	body := &closer{Reader: strings.NewReader("a")}
	err := post(body)
	if backend.CodeOf(err) != backend.RateLimited || backend.RetryAfterOf(err) <= 0 || requests.Load() != 1 {
		t.Errorf("in a silence: code %q, retry after %s, %d requests", backend.CodeOf(err), backend.RetryAfterOf(err), requests.Load())
	}
	if !body.closed {
		t.Error("the body of a request that did not leave was not closed")
	}
	if err := m.Spend(t.Context()); backend.CodeOf(err) != backend.RateLimited {
		t.Errorf("spending in a silence: %v", err)
	}
}

// slow is a RoundTripper that takes its time.
type slow time.Duration

func (s slow) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(time.Duration(s)) // virtual
	return &http.Response{Body: http.NoBody}, nil
}

func TestMeteredCountsFromTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &backend.Metered{Base: slow(10 * time.Second)}
		m.Use(backend.NewQuota(1))
		start := time.Now()
		for range 2 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://store", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := m.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
		if took := time.Since(start); took < 21*time.Second || took > 22*time.Second {
			t.Errorf("two requests of 10s took %s, want a second between them", took)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		reason, header string
		want           time.Duration
	}{
		"absent":   {"no header, no wait", "", 0},
		"seconds":  {"the usual form", "120", 2 * time.Minute},
		"zero":     {"now is allowed", "0", 0},
		"date":     {"the other form", "Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		"rfc 850":  {"an obsolete date must be understood", "Friday, 02-Jan-26 03:04:35 GMT", 30 * time.Second},
		"past":     {"a date that is over is no wait", "Fri, 02 Jan 2026 03:00:00 GMT", 0},
		"negative": {"not in the grammar", "-5", 0},
		"fraction": {"not in the grammar", "1.5", 0},
		"unit":     {"not in the grammar", "5s", 0},
		"huge":     {"must not overflow into the past", "99999999999999999999", 0},
		"overflow": {"more than a Duration holds", "9223372037", 0},
		"large":    {"the largest that is read", "2147483647", 2147483647 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := backend.ParseRetryAfter(c.header, now); got != c.want {
				t.Errorf("%s: %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
