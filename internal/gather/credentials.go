// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Credentials returns what a backend may read for its login: nothing outside
// the namespace, unless the store is the operator's.
func (g Gatherer) Credentials(s spec.Store) backend.Credentials {
	return credentials{g.Live, g.Tokens, s.Namespace, s.Shared}
}

type credentials struct {
	live      client.Reader
	tokens    Tokens
	namespace string
	shared    bool
}

// In returns the credentials of another namespace.
func (c credentials) In(namespace string) (backend.Credentials, error) {
	switch {
	case namespace == "" || namespace == c.namespace:
	case !c.shared:
		return nil, elsewhere(namespace)
	default:
		c.namespace = namespace
	}
	if c.namespace == "" {
		return nil, backend.Errorf(backend.Unknown, "its credentials are in the namespace that uses the store, and are checked there")
	}
	return c, nil
}

func elsewhere(namespace string) error {
	return backend.Errorf(backend.InvalidRef, "namespace %q: a store of one namespace uses credentials of its own namespace only", namespace)
}

// All returns a Secret in the namespace.
func (c credentials) All(ctx context.Context, name string) (backend.Secret, error) {
	var obj corev1.Secret
	if err := c.get(ctx, name, &obj, "Secret"); err != nil {
		return backend.Secret{}, err
	}
	out := backend.Secret{Fields: make(map[string]backend.Value, len(obj.Data)), Labels: obj.Labels, Version: obj.ResourceVersion}
	for k, v := range obj.Data {
		out.Fields[k] = backend.NewValue(v)
	}
	return out, nil
}

// Secret returns one key of a Secret in the namespace.
func (c credentials) Secret(ctx context.Context, name, key string) (backend.Value, error) {
	var obj corev1.Secret
	if err := c.get(ctx, name, &obj, "Secret"); err != nil {
		return backend.Value{}, err
	}
	v, ok := obj.Data[key]
	if !ok {
		return backend.Value{}, backend.Errorf(backend.NotFound, "Secret %q has no key %q", name, key)
	}
	return backend.NewValue(v), nil
}

// ConfigMap returns one key of a ConfigMap in the namespace.
func (c credentials) ConfigMap(ctx context.Context, name, key string) (string, error) {
	var obj corev1.ConfigMap
	if err := c.get(ctx, name, &obj, "ConfigMap"); err != nil {
		return "", err
	}
	v, ok := obj.Data[key]
	if !ok {
		return "", backend.Errorf(backend.NotFound, "ConfigMap %q has no key %q", name, key)
	}
	return v, nil
}

// Token returns a token of a service account in the namespace. Minting tokens
// is a power that the shipped RBAC gives only where the operator adds it.
func (c credentials) Token(ctx context.Context, serviceAccount string, audiences []string) (backend.Value, time.Time, error) {
	if c.tokens == nil {
		return backend.Value{}, time.Time{}, backend.Errorf(backend.PermissionDenied, "service account tokens are not granted to Lockstep")
	}
	return c.tokens.Token(ctx, c.namespace, serviceAccount, audiences)
}

func (c credentials) get(ctx context.Context, name string, obj client.Object, kind string) error {
	err := c.live.Get(ctx, types.NamespacedName{Namespace: c.namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return backend.Errorf(backend.NotFound, "%s %q does not exist in namespace %q", kind, name, c.namespace)
	}
	if err != nil {
		return &backend.Error{Code: backend.Unavailable, Message: fmt.Sprintf("%s %q cannot be read", kind, name), Err: err}
	}
	return nil
}
