// SPDX-License-Identifier: Apache-2.0

// Package cluster is the only code that writes to the API server. It carries
// out what diff and the dialects decided, and decides nothing itself.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Writer writes Secrets and statuses.
type Writer struct {
	Client client.Client
}

// Apply carries changes out, in order, and returns the ResourceVersion of the
// Secret that is there in the end.
//
// A change is refused with Conflict when the Secret is no longer what the
// change was computed for. Secrets are written whole and not by server-side
// apply, which cannot remove keys that another client's update wrote.
func (w Writer) Apply(ctx context.Context, manager string, changes []diff.Change) (resourceVersion string, _ error) {
	for _, c := range changes {
		obj := object(c.Secret)
		var err error
		switch c.Verb {
		case diff.Create:
			obj.UID, obj.ResourceVersion = "", ""
			err = w.Client.Create(ctx, obj, client.FieldOwner(manager))
		case diff.Update:
			err = w.Client.Update(ctx, obj, client.FieldOwner(manager))
		case diff.Delete:
			err = client.IgnoreNotFound(w.Client.Delete(ctx, obj, client.Preconditions{
				UID: &obj.UID, ResourceVersion: &obj.ResourceVersion,
			}))
		}
		if err != nil {
			return "", err
		}
		if c.Verb != diff.Delete {
			resourceVersion = obj.ResourceVersion
		}
	}
	return resourceVersion, nil
}

// Status writes what of an object's status differs from before, and nothing else of
// the object. after gets the ResourceVersion that it made.
func (w Writer) Status(ctx context.Context, before, after client.Object) error {
	patch, err := statusPatch(before, after)
	if err != nil {
		return err
	}
	kind, err := w.Client.GroupVersionKindFor(after)
	if err != nil {
		return err
	}
	// All else of an answer is known, and costs more to make and to read than the
	// patch itself.
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: after.GetNamespace(), Name: after.GetName()}}
	answer.SetGroupVersionKind(kind)
	if err := w.Client.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return client.IgnoreNotFound(err)
	}
	after.SetResourceVersion(answer.ResourceVersion)
	return nil
}

// statusPatch is the merge patch from one status to another.
func statusPatch(before, after client.Object) ([]byte, error) {
	from, err := statusOf(before)
	if err != nil {
		return nil, err
	}
	to, err := statusOf(after)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.CreateMergePatch(from, to)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]json.RawMessage{"status": patch})
}

// statusOf is the status of an object, in JSON.
func statusOf(obj client.Object) ([]byte, error) {
	whole, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	out := struct {
		Status json.RawMessage `json:"status"`
	}{json.RawMessage("{}")}
	err = json.Unmarshal(whole, &out)
	return out.Status, err
}

// Object writes what of an object's metadata differs from before, unless the
// object changed meanwhile.
func (w Writer) Object(ctx context.Context, before, after client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(w.Client.Patch(ctx, after, patch))
}

// tooLarge is what etcd says of an object that is larger than it takes (1.5 MiB
// unless it is told otherwise). The API server passes that on as an error of its
// own (500).
const tooLarge = "etcdserver: request is too large"

// Issue words an error of the API server for the status of an object.
func Issue(name string, err error) spec.Issue {
	out := spec.Issue{Where: "Secret", Code: backend.Unknown, Message: fmt.Sprintf("Secret %q cannot be written", name)}
	var status apierrors.APIStatus
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		out.Code = backend.Conflict
		out.Message = fmt.Sprintf("Secret %q was changed by somebody else at the same time", name)
	case apierrors.IsInvalid(err) && errors.As(err, &status):
		// The API server writes no value of a Secret into its messages.
		out.Message = status.Status().Message
	case apierrors.IsRequestEntityTooLargeError(err), strings.Contains(err.Error(), tooLarge):
		out.Code = backend.InvalidRef
		out.Message = fmt.Sprintf("Secret %q is too large for the API server with the names of its keys; take fewer or smaller entries", name)
	case apierrors.IsForbidden(err):
		out.Message = fmt.Sprintf("Secret %q cannot be written: Lockstep is not allowed to; see the RBAC manifests", name)
	}
	return out
}

// object turns the value into an object.
func object(s spec.Secret) *corev1.Secret {
	out := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       s.Namespace,
			Name:            s.Name,
			UID:             types.UID(s.UID),
			ResourceVersion: s.ResourceVersion,
			Labels:          s.Labels,
			Annotations:     s.Annotations,
			Finalizers:      s.Finalizers,
		},
		Type:      corev1.SecretType(s.Type),
		Data:      make(map[string][]byte, len(s.Data)),
		Immutable: s.Immutable,
	}
	for k, v := range s.Data {
		out.Data[k] = v.Reveal()
	}
	for _, o := range s.Owners {
		ref := metav1.OwnerReference{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: types.UID(o.UID)}
		if o.Controller {
			ref.Controller = &o.Controller
		}
		if o.Block {
			ref.BlockOwnerDeletion = &o.Block
		}
		out.OwnerReferences = append(out.OwnerReferences, ref)
	}
	return out
}

// Object is the Secret that a change leads to, for printing.
func Object(s spec.Secret) *corev1.Secret { return object(s) }
