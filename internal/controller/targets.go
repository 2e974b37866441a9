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
//
// There is one of each for every object, so what many have alike is kept once, and
// what follows from something else is not kept.
type targets struct {
	// orphans says that the Secrets of orphans wake them too.
	orphans bool

	mu       sync.Mutex
	kind     spec.ID // of all objects, without a name
	objects  map[reconcile.Request]*target
	bySecret map[types.NamespacedName][]reconcile.Request // whose Secret is called otherwise than they
	byStore  map[spec.StoreKey]map[reconcile.Request]struct{}
	bySource map[source]map[reconcile.Request]struct{}
	alone    map[spec.StoreKey][]spec.StoreKey // the store as the only one of an object
}

// source is a ConfigMap or Secret with templates.
type source struct {
	spec.Source
	namespace string
}

type target struct {
	secret   types.NamespacedName
	version  string          // ResourceVersion of the Secret that we wrote or saw last
	orphan   bool            // events of the Secret wake nobody
	stores   []spec.StoreKey // never written to: others may have the same
	sources  []source
	plan     *plan.Plan // what is followed, with what its listings yielded; nil without listings
	forced   string     // the last sync that a person asked for
	failures int
	write    *underway // of the Secret; nil while there is none
	status   *reported // nil once the cache has it
	cached   string    // the version of the object that the cache had last, as its events said
	mended   bool      // the Secret was restored, and not synced since
}

// reported is an object whose status was written: as the cache had it then, and as
// the API server has it since.
type reported struct {
	before string
	after  client.Object
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
		t.alone = map[spec.StoreKey][]spec.StoreKey{}
		t.kind = spec.ID{Dialect: s.Object.Dialect, Kind: s.Object.Kind}
	}
	o := t.objects[req]
	known = o != nil
	if known {
		t.unlink(req, o)
	} else {
		o = &target{}
		t.objects[req] = o
	}
	secret := types.NamespacedName{Namespace: s.Target.Namespace, Name: s.Target.Name}
	if o.secret != secret {
		o.secret, o.version = secret, ""
	}
	o.orphan = s.Target.Creation == spec.Orphan && !t.orphans
	o.stores = t.storesOf(s.Entries)
	o.sources = o.sources[:0]
	for _, from := range s.Target.Program.Sources() {
		o.sources = append(o.sources, source{from, s.Object.Namespace})
	}
	t.link(req, o)
	return known
}

// storesOf are the stores of entries.
func (t *targets) storesOf(entries []spec.Entry) []spec.StoreKey {
	var out []spec.StoreKey
	for _, e := range entries {
		if !slices.Contains(out, e.Store) {
			out = append(out, e.Store)
		}
	}
	if len(out) != 1 {
		return out
	}
	if same, ok := t.alone[out[0]]; ok {
		return same
	}
	t.alone[out[0]] = out
	return out
}

// id is the name that the feed has for an object.
func (t *targets) id(req reconcile.Request) spec.ID {
	out := t.kind
	out.Namespace, out.Name = req.Namespace, req.Name
	return out
}

// known returns the name that the feed has for an object.
func (t *targets) known(req reconcile.Request) (spec.ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[req] == nil {
		return spec.ID{}, false
	}
	return t.id(req), true
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
	return t.id(req), true
}

func (t *targets) link(req reconcile.Request, o *target) {
	if o.secret != req.NamespacedName {
		t.bySecret[o.secret] = append(t.bySecret[o.secret], req)
	}
	for _, key := range o.stores {
		enter(t.byStore, key, req)
	}
	for _, key := range o.sources {
		enter(t.bySource, key, req)
	}
}

func (t *targets) unlink(req reconcile.Request, o *target) {
	if list, ok := t.bySecret[o.secret]; ok {
		if list = slices.DeleteFunc(list, func(r reconcile.Request) bool { return r == req }); len(list) > 0 {
			t.bySecret[o.secret] = list
		} else {
			delete(t.bySecret, o.secret)
		}
	}
	for _, key := range o.stores {
		if leave(t.byStore, key, req); t.byStore[key] == nil {
			delete(t.alone, key)
		}
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
	if o.plan == nil || !slices.Equal(o.plan.Finds, p.Finds) {
		o.plan = nil
		return p
	}
	return plan.Merge(p, *o.plan)
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
	changed := o.plan == nil || !slices.Equal(o.plan.Keys(), p.Keys())
	o.plan = &p
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
	if o.status != nil && version != o.status.before {
		o.status = nil
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
		o.status = &reported{before.GetResourceVersion(), after}
	}
}

// latest returns the object with the status that was written last, when the
// cache does not have it yet. Without it the echo of our own write of the
// Secret would have the status written twice.
func (t *targets) latest(req reconcile.Request, cached client.Object) client.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[req]
	if o == nil || o.status == nil {
		return cached
	}
	if cached.GetResourceVersion() == o.status.before {
		return o.status.after
	}
	o.status = nil
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

// following returns the objects that fill a Secret and are to be woken by an event
// of it, which says which version it has now; "" when it is gone.
func (t *targets) following(secret types.NamespacedName, version string) (out []reconcile.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tell := func(req reconcile.Request) {
		switch o := t.objects[req]; {
		case o == nil, o.secret != secret, o.orphan:
		case o.write != nil:
			o.write.heard, o.write.version = true, version
		case version == "" || o.version != version:
			out = append(out, req)
		}
	}
	tell(reconcile.Request{NamespacedName: secret})
	for _, req := range t.bySecret[secret] {
		tell(req)
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
