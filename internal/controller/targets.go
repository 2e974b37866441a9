// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// targets remembers what the controller needs to know of the objects it looks
// after in order to be woken rightly.
type targets struct {
	// orphans says that the Secrets of orphans wake them too.
	orphans bool

	mu       sync.Mutex
	objects  map[reconcile.Request]*target
	bySecret map[types.NamespacedName][]reconcile.Request // most have one
	byStore  map[spec.StoreKey]map[reconcile.Request]struct{}
	bySource map[source]map[reconcile.Request]struct{}
}

// source is a ConfigMap or Secret with templates.
type source struct {
	spec.Source
	namespace string
}

type target struct {
	id       spec.ID
	secret   types.NamespacedName
	version  string // ResourceVersion of the Secret that we wrote or saw last
	orphan   bool   // events of the Secret wake nobody
	stores   []spec.StoreKey
	sources  []source
	plan     plan.Plan // what is followed, with what its listings yielded
	forced   string    // the last sync that a person asked for
	failures int
	mended   bool // the Secret was restored, and not synced since

	// before and after are the object as the cache had it when its status was
	// written, and as the API server has it since.
	before string
	after  client.Object
	cached string // the version that the cache had last, as its events said
}

// put notes what an object depends on, and reports whether the object was
// known before.
func (t *targets) put(req reconcile.Request, s spec.Spec) (known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects == nil {
		t.objects = map[reconcile.Request]*target{}
		t.bySecret = map[types.NamespacedName][]reconcile.Request{}
		t.byStore = map[spec.StoreKey]map[reconcile.Request]struct{}{}
		t.bySource = map[source]map[reconcile.Request]struct{}{}
	}
	o := t.objects[req]
	known = o != nil
	if known {
		t.unlink(req, o)
	} else {
		o = &target{id: s.Object.ID()}
		t.objects[req] = o
	}
	secret := types.NamespacedName{Namespace: s.Target.Namespace, Name: s.Target.Name}
	if o.secret != secret {
		o.secret, o.version = secret, ""
	}
	o.orphan = s.Target.Creation == spec.Orphan && !t.orphans
	o.stores = o.stores[:0]
	for _, e := range s.Entries {
		if !slices.Contains(o.stores, e.Store) {
			o.stores = append(o.stores, e.Store)
		}
	}
	o.sources = o.sources[:0]
	for _, from := range s.Target.Program.Sources() {
		o.sources = append(o.sources, source{from, s.Object.Namespace})
	}
	t.link(req, o)
	return known
}

// known returns the name that the feed has for an object.
func (t *targets) known(req reconcile.Request) (spec.ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil {
		return spec.ID{}, false
	}
	return o.id, true
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

func (t *targets) link(req reconcile.Request, o *target) {
	t.bySecret[o.secret] = append(t.bySecret[o.secret], req)
	for _, key := range o.stores {
		enter(t.byStore, key, req)
	}
	for _, key := range o.sources {
		enter(t.bySource, key, req)
	}
}

func (t *targets) unlink(req reconcile.Request, o *target) {
	t.bySecret[o.secret] = slices.DeleteFunc(t.bySecret[o.secret], func(r reconcile.Request) bool { return r == req })
	if len(t.bySecret[o.secret]) == 0 {
		delete(t.bySecret, o.secret)
	}
	for _, key := range o.stores {
		leave(t.byStore, key, req)
	}
	for _, key := range o.sources {
		leave(t.bySource, key, req)
	}
}

func enter[K comparable](m map[K]map[reconcile.Request]struct{}, key K, req reconcile.Request) {
	if m[key] == nil {
		m[key] = map[reconcile.Request]struct{}{}
	}
	m[key][req] = struct{}{}
}

func leave[K comparable](m map[K]map[reconcile.Request]struct{}, key K, req reconcile.Request) {
	delete(m[key], req)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

// using returns the objects that take something from a store.
func (t *targets) using(key spec.StoreKey) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.byStore[key]))
}

// templated returns the objects whose templates are in a ConfigMap or Secret.
func (t *targets) templated(key source) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.bySource[key]))
}

// expanded returns the plan with what its listings yielded the last time, so
// that what was read for them is not dropped and read again.
func (t *targets) expanded(req reconcile.Request, p plan.Plan) plan.Plan {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil || len(p.Finds) == 0 {
		return p
	}
	if !slices.Equal(o.plan.Finds, p.Finds) {
		o.plan = plan.Plan{}
		return p
	}
	return plan.Merge(p, o.plan)
}

// expand notes what an object follows now, and reports whether that is more or
// less than before.
func (t *targets) expand(req reconcile.Request, p plan.Plan) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil {
		return false
	}
	changed := !slices.Equal(o.plan.Keys(), p.Keys())
	o.plan = p
	return changed
}

// force reports whether a sync was asked for that was not carried out yet.
func (t *targets) force(req reconcile.Request, asked string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil || asked == "" || o.forced == asked {
		return false
	}
	o.forced = asked
	return true
}

// seen reports whether the Secret was there when it was written or looked at
// last.
func (t *targets) seen(req reconcile.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	return o != nil && o.version != ""
}

// current notes which version of an object the cache has, so that a later one
// is not kept any more.
func (t *targets) current(req reconcile.Request, version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil {
		return
	}
	o.cached = version
	if o.after != nil && version != o.before {
		o.after = nil
	}
}

// saw notes the Secret as it stands, which is as it should be.
func (t *targets) saw(req reconcile.Request, current *spec.Secret) {
	if current != nil {
		t.wrote(req, current.ResourceVersion)
	}
}

// untouched reports whether the Secret is the one that was written or seen
// last.
func (t *targets) untouched(req reconcile.Request, current *spec.Secret) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if current == nil {
		return o != nil && o.version == ""
	}
	return o != nil && o.version == current.ResourceVersion
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
	if o := t.objects[req]; o != nil && o.cached != after.GetResourceVersion() {
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
		o.failures, o.mended = 0, false
	}
}

// following returns the objects that fill a Secret, but for those that wrote
// this very version of it themselves.
func (t *targets) following(secret types.NamespacedName, version string) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []reconcile.Request
	for _, req := range t.bySecret[secret] {
		o := t.objects[req]
		if !o.orphan && (version == "" || o.version != version) {
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
