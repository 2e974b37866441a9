// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
