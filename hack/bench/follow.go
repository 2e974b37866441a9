// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// follower watches the Secrets of the objects, and knows which of them hold what
// the manager holds.
type follower struct {
	state *state
	end   context.CancelFunc
	ended chan struct{}

	mu    sync.Mutex
	right map[int]time.Time // since when
	moves int               // events that were seen
}

// newFollower watches until stop.
func newFollower(ctx context.Context, sets *kubernetes.Clientset, s *state) *follower {
	f := &follower{state: s, ended: make(chan struct{}), right: map[int]time.Time{}}
	ctx, f.end = context.WithCancel(ctx)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(sets.CoreV1().RESTClient(), "secrets", lookedAfter, fields.Everything()),
		ObjectType:    &corev1.Secret{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    f.look,
			UpdateFunc: func(_, now any) { f.look(now) },
			DeleteFunc: f.lost,
		},
	})
	go func() {
		defer close(f.ended)
		informer.RunWithContext(ctx)
	}()
	return f
}

func (f *follower) stop() {
	f.end()
	<-f.ended
}

// look looks at a Secret.
func (f *follower) look(obj any) {
	s, ok := obj.(*corev1.Secret)
	if !ok {
		return
	}
	i, ok := numberOf(s.Name)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves++
	if !f.state.right(i, s.Data) {
		delete(f.right, i)
		return
	}
	if _, ok := f.right[i]; !ok {
		f.right[i] = time.Now()
	}
}

// lost notes that a Secret is gone.
func (f *follower) lost(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if s, ok := obj.(*corev1.Secret); ok {
		if i, ok := numberOf(s.Name); ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.right, i)
		}
	}
}

// change has the manager change paths, and returns when it began. Who reads one
// of them is wrong from then on.
func (f *follower) change(m manager, paths []int) (time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := map[int]bool{}
	for _, p := range paths {
		changed[p] = true
	}
	for i := range f.right {
		for j := range entries {
			if changed[f.state.path(i, j)] {
				delete(f.right, i)
			}
		}
	}
	began := time.Now()
	return began, m.change(paths)
}

// count is how many Secrets are right.
func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.right)
}

// after is how long after a moment each Secret that became right since did so.
func (f *follower) after(began time.Time) (out []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.right {
		if t.After(began) {
			out = append(out, t.Sub(began))
		}
	}
	return out
}
