// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// asker is a backend that makes a request for each question, and nothing else.
type asker struct{ do func(context.Context) }

func (a asker) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	a.do(ctx)
	return echo(ctx, refs)
}

func (a asker) Find(ctx context.Context, _ backend.Query) iter.Seq2[backend.Found, error] {
	return func(func(backend.Found, error) bool) { a.do(ctx) }
}

func (a asker) Probe(ctx context.Context, refs []backend.Ref) ([]string, error) {
	a.do(ctx)
	return make([]string, len(refs)), nil
}

func (a asker) Check(ctx context.Context) error {
	a.do(backend.WithOperation(ctx, backend.OpLogin))
	a.do(ctx)
	return nil
}

func (a asker) Watch(ctx context.Context, _ func(backend.Ref)) error {
	a.do(ctx)
	return errors.New("the stream ended")
}

func (a asker) Renew(ctx context.Context, id string) (backend.Lease, error) {
	a.do(ctx)
	return backend.Lease{ID: id}, nil
}

func (a asker) Revoke(ctx context.Context, _ string) error {
	a.do(ctx)
	return nil
}

func TestOperations(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	var got []string
	m := &backend.Metered{Base: http.DefaultTransport, Observe: func(o backend.Observation) {
		got = append(got, string(o.Operation)+" "+o.Code)
	}}
	client := &http.Client{Transport: m}
	a := asker{do: func(ctx context.Context) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}}
	s := backend.NewStore("store", backend.Backend{Reader: a, Finder: a, Prober: a, Checker: a, Watcher: a, Lessor: a}, backend.NewQuota(0))
	s.Read(t.Context(), refs(1))
	_, _ = s.Find(t.Context(), backend.Query{}, 1)
	_, _ = s.Probe(t.Context(), refs(1))
	_ = s.Check(t.Context())
	_ = s.Watch(t.Context(), func(backend.Ref) {})
	_, _ = s.Renew(t.Context(), "id")
	_ = s.Revoke(t.Context(), "id")
	a.do(t.Context())
	server.Close()
	a.do(t.Context())
	want := []string{"read 418", "find 418", "probe 418", "login 418", "check 418", "watch 418", "renew 418", "revoke 418", "other 418", "other none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestObservedTime: the time does not have the wait for the quota in it.
func TestObservedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took []time.Duration
		m := &backend.Metered{Base: slow(3 * time.Second), Observe: func(o backend.Observation) { took = append(took, o.Took) }}
		m.Use(backend.NewQuota(1))
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
		if diff := cmp.Diff([]time.Duration{3 * time.Second, 3 * time.Second}, took); diff != "" {
			t.Errorf("-want, +got:\n%s", diff)
		}
	})
}
