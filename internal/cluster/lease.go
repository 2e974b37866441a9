// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// A process that was stopped for longer than its lease lasts, as a machine that
// sleeps is, goes on as if no time had passed: for up to RenewDeadline more it
// takes itself for the leader, sees what the new one wrote, and repairs it with
// what it knows itself. So a write leaves only while the lease was renewed a
// moment ago.

const (
	leaseName = "lockstep-controller"
	// shadowLeaseName lets an instance that only looks run beside one that works.
	shadowLeaseName = "lockstep-controller-shadow"
	// RenewDeadline is controller-runtime's, and five seconds shorter than a lease
	// lasts. It is also for how long after a renewal writes may leave.
	RenewDeadline = 10 * time.Second
	// podNamespace is where a pod finds the namespace that it is in.
	podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// errNotLeader is what writes get in place of an answer.
var errNotLeader = errors.New("this replica may not be the leader any more")

// Lease is the lock of the leader, and knows when it was renewed last.
type Lease struct {
	resourcelock.Interface

	mu      sync.Mutex
	renewed time.Time
}

// NewLease makes the lock. It has a client of its own, whose requests are not
// fenced, and tells no events.
func NewLease(kube *rest.Config, namespace string, shadow bool) (*Lease, error) {
	if namespace == "" {
		text, err := os.ReadFile(podNamespace)
		if err != nil {
			return nil, errors.New("--leader-election-namespace: none given, and this is not a pod")
		}
		namespace = strings.TrimSpace(string(text))
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this replica: %w", err)
	}
	name := leaseName
	if shadow {
		name = shadowLeaseName
	}
	id := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, name, id, kube, RenewDeadline)
	if err != nil {
		return nil, fmt.Errorf("make the lock of the leader: %w", err)
	}
	return &Lease{Interface: lock}, nil
}

// Create makes the lease.
func (l *Lease) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	return l.note(began, r, l.Interface.Create(ctx, r))
}

// Update renews the lease, takes it or gives it back.
func (l *Lease) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	return l.note(began, r, l.Interface.Update(ctx, r))
}

// note takes in a renewal, which counts from when it was asked for.
func (l *Lease) note(began time.Time, r resourcelock.LeaderElectionRecord, err error) error {
	if err != nil {
		return err
	}
	if r.HolderIdentity != l.Identity() {
		began = time.Time{} // it was given back
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = began
	return nil
}

// holds reports whether nobody else can have the lease. One of the two clocks
// stands still while a machine sleeps, and the other may be set.
func (l *Lease) holds(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.renewed.IsZero() && max(now.Sub(l.renewed), now.Round(0).Sub(l.renewed.Round(0))) < RenewDeadline
}

// Fence lets writes through while the lease holds.
func (l *Lease) Fence(base http.RoundTripper) http.RoundTripper { return fenced{base, l} }

type fenced struct {
	base  http.RoundTripper
	lease *Lease
}

// RoundTrip implements http.RoundTripper.
func (f fenced) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !f.lease.holds(time.Now()) {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, whatever happens
		}
		return nil, errNotLeader
	}
	return f.base.RoundTrip(r)
}
