// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// shelf is what an API server and a cache have of Secrets: all of them live, and of
// the cached ones the labels of those that are indexed.
type shelf struct {
	label   string
	secrets []*corev1.Secret
}

// Get reads one.
func (s shelf) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	for _, secret := range s.secrets {
		if client.ObjectKeyFromObject(secret) != key {
			continue
		}
		switch into := into.(type) {
		case *corev1.Secret:
			*into = *secret.DeepCopy()
		case *metav1.PartialObjectMetadata:
			into.ObjectMeta = *secret.ObjectMeta.DeepCopy()
			into.Labels = nil
		}
		return nil
	}
	return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
}

// List answers by the index.
func (s shelf) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	out, _ := into.(*metav1.PartialObjectMetadataList)
	for _, secret := range s.secrets {
		for _, value := range Owners(s.label)(secret) {
			if want, ok := o.FieldSelector.RequiresExactMatch(OwnerIndex); ok && want == value {
				out.Items = append(out.Items, metav1.PartialObjectMetadata{ObjectMeta: secret.ObjectMeta})
			}
		}
	}
	return nil
}

// TestLeftovers: what an object left behind is found under any name, and nothing
// that is another's.
func TestLeftovers(t *testing.T) {
	const label = "owner"
	secret := func(name, mark, ownerName, ownerUID string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, Labels: map[string]string{label: mark},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ExternalSecret", Name: ownerName, UID: types.UID(ownerUID), Controller: new(true)}},
		}}
	}
	for name, tc := range map[string]struct {
		reason  string
		target  string
		secrets []*corev1.Secret
		want    []string
	}{
		"None":      {"there is its own only", "es", []*corev1.Secret{secret("es", "mine", "es", "1")}, nil},
		"Renamed":   {"its name was given", "new", []*corev1.Secret{secret("old", "mine", "es", "1"), secret("new", "mine", "es", "1")}, []string{"old"}},
		"Default":   {"its name was the object's", "new", []*corev1.Secret{secret("es", "mine", "es", "1"), secret("new", "mine", "es", "1")}, []string{"es"}},
		"Back":      {"its name is the object's again", "es", []*corev1.Secret{secret("old", "mine", "es", "1"), secret("es", "mine", "es", "1")}, []string{"old"}},
		"Twice":     {"all of them", "new", []*corev1.Secret{secret("es", "mine", "es", "1"), secret("old", "mine", "es", "1")}, []string{"es", "old"}},
		"Another's": {"it is a namesake's", "new", []*corev1.Secret{secret("es", "mine", "es", "2")}, nil},
		"Unmarked":  {"somebody made it for the object", "new", []*corev1.Secret{secret("es", "", "es", "1"), secret("old", "theirs", "es", "1")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := shelf{label, tc.secrets}
			g := Gatherer{Live: c, Cached: c, Indexed: true}
			got, err := g.leftovers(t.Context(), spec.Spec{
				Object: spec.Object{Namespace: "ns", Name: "es", UID: "1"},
				Target: spec.Target{Namespace: "ns", Name: tc.target, OwnerMarks: map[string]string{label: "mine"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range got {
				names = append(names, s.Name)
			}
			slices.Sort(names)
			if !slices.Equal(names, tc.want) {
				t.Errorf("%s: %v, want %v", tc.reason, names, tc.want)
			}
		})
	}
}
