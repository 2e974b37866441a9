// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/dev/node"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const (
	// patience is how long a test waits for what must happen. It is no measure of
	// speed: the machine may be busy.
	patience = 5 * time.Minute
	// readerKey is the one API key that the manager knows.
	readerKey = "key-of-the-service-id"
	// root is where the repository is, as seen from this package.
	root = "../.."
	// chart is what is tested.
	chart = root + "/deploy/charts/lockstep"
)

// policy has the API server note what Lockstep asks it, and what it writes into
// Secrets. Both are the business of these tests, and there are no other secrets.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: RequestResponse
    userGroups: ["system:serviceaccounts:lockstep-system"]
    verbs: [create, update, patch]
    resources: [{resources: [secrets]}]
  - level: Metadata
    userGroups: ["system:serviceaccounts:lockstep-system", "system:serviceaccounts:lockstep-scoped"]
  - level: None
`

// stage is what all steps have in common.
type stage struct {
	node *node.Node
	kube *kubernetes.Clientset // the administrator, playing everybody
	dir  string
	ibm  *ibmsm.Server
	url  string // of ibm, as pods see it

	manager  *http.Server
	granted  map[grant]bool // all that Lockstep was ever given
	judged   int            // requests in the audit log before the present installation
	tutorial string         // the id of the tutorial's secret in ibm
}

var shared = &stage{granted: map[grant]bool{}}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	code := 1
	err := shared.start(context.Background())
	if err == nil {
		if code = m.Run(); os.Getenv("KEEP") == "1" {
			shared.linger()
		}
	}
	if err = errors.Join(err, shared.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// start brings the node, the images and the manager.
func (s *stage) start(ctx context.Context) error {
	err := s.complete()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "lockstep-cluster-"); err != nil {
		return err
	}
	if s.node, err = node.Start(ctx, node.Options{AuditPolicy: []byte(policy)}); err != nil {
		return err
	}
	if err := os.WriteFile(s.kubeconfig(), s.node.Kubeconfig, 0o600); err != nil {
		return err
	}
	if s.kube, err = kubernetes.NewForConfig(s.node.Admin); err != nil {
		return err
	}
	if err := errors.Join(s.loadLockstep(ctx), s.loadApp(ctx)); err != nil {
		return err
	}
	listener, err := s.node.Listen(ctx, "8000")
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.ibm = ibmsm.New(ibmsm.Options{Keys: map[string]ibmsm.Role{readerKey: ibmsm.SecretsReader}})
	s.manager = &http.Server{Handler: s.ibm, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.manager.Serve(listener) }() // until stop
	return nil
}

// linger leaves all running until somebody interrupts it.
func (s *stage) linger() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Printf("\nStill running, because of KEEP=1. Ctrl-C ends it.\n\n  export KUBECONFIG=%s\n  bin/control-plane/kubectl get pods --all-namespaces\n", s.kubeconfig()) //nolint:forbidigo // it is for the person who asked for it
	<-ctx.Done()
}

func (s *stage) kubeconfig() string { return filepath.Join(s.dir, "kubeconfig") }

// image is what make image leaves for this machine.
func image() string {
	return filepath.Join(root, "bin", "image", fmt.Sprintf("lockstep-linux-%s.tar", runtime.GOARCH))
}

// complete fails when something is not built.
func (s *stage) complete() error {
	err := node.Missing()
	for name, target := range map[string]string{
		filepath.Join(plane.Binaries(), "kubectl"): "make node", filepath.Join(root, "bin", "helm"): "make bin/helm", image(): "make image",
	} {
		if _, statErr := os.Stat(name); statErr != nil {
			err = errors.Join(err, fmt.Errorf("there is no %s: %s", filepath.Base(name), target))
		}
	}
	if err != nil {
		return fmt.Errorf("%w\nmake test-cluster builds all but the programs of the system", err)
	}
	return nil
}

func (s *stage) loadLockstep(ctx context.Context) error {
	archive, err := os.Open(image())
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	return s.node.Load(ctx, archive)
}

// loadApp builds the application and brings its image.
func (s *stage) loadApp(ctx context.Context) error {
	program := filepath.Join(s.dir, "app")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./app") //nolint:gosec // the folder is ours
	build.Env = append(os.Environ(), "CGO_ENABLED=0")                                     // there is no C library in the image
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the application: %w\n%s", err, out)
	}
	archive, err := node.Image("lockstep-test/app:1", program)
	if err != nil {
		return err
	}
	return s.node.Load(ctx, bytes.NewReader(archive))
}

func (s *stage) stop() error {
	var err error
	if s.manager != nil {
		err = s.manager.Close()
	}
	if s.node != nil {
		err = errors.Join(err, s.node.Stop())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// kubectl runs kubectl as the administrator, and returns what it prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), filepath.Join(plane.Binaries(), "kubectl"), args...)
	must(t, err)
	return out
}

// helm runs Helm as the administrator.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), filepath.Join(root, "bin", "helm"), args...)
	must(t, err)
	return out
}

// try runs a program that finds the cluster by KUBECONFIG.
func try(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // our own builds
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.kubeconfig(), "KUBECACHEDIR="+shared.dir, "HELM_CACHE_HOME="+shared.dir, "HELM_CONFIG_HOME="+shared.dir, "HELM_DATA_HOME="+shared.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// apply applies manifests; a verb in them takes the next of args.
func apply(t *testing.T, namespace, manifests string, args ...any) {
	t.Helper()
	must(t, plane.Apply(t.Context(), shared.node.Admin, fmt.Appendf(nil, manifests, args...), namespace))
}

// team makes a namespace that admits what is restricted and nothing else.
func team(t *testing.T, name string) {
	t.Helper()
	apply(t, "", `
apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels: {pod-security.kubernetes.io/enforce: restricted}
`, name)
}

// until waits for what must happen.
func until(t *testing.T, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			explain(t)
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// explain logs what goes on in the cluster.
func explain(t *testing.T) {
	t.Helper()
	program := filepath.Join(plane.Binaries(), "kubectl")
	for _, args := range [][]string{
		{"get", "pods,externalsecrets.kubernetes-client.io,externalsecrets.external-secrets.io", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
	} {
		out, err := try(t.Context(), program, args...)
		t.Logf("%s\n%v", out, err)
	}
	logs, err := shared.node.Logs("lockstep-*", "*", "lockstep")
	t.Logf("the last of Lockstep's logs: %s\n%v", logs[max(0, len(logs)-8000):], err)
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds waits until a Secret has values.
func holds(t *testing.T, namespace, name string, want map[string]string) *corev1.Secret {
	t.Helper()
	var s *corev1.Secret
	until(t, fmt.Sprintf("Secret %s/%s", namespace, name), func() (err error) {
		if s, err = shared.kube.CoreV1().Secrets(namespace).Get(t.Context(), name, get); err != nil {
			return err
		}
		for k, v := range want {
			if string(s.Data[k]) != v {
				return fmt.Errorf("%s is %q, want %q", k, s.Data[k], v)
			}
		}
		return nil
	})
	return s
}

// login stores a user name and a password in the manager, and returns the id.
func login(t *testing.T, name, password string) string {
	t.Helper()
	id, err := shared.ibm.Put(ibmsm.Seed{Type: "username_password", Name: name, Fields: map[string]any{"username": "user123", "password": password}})
	must(t, err)
	return id
}

// rotate gives a login another password.
func rotate(t *testing.T, id, password string) {
	t.Helper()
	_, err := shared.ibm.Rotate(id, map[string]any{"password": password})
	must(t, err)
}
