// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// warmUp is how many are made before the clock runs: the first ones pay for
// connections, and for what the API server makes when a kind is first used.
const warmUp = 200

// nobodys is a store whose class nobody looks after, so that its objects are
// left alone.
const nobodys = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: ` + storeName + `}
spec:
  controller: nobody
  provider: {fake: {data: [{key: a, value: b}]}}
`

// writer writes what Lockstep would, with Lockstep's own access and in the same
// encodings, and thinks nothing.
type writer struct {
	secrets  *kubernetes.Clientset
	statuses rest.Interface
	uids     []string
	state    *state
	now      time.Time // in statuses
}

// raw measures how long the API server takes for what a first sync has to
// write at least: a Secret and a status for each object.
func (r *rig) raw(ctx context.Context) (time.Duration, error) {
	w, err := r.writer(ctx)
	if err != nil {
		return 0, err
	}
	if w.uids, err = r.create(ctx, rawOnly, nobodys); err != nil {
		return 0, err
	}
	warm := min(warmUp, len(w.uids))
	if err := together(ctx, warm, w.write); err != nil {
		return 0, err
	}
	err = together(ctx, warm, func(ctx context.Context, i int) error {
		return w.secrets.CoreV1().Secrets(rawOnly).Delete(ctx, nameOf(i), metav1.DeleteOptions{})
	})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	w.now = started // no status is what it was
	if err := together(ctx, len(w.uids), w.write); err != nil {
		return 0, err
	}
	took := time.Since(started)
	// They would be in Lockstep's memory else.
	return took, r.remove(ctx, rawOnly)
}

func (r *rig) writer(ctx context.Context) (*writer, error) {
	access, err := r.plane.Lockstep(ctx)
	if err != nil {
		return nil, err
	}
	access.QPS = -1
	w := &writer{state: r.manager.values(), now: time.Now().Add(-time.Hour)}
	if w.secrets, err = kubernetes.NewForConfig(protobuf(access)); err != nil {
		return nil, err
	}
	gv := externalSecrets.GroupVersion()
	access.GroupVersion, access.APIPath = &gv, "/apis"
	access.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	w.statuses, err = rest.RESTClientFor(access)
	return w, err
}

// write makes the Secret of the i-th object and patches the object's status.
func (w *writer) write(ctx context.Context, i int) error {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: nameOf(i), Labels: map[string]string{"reconcile.external-secrets.io/managed": "true"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: group + "/" + version, Kind: "ExternalSecret", Name: nameOf(i), UID: types.UID(w.uids[i]), Controller: new(true),
			}},
		},
		Data: map[string][]byte{}, Type: corev1.SecretTypeOpaque,
	}
	for j := range entries {
		s.Data[key(j)] = []byte(value(w.state.path(i, j), j, 1))
	}
	if _, err := w.secrets.CoreV1().Secrets(rawOnly).Create(ctx, s, metav1.CreateOptions{}); err != nil {
		return err
	}
	now := w.now.UTC().Format(time.RFC3339)
	patch := fmt.Appendf(nil, `{"status":{"binding":{"name":%q},"refreshTime":%q,"syncedResourceVersion":"1-0123456789abcdef0123456789abcdef",`+
		`"conditions":[{"type":"Ready","status":"True","reason":"SecretSynced","message":"secret synced","lastTransitionTime":%q}]}}`,
		nameOf(i), now, now)
	return w.statuses.Patch(types.MergePatchType).Namespace(rawOnly).Resource(externalSecrets.Resource).Name(nameOf(i)).
		SubResource("status").Body(patch).Do(ctx).Error()
}
