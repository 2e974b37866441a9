// SPDX-License-Identifier: Apache-2.0

// Package gather fetches everything in Kubernetes that an object's result
// depends on. It decides nothing; the Inputs it returns are judged by the pure
// packages.
package gather

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Gatherer reads from the API server. Contents of Secrets are not cached, so
// one of its readers is a live one.
type Gatherer struct {
	Live   client.Reader
	Cached client.Reader // objects and metadata that are watched anyway
	Tokens Tokens        // nil where tokens are not granted
	// Indexed says that Cached has the index of Owners. Without it, each look goes
	// through all Secrets of the namespace.
	Indexed bool
	// Scoped says that only some namespaces may be read, and nothing of the
	// whole cluster.
	Scoped bool
}

// Tokens mints tokens of service accounts.
type Tokens interface {
	// Token returns a token for the audiences, and when it expires:
	// PermissionDenied where Lockstep may not, NotFound without the account.
	Token(ctx context.Context, namespace, serviceAccount string, audiences []string) (backend.Value, time.Time, error)
}

// Stores says how stores that are objects are read, by their kind.
type Stores map[string]StoreKind

// StoreKind is one kind of store.
type StoreKind struct {
	New func() client.Object
	// Read turns the object into a store, as the objects of a namespace see it.
	Read func(client.Object, spec.Namespace) spec.Store
}

// Inputs returns what the result of s depends on. known says that its Secret was
// seen or written already. Otherwise a cache is believed that has none: should
// it be late, the API server refuses to create what is there.
func (g Gatherer) Inputs(ctx context.Context, s spec.Spec, kinds Stores, known bool) (spec.Inputs, error) {
	ns, err := g.namespace(ctx, s, len(kinds) > 0)
	if err != nil {
		return spec.Inputs{}, err
	}
	in := spec.Inputs{Namespace: ns, Stores: s.Stores}
	if len(kinds) > 0 {
		if in.Stores, err = g.Stores(ctx, s, ns, kinds); err != nil {
			return spec.Inputs{}, err
		}
	}
	if in.Current, err = g.secret(ctx, s.Target, known); err != nil {
		return spec.Inputs{}, err
	}
	if in.Sources, in.SourcesChanged, err = g.sources(ctx, s); err != nil {
		return spec.Inputs{}, err
	}
	in.Leftovers, err = g.leftovers(ctx, s)
	return in, err
}

// Allowed returns the stores of s as the cluster permits them now. It is asked
// again right before a write, and where the namespace matters it does not trust
// a cache with it.
func (g Gatherer) Allowed(ctx context.Context, s spec.Spec, kinds Stores) (map[spec.StoreKey]spec.Store, error) {
	shared := slices.ContainsFunc(s.Entries, func(e spec.Entry) bool { return e.Store.Namespace == "" })
	ns, err := g.namespace(ctx, s, !shared)
	if err != nil {
		return nil, err
	}
	return g.Stores(ctx, s, ns, kinds)
}

// namespace reads what matters of the object's namespace. Where its own
// annotations decide, it is read live.
func (g Gatherer) namespace(ctx context.Context, s spec.Spec, cached bool) (spec.Namespace, error) {
	out := spec.Namespace{Name: s.Object.Namespace}
	key := types.NamespacedName{Name: s.Object.Namespace}
	if !cached {
		var ns corev1.Namespace
		if err := g.Live.Get(ctx, key, &ns); err != nil {
			return out, fmt.Errorf("read namespace: %w", err)
		}
		out.Labels, out.Annotations = ns.Labels, ns.Annotations
		return out, nil
	}
	if g.Scoped {
		return out, nil // no store of the whole cluster can be used, so nothing asks for it
	}
	var meta metav1.PartialObjectMetadata
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := g.Cached.Get(ctx, key, &meta); err != nil {
		return out, fmt.Errorf("read namespace: %w", err)
	}
	out.Labels, out.Annotations = meta.Labels, meta.Annotations
	return out, nil
}

// Stores reads the stores that the entries of s name. One that is not there is
// left out.
func (g Gatherer) Stores(ctx context.Context, s spec.Spec, ns spec.Namespace, kinds Stores) (map[spec.StoreKey]spec.Store, error) {
	out := map[spec.StoreKey]spec.Store{}
	for _, e := range s.Entries {
		if _, ok := out[e.Store]; ok || e.Store.Name == "" || g.Scoped && e.Store.Namespace == "" {
			continue
		}
		kind := kinds[e.Store.Kind]
		obj := kind.New()
		err := g.Cached.Get(ctx, types.NamespacedName{Namespace: e.Store.Namespace, Name: e.Store.Name}, obj)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Store, err)
		}
		store := kind.Read(obj, ns)
		store.Paused = spec.Paused(obj.GetAnnotations())
		out[e.Store] = store
	}
	return out, nil
}

