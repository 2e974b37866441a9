// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/lockstep-secrets/lockstep/internal/feed"
)

// The probes, and what the kubelet does with them:
//
//	/healthz  the loop that reads stores moves             else: the container is started anew
//	/readyz   the caches are synced, and the API server    else: the replica counts as not there, which
//	          answers                                      holds up a rolling update
//
// An API server that is away is no reason to start anew: that would lose what is
// known, and the next process could do nothing either.

const (
	// probeWait is how long a probe waits. The kubelet's own limit is a second
	// unless it is told otherwise.
	probeWait = 700 * time.Millisecond
	// reachEvery is how often the API server is asked at most, however many
	// probes come.
	reachEvery = 5 * time.Second
	// reachPatience is for how long after its last answer the API server counts
	// as reached: one slow moment is none.
	reachPatience = 15 * time.Second
)

// addProbes adds the checks that a probe makes.
func addProbes(mgr ctrl.Manager, f *feed.Feed) error {
	api, err := newReach(mgr)
	if err != nil {
		return err
	}
	synced := func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), probeWait)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("caches are not synced")
		}
		return nil
	}
	return errors.Join(
		mgr.AddHealthzCheck("feed", moving(f)),
		mgr.AddReadyzCheck("caches", synced),
		mgr.AddReadyzCheck("api-server", api.check),
	)
}

// moving checks that the loop of the feed moves, where it runs: on the leader.
func moving(f *feed.Feed) func(*http.Request) error {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), probeWait)
		defer cancel()
		return f.Alive(ctx)
	}
}

// reach knows whether the API server was reached recently.
type reach struct {
	ask func(context.Context) error

	mu    sync.Mutex
	asked time.Time // last
	good  time.Time // the last that was answered
	err   error     // of the last
}

// newReach asks the API server for its version, which everybody may.
func newReach(mgr ctrl.Manager) (*reach, error) {
	c, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make the client of the probes: %w", err)
	}
	return &reach{ask: func(ctx context.Context) error {
		err := c.RESTClient().Get().AbsPath("/version").Do(ctx).Error()
		if apierrors.IsForbidden(err) {
			return nil // it answered
		}
		return err
	}}, nil
}

// check fails when the API server has not answered for a while.
func (a *reach) check(r *http.Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.Sub(a.asked) >= reachEvery {
		ctx, cancel := context.WithTimeout(r.Context(), probeWait)
		defer cancel()
		a.asked = now
		if a.err = a.ask(ctx); a.err == nil {
			a.good = now
		}
	}
	if a.err != nil && now.Sub(a.good) >= reachPatience {
		return fmt.Errorf("the API server does not answer: %w", a.err)
	}
	return nil
}
