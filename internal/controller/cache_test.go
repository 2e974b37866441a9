// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// synced is the i-th object of a cluster, with five entries, as the API server
// sends it when it is in sync.
func synced(i int) string {
	var data []string
	for j := range 5 {
		data = append(data, fmt.Sprintf(`{"secretKey":"k%d","remoteRef":{"key":"app/%d","property":"p%d","conversionStrategy":"Default","decodingStrategy":"None","metadataPolicy":"None"}}`,
			j, (i+j*200)%1000, j))
	}
	return fmt.Sprintf(`{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret",
"metadata":{"name":"app-%05[1]d","namespace":"bench","uid":"8d7c9b6e-0000-4a7b-9c57-%012[1]d","resourceVersion":"%[2]d","generation":1,"creationTimestamp":"2026-01-02T03:04:05Z",
"managedFields":[{"manager":"kubectl","operation":"Apply","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:data":{}}}}]},
"spec":{"refreshInterval":"1m0s","secretStoreRef":{"kind":"SecretStore","name":"store"},"target":{"creationPolicy":"Owner","deletionPolicy":"Retain"},"data":[%[3]s]},
"status":{"refreshTime":"2026-01-02T03:04:05Z","syncedResourceVersion":"1-0123456789abcdef0123456789abcdef0123456789abcdef01234567","binding":{"name":"app-%05[1]d"},
"conditions":[{"type":"Ready","status":"True","reason":"SecretSynced","message":"secret synced","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`,
		i, 1000+i, strings.Join(data, ","))
}

// owned is the metadata of its Secret.
func owned(i int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"app-%05[1]d","namespace":"bench","uid":"7d7c9b6e-0000-4a7b-9c57-%012[1]d","resourceVersion":"%[2]d",
"creationTimestamp":"2026-01-02T03:04:05Z","labels":{%[3]q:"0123456789abcdef0123456789abcdef0123456789abcdef%08[1]d","reconcile.external-secrets.io/managed":"true"},
"annotations":{"team":"a team"},
"ownerReferences":[{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","name":"app-%05[1]d","uid":"8d7c9b6e-0000-4a7b-9c57-%012[1]d","controller":true}],
"managedFields":[{"manager":"lockstep","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"k0":{}}}}]}}`,
		i, 2000+i, eso.LabelOwner)
}

func decode[T any](tb testing.TB, text string) *T {
	tb.Helper()
	out := new(T)
	if err := json.Unmarshal([]byte(text), out); err != nil {
		tb.Fatal(err)
	}
	return out
}

func slimmed(tb testing.TB, transform func(any) (any, error), obj client.Object) client.Object {
	tb.Helper()
	got, err := transform(obj)
	out, ok := got.(client.Object)
	if err != nil || !ok {
		tb.Fatalf("%T, %v", got, err)
	}
	return out
}

// TestSlim: what somebody looks at stays as it was.
func TestSlim(t *testing.T) {
	transform := slim(eso.LabelOwner)
	renamed := decode[metav1.PartialObjectMetadata](t, owned(1))
	renamed.Name = "renamed"
	for name, tc := range map[string]struct {
		reason string
		in     client.Object
		want   func(client.Object)
	}{
		"object": {"a status is patched against it", decode[esv1.ExternalSecret](t, synced(1)), func(o client.Object) { o.SetManagedFields(nil) }},
		"Secret of an object": {"whose it is", decode[metav1.PartialObjectMetadata](t, owned(1)), func(o client.Object) {
			o.SetManagedFields(nil)
			o.SetAnnotations(nil)
			o.SetCreationTimestamp(metav1.Time{})
			o.SetLabels(nil)
		}},
		"Secret of another name": {"by what it is found", renamed, func(o client.Object) {
			o.SetManagedFields(nil)
			o.SetAnnotations(nil)
			o.SetCreationTimestamp(metav1.Time{})
			o.SetLabels(map[string]string{eso.LabelOwner: o.GetLabels()[eso.LabelOwner]})
		}},
		"another's Secret": {
			"which it is", &metav1.PartialObjectMetadata{
				TypeMeta: metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "ns", Name: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"owner": "helm"},
					OwnerReferences: []metav1.OwnerReference{{Kind: "Pod", Name: "p", Controller: new(true)}},
				},
			}, func(o client.Object) {
				o.SetLabels(nil)
				o.SetOwnerReferences(nil)
			},
		},
		"Secret that goes": {
			"a finalizer holds it", &metav1.PartialObjectMetadata{
				TypeMeta:   metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "n", ResourceVersion: "1", DeletionTimestamp: &metav1.Time{Time: time.Unix(1, 0)}},
			}, func(client.Object) {},
		},
		"namespace": {
			"its labels and annotations count", &metav1.PartialObjectMetadata{
				TypeMeta:   metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
			}, func(client.Object) {},
		},
	} {
		want, _ := tc.in.DeepCopyObject().(client.Object)
		tc.want(want)
		if diff := cmp.Diff(want, slimmed(t, transform, tc.in)); diff != "" {
			t.Errorf("%s: %s: -want, +got:\n%s", name, tc.reason, diff)
		}
	}
	if out, err := transform(toolscache.DeletedFinalStateUnknown{Key: "k"}); err != nil || out != any(toolscache.DeletedFinalStateUnknown{Key: "k"}) {
		t.Errorf("a tombstone comes out as %v, %v", out, err)
	}
}

