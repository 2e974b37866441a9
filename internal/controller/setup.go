// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	rawsource "sigs.k8s.io/controller-runtime/pkg/source"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/metrics"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// workers is how many objects are looked at together. None of them waits for a
// store, but each for the API server, which has its own limits.
const workers = 50

// Run serves the dialects until ctx ends.
func Run(ctx context.Context, cfg config.Controller, kube *rest.Config, dialects []Dialect, drivers spec.Drivers, log logr.Logger) error {
	w := &watch{waker: &waker{}}
	m := metrics.New(func() []feed.StoreStats { return w.feed.Stats() })
	srv := &served{own: []prometheus.Collector{m, metrics.Paused(cfg.Pause)}}
	if cfg.Shadow {
		w.shadow, drivers = shadow.NewReport(), shadow.Drivers(drivers)
		srv.report = w.shadow
		srv.own = append(srv.own, metrics.Shadow(w.shadow))
	}
	w.feed = feed.New(feed.Options{
		Drivers: drivers, Wake: w.waker.wake, Tell: w.waker.tell, Network: feed.Network{Permit: cfg.PermitAddresses}, Meter: m,
		Breaker: feed.Breaker{Percent: cfg.MissingLimit},
	})
	mgr, err := newManager(cfg, kube, srv, log, ownerLabels(dialects)...)
	if err != nil {
		return err
	}
	if err := addProbes(mgr, w.feed); err != nil {
		return err
	}
	if cfg.Pause {
		log.Info("Paused: nothing is read and nothing is written")
		return mgr.Start(ctx)
	}
	tokens, err := gather.NewTokenRequests(mgr.GetConfig())
	if err != nil {
		return err
	}
	s := shared{
		mgr: mgr, watch: w, everywhere: len(cfg.Namespaces) == 0, adopt: diff.Adopt(cfg.Adopt), drivers: drivers,
		gatherer: gather.Gatherer{
			Live: mgr.GetAPIReader(), Cached: mgr.GetCache(), Indexed: true, Tokens: tokens, Scoped: len(cfg.Namespaces) > 0,
		},
		heartbeat: cfg.Heartbeat,
	}
	if !cfg.Shadow {
		s.events = cluster.Events{Recorder: mgr.GetEventRecorder("lockstep")}
	}
	stores := false
	for _, d := range dialects {
		if err := s.serve(ctx, d); err != nil {
			return err
		}
		stores = stores || len(d.Stores) > 0
	}
	if stores {
		if err := w.start(ctx, mgr.GetCache()); err != nil {
			return err
		}
	}
	f := w.feed
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		w.shadow.Lead()
		f.Run(ctx)
		return nil
	}))
	if err != nil {
		return fmt.Errorf("add the feed: %w", err)
	}
	return mgr.Start(ctx)
}

// shared is what all reconcilers have in common.
type shared struct {
	mgr        ctrl.Manager
	watch      *watch
	everywhere bool
	adopt      diff.Adopt
	drivers    spec.Drivers
	gatherer   gather.Gatherer
	events     cluster.Events
	heartbeat  time.Duration
}

// serve sets up the reconcilers of one dialect.
func (s shared) serve(ctx context.Context, d Dialect) error {
	if d.OwnerLabel != "" {
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := s.mgr.GetFieldIndexer().IndexField(ctx, meta, gather.OwnerIndex, gather.Owners(d.OwnerLabel)); err != nil {
			return fmt.Errorf("index Secrets: %w", err)
		}
	}
	r := &Reconciler{
		Dialect: d, Drivers: s.drivers, Adopt: s.adopt,
		Objects:  s.mgr.GetClient(),
		Gatherer: s.gatherer,
		Writer:   cluster.Writer{Client: s.mgr.GetClient()},
		Events:   s.events,
		Feed:     s.watch.feed, Heartbeat: s.heartbeat, Shadow: s.watch.shadow,
	}
	r.reports = newReports(r.reportLate)
	if err := s.mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		r.reports.run(ctx)
		return nil
	})); err != nil {
		return fmt.Errorf("add the statuses: %w", err)
	}
	r.targets.orphans = r.Shadow != nil // what others write is what is looked for
	s.watch.reconcilers = append(s.watch.reconcilers, r)
	if err := r.setup(s.mgr, s.watch.waker, s.everywhere); err != nil {
		return err
	}
	for _, kind := range d.Stores {
		sr := &StoreReconciler{
			Store: kind, Objects: r.Objects, Gatherer: r.Gatherer, Feed: r.Feed, Writer: r.Writer, Events: r.Events,
			Shadow: r.Shadow != nil,
		}
		s.watch.stores = append(s.watch.stores, sr)
		if err := sr.setup(s.mgr, s.watch.waker); err != nil {
			return err
		}
	}
	return nil
}

