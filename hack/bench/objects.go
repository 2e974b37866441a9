// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const (
	group     = "external-secrets.io"
	version   = "v1"
	storeName = "store"
	// clients is how many write together.
	clients = 50
)

var externalSecrets = schema.GroupVersionResource{Group: group, Version: version, Resource: "externalsecrets"}

// object is the i-th ExternalSecret.
func (r *rig) object(i int, namespace string) *unstructured.Unstructured {
	w := r.manager.values().workload
	var data []any
	for j := range entries {
		data = append(data, map[string]any{
			"secretKey": key(j),
			"remoteRef": map[string]any{"key": r.manager.remote(w.path(i, j)), "property": property(j)},
		})
	}
	out := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"refreshInterval": r.opts.interval.String(),
		"secretStoreRef":  map[string]any{"kind": "SecretStore", "name": storeName},
		"data":            data,
	}}}
	out.SetAPIVersion(group + "/" + version)
	out.SetKind("ExternalSecret")
	out.SetNamespace(namespace)
	out.SetName(nameOf(i))
	return out
}

// create makes the store and all objects of a namespace, and returns the
// objects' UIDs.
func (r *rig) create(ctx context.Context, namespace, stores string) ([]string, error) {
	if err := plane.Apply(ctx, r.plane.Admin, []byte(stores), namespace); err != nil {
		return nil, err
	}
	out := make([]string, r.manager.values().objects)
	err := together(ctx, len(out), func(ctx context.Context, i int) error {
		made, err := r.dynamic.Resource(externalSecrets).Namespace(namespace).Create(ctx, r.object(i, namespace), metav1.CreateOptions{})
		if err == nil {
			out[i] = string(made.GetUID())
		}
		return err
	})
	return out, err
}

// remove deletes the objects of a namespace and their Secrets.
func (r *rig) remove(ctx context.Context, namespace string) error {
	return together(ctx, r.manager.values().objects, func(ctx context.Context, i int) error {
		return errors.Join(
			ignoreMissing(r.dynamic.Resource(externalSecrets).Namespace(namespace).Delete(ctx, nameOf(i), metav1.DeleteOptions{})),
			ignoreMissing(r.sets.CoreV1().Secrets(namespace).Delete(ctx, nameOf(i), metav1.DeleteOptions{})),
		)
	})
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// together does something for each of n numbers, so many at a time as there are
// clients, until all is done or something fails.
func together(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range clients {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(fmt.Errorf("%s: %w", nameOf(i), err))
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// unready is how many objects do not say yet that they are ready, and what one
// of them says.
func (r *rig) unready(ctx context.Context) (n int, example string, err error) {
	n = r.manager.values().objects
	opts := metav1.ListOptions{Limit: 500}
	for {
		list, err := r.dynamic.Resource(externalSecrets).Namespace(lookedAfter).List(ctx, opts)
		if err != nil {
			return 0, "", err
		}
		for _, item := range list.Items {
			ready, message := readiness(item.Object)
			if ready {
				n--
				continue
			}
			example = item.GetName() + ": " + message
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return n, example, nil
		}
	}
}

// readiness is the Ready condition of an object.
func readiness(object map[string]any) (ready bool, message string) {
	list, _, _ := unstructured.NestedSlice(object, "status", "conditions")
	for _, item := range list {
		c, ok := item.(map[string]any)
		if !ok || c["type"] != "Ready" {
			continue
		}
		return c["status"] == "True", fmt.Sprint(c["message"])
	}
	return false, "it has no status"
}
