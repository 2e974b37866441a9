// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

// reader reads Secrets one by one.
type reader struct{ api *api }

// Read implements backend.Reader.
func (r *reader) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, ref := range refs {
		out[i].Ref = ref
		out[i].Secret, out[i].Err = r.one(ctx, ref)
	}
	return out, nil
}

func (r *reader) one(ctx context.Context, ref backend.Ref) (backend.Secret, error) {
	if err := sound(ref); err != nil {
		return backend.Secret{}, err
	}
	obj, err := r.api.get(ctx, ref.Path)
	if err != nil {
		return backend.Secret{}, err
	}
	return convert(obj, ref.Part)
}

// get returns one Secret.
func (a *api) get(ctx context.Context, name string) (*corev1.Secret, error) {
	obj := &corev1.Secret{}
	err := a.ask(ctx, question{method: http.MethodGet, path: a.secrets(name), accept: asObject, out: obj})
	if err != nil {
		return nil, classify(err, task{"get", name, a.namespace})
	}
	if !a.holds(obj, name) {
		return nil, unreadable()
	}
	return obj, nil
}

// holds reports whether an object is the Secret of that name. An empty object,
// or one that a proxy mixed up, must not pass for a Secret without data, or for
// another one.
func (a *api) holds(obj *corev1.Secret, name string) bool {
	return obj.Name == name && obj.Namespace == a.namespace && obj.ResourceVersion != ""
}

// convert is a Secret of Kubernetes as one of the contract.
//
//	part      fields
//	data      the keys of data
//	metadata  labels and annotations, each as JSON: an object, or null
func convert(obj *corev1.Secret, part backend.Part) (backend.Secret, error) {
	s := backend.Secret{Version: obj.ResourceVersion, Labels: obj.Labels, Fields: make(map[string]backend.Value, len(obj.Data))}
	if part == backend.Data {
		for k, v := range obj.Data {
			s.Fields[k] = backend.NewValue(v)
		}
		return s, nil
	}
	for name, m := range map[string]map[string]string{"labels": obj.Labels, "annotations": obj.Annotations} {
		text, err := plain(m)
		if err != nil {
			return backend.Secret{}, backend.Errorf(backend.Unknown, "the %s of Secret %s are no JSON", name, obj.Name)
		}
		s.Fields[name] = backend.NewValue(text)
	}
	return s, nil
}

// plain is JSON without escapes for HTML.
func plain(m map[string]string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
