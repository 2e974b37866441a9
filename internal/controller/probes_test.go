// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// TestReach: the API server is asked seldom, one bad moment is none, and one that
// is away shows after a while and for as long as it is.
func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failure error
		asked := 0
		a := &reach{ask: func(context.Context) error {
			asked++
			return failure
		}}
		probe := func() error {
			return a.check(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		}
		failure = errors.New("refused")
		if probe() == nil {
			t.Error("ready, and the API server never answered")
		}
		time.Sleep(reachEvery)
		failure = nil
		for range 100 {
			if err := probe(); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 2 {
			t.Errorf("100 probes at a time ask %d times, want 1", asked-1)
		}
		failure = errors.New("refused")
		time.Sleep(reachEvery)
		if err := probe(); err != nil {
			t.Errorf("one bad moment: %v", err)
		}
		time.Sleep(reachPatience)
		if probe() == nil {
			t.Error("ready, and the API server is away")
		}
		failure = nil
		time.Sleep(reachEvery)
		if err := probe(); err != nil {
			t.Errorf("it is back: %v", err)
		}
	})
}

// TestMoving: /healthz is well while the loop of the feed moves, and is not when
// it hangs, here in telling an object that its store may be opened again.
func TestMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		away := func(context.Context, backend.Config, backend.Credentials, *http.Client) (backend.Backend, backend.Identity, error) {
			return backend.Backend{}, backend.Identity{}, backend.Errorf(backend.Unavailable, "away")
		}
		f := feed.New(feed.Options{
			Drivers: spec.Drivers{"x": {Open: away}}, Wake: func(spec.ID) { <-hang },
		})
		check := func() error {
			return moving(f)(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
		}
		if err := check(); err != nil {
			t.Errorf("where no loop runs: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.Run(ctx)
		synctest.Wait()
		if err := check(); err != nil {
			t.Errorf("at rest: %v", err)
		}
		store := spec.StoreKey{Kind: "SecretStore", Name: "s"}
		f.Follow(ctx, feed.Subscription{
			Owner: spec.ID{Name: "a"}, Every: time.Hour, Stores: map[spec.StoreKey]spec.Store{store: {Driver: "x"}},
			Plan: plan.Plan{Reads: []plan.Read{{Store: store, Refs: []backend.Ref{{Path: "p"}}}}},
		}, func(spec.Store) backend.Credentials { return nil })
		time.Sleep(time.Hour)
		if check() == nil {
			t.Error("the loop hangs, and is called well")
		}
		close(hang)
		if err := check(); err != nil {
			t.Errorf("it goes on: %v", err)
		}
	})
}
