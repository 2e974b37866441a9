// SPDX-License-Identifier: Apache-2.0

// Package shadow tests how Lockstep lives with other controllers, on a real API
// server that notes every request: an instance that only looks, and what one that
// works does after it (cutover_test.go); pauses (pause_test.go); two classes of
// stores (classes_test.go); Secrets that were restored from a backup
// (restore_test.go); and what the kubelet and Prometheus ask (probes_test.go).
//
// Each instance has a service account of its own, with the RBAC that is shipped,
// or with the part of it that reads.
package shadow

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/deploy"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
)

const (
	// patience is how long a test waits for what must happen. It is no measure of
	// speed: the machine may be busy.
	patience = 3 * time.Minute
	// canary is in all values.
	canary = "CANARY"
	// policy is what the API server notes: all, once it was answered.
	policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
)

var (
	shared *stage
	logs   = &buffer{}
	logger = logr.FromSlogHandler(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	s, err := newStage(context.Background())
	code := 1
	if err == nil {
		shared = s
		code = m.Run()
	}
	if s != nil {
		err = errors.Join(err, s.stop())
	}
	if strings.Contains(logs.String(), canary) {
		err = errors.Join(err, errors.New("a value of a secret is in the logs"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// stage is a control plane.
type stage struct {
	plane *plane.Plane
	user  client.Client // the administrator, playing everybody
	dir   string
}

func newStage(ctx context.Context) (*stage, error) {
	dir, err := os.MkdirTemp("", "lockstep-shadow-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir}
	audit := plane.Audit{Policy: filepath.Join(dir, "policy.yaml"), Log: s.log()}
	if err := os.WriteFile(audit.Policy, []byte(policy), 0o600); err != nil {
		return s, err
	}
	if s.plane, err = plane.StartAudited(audit); err != nil {
		return s, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), esv1.AddToScheme(scheme), kesv1.AddToScheme(scheme)); err != nil {
		return s, err
	}
	if s.user, err = client.New(s.plane.Admin, client.Options{Scheme: scheme}); err != nil {
		return s, err
	}
	return s, s.plane.Install(ctx)
}

func (s *stage) stop() error {
	var err error
	if s.plane != nil {
		err = s.plane.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *stage) log() string { return filepath.Join(s.dir, "audit.log") }

// request is a line of the audit log.
type request struct {
	Verb      string
	User      struct{ Username string }
	ObjectRef struct{ Resource, Subresource, Namespace, Name string }
}

func (r request) String() string {
	return fmt.Sprintf("%s %s/%s %s/%s", r.Verb, r.ObjectRef.Resource, r.ObjectRef.Subresource, r.ObjectRef.Namespace, r.ObjectRef.Name)
}

// writes are what a service account asked for that changes something, but for
// leases.
func (s *stage) writes(t *testing.T, account string) []request {
	t.Helper()
	all, _ := s.requests(t, account)
	return all
}

// requests are the same, and how many were about leases.
func (s *stage) requests(t *testing.T, account string) (out []request, leases int) {
	t.Helper()
	f, err := os.Open(s.log())
	must(t, err)
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.User.Username != "system:serviceaccount:"+plane.Namespace+":"+account {
			continue // the last line may be half written
		}
		switch {
		case slices.Contains([]string{"get", "list", "watch"}, r.Verb):
		case r.ObjectRef.Resource == "leases":
			leases++
		default:
			out = append(out, r)
		}
	}
	must(t, lines.Err())
	return out, leases
}

// account makes a service account with the RBAC that is shipped for all
// namespaces, or for one that only looks, and returns its access.
func (s *stage) account(t *testing.T, name string, reads bool) *rest.Config {
	t.Helper()
	files := []string{"rbac/base.yaml", "rbac/cluster.yaml", "rbac/cluster-eso.yaml"}
	if reads {
		files = []string{"rbac/shadow.yaml"}
	}
	for _, file := range files {
		raw, err := deploy.RBAC.ReadFile(file)
		must(t, err)
		for _, doc := range documents(t, raw) {
			if doc.GetKind() == "Namespace" {
				continue
			}
			must(t, s.user.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(renamed(doc, name)), client.FieldOwner("kubectl"), client.ForceOwnership))
		}
	}
	return s.access(t, name)
}

// renamed is a document of the RBAC for another service account.
func renamed(doc *unstructured.Unstructured, account string) *unstructured.Unstructured {
	if doc.GetKind() == "ServiceAccount" {
		doc.SetName(account)
		return doc
	}
	doc.SetName(doc.GetName() + "-for-" + account)
	if _, binding := doc.Object["roleRef"]; binding {
		role, _, _ := unstructured.NestedString(doc.Object, "roleRef", "name")
		_ = unstructured.SetNestedField(doc.Object, role+"-for-"+account, "roleRef", "name")
		_ = unstructured.SetNestedSlice(doc.Object, []any{
			map[string]any{"kind": "ServiceAccount", "name": account, "namespace": plane.Namespace},
		}, "subjects")
		return doc
	}
	return doc
}

// access is that of a service account.
func (s *stage) access(t *testing.T, name string) *rest.Config {
	t.Helper()
	token := s.token(t, name)
	return &rest.Config{Host: s.plane.Admin.Host, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.plane.Admin.CAData}}
}

func (s *stage) token(t *testing.T, name string) string {
	t.Helper()
	cs, err := kubernetes.NewForConfig(s.plane.Admin)
	must(t, err)
	out, err := cs.CoreV1().ServiceAccounts(plane.Namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return out.Status.Token
}

// instance is a controller that runs.
type instance struct {
	metrics, health string // addresses
	stop            func()
}

// start runs a controller until the test ends, or stop is called.
func start(t *testing.T, access *rest.Config, env config.Environment, cfg config.Controller) *instance {
	t.Helper()
	out := &instance{metrics: address(t), health: address(t)}
	cfg.Dialects = config.Dialects
	cfg.MetricsAddress, cfg.HealthAddress, cfg.Adopt = out.metrics, out.health, "merge"
	if cfg.Class == "" {
		cfg.Class = "default"
	}
	cfg.PermitAddresses = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.LeaderElectionNamespace = plane.Namespace
	must(t, cfg.Validate())
	drivers := all.Drivers()
	set, err := config.KESSettings(env, drivers)
	must(t, err)
	dialects := []controller.Dialect{
		controller.KES(set), controller.ESO(eso.Settings{Class: cfg.Class, Namespaces: cfg.Namespaces, Drivers: drivers}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx, cfg, access, dialects, drivers, logger) }()
	out.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controller ended with: %v", err)
		}
	})
	t.Cleanup(out.stop)
	return out
}

// address is one of this machine that nobody listens at.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// namespace makes a namespace with a name of its own.
func (s *stage) namespace(t *testing.T, name string) string {
	t.Helper()
	b := make([]byte, 4)
	_, err := rand.Read(b)
	must(t, err)
	name += "-" + hex.EncodeToString(b)
	must(t, s.plane.CreateNamespace(t.Context(), name, nil))
	return name
}

// apply applies manifests as kubectl would.
func (s *stage) apply(t *testing.T, namespace, manifests string) {
	t.Helper()
	must(t, plane.Apply(t.Context(), s.plane.Admin, []byte(manifests), namespace))
}

// annotate sets an annotation, or takes it away when value is empty.
func (s *stage) annotate(t *testing.T, obj client.Object, key, value string) {
	t.Helper()
	set := any(value)
	if value == "" {
		set = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: set}}})
	must(t, err)
	must(t, s.user.Patch(t.Context(), obj, client.RawPatch(types.MergePatchType, patch)))
}

// secret returns a Secret, or nil when there is none.
func (s *stage) secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	out := &corev1.Secret{}
	err := s.user.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, out)
	if client.IgnoreNotFound(err) == nil && err != nil {
		return nil
	}
	must(t, err)
	return out
}

// holds waits until a key of a Secret has a value.
func (s *stage) holds(t *testing.T, namespace, name, key, value string) *corev1.Secret {
	t.Helper()
	var out *corev1.Secret
	eventually(t, func() error {
		if out = s.secret(t, namespace, name); out == nil || string(out.Data[key]) != value {
			return fmt.Errorf("Secret %s/%s does not hold the wanted %s", namespace, name, key)
		}
		return nil
	})
	return out
}

// documents reads the objects of a YAML file.
func documents(t *testing.T, raw []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		obj := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal(doc, &obj.Object))
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 500*time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it did not happen: %v\nthe last of the logs:\n%s", err, logs.last())
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

// last is the end of it.
func (b *buffer) last() string {
	text := b.String()
	return text[max(0, len(text)-3000):]
}
