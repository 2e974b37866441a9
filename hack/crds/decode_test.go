// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"

	esov1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
)

// An object that the API server stores and a client cannot decode would end the
// list and the watch for every namespace. So each place of a schema is given
// whatever can be thought of, and what the API server would store must decode:
// below ESO's CRDs, which a cluster may still have, and below ours.

var kinds = map[string]func() runtime.Object{
	"external-secrets.io_externalsecrets.yaml":     func() runtime.Object { return &esov1.ExternalSecret{} },
	"external-secrets.io_secretstores.yaml":        func() runtime.Object { return &esov1.SecretStore{} },
	"external-secrets.io_clustersecretstores.yaml": func() runtime.Object { return &esov1.ClusterSecretStore{} },
}

func TestWhateverIsStoredDecodes(t *testing.T) {
	for dirName, dir := range map[string]string{"eso": esoDir, "ours": oursDir} {
		for file, zero := range kinds {
			t.Run(dirName+"/"+file, func(t *testing.T) {
				t.Parallel()
				g := newGate(t, dir, file)
				g.rules = nil // what they refuse now was stored before there were any
				root := schema(t, dir, file)
				reached := map[string]bool{}
				for _, v := range variants("", root) {
					reached[v.place] = reached[v.place] || false
					object, ok := v.value.(map[string]any)
					if !ok {
						continue
					}
					object = runtime.DeepCopyJSON(object)
					if len(g.admit(object)) > 0 {
						continue
					}
					reached[v.place] = true
					raw := stored(t, object)
					if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, zero()); err != nil {
						t.Errorf("%s: the API server stores %s, which does not decode: %v", v.place, raw, err)
					}
				}
				for _, place := range slices.Sorted(maps.Keys(reached)) {
					if !reached[place] && place != "" {
						t.Errorf("%s: nothing was accepted there, so nothing was tried", place)
					}
				}
			})
		}
	}
}

// Ours accepts what ESO's accepts, but for the rules that its webhook has.
func TestWhateverESOAcceptsIsAccepted(t *testing.T) {
	for file := range kinds {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			eso, ours := newGate(t, esoDir, file), newGate(t, oursDir, file)
			eso.rules, ours.rules = nil, nil
			tried := 0
			for _, v := range variants("", schema(t, esoDir, file)) {
				object, ok := v.value.(map[string]any)
				if !ok || beyondESO(v, object) {
					continue
				}
				complaints, got := eso.admit(runtime.DeepCopyJSON(object)), ours.admit(runtime.DeepCopyJSON(object))
				tried++
				if (len(complaints) == 0) != (len(got) == 0) {
					t.Errorf("%s: %s\n eso: %s\nours: %s", v.place, stored(t, object), complaint(complaints), complaint(got))
				}
			}
			if tried < 100 {
				t.Errorf("only %d objects were compared", tried)
			}
		})
	}
}

// schema is that of v1, without the products that we do not have: what is said
// of them is kept as it is, and decodes whatever it is.
func schema(t *testing.T, dir, file string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	root := version(t, load(t, dir, file), "v1").Schema.OpenAPIV3Schema
	maps.DeleteFunc(root.Properties["spec"].Properties["provider"].Properties,
		func(name string, _ apiextensionsv1.JSONSchemaProps) bool { return !slices.Contains(products, name) })
	return root
}

// beyondESO is true of a store with a product that ESO does not know: it drops
// the product and misses one, we keep it and say so in a condition.
func beyondESO(v variant, object map[string]any) bool {
	spec, _ := object["spec"].(map[string]any)
	provider, _ := spec["provider"].(map[string]any)
	_, unknown := provider["unknown"]
	return v.place == ".spec.provider" && unknown
}

func TestDecode(t *testing.T) {
	g := newGate(t, esoDir, "external-secrets.io_externalsecrets.yaml")
	cases := map[string]struct {
		reason   string
		manifest string
		want     esov1.ExternalSecret
	}{
		"NoSpec": {
			reason:   "ESO's schema does not require one",
			manifest: "{}",
			want:     esov1.ExternalSecret{},
		},
		"IntervalGarbage": {
			reason:   "the schema takes any text, and one such object stopped ESO for the whole cluster",
			manifest: "{spec: {refreshInterval: soon, target: {creationPolicy: Merge, deletionPolicy: Merge}}}",
			want: esov1.ExternalSecret{Spec: esov1.ExternalSecretSpec{
				RefreshInterval: ptr("soon"),
				Target:          esov1.Target{CreationPolicy: "Merge", DeletionPolicy: "Merge"},
			}},
		},
		"WindowGarbage": {
			reason:   "a duration of a window is any text too",
			manifest: `{spec: {refreshInterval: 1d, target: {}, syncWindows: {kind: deny, windows: [{schedule: "@every x", duration: a while}]}}}`,
			want: esov1.ExternalSecret{Spec: esov1.ExternalSecretSpec{
				RefreshInterval: ptr("1d"),
				Target:          esov1.Target{CreationPolicy: "Owner", DeletionPolicy: "Retain"},
				SyncWindows:     &esov1.SyncWindows{Kind: "deny", Windows: []esov1.SyncWindow{{Schedule: "@every x", Duration: "a while"}}},
			}},
		},
		"Times": {
			reason:   "RFC 3339 has t and z in any case, and so has the schema; Go has not, and knows no zone of 99 hours",
			manifest: `{status: {refreshTime: "2026-01-02t15:04:05z", syncedResourceVersion: "1-a", conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-01-02T15:04:05-99:99"}]}}`,
			want: esov1.ExternalSecret{Status: esov1.ExternalSecretStatus{
				SyncedResourceVersion: "1-a",
				Conditions:            []esov1.Condition{{Type: "Ready", Status: "True"}},
			}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := manifest(t, tc.manifest)
			if errs := g.admit(object); len(errs) > 0 {
				t.Fatalf("%s: ESO's schema refuses it: %s", tc.reason, complaint(errs))
			}
			var got esov1.ExternalSecret
			if err := kjson.UnmarshalCaseSensitivePreserveInts(stored(t, object), &got); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A provider goes through the types as it is, known or not.
func TestProviderIsKept(t *testing.T) {
	const text = `{spec: {refreshInterval: 99999999999, provider: {fake: {data: [{key: k, value: v, valueMap: {a: b}}], ttl: 1.50}}}}`
	g := newGate(t, oursDir, "external-secrets.io_secretstores.yaml")
	object := manifest(t, text)
	if errs := g.admit(object); len(errs) > 0 {
		t.Fatal(complaint(errs))
	}
	var store esov1.SecretStore
	if err := kjson.UnmarshalCaseSensitivePreserveInts(stored(t, object), &store); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(store)
	if err != nil {
		t.Fatal(err)
	}
	got := manifest(t, string(raw))
	if diff := cmp.Diff(manifest(t, text)["spec"], got["spec"]); diff != "" {
		t.Errorf("spec (-stored +through the types):\n%s", diff)
	}
	if store.Spec.RefreshInterval == nil || !cmp.Equal(*store.Spec.RefreshInterval, apiextensionsv1.JSON{Raw: []byte("99999999999")}) {
		t.Errorf("refreshInterval %v", store.Spec.RefreshInterval)
	}
}

func ptr[T any](v T) *T { return &v }
