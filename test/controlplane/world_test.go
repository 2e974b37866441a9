// SPDX-License-Identifier: Apache-2.0

// Package controlplane tests the controller against a real control plane and
// the stand-in for IBM Cloud Secrets Manager. The controller has the RBAC that
// is shipped and nothing more; what it does is judged by the state of the
// cluster, and not by the calls it made.
package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// patience is how long a test waits for what must happen before it gives up.
// It is no measure of speed: the machine may be busy with other tests.
const patience = 5 * time.Minute

// apiKey is the one key that IAM knows.
const apiKey = "test-api-key"

var (
	shared *plane.Plane
	logs   = &buffer{}
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	log := logr.FromSlogHandler(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	ctx := context.Background()
	var err error
	if shared, err = plane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err = errors.Join(shared.Install(ctx), shared.StartControllerManager(ctx)); err == nil {
		code := m.Run()
		if err = shared.Stop(); err == nil {
			return code
		}
	} else {
		err = errors.Join(err, shared.Stop())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// world is one namespace with a manager and a controller of its own.
type world struct {
	t      *testing.T
	ns     string
	user   client.Client // the administrator, playing the user
	ibm    *ibmsm.Server
	server *httptest.Server
	env    config.Environment
	canary string
	stop   func()

	standin  ibmsm.Options // of ibm
	patience time.Duration
}

// option changes a world before its controller starts.
type option func(*world)

// with sets a variable of the controller's environment.
func with(name, value string) option {
	return func(w *world) { w.env[name] = value }
}

// limited makes the manager answer at most so many requests in any second.
func limited(rate int) option {
	return func(w *world) { w.standin.RateLimit, w.standin.RetryAfter = rate, time.Second }
}

// patient is for tests that need more than the usual patience.
func patient(d time.Duration) option {
	return func(w *world) { w.patience = d }
}

// newWorld makes a namespace, grants the controller what is shipped for one
// namespace, and starts it with an interval of one second.
func newWorld(t *testing.T, opts ...option) *world {
	t.Helper()
	w := quietWorld(t, opts...)
	must(t, shared.ApplyShipped(t.Context(), "rbac/namespace.yaml", w.ns))
	w.start(config.Controller{Namespaces: []string{w.ns}})
	return w
}

// quietWorld makes a world without a controller.
func quietWorld(t *testing.T, opts ...option) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, errors.Join(corev1.AddToScheme(scheme), v1.AddToScheme(scheme)))
	user, err := client.New(shared.Admin, client.Options{Scheme: scheme})
	must(t, err)
	w := &world{
		t: t, user: user, ns: "t-" + random(t), canary: "CANARY-" + random(t),
		standin: ibmsm.Options{Keys: map[string]ibmsm.Role{apiKey: ibmsm.SecretsReader}}, patience: patience,
		env: config.Environment{},
	}
	for _, o := range opts {
		o(w)
	}
	w.ibm = ibmsm.New(w.standin)
	w.server = httptest.NewServer(w.ibm)
	t.Cleanup(w.server.Close)
	for name, value := range map[string]string{
		"POLLER_INTERVAL_MILLISECONDS":            "1000",
		"IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT":  w.server.URL,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL":  w.server.URL,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE": "iam",
		"IBM_CLOUD_SECRETS_MANAGER_API_APIKEY":    apiKey,
	} {
		if _, chosen := w.env[name]; !chosen {
			w.env[name] = value
		}
	}
	must(t, shared.CreateNamespace(t.Context(), w.ns, nil))
	t.Cleanup(w.noLeak)
	return w
}

// start runs a controller until the test ends or stop is called.
func (w *world) start(cfg config.Controller) {
	w.t.Helper()
	access, err := shared.Lockstep(w.t.Context())
	must(w.t, err)
	cfg.Dialects, cfg.MetricsAddress = []string{config.KES}, "0"
	if cfg.HealthAddress == "" {
		cfg.HealthAddress = "0"
	}
	if cfg.Adopt == "" {
		cfg.Adopt = "merge"
	}
	must(w.t, cfg.Validate())
	drivers := all.Drivers()
	set, err := config.KESSettings(w.env, drivers)
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	log := logr.FromSlogHandler(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.Level(-10)}))
	go func() {
		ended <- controller.Run(ctx, cfg, access, []controller.Dialect{controller.KES(set)}, drivers, log)
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the controller ended with: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
}

