// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"sync"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apiServer is as much of one as the reconcilers need, in the process, so that
// they run on virtual time. What is not here is called by nobody.
type apiServer struct {
	client.Client
	pause func(most time.Duration) // what calls over the network take

	mu      sync.Mutex
	objects map[name]client.Object
	version int
	// writes is told of each Secret before it is written, under the lock.
	writes func(*corev1.Secret)
	events chan event
}

// name is what an object is stored under.
type name struct {
	kind string
	types.NamespacedName
}

// event is a change as a watch tells it.
type event struct{ before, after client.Object }

// latency is the longest that a call takes.
const latency = 5 * time.Millisecond

func kindOf(o client.Object) string {
	if meta, ok := o.(*metav1.PartialObjectMetadata); ok {
		return meta.Kind
	}
	return reflect.TypeOf(o).Elem().Name()
}

func nameOf(o client.Object) name { return name{kindOf(o), client.ObjectKeyFromObject(o)} }

func missing(n name) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: n.kind}, n.Name)
}

// Get reads what there is at this moment.
func (a *apiServer) Get(_ context.Context, key client.ObjectKey, out client.Object, _ ...client.GetOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := name{kindOf(out), key}
	o := a.objects[n]
	if o == nil {
		return missing(n)
	}
	assign(out, o)
	return nil
}

// assign makes out a copy of an object, or of its metadata.
func assign(out, o client.Object) {
	o, _ = o.DeepCopyObject().(client.Object)
	if meta, ok := out.(*metav1.PartialObjectMetadata); ok {
		meta.Name, meta.Namespace, meta.UID, meta.ResourceVersion = o.GetName(), o.GetNamespace(), o.GetUID(), o.GetResourceVersion()
		meta.Labels, meta.Annotations, meta.OwnerReferences = o.GetLabels(), o.GetAnnotations(), o.GetOwnerReferences()
		return
	}
	reflect.ValueOf(out).Elem().Set(reflect.ValueOf(o).Elem())
}

// List lists the metadata of Secrets.
func (a *apiServer) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	a.mu.Lock()
	defer a.mu.Unlock()
	out, _ := list.(*metav1.PartialObjectMetadataList)
	for n, obj := range a.objects {
		if n.kind == "Secret" && n.Namespace == o.Namespace && o.LabelSelector.Matches(labels.Set(obj.GetLabels())) {
			var meta metav1.PartialObjectMetadata
			assign(&meta, obj)
			out.Items = append(out.Items, meta)
		}
	}
	return nil
}

// Create creates a Secret.
func (a *apiServer) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	defer a.pause(latency)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.objects[nameOf(o)] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{}, o.GetName())
	}
	a.write(o)
	return nil
}

// Update replaces a Secret that is as it was read.
func (a *apiServer) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	defer a.pause(latency)
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.objects[nameOf(o)]
	if before == nil {
		return missing(nameOf(o))
	}
	if before.GetUID() != o.GetUID() || before.GetResourceVersion() != o.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), nil)
	}
	a.write(o)
	return nil
}

func (a *apiServer) write(o client.Object) {
	if s, ok := o.(*corev1.Secret); ok {
		a.writes(s)
	}
	a.put(o)
}

// Delete deletes a Secret that is as it was read.
func (a *apiServer) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	var want client.DeleteOptions
	want.ApplyOptions(opts)
	defer a.pause(latency)
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.objects[nameOf(o)]
	if is == nil {
		return missing(nameOf(o))
	}
	if p := want.Preconditions; *p.UID != is.GetUID() || *p.ResourceVersion != is.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), nil)
	}
	a.remove(nameOf(o))
	return nil
}

// Status is the writer of statuses.
func (a *apiServer) Status() client.SubResourceWriter { return statuses{api: a} }

type statuses struct {
	client.SubResourceWriter
	api *apiServer
}

// Patch writes the status of an object.
func (s statuses) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	a := s.api
	defer a.pause(latency)
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.objects[nameOf(o)]
	if is == nil {
		return missing(nameOf(o))
	}
	next, err := patched(is, patch)
	if err != nil {
		return err
	}
	a.put(next)
	assign(o, next)
	return nil
}

// patched is an object with a merge patch.
func patched(o client.Object, patch client.Patch) (client.Object, error) {
	change, err := patch.Data(nil)
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	after, err := jsonpatch.MergePatch(before, change)
	if err != nil {
		return nil, err
	}
	out, _ := reflect.New(reflect.TypeOf(o).Elem()).Interface().(client.Object)
	return out, json.Unmarshal(after, out)
}

// GroupVersionKindFor is the kind of an object.
func (a *apiServer) GroupVersionKindFor(o runtime.Object) (schema.GroupVersionKind, error) {
	return schema.GroupVersionKind{Kind: reflect.TypeOf(o).Elem().Name()}, nil
}

// put stores an object. The caller holds the lock, as with all that follow.
func (a *apiServer) put(o client.Object) {
	a.version++
	n := nameOf(o)
	before := a.objects[n]
	if before == nil {
		o.SetUID(types.UID("uid-" + strconv.Itoa(a.version)))
		o.SetGeneration(1)
	}
	o.SetResourceVersion(strconv.Itoa(a.version))
	kept, _ := o.DeepCopyObject().(client.Object)
	a.objects[n] = kept
	a.events <- event{before, kept}
}

// edit changes an object, or makes it, and counts its generations.
func (a *apiServer) edit(o client.Object, change func()) {
	change()
	if is := a.objects[nameOf(o)]; is != nil {
		o.SetGeneration(is.GetGeneration() + 1)
	}
	a.put(o)
}

// remove takes an object away, and what it owns.
func (a *apiServer) remove(n name) {
	o := a.objects[n]
	if o == nil {
		return
	}
	delete(a.objects, n)
	a.version++
	gone, _ := o.DeepCopyObject().(client.Object)
	gone.SetResourceVersion(strconv.Itoa(a.version))
	a.events <- event{gone, nil}
	for other, owned := range maps.Clone(a.objects) {
		for _, ref := range owned.GetOwnerReferences() {
			if ref.UID == o.GetUID() {
				a.remove(other)
			}
		}
	}
}

// live is the API server without a cache before it: it takes a while, and then
// tells what there is by then.
type live struct{ *apiServer }

// Get reads what there is at the end of the call.
func (l live) Get(ctx context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	l.pause(latency)
	return l.apiServer.Get(ctx, key, out, opts...)
}
