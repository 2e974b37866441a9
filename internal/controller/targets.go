// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// targets remembers what the controller needs to know of the objects it looks
// after in order to be woken rightly.
type targets struct {
	mu       sync.Mutex
	objects  map[reconcile.Request]*target
	bySecret map[types.NamespacedName]map[reconcile.Request]struct{}
}

type target struct {
	id       spec.ID
	secret   types.NamespacedName
	version  string // ResourceVersion of the Secret we wrote last
	failures int

	// before and after are the object as the cache had it when its status was
	// written, and as the API server has it since.
	before string
	after  client.Object
}

// put notes which Secret an object fills, and reports whether the object was
// known before.
func (t *targets) put(req reconcile.Request, s spec.Spec) (known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects == nil {
		t.objects = map[reconcile.Request]*target{}
		t.bySecret = map[types.NamespacedName]map[reconcile.Request]struct{}{}
	}
	secret := types.NamespacedName{Namespace: s.Target.Namespace, Name: s.Target.Name}
	o := t.objects[req]
	if o != nil && o.secret == secret {
		return true
	}
	known = o != nil
	if known {
		t.unlink(req, o)
	}
	t.objects[req] = &target{id: s.Object.ID(), secret: secret}
	if t.bySecret[secret] == nil {
		t.bySecret[secret] = map[reconcile.Request]struct{}{}
	}
	t.bySecret[secret][req] = struct{}{}
	return known
}

// remove forgets an object.
func (t *targets) remove(req reconcile.Request) (spec.ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil {
		return spec.ID{}, false
	}
	t.unlink(req, o)
	delete(t.objects, req)
	return o.id, true
}

func (t *targets) unlink(req reconcile.Request, o *target) {
	delete(t.bySecret[o.secret], req)
	if len(t.bySecret[o.secret]) == 0 {
		delete(t.bySecret, o.secret)
	}
}

// wrote notes the version that our own write made, so that its echo wakes
// nobody.
func (t *targets) wrote(req reconcile.Request, version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[req]; o != nil {
		o.version = version
	}
}

// reported notes a status that was written, until the cache has it too.
func (t *targets) reported(req reconcile.Request, before, after client.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[req]; o != nil {
		o.before, o.after = before.GetResourceVersion(), after
	}
}

// latest returns the object with the status that was written last, when the
// cache does not have it yet. Without it the echo of our own write of the
// Secret would have the status written twice.
func (t *targets) latest(req reconcile.Request, cached client.Object) client.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil || o.after == nil {
		return cached
	}
	if cached.GetResourceVersion() == o.before {
		return o.after
	}
	o.after = nil
	return cached
}

// failed counts one more failure in a row.
func (t *targets) failed(req reconcile.Request) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil {
		return 1
	}
	o.failures++
	return o.failures
}

func (t *targets) succeeded(req reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[req]; o != nil {
		o.failures = 0
	}
}

// following returns the objects that fill a Secret, but for those that wrote
// this very version of it themselves.
func (t *targets) following(secret types.NamespacedName, version string) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []reconcile.Request
	for req := range t.bySecret[secret] {
		if version == "" || t.objects[req].version != version {
			out = append(out, req)
		}
	}
	return out
}

// in returns the objects of a namespace.
func (t *targets) in(namespace string) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []reconcile.Request
	for req := range t.objects {
		if req.Namespace == namespace {
			out = append(out, req)
		}
	}
	return out
}
