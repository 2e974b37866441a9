// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// workers is how many objects are looked at together. None of them waits for
// a store, so more would bring nothing.
const workers = 8

// Run serves the dialects until ctx ends.
func Run(ctx context.Context, cfg config.Controller, kube *rest.Config, dialects []Dialect, drivers spec.Drivers, log logr.Logger) error {
	mgr, err := newManager(cfg, kube, log)
	if err != nil {
		return err
	}
	waker := &waker{}
	f := feed.New(feed.Options{Drivers: drivers, Wake: waker.wake})
	for _, d := range dialects {
		r := &Reconciler{
			Dialect: d, Drivers: drivers, Adopt: diff.Adopt(cfg.Adopt),
			Objects:  mgr.GetClient(),
			Gatherer: gather.Gatherer{Live: mgr.GetAPIReader()},
			Writer:   cluster.Writer{Client: mgr.GetClient()},
			Feed:     f,
		}
		if err := r.setup(mgr, waker, len(cfg.Namespaces) == 0); err != nil {
			return err
		}
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		f.Run(ctx)
		return nil
	}))
	if err != nil {
		return fmt.Errorf("add the feed: %w", err)
	}
	return mgr.Start(ctx)
}

func newManager(cfg config.Controller, kube *rest.Config, log logr.Logger) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	kube = rest.CopyConfig(kube)
	kube.QPS = -1 // API priority and fairness does that job
	opts := ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log,
		Metrics:                       server.Options{BindAddress: cfg.MetricsAddress},
		HealthProbeBindAddress:        cfg.HealthAddress,
		LeaderElection:                cfg.LeaderElect,
		LeaderElectionID:              "lockstep-controller",
		LeaderElectionNamespace:       cfg.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client: client.Options{Cache: &client.CacheOptions{
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.Namespace{}, &corev1.ConfigMap{}},
		}},
	}
	if len(cfg.Namespaces) > 0 {
		opts.Cache.DefaultNamespaces = map[string]cache.Config{}
		for _, ns := range cfg.Namespaces {
			opts.Cache.DefaultNamespaces[ns] = cache.Config{}
		}
	}
	mgr, err := ctrl.NewManager(kube, opts)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	synced := func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("caches are not synced")
		}
		return nil
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", synced)); err != nil {
		return nil, err
	}
	return mgr, nil
}

// setup says what wakes an object: itself, its Secret, its namespace's
// annotations, and the feed.
func (r *Reconciler) setup(mgr ctrl.Manager, w *waker, everywhere bool) error {
	obj := r.Dialect.New()
	gvk, err := mgr.GetClient().GroupVersionKindFor(obj)
	if err != nil {
		return err
	}
	if _, err := mgr.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version); meta.IsNoMatchError(err) {
		return fmt.Errorf("the CRD of %s is not installed: run lockstep crds --dialects %s | kubectl apply -f -", gvk, r.Dialect.Name)
	} else if err != nil {
		return fmt.Errorf("look for the CRD of %s: %w", gvk, err)
	}
	b := builder.ControllerManagedBy(mgr).
		Named(r.Dialect.Name).
		For(obj, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret)).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			w.use(r.Dialect.Name, q)
			return nil
		})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      new(true), // tests run several instances in one process
		})
	if everywhere {
		// A Role cannot grant to watch namespaces, so a scoped instance sees a
		// changed annotation when it next has a reason to look.
		b = b.WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.byNamespace),
			builder.WithPredicates(predicate.AnnotationChangedPredicate{}))
	}
	return b.Complete(r)
}

func (r *Reconciler) bySecret(_ context.Context, secret client.Object) []reconcile.Request {
	version := secret.GetResourceVersion()
	if secret.GetDeletionTimestamp() != nil {
		version = ""
	}
	return r.targets.following(client.ObjectKeyFromObject(secret), version)
}

func (r *Reconciler) byNamespace(_ context.Context, ns client.Object) []reconcile.Request {
	return r.targets.in(ns.GetName())
}

// waker hands what the feed has to tell to the queue of the right dialect.
type waker struct {
	mu     sync.Mutex
	queues map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (w *waker) use(dialect string, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queues == nil {
		w.queues = map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]{}
	}
	w.queues[dialect] = q
}

func (w *waker) wake(id spec.ID) {
	w.mu.Lock()
	q := w.queues[string(id.Dialect)]
	w.mu.Unlock()
	if q != nil {
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: id.Namespace, Name: id.Name}})
	}
}
