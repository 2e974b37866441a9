// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"maps"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/backend"
)

// ownerMark is the annotation that says whose a Secret is.
const ownerMark = "lockstep-secrets.dev/owner"

// writer creates, replaces and deletes Secrets.
type writer struct{ api *api }

// Write implements backend.Writer. A Secret that nobody marked becomes the
// owner's, unless a controller of the other cluster has it. All its data is
// replaced; its type, its other annotations and its labels stay.
func (w *writer) Write(ctx context.Context, want backend.Write) (string, error) {
	if err := writable(want); err != nil {
		return "", err
	}
	if want.IfVersion == backend.Absent {
		return w.create(ctx, want)
	}
	name := want.Ref.Path
	obj, err := w.api.get(ctx, name)
	switch code := backend.CodeOf(err); {
	case code == backend.NotFound && want.IfVersion == "":
		return w.create(ctx, want)
	case code == backend.NotFound:
		return "", backend.Errorf(backend.Conflict, "Secret %s was removed", name)
	case err != nil:
		return "", err
	}
	if want.IfVersion != "" && want.IfVersion != obj.ResourceVersion {
		return "", backend.Errorf(backend.Conflict, "Secret %s was changed by somebody else", name)
	}
	if err := takeable(obj, want.Owner); err != nil {
		return "", err
	}
	fill(obj, want)
	return w.send(ctx, http.MethodPut, w.api.secrets(name), "update", obj)
}

func (w *writer) create(ctx context.Context, want backend.Write) (string, error) {
	obj := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: want.Ref.Path, Namespace: w.api.namespace}, Type: corev1.SecretTypeOpaque}
	fill(obj, want)
	return w.send(ctx, http.MethodPost, w.api.secrets(), "create", obj)
}

// send writes an object and returns its new version. With the version that was
// read in it, the server refuses it when somebody was faster.
func (w *writer) send(ctx context.Context, method string, path []string, verb string, obj *corev1.Secret) (string, error) {
	obj.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
	after := &corev1.Secret{}
	err := w.api.ask(ctx, question{method: method, path: path, accept: asObject, in: obj, out: after})
	if err != nil {
		return "", classify(err, task{verb, obj.Name, w.api.namespace})
	}
	if !w.api.holds(after, obj.Name) {
		return "", unreadable()
	}
	return after.ResourceVersion, nil
}

// fill makes an object hold what is wanted.
func fill(obj *corev1.Secret, want backend.Write) {
	obj.Data, obj.StringData = make(map[string][]byte, len(want.Secret.Fields)), nil
	for k, v := range want.Secret.Fields {
		obj.Data[k] = v.Reveal()
	}
	if obj.Annotations == nil {
		obj.Annotations = map[string]string{}
	}
	obj.Annotations[ownerMark] = want.Owner
	if obj.Labels == nil {
		obj.Labels = map[string]string{}
	}
	maps.Copy(obj.Labels, want.Secret.Labels)
}

// writable finds writes that cannot be right, whatever the store holds.
func writable(want backend.Write) error {
	if err := sound(want.Ref); err != nil {
		return err
	}
	name := want.Ref.Path
	switch {
	case want.Ref.Part != backend.Data:
		return backend.Errorf(backend.InvalidRef, "only the data of Secret %s can be written", name)
	case want.Owner == "":
		return backend.Errorf(backend.InvalidRef, "a write without an owner")
	case want.Secret.Payload.IsSet():
		return backend.Errorf(backend.InvalidRef, "Secret %s takes named fields, and not one value: name a property", name)
	}
	size := 0
	for k, v := range want.Secret.Fields {
		if len(validation.IsConfigMapKey(k)) > 0 {
			return backend.Errorf(backend.InvalidRef, "%q is not the name of a key of a Secret: letters, digits, -, _ and . only", k)
		}
		size += v.Len()
	}
	if size > payload {
		return backend.Errorf(backend.InvalidRef, "Secret %s would be larger than 1 MiB", name)
	}
	return nil
}

// takeable says why a Secret may not be written by an owner.
func takeable(obj *corev1.Secret, owner string) error {
	switch mark := obj.Annotations[ownerMark]; {
	case mark == owner:
		return nil
	case mark != "":
		return backend.Errorf(backend.Conflict, "Secret %s belongs to somebody else", obj.Name)
	case obj.Type == corev1.SecretTypeServiceAccountToken || obj.Type == corev1.SecretTypeBootstrapToken:
		return backend.Errorf(backend.Conflict, "Secret %s is a token of the cluster", obj.Name)
	case metav1.GetControllerOfNoCopy(obj) != nil:
		return backend.Errorf(backend.Conflict, "Secret %s belongs to a controller of its cluster", obj.Name)
	}
	return nil
}

// Delete implements backend.Writer. Between looking at the mark and deleting,
// nobody can put another Secret there.
func (w *writer) Delete(ctx context.Context, r backend.Ref, owner string) error {
	if err := sound(r); err != nil {
		return err
	}
	obj, err := w.api.get(ctx, r.Path)
	if backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if owner == "" || obj.Annotations[ownerMark] != owner {
		return backend.Errorf(backend.Conflict, "Secret %s belongs to somebody else", r.Path)
	}
	options := metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: new(types.UID(obj.UID)), ResourceVersion: new(obj.ResourceVersion)},
	}
	err = w.api.ask(ctx, question{method: http.MethodDelete, path: w.api.secrets(r.Path), accept: asObject, in: options})
	if err = classify(err, task{"delete", r.Path, w.api.namespace}); backend.CodeOf(err) == backend.NotFound {
		return nil
	}
	return err
}
