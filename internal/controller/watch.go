// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// A watch wakes whom a ConfigMap or a Secret concerns that is not a target: the stores whose credentials it holds, their objects, and
// the objects whose templates are in it. Only metadata is watched.
type watch struct {
	feed        *feed.Feed
	waker       *waker
	reconcilers []*Reconciler
	stores      []*StoreReconciler
	shadow      *shadow.Report // nil where work is done
}

// start registers with the informers that the manager runs.
func (w *watch) start(ctx context.Context, c cache.Cache) error {
	for _, kind := range []string{"Secret", "ConfigMap"} {
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
		informer, err := c.GetInformer(ctx, meta)
		if err != nil {
			return fmt.Errorf("watch %s: %w", kind, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(o any) { w.changed(kind, o) },
			UpdateFunc: func(before, after any) {
				b, _ := before.(client.Object)
				a, ok := after.(client.Object)
				if ok && b.GetResourceVersion() != a.GetResourceVersion() {
					w.changed(kind, after)
				}
			},
			DeleteFunc: func(o any) {
				if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
					o = gone.Obj
				}
				w.changed(kind, o)
			},
		})
		if err != nil {
			return fmt.Errorf("watch %s: %w", kind, err)
		}
	}
	return nil
}

// changed wakes whom an object concerns.
func (w *watch) changed(kind string, o any) {
	obj, ok := o.(client.Object)
	if !ok {
		return
	}
	dep := feed.Dep{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	owners, _ := w.feed.Touch(dep)
	for _, id := range owners {
		w.waker.wake(id)
	}
	for _, r := range w.stores {
		for _, req := range r.deps.on(dep) {
			w.waker.add(r.Store.Kind, req)
		}
	}
	for _, r := range w.reconcilers {
		key := source{spec.Source{Kind: kind, Name: obj.GetName()}, obj.GetNamespace()}
		for _, req := range r.targets.templated(key) {
			w.waker.add(r.Dialect.Name, req)
		}
	}
}

// waker hands what the feed and the watches have to tell to the right queue.
type waker struct {
	mu     sync.Mutex
	queues map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// use makes a queue known by the name of its dialect or kind of stores.
func (w *waker) use(name string, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queues == nil {
		w.queues = map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]{}
	}
	w.queues[name] = q
}

func (w *waker) wake(id spec.ID) {
	w.add(string(id.Dialect), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: id.Namespace, Name: id.Name}})
}

// tell has a store looked at, whose kind is the name of its queue.
func (w *waker) tell(key spec.StoreKey) {
	w.add(key.Kind, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: key.Namespace, Name: key.Name}})
}

func (w *waker) add(name string, req reconcile.Request) {
	w.mu.Lock()
	q := w.queues[name]
	w.mu.Unlock()
	if q != nil {
		q.Add(req)
	}
}
