// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
)

// A patch has what differs in the status, and nothing else of the object.
func TestStatusPatch(t *testing.T) {
	is := func(version string, conditions ...string) client.Object {
		out := &v1.ExternalSecret{}
		out.Labels = map[string]string{"a": version}
		out.Spec.Target.Name = version
		out.Status.SyncedResourceVersion = version
		for _, c := range conditions {
			out.Status.Conditions = append(out.Status.Conditions, v1.Condition{Type: c, Status: "True"})
		}
		return out
	}
	for what, c := range map[string]struct {
		before, after client.Object
		want          string
	}{
		"another object of the same status": {is("1", "Ready"), func() client.Object { o := is("1", "Ready"); o.SetLabels(nil); return o }(), `{"status":{}}`},
		"a value":                           {is("1", "Ready"), is("2", "Ready"), `{"status":{"syncedResourceVersion":"2"}}`},
		"the first one":                     {is(""), is("1"), `{"status":{"syncedResourceVersion":"1"}}`},
		"one that goes":                     {is("1"), is(""), `{"status":{"syncedResourceVersion":null}}`},
		"a list is whole":                   {is("1", "Ready"), is("1", "Deleted"), `{"status":{"conditions":[{"status":"True","type":"Deleted"}]}}`},
		"an object without any":             {&metav1.PartialObjectMetadata{}, is("1"), `{"status":{"syncedResourceVersion":"1"}}`},
	} {
		got, err := statusPatch(c.before, c.after)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", what, got, err, c.want)
		}
	}
}

// answering is a client whose status patches are answered.
type answering struct {
	client.Client
	version string
	err     error
	asked   client.Object
}

func (a *answering) GroupVersionKindFor(runtime.Object) (schema.GroupVersionKind, error) {
	return v1.GroupVersion.WithKind("ExternalSecret"), nil
}

func (a *answering) Status() client.SubResourceWriter { return statuses{api: a} }

type statuses struct {
	client.SubResourceWriter
	api *answering
}

func (s statuses) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	s.api.asked = o
	if s.api.err == nil {
		o.SetResourceVersion(s.api.version)
	}
	return s.api.err
}

// Who wrote a status knows the version that it made, and asks for no more than that.
func TestStatus(t *testing.T) {
	for what, c := range map[string]struct {
		answer, want error
		version      string
	}{
		"written":    {nil, nil, "2"},
		"it is gone": {apierrors.NewNotFound(schema.GroupResource{}, "a"), nil, "1"},
		"refused":    {errRefused, errRefused, "1"},
	} {
		api := &answering{version: "2", err: c.answer}
		before := &v1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", ResourceVersion: "1"}}
		after := before.DeepCopy()
		if err := (Writer{Client: api}).Status(t.Context(), before, after); !errors.Is(err, c.want) || after.ResourceVersion != c.version {
			t.Errorf("%s: %v and version %s; want %v and %s", what, err, after.ResourceVersion, c.want, c.version)
		}
		asked, ok := api.asked.(*metav1.PartialObjectMetadata)
		if !ok || asked.Kind != "ExternalSecret" || asked.Namespace != "ns" || asked.Name != "a" {
			t.Errorf("%s: asked for %+v", what, api.asked)
		}
	}
}

var errRefused = errors.New("refused")