// ownerLabels are the labels of Secrets that say whose they are.
func ownerLabels(dialects []Dialect) (out []string) {
	for _, d := range dialects {
		if d.OwnerLabel != "" {
			out = append(out, d.OwnerLabel)
		}
	}
	return out
}

func newManager(cfg config.Controller, kube *rest.Config, srv *served, log logr.Logger, owners ...string) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), kesv1.AddToScheme(scheme), esv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	kube = rest.CopyConfig(kube)
	kube.QPS = -1 // API priority and fairness does that job
	serving, err := srv.options(cfg, rest.CopyConfig(kube))
	if err != nil {
		return nil, err
	}
	opts := ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log,
		Metrics:                       serving,
		HealthProbeBindAddress:        cfg.HealthAddress,
		LeaderElection:                cfg.LeaderElect,
		LeaderElectionReleaseOnCancel: true,
		RenewDeadline:                 new(cluster.RenewDeadline),
		Cache:                         cache.Options{DefaultTransform: slim(owners...)},
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
	if cfg.LeaderElect {
		lock, err := cluster.NewLease(kube, cfg.LeaderElectionNamespace, cfg.Shadow)
		if err != nil {
			return nil, err
		}
		opts.LeaderElectionResourceLockInterface = lock
		kube.Wrap(lock.Fence)
	}
	if cfg.Shadow || cfg.Pause {
		kube.Wrap(cluster.ReadOnly)
	}
	mgr, err := ctrl.NewManager(kube, opts)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return mgr, nil
}

// setup says what wakes an object: itself, its Secret, its stores, its
// namespace's labels and annotations, and the feed.
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
	r.wake = func(req reconcile.Request) { w.add(r.Dialect.Name, req) }
	b := builder.ControllerManagedBy(mgr).
		Named(r.Dialect.Name).
		For(obj, builder.WithPredicates(r.changes())).
		WatchesMetadata(&corev1.Secret{}, r.secrets()).
		WatchesRawSource(rawsource.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			w.use(r.Dialect.Name, q)
			return nil
		})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			// What fails here is the API server, which may be away for a while. The
			// usual back-off would go on for minutes after that.
			RateLimiter:        workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, 10*time.Second),
			SkipNameValidation: new(true), // tests run several instances in one process
		})
	if everywhere {
		// A Role cannot grant to watch namespaces, so a scoped instance sees a
		// changed annotation when it next has a reason to look.
		b = b.WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.byNamespace),
			builder.WithPredicates(predicate.Or(predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{})))
	}
	for _, kind := range r.Dialect.Stores {
		b = b.Watches(kind.New(), handler.EnqueueRequestsFromMapFunc(r.byStore(kind.Kind)),
			builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, pauses())))
	}
	return b.Complete(r)
}

// changes are those of an object that it is looked at for. The others are noted.
func (r *Reconciler) changes() predicate.Predicate {
	out := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, pauses())
	if r.Dialect.Marks {
		out = predicate.Or(out, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	}
	noted := predicate.Funcs{UpdateFunc: func(e ctrlevent.UpdateEvent) bool {
		r.targets.current(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)}, e.ObjectNew.GetResourceVersion())
		return true
	}}
	return predicate.And(noted, out)
}

// byStore returns what finds the objects that use a store of a kind.
func (r *Reconciler) byStore(kind string) handler.MapFunc {
	return func(_ context.Context, store client.Object) []reconcile.Request {
		return r.targets.using(spec.StoreKey{Kind: kind, Namespace: store.GetNamespace(), Name: store.GetName()})
	}
}

// checkers is how many stores are checked together. A check waits for its
// store, so there are many.
const checkers = 16

func (r *StoreReconciler) setup(mgr ctrl.Manager, w *waker) error {
	return builder.ControllerManagedBy(mgr).
		Named(r.Store.Kind).
		For(r.Store.New(), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(rawsource.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			w.use(r.Store.Kind, q)
			return nil
		})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: checkers,
			SkipNameValidation:      new(true),
		}).
		Complete(r)
}

func (r *Reconciler) byNamespace(_ context.Context, ns client.Object) []reconcile.Request {
	return r.targets.in(ns.GetName())
}
