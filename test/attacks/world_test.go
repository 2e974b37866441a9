// SPDX-License-Identifier: Apache-2.0

// Package attacks plays people who mean harm, or who do not know better,
// against the ESO dialect on a real control plane: manifests that break rules,
// namespaces that reach for what is another's, managers that fail at the worst
// moment. The controller has the RBAC that is shipped and nothing more. How it
// behaves with good manifests is in test/eso.
//
// Every test has a namespace of an attacker, one of a victim, and one of
// somebody who has nothing to do with it. A test ends by looking for the value
// that the attacker must not get wherever the attacker can look, and by seeing
// that the third one is still served.
package attacks

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
)

const (
	// patience is how long a test waits for what must happen before it gives
	// up. It is no measure of speed: the machine may be busy with other tests.
	patience = 5 * time.Minute
	// rarely is the interval of objects whose turn must not come within a test.
	// Turns go by the wall clock, so that of an hour comes within some run.
	rarely = "8760h"
	// together is how many tests run at the same time. They mostly wait.
	together = "12"
)

// logs has what all controllers of all tests say at their highest level.
var logs = &buffer{}

// The stages: one with our CRDs, and one with those of the operator.
var (
	ours   = &stage{}
	theirs = &stage{foreign: true}
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	log := logger()
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	err := flag.Set("test.parallel", together)
	code := 1
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, ours.stop(), theirs.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// logger is at the highest level at which client-go keeps the bodies of requests
// and answers to itself, which are Secrets.
func logger() logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.Level(-7)}))
}

// stage is a control plane and a controller that looks after all of it.
type stage struct {
	foreign bool // it has the CRDs of the operator
	once    sync.Once
	failure error

	plane *plane.Plane
	user  client.Client // the administrator, playing everybody
	audit *audit        // of the controller
	kinds []schema.GroupVersionResource
	end   func() error
}

// ready starts the stage when it is used for the first time.
func (s *stage) ready(t *testing.T) *stage {
	t.Helper()
	s.once.Do(func() { s.failure = s.start(context.WithoutCancel(t.Context())) })
	must(t, s.failure)
	return s
}

func (s *stage) start(ctx context.Context) error {
	var err error
	if s.plane, err = plane.Start(); err != nil {
		return err
	}
	if err := s.plane.Install(ctx); err != nil {
		return err
	}
	if s.foreign {
		files := os.DirFS(filepath.Join("..", "controlplane", "testdata", "eso-2.9.0"))
		if err := s.plane.InstallCRDs(files, "*.yaml"); err != nil {
			return err
		}
	}
	err = errors.Join(
		s.plane.ApplyShipped(ctx, "rbac/cluster.yaml", ""),
		s.plane.ApplyShipped(ctx, "rbac/cluster-eso.yaml", ""),
		s.plane.StartControllerManager(ctx),
	)
	if err != nil {
		return err
	}
	if s.user, err = client.New(s.plane.Admin, client.Options{Scheme: runtime.NewScheme()}); err != nil {
		return err
	}
	if s.kinds, err = listable(s.plane.Admin); err != nil {
		return err
	}
	if err := s.served(ctx); err != nil {
		return err
	}
	access, err := s.plane.Lockstep(ctx)
	if err != nil {
		return err
	}
	s.audit = &audit{}
	s.end = control(ctx, access, s.audit, config.Controller{PermitAddresses: loopback})
	return nil
}

// loopback lets stores of namespaces reach the servers of these tests, and
// nothing else of the machine.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// served waits until the API server goes by the CRDs that are wanted: ours
// refuse a manifest that asks for nothing, and the operator's do not.
func (s *stage) served(ctx context.Context) error {
	const nothing = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: nothing, namespace: default}\nspec: {}\n"
	return poll(ctx, func() error {
		docs, err := documents(nothing)
		if err != nil {
			return err
		}
		err = s.user.Create(ctx, docs[0], client.DryRunAll)
		if (err == nil) != s.foreign {
			return fmt.Errorf("other CRDs are served than wanted: %w", err)
		}
		return nil
	})
}

func (s *stage) stop() error {
	if s.plane == nil {
		return nil
	}
	var err error
	if s.end != nil {
		err = s.end()
	}
	return errors.Join(err, s.plane.Stop())
}

// control runs a controller until end is called, which tells how it ended.
func control(ctx context.Context, access *rest.Config, seen *audit, cfg config.Controller) (end func() error) {
	cfg.Dialects, cfg.MetricsAddress, cfg.HealthAddress, cfg.Adopt = []string{config.ESO}, "0", "0", "merge"
	if cfg.Class == "" {
		cfg.Class = "default"
	}
	access = rest.CopyConfig(access)
	access.Wrap(seen.watch)
	d := all.Drivers()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		set := eso.Settings{Class: cfg.Class, Namespaces: cfg.Namespaces, Drivers: d}
		ended <- controller.Run(ctx, cfg, access, []controller.Dialect{controller.ESO(set)}, d, logger())
	}()
	return sync.OnceValue(func() error {
		cancel()
		if err := <-ended; err != nil {
			return fmt.Errorf("the controller ended with: %w", err)
		}
		return nil
	})
}

// listable are the kinds of objects that a namespace can have, but for those
// that are made for the asking.
func listable(access *rest.Config) ([]schema.GroupVersionResource, error) {
	d, err := discovery.NewDiscoveryClientForConfig(access)
	if err != nil {
		return nil, err
	}
	lists, err := d.ServerPreferredNamespacedResources()
	if err != nil {
		return nil, err
	}
	var out []schema.GroupVersionResource
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			out = append(out, gv.WithResource(r.Name))
		}
	}
	return out, nil
}

// eventually waits until a condition holds.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	if err := poll(t.Context(), condition); err != nil {
		t.Fatal(err)
	}
}

// poll asks less and less often, for many wait at the same time.
func poll(ctx context.Context, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it did not happen: %w", err)
		case <-time.After(pause):
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buffer keeps all logs.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write keeps p.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// since returns what was written after a moment, and the moment it is now.
func (b *buffer) since(at int) (string, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.b.Bytes()[at:]), b.b.Len()
}

// missing returns the first of several parts that a text lacks.
func missing(text string, parts []string) (string, bool) {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return p, true
		}
	}
	return "", false
}