// sources reads the ConfigMaps and Secrets that templates are in, and when the
// newest of them was written.
func (g Gatherer) sources(ctx context.Context, s spec.Spec) (map[spec.Source]map[string]backend.Value, time.Time, error) {
	out := map[spec.Source]map[string]backend.Value{}
	var changed time.Time
	for _, source := range s.Target.Program.Sources() {
		data := map[string]backend.Value{}
		key := types.NamespacedName{Namespace: s.Object.Namespace, Name: source.Name}
		var err error
		if source.Kind == "Secret" {
			var obj corev1.Secret
			err = g.Live.Get(ctx, key, &obj)
			changed = later(changed, obj.ObjectMeta)
			for k, v := range obj.Data {
				data[k] = backend.NewValue(v)
			}
		} else {
			var obj corev1.ConfigMap
			err = g.Live.Get(ctx, key, &obj)
			changed = later(changed, obj.ObjectMeta)
			for k, v := range obj.Data {
				data[k] = backend.NewValue([]byte(v))
			}
		}
		switch {
		case err == nil:
			out[source] = data
		case !apierrors.IsNotFound(err):
			return nil, changed, fmt.Errorf("read %s %q: %w", source.Kind, source.Name, err)
		}
	}
	return out, changed, nil
}

// later returns the time at which an object was last written, if that is after
// t.
func later(t time.Time, meta metav1.ObjectMeta) time.Time {
	if meta.CreationTimestamp.After(t) {
		t = meta.CreationTimestamp.Time
	}
	for _, e := range meta.ManagedFields {
		if e.Time != nil && e.Time.After(t) {
			t = e.Time.Time
		}
	}
	return t
}

// OwnerIndex is the name of the index of Owners.
const OwnerIndex = "lockstep/owner"

// Owners indexes the metadata of Secrets by the label that says whose they are. Those
// that are called as their object, which most are, are found without.
func Owners(label string) client.IndexerFunc {
	return func(o client.Object) []string {
		value, ok := o.GetLabels()[label]
		if owner := metav1.GetControllerOfNoCopy(o); !ok || owner != nil && owner.Name == o.GetName() {
			return nil
		}
		return []string{label + "=" + value}
	}
}

// leftovers finds the Secrets that carry the marks of the object under another
// name than its target has now.
func (g Gatherer) leftovers(ctx context.Context, s spec.Spec) ([]spec.Secret, error) {
	t := s.Target
	if t.Creation != spec.Owner || len(t.OwnerMarks) == 0 {
		return nil, nil
	}
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	var marked client.ListOption = client.MatchingLabels(t.OwnerMarks)
	if g.Indexed {
		for label, value := range t.OwnerMarks { // there is one
			marked = client.MatchingFields{OwnerIndex: label + "=" + value}
		}
	}
	if err := g.Cached.List(ctx, &list, client.InNamespace(t.Namespace), marked); err != nil {
		return nil, fmt.Errorf("look for former Secrets: %w", err)
	}
	var out []spec.Secret
	for i := range list.Items {
		if item := &list.Items[i]; item.Name != t.Name {
			out = append(out, *value(&corev1.Secret{ObjectMeta: item.ObjectMeta}, t.Manager))
		}
	}
	if g.Indexed && s.Object.Name != t.Name {
		return g.namesake(ctx, s, out)
	}
	return out, nil
}

// namesake adds the Secret that is called as the object, if it carries its marks. The
// cache knows whose it is, and not how it is marked.
func (g Gatherer) namesake(ctx context.Context, s spec.Spec, out []spec.Secret) ([]spec.Secret, error) {
	key := types.NamespacedName{Namespace: s.Target.Namespace, Name: s.Object.Name}
	var meta metav1.PartialObjectMetadata
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := g.Cached.Get(ctx, key, &meta); err != nil {
		return out, client.IgnoreNotFound(err)
	}
	if owner := metav1.GetControllerOfNoCopy(&meta); owner == nil || string(owner.UID) != s.Object.UID {
		return out, nil
	}
	var obj corev1.Secret
	if err := g.Live.Get(ctx, key, &obj); err != nil {
		return out, client.IgnoreNotFound(err)
	}
	for label, value := range s.Target.OwnerMarks {
		if obj.Labels[label] != value {
			return out, nil
		}
	}
	return append(out, *value(&obj, s.Target.Manager)), nil
}

// secret returns a Secret as a value, or nil when there is none.
func (g Gatherer) secret(ctx context.Context, t spec.Target, known bool) (*spec.Secret, error) {
	key := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	if !known {
		var meta metav1.PartialObjectMetadata
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := g.Cached.Get(ctx, key, &meta); apierrors.IsNotFound(err) {
			return nil, nil
		}
	}
	var obj corev1.Secret
	err := g.Live.Get(ctx, key, &obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret: %w", err)
	}
	return value(&obj, t.Manager), nil
}

// value turns a Secret object into the value that the pure packages know.
// manager is the field manager whose fields are noted.
func value(obj *corev1.Secret, manager string) *spec.Secret {
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
		Fields:          fields(obj.ManagedFields, manager),
	}
	for k, v := range obj.Data {
		out.Data[k] = backend.NewValue(v)
	}
	for _, o := range obj.OwnerReferences {
		out.Owners = append(out.Owners, spec.OwnerRef{
			APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: string(o.UID),
			Controller: o.Controller != nil && *o.Controller, Block: o.BlockOwnerDeletion != nil && *o.BlockOwnerDeletion,
		})
	}
	return out
}
