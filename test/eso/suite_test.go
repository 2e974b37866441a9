// SPDX-License-Identifier: Apache-2.0

// Package eso runs whole manifests of External Secrets Operator through a real
// API server and the controller with the RBAC that is shipped: once with our
// CRDs, and once with the operator's own. What it does is judged by the Secrets
// and statuses that people see. Single steps are tested in their packages, and
// what needs a server of a product in test/controlplane.
//
// # Adding a case
//
// No Go is needed. Copy a file of testdata, say what it shows in the lines above
// the first file in it, change what goes in, run
//
//	go test ./test/eso -run /name-of-the-case -update
//
// read what that wrote, and give the case a line in testdata/INDEX.md. A case is
// a text archive of steps. These files go in, in this order for each step N, and
// all but one of them may be left out:
//
//	case.yaml      options, see type options
//	apply-N.yaml   documents, applied one after the other as the administrator
//	refused-N.txt  a part of the API server's answer when it refuses the last of them
//	patch-N.txt    Kind/name {JSON merge patch}, one on each line; Kind/name/status
//	               patches the status
//	delete-N.txt   Kind/name, one on each line
//
// And these come out of each step:
//
//	want-N.yaml    every Secret of the namespace but those with the label
//	               test.lockstep/input, by the fields of type secret
//	status-N.txt   every ExternalSecret, and with the option stores every store
//
// A line of status-N.txt reads
//
//	ExternalSecret/es Ready=True SecretSynced binding=target message~ secret synced
//	SecretStore/fake Ready=True Valid ReadWrite
//
// where message~ and a part of the message may be left out or be there several
// times. In all files NS is the namespace, which is a fresh one, and
// UID_OF_Kind/name is a UID, TOKEN_OF_name a token of a service account, and API_URL
// and API_CA are those of the API server.
//
// After each step the controller is brought to a standstill, and the state has
// to be the same still. After the last one everything is synced once more, and
// no Secret may be written.
package eso

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
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
)

var update = flag.Bool("update", false, "write what comes out into the cases")

const (
	// patience is how long a test waits for what must happen before it gives
	// up. It is no measure of speed: the machine may be busy with other tests.
	patience = 5 * time.Minute
	// together is how many cases run at the same time. They mostly wait.
	together = 8
	// canary marks the values that must not be shown to anybody.
	canary = "CANARY"
)

// The CRDs that a suite runs with.
const (
	ours   = "ours"
	theirs = "theirs"
)

