// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"reflect"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What is watched is kept in memory, all of it, so it is kept small: of Secrets
// and ConfigMaps what somebody looks at, and of objects and stores each text once
// that many of them have.

// slim returns what makes an object small on its way into the cache. ownerLabels
// are the labels of Secrets that say whose they are. It changes what it is given.
func slim(ownerLabels ...string) func(any) (any, error) {
	texts := &texts{}
	return func(in any) (any, error) {
		obj, ok := in.(client.Object)
		if !ok {
			return in, nil // a tombstone
		}
		obj.SetManagedFields(nil)
		if meta, ok := in.(*metav1.PartialObjectMetadata); ok {
			if meta.Kind != "Namespace" { // whose labels and annotations count
				*meta = *outline(meta, ownerLabels)
			}
			texts.share(meta)
			return meta, nil
		}
		// A decoded list is one piece of memory that its last object holds, and its
		// slices have room for more.
		out, _ := obj.DeepCopyObject().(client.Object)
		texts.share(out)
		return out, nil
	}
}

// outline is what is kept of a Secret or ConfigMap: which it is, and for one that
// is an object's whose it is.
func outline(meta *metav1.PartialObjectMetadata, ownerLabels []string) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{TypeMeta: meta.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion, DeletionTimestamp: meta.DeletionTimestamp,
	}}
	owner := metav1.GetControllerOfNoCopy(meta)
	for _, label := range ownerLabels {
		value, ok := meta.Labels[label]
		if !ok {
			continue
		}
		if owner != nil {
			out.OwnerReferences = []metav1.OwnerReference{*owner}
		}
		if owner == nil || owner.Name != meta.Name { // as gather.Owners has it
			out.Labels = map[string]string{label: value}
		}
	}
	return out
}

// mostTexts is how many different texts are remembered, and longest how long they
// may be, in bytes.
const (
	mostTexts = 10_000
	longest   = 256
)

// texts has each text once. It forgets all of them when there are too many, so
// that they cannot fill the memory.
type texts struct {
	mu    sync.Mutex
	known map[string]string
}

// share makes an object have its texts in common with others, but for those that
// are no other's.
func (t *texts) share(obj client.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name, uid, version := obj.GetName(), obj.GetUID(), obj.GetResourceVersion()
	t.walk(reflect.ValueOf(obj))
	obj.SetName(name)
	obj.SetUID(uid)
	obj.SetResourceVersion(version)
}

func (t *texts) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			t.walk(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				t.walk(f)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			t.walk(v.Index(i))
		}
	case reflect.String:
		if n := v.Len(); n > 0 && n <= longest {
			v.SetString(t.one(v.String()))
		}
	}
}

// one is the one that is kept of equal texts.
func (t *texts) one(s string) string {
	if known, ok := t.known[s]; ok {
		return known
	}
	if t.known == nil || len(t.known) >= mostTexts {
		t.known = map[string]string{}
	}
	t.known[s] = s
	return s
}