// TestTexts: equal texts are one, and however many there are, the table is bounded.
func TestTexts(t *testing.T) {
	transform := slim()
	var last []*esv1.ExternalSecret
	for i := range 2 {
		es, _ := slimmed(t, transform, decode[esv1.ExternalSecret](t, synced(i*1000))).(*esv1.ExternalSecret)
		last = append(last, es)
	}
	for what, pair := range map[string][2]string{
		"namespace": {last[0].Namespace, last[1].Namespace},
		"path":      {last[0].Spec.Data[3].RemoteRef.Key, last[1].Spec.Data[3].RemoteRef.Key},
		"interval":  {*last[0].Spec.RefreshInterval, *last[1].Spec.RefreshInterval},
		"reason":    {last[0].Status.Conditions[0].Reason, last[1].Status.Conditions[0].Reason},
	} {
		if pair[0] != pair[1] || unsafe.StringData(pair[0]) != unsafe.StringData(pair[1]) { //nolint:gosec // where a text is, is the question
			t.Errorf("%s: %q and %q are not one text", what, pair[0], pair[1])
		}
	}
	var ts texts
	for i := range 3 * mostTexts {
		ts.one(strconv.Itoa(i))
	}
	if n := len(ts.known); n > mostTexts {
		t.Errorf("%d texts are remembered", n)
	}
}

// BenchmarkKept is what the controller keeps of an object with five entries that is
// in sync, beside what the feed does: in bytes, and how long that takes.
func BenchmarkKept(b *testing.B) {
	const many = 10_000
	for name, one := range map[string]func(b *testing.B, kept *kept, i int){
		"Object": func(b *testing.B, k *kept, i int) {
			_ = k.objects.Add(slimmed(b, k.slim, decode[esv1.ExternalSecret](b, synced(i))))
		},
		"Secret": func(b *testing.B, k *kept, i int) {
			_ = k.secrets.Add(slimmed(b, k.slim, decode[metav1.PartialObjectMetadata](b, owned(i))))
		},
		"Target": func(b *testing.B, k *kept, i int) {
			es := k.manifests[i]
			req := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: es.Namespace, Name: es.Name}}
			k.targets.put(req, eso.Spec(es, eso.Settings{}, time.Time{}))
			k.targets.saw(req, &spec.Secret{ResourceVersion: strconv.Itoa(1000 + i)})
			k.targets.current(req, strconv.Itoa(2000+i))
		},
	} {
		b.Run(name, func(b *testing.B) {
			bytes := 0.0
			for b.Loop() {
				k := newKept()
				for i := range many {
					if name == "Target" {
						k.manifests = append(k.manifests, decode[esv1.ExternalSecret](b, synced(i)))
					}
				}
				before := inUse()
				for i := range many {
					one(b, k, i)
				}
				bytes = (inUse() - before) / many
				runtime.KeepAlive(k)
			}
			b.ReportMetric(bytes, "B/object")
		})
	}
}

// kept are the caches of a controller.
type kept struct {
	slim             func(any) (any, error)
	objects, secrets toolscache.Indexer
	targets          targets
	manifests        []*esv1.ExternalSecret
}

func newKept() *kept {
	owners := gather.Owners(eso.LabelOwner)
	return &kept{
		slim:    slim(eso.LabelOwner),
		objects: toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}),
		secrets: toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{
			toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc,
			gather.OwnerIndex: func(o any) ([]string, error) { // as controller-runtime indexes a field
				obj, _ := o.(client.Object)
				var out []string
				for _, value := range owners(obj) {
					out = append(out, obj.GetNamespace()+"/"+value, "__all_namespaces/"+value)
				}
				return out, nil
			},
		}),
	}
}

// inUse returns the bytes in use.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