var (
	logs = &buffer{}
	// Debug is the highest level that --log-level offers.
	logger = logr.FromSlogHandler(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	os.Exit(m.Run())
}

func TestOurCRDs(t *testing.T)   { run(t, ours) }
func TestTheirCRDs(t *testing.T) { run(t, theirs) }

// suite is a control plane and a controller.
type suite struct {
	crds   string
	plane  *plane.Plane
	user   client.Client // the administrator, playing the user
	tokens client.Client // makes tokens of service accounts
	still  *standstill
	stop   func() // ends the controller

	mu     sync.Mutex
	played map[string]string // cases that are over, by their namespace
}

// run runs all cases that are for these CRDs.
func run(t *testing.T, crds string) {
	t.Helper()
	cases := loadAll(t)
	s := start(t, crds)
	queue := make(chan caseFile)
	var workers sync.WaitGroup
	for range together {
		workers.Go(func() {
			for c := range queue {
				t.Run(c.name, func(t *testing.T) { s.run(t, c) })
			}
		})
	}
	for _, c := range cases {
		if c.options.Only == "" || c.options.Only == crds {
			queue <- c
		}
	}
	close(queue)
	workers.Wait()
	if !*update {
		s.restart(t)
		s.missed(t)
	}
	if strings.Contains(logs.String(), canary) {
		t.Error("a secret value is in the logs")
	}
}

// start starts everything that the cases need, until the test ends.
func start(t *testing.T, crds string) *suite {
	t.Helper()
	s := &suite{crds: crds, played: map[string]string{}}
	var err error
	s.plane, err = plane.Start()
	must(t, err)
	t.Cleanup(func() {
		if err := s.plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, s.plane.Install(t.Context()))
	if crds == theirs {
		must(t, s.plane.InstallCRDs(os.DirFS(filepath.Join("..", "controlplane", "testdata", "eso-2.9.0")), "*.yaml"))
	}
	must(t, errors.Join(
		s.plane.ApplyShipped(t.Context(), "rbac/cluster.yaml", ""),
		s.plane.ApplyShipped(t.Context(), "rbac/cluster-eso.yaml", ""),
		s.plane.StartControllerManager(t.Context()),
	))
	c, err := client.New(s.plane.Admin, client.Options{Scheme: runtime.NewScheme()})
	must(t, err)
	scheme := runtime.NewScheme()
	must(t, errors.Join(corev1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme)))
	s.tokens, err = client.New(s.plane.Admin, client.Options{Scheme: scheme})
	must(t, err)
	s.user = client.WithFieldValidation(c, metav1.FieldValidationStrict)
	s.checkCRDs(t)
	s.control(t)
	s.still = newStandstill(t, s)
	return s
}

// restart lets another controller take over, which reads all objects that the
// cases left, the bad ones too. It must write nothing.
func (s *suite) restart(t *testing.T) {
	t.Helper()
	before := s.everything(t)
	s.stop()
	s.control(t)
	s.still.awake(t)
	for range 3 { // it looks at all objects in the meantime
		s.still.wait(t)
	}
	after := s.everything(t)
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("a restart writes %s: before %q, after %q", name, before[name], after[name])
		}
	}
	for name := range after {
		if before[name] == "" {
			t.Errorf("a restart makes %s", name)
		}
	}
}

// everything is the resource version of every object that a case left.
func (s *suite) everything(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, kind := range []string{"Secret", "ExternalSecret", "SecretStore", "ClusterSecretStore"} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kinds[kind].GroupVersion().WithKind(kind + "List"))
		must(t, s.user.List(t.Context(), list))
		for _, o := range list.Items {
			name := s.played[o.GetNamespace()]
			if kind == "ClusterSecretStore" {
				name = "a case"
			}
			if name != "" {
				out[fmt.Sprintf("%s/%s of %s (%s)", kind, o.GetName(), name, o.GetNamespace())] = o.GetResourceVersion()
			}
		}
	}
	return out
}

// control runs the controller until the test ends, or stop is called.
func (s *suite) control(t *testing.T) {
	t.Helper()
	access, err := s.plane.Lockstep(t.Context())
	must(t, err)
	cfg := config.Controller{
		Dialects: []string{config.ESO}, MetricsAddress: "0", HealthAddress: "0", Adopt: "merge", Class: "default",
		PermitAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // the API server, for stores of Kubernetes
	}
	must(t, cfg.Validate())
	drivers := all.Drivers()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		dialects := []controller.Dialect{controller.ESO(eso.Settings{Class: cfg.Class, Drivers: drivers})}
		ended <- controller.Run(ctx, cfg, access, dialects, drivers, logger)
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controller ended with: %v", err)
		}
	})
	t.Cleanup(s.stop)
}

// checkCRDs waits until the API server goes by the CRDs that are wanted: ours
// refuse a manifest that asks for nothing, and the operator's do not.
func (s *suite) checkCRDs(t *testing.T) {
	t.Helper()
	const nothing = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: nothing, namespace: default}\nspec: {}\n"
	eventually(t, func() error {
		docs, err := documents(nothing)
		if err != nil {
			return err
		}
		err = s.user.Create(t.Context(), docs[0], client.DryRunAll)
		if apierrors.IsInvalid(err) != (s.crds == ours) || err != nil && s.crds == theirs {
			return fmt.Errorf("the CRDs are not those of %s: %w", s.crds, err)
		}
		return nil
	})
}

// eventually waits until a condition holds. It asks less and less often, for
// many wait at the same time.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 250*time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it did not happen: %v", err)
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

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
