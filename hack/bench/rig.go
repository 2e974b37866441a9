// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// The namespaces of the objects that Lockstep looks after, and of those of the
// raw ceiling, which nobody does.
const (
	lookedAfter = "bench"
	rawOnly     = "raw"
)

// rig is a control plane and what is measured in it.
type rig struct {
	opts    options
	dir     string
	plane   *plane.Plane
	sets    *kubernetes.Clientset // the administrator's, in protobuf
	dynamic *dynamic.DynamicClient
	audit   *auditLog
	manager manager
	follow  *follower
	child   *child // nil while it does not run
}

// newRig starts a control plane with everything in it that is shipped.
func newRig(ctx context.Context, opts options) (*rig, error) {
	r := &rig{opts: opts}
	err := r.start(ctx)
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *rig) start(ctx context.Context) error {
	var err error
	if r.dir, err = os.MkdirTemp("", "lockstep-bench-"); err != nil {
		return err
	}
	r.audit = &auditLog{path: filepath.Join(r.dir, "audit.log")}
	policyFile := filepath.Join(r.dir, "policy.yaml")
	if err := os.WriteFile(policyFile, []byte(policy), 0o600); err != nil {
		return err
	}
	say("starting etcd and kube-apiserver")
	if r.plane, err = plane.StartAudited(plane.Audit{Policy: policyFile, Log: r.audit.path}); err != nil {
		return err
	}
	err = errors.Join(
		r.plane.Install(ctx),
		r.plane.ApplyShipped(ctx, "rbac/cluster.yaml", ""),
		r.plane.ApplyShipped(ctx, "rbac/cluster-eso.yaml", ""),
		r.plane.CreateNamespace(ctx, lookedAfter, nil),
		r.plane.CreateNamespace(ctx, rawOnly, nil),
	)
	if err != nil {
		return err
	}
	if r.sets, err = kubernetes.NewForConfig(protobuf(r.plane.Admin)); err != nil {
		return err
	}
	if r.dynamic, err = dynamic.NewForConfig(r.plane.Admin); err != nil {
		return err
	}
	access, err := r.plane.Lockstep(ctx)
	if err != nil {
		return err
	}
	text, err := plane.KubeconfigFor(access)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, "kubeconfig"), text, 0o600)
}

// protobuf is an access that speaks it.
func protobuf(c *rest.Config) *rest.Config {
	c = rest.CopyConfig(c)
	c.ContentType = "application/vnd.kubernetes.protobuf"
	c.QPS = -1
	return c
}

// stop ends everything.
func (r *rig) stop() error {
	err := r.end()
	if r.follow != nil {
		r.follow.stop()
	}
	if r.manager != nil {
		err = errors.Join(err, r.manager.stop())
	}
	if r.plane != nil {
		err = errors.Join(err, r.plane.Stop())
	}
	if r.dir != "" {
		err = errors.Join(err, os.RemoveAll(r.dir))
	}
	return err
}

// run starts Lockstep as it is shipped, with all that listens on this machine
// only.
func (r *rig) run(ctx context.Context) error {
	var err error
	r.child, err = launch(ctx, r.opts.lockstep, "controller", "--dialects", "eso",
		"--kubeconfig", filepath.Join(r.dir, "kubeconfig"), "--leader-election-namespace", plane.Namespace,
		"--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address", "127.0.0.1:0")
	return err
}

// end stops Lockstep, if it runs.
func (r *rig) end() error {
	if r.child == nil {
		return nil
	}
	c := r.child
	r.child = nil
	if n := c.log.complained(); n > 0 {
		say("Lockstep logged %d warnings and errors, the last of them in:\n%s", n, c.log)
	}
	return c.stop()
}

// wait waits for a while, as long as Lockstep runs.
func (r *rig) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.child.gone:
		return r.child.alive()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until waits until a condition holds, as long as Lockstep runs, and for so long
// at most as was asked for.
func (r *rig) until(ctx context.Context, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(r.opts.patience)
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s it is not true that %s; Lockstep logged:\n%s", r.opts.patience, what, r.child.log)
		}
		if err := r.wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// mark is a moment to measure from.
type mark struct {
	at       time.Time
	requests int
	reads    tally
	writes   int
	cpu      time.Duration
}

// mark notes what there is by now. Before Lockstep is started it has computed
// nothing.
func (r *rig) mark(ctx context.Context) (m mark, err error) {
	if m.reads, err = r.reads(ctx); err != nil {
		return m, err
	}
	m.requests = r.manager.requests().len()
	if m.writes, err = r.audit.read(); err != nil {
		return m, err
	}
	if r.child != nil {
		if m.cpu, err = r.child.cpu(); err != nil {
			return m, err
		}
	}
	m.at = time.Now()
	return m, nil
}

// cost is what happened since a mark.
type cost struct {
	took     time.Duration
	requests tally // to the backend
	burst    int   // the most of them in a second
	reads    tally // of single objects, from the API server; set by whole
	writes   tally // to the API server, leases apart
	refused  int   // of the writes
	leases   int
	cpu      time.Duration
	list     []change
}

func (r *rig) since(m mark) (cost, error) {
	out := cost{took: time.Since(m.at)}
	requests := r.manager.requests().since(m.requests)
	out.requests = tallyOf(requests, func(a arrival) string { return a.kind })
	times := make([]time.Time, len(requests))
	for i, a := range requests {
		times[i] = a.at
	}
	out.burst = peak(times, time.Second)
	list, err := r.audit.since(m.writes)
	if err != nil {
		return out, err
	}
	out.list = work(list)
	out.leases = len(list) - len(out.list)
	out.writes = tallyOf(out.list, func(c change) string { return c.what })
	for _, c := range out.list {
		if !c.done() {
			out.refused++
		}
	}
	cpu, err := r.child.cpu()
	out.cpu = cpu - m.cpu
	return out, err
}

// whole is since, with what it takes the API server a moment to tell.
func (r *rig) whole(ctx context.Context, m mark) (cost, error) {
	out, err := r.since(m)
	if err != nil {
		return out, err
	}
	reads, err := r.reads(ctx)
	out.reads = reads.less(m.reads)
	return out, err
}