// put stores a secret in the manager and returns its id.
func (w *world) put(typ, name string, own map[string]any) string {
	w.t.Helper()
	id, err := w.ibm.Put(ibmsm.Seed{Type: typ, Name: name, Fields: own})
	must(w.t, err)
	return id
}

// login stores a username_password whose password holds the canary.
func (w *world) login() string {
	return w.put("username_password", "login-"+random(w.t), map[string]any{"username": "user123", "password": w.canary})
}

// apply applies a manifest as kubectl would.
func (w *world) apply(format string, args ...any) {
	w.t.Helper()
	must(w.t, plane.Apply(w.t.Context(), shared.Admin, fmt.Appendf(nil, format, args...), w.ns))
}

// status waits for a status of the object's present generation.
func (w *world) status(name, want string) {
	w.t.Helper()
	w.eventually(func() error {
		es, err := w.object(name)
		if err != nil {
			return err
		}
		if es.Status.Status != want || es.Status.ObservedGeneration != es.Generation {
			return fmt.Errorf("status of %s at generation %d:\n got %q for generation %d\nwant %q",
				name, es.Generation, es.Status.Status, es.Status.ObservedGeneration, want)
		}
		return nil
	})
}

func (w *world) object(name string) (*v1.ExternalSecret, error) {
	es := &v1.ExternalSecret{}
	return es, w.user.Get(w.t.Context(), types.NamespacedName{Namespace: w.ns, Name: name}, es)
}

// secret returns a Secret, or nil when there is none.
func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	s := &corev1.Secret{}
	err := w.user.Get(w.t.Context(), types.NamespacedName{Namespace: w.ns, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	must(w.t, err)
	return s
}

// holds waits until a Secret holds exactly these keys.
func (w *world) holds(name string, want map[string]string) *corev1.Secret {
	w.t.Helper()
	var out *corev1.Secret
	w.eventually(func() error {
		out = w.secret(name)
		if out == nil {
			return fmt.Errorf("there is no Secret %s", name)
		}
		if len(out.Data) != len(want) {
			return fmt.Errorf("Secret %s has %d keys, want %d", name, len(out.Data), len(want))
		}
		for k, v := range want {
			if string(out.Data[k]) != v {
				return fmt.Errorf("Secret %s has another value in %s than wanted", name, k)
			}
		}
		return nil
	})
	return out
}

// eventually waits until a condition holds.
func (w *world) eventually(condition func() error) {
	w.t.Helper()
	deadline := time.After(w.patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("it did not happen: %v", err)
		}
	}
}

// polls waits until the manager was asked n more times, for a value or for
// whether it changed.
func (w *world) polls(n int) {
	w.t.Helper()
	asked := func() int {
		s := w.ibm.Stats()
		return s.Kinds[ibmsm.KindGet] + s.Kinds[ibmsm.KindGetByName] + s.Kinds[ibmsm.KindList] + s.Kinds[ibmsm.KindMetadata]
	}
	from := asked()
	w.eventually(func() error {
		if got := asked() - from; got < n {
			return fmt.Errorf("%d of %d polls", got, n)
		}
		return nil
	})
}

// noLeak looks for the canary wherever people look.
func (w *world) noLeak() {
	seen := logs.String()
	list := &v1.ExternalSecretList{}
	must(w.t, w.user.List(context.Background(), list, client.InNamespace(w.ns)))
	for _, es := range list.Items {
		seen += es.Status.Status
	}
	events := &corev1.EventList{}
	must(w.t, w.user.List(context.Background(), events, client.InNamespace(w.ns)))
	for _, e := range events.Items {
		seen += e.Message
	}
	for form, text := range map[string]string{
		"plain":       w.canary,
		"base64":      strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(w.canary)), "="),
		"hex":         hex.EncodeToString([]byte(w.canary)),
		"url-encoded": url.QueryEscape(w.canary + "/"),
	} {
		if strings.Contains(seen, text) {
			w.t.Errorf("a secret value, %s, is in logs, statuses or events", form)
		}
	}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.ns, Name: name}
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 6)
	_, err := rand.Read(b)
	must(t, err)
	return hex.EncodeToString(b)
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
