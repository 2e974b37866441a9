// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Files stands in for a cluster where there is none: it answers a Gatherer from
// manifests. Every namespace exists; what the manifests do not have does not.
type Files []client.Object

// Get returns an object of the manifests.
func (f Files) Get(_ context.Context, key client.ObjectKey, out client.Object, _ ...client.GetOption) error {
	if meta, ok := out.(*metav1.PartialObjectMetadata); ok {
		meta.Name = key.Name
		if ns := f.find(&corev1.Namespace{}, client.ObjectKey{Name: key.Name}); ns != nil {
			meta.Labels, meta.Annotations = ns.GetLabels(), ns.GetAnnotations()
		}
		return nil
	}
	found := f.find(out, key)
	if found != nil {
		reflect.ValueOf(out).Elem().Set(reflect.ValueOf(found).Elem())
		return nil
	}
	if ns, ok := out.(*corev1.Namespace); ok {
		ns.Name = key.Name
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: fmt.Sprintf("%T", out)}, key.Name)
}

func (f Files) find(like client.Object, key client.ObjectKey) client.Object {
	for _, o := range f {
		if reflect.TypeOf(o) == reflect.TypeOf(like) && client.ObjectKeyFromObject(o) == key {
			return o
		}
	}
	return nil
}

// List finds nothing: it is only asked for what an object left behind under
// another name.
func (Files) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
