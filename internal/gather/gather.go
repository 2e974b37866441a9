// SPDX-License-Identifier: Apache-2.0

// Package gather fetches everything in Kubernetes that an object's result
// depends on. It decides nothing; the Inputs it returns are judged by the pure
// packages.
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

// Gatherer reads from the API server. Contents of Secrets are not cached, so
// the reader is a live one.
type Gatherer struct {
	Live   client.Reader
	Tokens Tokens // nil where tokens are not granted
}

// Tokens mints tokens of service accounts.
type Tokens interface {
	// Token returns a token for the audiences, and when it expires:
	// PermissionDenied where Lockstep may not, NotFound without the account.
	Token(ctx context.Context, namespace, serviceAccount string, audiences []string) (backend.Value, time.Time, error)
}

// Inputs returns what the result of s depends on.
func (g Gatherer) Inputs(ctx context.Context, s spec.Spec) (spec.Inputs, error) {
	in := spec.Inputs{Stores: s.Stores}
	var ns corev1.Namespace
	if err := g.Live.Get(ctx, types.NamespacedName{Name: s.Object.Namespace}, &ns); err != nil {
		return spec.Inputs{}, fmt.Errorf("read namespace: %w", err)
	}
	in.Namespace = spec.Namespace{Name: ns.Name, Labels: ns.Labels, Annotations: ns.Annotations}
	current, err := g.secret(ctx, s.Target.Namespace, s.Target.Name)
	if err != nil {
		return spec.Inputs{}, err
	}
	in.Current = current
	return in, nil
}

// secret returns a Secret as a value, or nil when there is none.
func (g Gatherer) secret(ctx context.Context, namespace, name string) (*spec.Secret, error) {
	var obj corev1.Secret
	err := g.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret: %w", err)
	}
	return value(&obj), nil
}

// value turns a Secret object into the value that the pure packages know.
func value(obj *corev1.Secret) *spec.Secret {
	out := &spec.Secret{
		UID:             string(obj.UID),
		ResourceVersion: obj.ResourceVersion,
		Namespace:       obj.Namespace,
		Name:            obj.Name,
		Type:            string(obj.Type),
		Data:            make(map[string]backend.Value, len(obj.Data)),
		Labels:          obj.Labels,
		Annotations:     obj.Annotations,
		Finalizers:      obj.Finalizers,
		Immutable:       obj.Immutable,
		Deleting:        obj.DeletionTimestamp != nil,
	}
	for k, v := range obj.Data {
		out.Data[k] = backend.NewValue(v)
	}
	for _, o := range obj.OwnerReferences {
		out.Owners = append(out.Owners, spec.OwnerRef{
			APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: string(o.UID),
			Controller: o.Controller != nil && *o.Controller,
		})
	}
	return out
}

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
		return nil, backend.Errorf(backend.InvalidRef, "the store does not say in which namespace its credentials are")
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

// Nothing is the credentials of a place without a cluster: there are none.
func Nothing(s spec.Store) backend.Credentials { return nothing{s.Namespace} }

type nothing struct{ namespace string }

func (n nothing) In(namespace string) (backend.Credentials, error) {
	if namespace != "" {
		n.namespace = namespace
	}
	return n, nil
}

func (n nothing) All(_ context.Context, name string) (backend.Secret, error) {
	return backend.Secret{}, n.missing("Secret", name)
}

func (n nothing) Secret(_ context.Context, name, _ string) (backend.Value, error) {
	return backend.Value{}, n.missing("Secret", name)
}

func (n nothing) ConfigMap(_ context.Context, name, _ string) (string, error) {
	return "", n.missing("ConfigMap", name)
}

func (n nothing) Token(_ context.Context, serviceAccount string, _ []string) (backend.Value, time.Time, error) {
	return backend.Value{}, time.Time{}, n.missing("service account", serviceAccount)
}

func (n nothing) missing(kind, name string) error {
	return backend.Errorf(backend.NotFound, "%s %q of namespace %q cannot be read without a cluster", kind, name, n.namespace)
}
