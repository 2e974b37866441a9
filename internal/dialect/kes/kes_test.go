// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// settings know two products that KES manifests can name, and one they cannot.
func settings() kes.Settings {
	ref := func(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
		if k.Key == "" {
			return backend.Ref{}, backend.Errorf(backend.InvalidRef, "no key")
		}
		return backend.Ref{Path: k.Key, Kind: k.Kind, Version: k.Version}, nil
	}
	return kes.Settings{
		Every:            10 * time.Second,
		RoleAnnotation:   "iam.amazonaws.com/permitted",
		NamingAnnotation: "externalsecrets.kubernetes-client.io/permitted-key-name",
		Env: backend.NewEnv(map[string]string{
			"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN_X": "no", "IBM_API_KEY": "k", "IBM_API_URL": "u", "IBM_AP": "no", "HOME": "no",
		}),
		Drivers: spec.Drivers{
			"vault-driver": {Names: map[backend.Dialect]string{backend.KES: "vault"}, Ref: ref, Env: []string{"VAULT_ADDR", "VAULT_TOKEN"}},
			"ibm-driver":   {Names: map[backend.Dialect]string{backend.KES: "ibmcloudSecretsManager"}, Ref: ref, Env: []string{"IBM_API_*"}},
			"eso-only":     {Names: map[backend.Dialect]string{backend.ESO: "fake"}, Ref: ref},
		},
	}
}

// object has the spec that the JSON says.
func object(t testing.TB, body string) *v1.ExternalSecret {
	t.Helper()
	es := &v1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", UID: "uid-1", Generation: 3}}
	if err := json.Unmarshal([]byte(body), &es.Spec); err != nil {
		t.Fatalf("the case is not a spec: %v", err)
	}
	return es
}

func store(name string) spec.StoreKey { return spec.StoreKey{Kind: "backendType", Name: name} }

func TestSpec(t *testing.T) {
	es := object(t, `{
		"backendType": "ibmcloudSecretsManager", "type": "example.com/t", "keyByName": true,
		"data": [
			{"key": "k0", "name": "n0"},
			{"key": "k1", "name": "n1", "property": "a.b", "isBinary": true, "secretType": "kv", "version": 7, "versionStage": "S", "versionId": "I"},
			{"key": "k2", "name": "n2", "property": "", "isBinary": false, "version": "latest"}
		],
		"dataFrom": ["f0", "f1"],
		"dataFromWithOptions": [{"key": "o0"}, {"key": "o1", "isBinary": true, "versionStage": "S", "versionId": "I"}]
	}`)
	byName := map[string]string{"keyByName": "true"}
	all := map[string]string{"keyByName": "true", "versionStage": "S", "versionId": "I"}
	ibm := store("ibmcloudSecretsManager")
	want := spec.Spec{
		Object: spec.Object{
			Dialect: backend.KES, APIVersion: "kubernetes-client.io/v1", Kind: "ExternalSecret",
			Namespace: "ns", Name: "app", UID: "uid-1", Generation: 3,
		},
		Target:  spec.Target{Namespace: "ns", Name: "app", Type: "example.com/t", Manager: "lockstep"},
		Syntax:  spec.Lodash,
		Refresh: spec.Refresh{Every: 10 * time.Second},
		Stores: map[spec.StoreKey]spec.Store{
			ibm: {Driver: "ibm-driver", Namespace: "ns", Env: backend.NewEnv(map[string]string{"IBM_API_KEY": "k", "IBM_API_URL": "u"})},
		},
		Entries: []spec.Entry{
			{Where: "spec.dataFrom[0]", Store: ibm, Key: backend.Key{Key: "f0", Args: byName}},
			{Where: "spec.dataFrom[1]", Store: ibm, Key: backend.Key{Key: "f1", Args: byName}},
			{Where: "spec.dataFromWithOptions[0]", Store: ibm, Key: backend.Key{Key: "o0", Args: byName}},
			{Where: "spec.dataFromWithOptions[1]", Store: ibm, Key: backend.Key{Key: "o1", Args: all}, Decode: spec.DecodeLenient},
			{Where: "spec.data[0]", Store: ibm, Name: "n0", Key: backend.Key{Key: "k0", Args: byName}},
			{
				Where: "spec.data[1]", Store: ibm, Name: "n1", Property: "a.b", HasProperty: true, Decode: spec.DecodeLenient,
				Key: backend.Key{Key: "k1", Kind: "kv", Version: "7", Args: all},
			},
			{
				Where: "spec.data[2]", Store: ibm, Name: "n2", HasProperty: true,
				Key: backend.Key{Key: "k2", Version: "latest", Args: byName},
			},
		},
	}
	if diff := cmp.Diff(want, kes.Spec(es, settings())); diff != "" {
		t.Errorf("every field\n-want, +got:\n%s", diff)
	}
}

// TestSpecArgs: what a manifest says once belongs to each of its reads.
func TestSpecArgs(t *testing.T) {
	es := object(t, `{"backendType": "vault", "vaultRole": "r", "vaultMountPoint": "m", "kvVersion": 1, "dataFrom": ["f"], "data": [{"key": "k", "name": "n"}]}`)
	want := map[string]string{"vaultRole": "r", "vaultMountPoint": "m", "kvVersion": "1"}
	for _, e := range kes.Spec(es, settings()).Entries {
		if diff := cmp.Diff(want, e.Key.Args); diff != "" {
			t.Errorf("%s: -want, +got:\n%s", e.Where, diff)
		}
	}
}

func TestSpecStore(t *testing.T) {
	cases := map[string]struct {
		reason  string
		backend string
		want    map[spec.StoreKey]spec.Store
		message string
	}{
		"Exact": {
			reason: "of the environment a product sees the variables it lists, by their whole names", backend: "vault",
			want: map[spec.StoreKey]spec.Store{
				store("vault"): {Driver: "vault-driver", Namespace: "ns", Env: backend.NewEnv(map[string]string{"VAULT_ADDR": "http://127.0.0.1:1"})},
			},
		},
		"Unknown": {
			reason: "one that this version does not have", backend: "akeyless",
			message: `backendType "akeyless" is not supported by this version of Lockstep; supported: ibmcloudSecretsManager, vault`,
		},
		"OtherDialect": {
			reason: "a product that KES never had cannot be named", backend: "fake",
			message: `backendType "fake" is not supported by this version of Lockstep; supported: ibmcloudSecretsManager, vault`,
		},
		"DriverName": {
			reason: "the driver's own name is no backendType", backend: "ibm-driver",
			message: `backendType "ibm-driver" is not supported by this version of Lockstep; supported: ibmcloudSecretsManager, vault`,
		},
		"Missing": {
			reason: "an empty name must not match a product that has none", backend: "",
			message: `backendType "" is not supported by this version of Lockstep; supported: ibmcloudSecretsManager, vault`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			es := object(t, `{"data": []}`)
			es.Spec.BackendType = v1.BackendType(tc.backend)
			got := kes.Spec(es, settings())
			if diff := cmp.Diff(tc.want, got.Stores); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			var issues []spec.Issue
			if tc.message != "" {
				issues = []spec.Issue{{Where: "spec.backendType", Code: backend.InvalidRef, Message: tc.message}}
			}
			if diff := cmp.Diff(issues, got.Issues); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSpecUnusable(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		want   []spec.Issue
	}{
		"Path": {
			reason: "in the words of KES", data: `[{"path": "/a", "key": "b"}]`,
			want: []spec.Issue{{Where: "spec.data[0].path", Code: backend.InvalidRef, Message: "_getByPath not implemented"}},
		},
		"NoName": {
			reason: "KES wrote a key undefined", data: `[{"key": "a", "name": "b"}, {"key": "c"}]`,
			want: []spec.Issue{{
				Where: "spec.data[1].name", Code: backend.InvalidRef, Message: "spec.data[1] has no name: say which key of the Secret it fills",
			}},
		},
		"EmptyPath": {
			reason: "JavaScript takes an empty path for none", data: `[{"path": "", "key": "a", "name": "b"}]`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := kes.Spec(object(t, `{"backendType": "vault", "data": `+tc.data+`}`), settings())
			if diff := cmp.Diff(tc.want, got.Issues); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSpecVersion(t *testing.T) {
	for raw, want := range map[string]string{`1`: "1", `"1"`: "1", `"latest"`: "latest", `""`: "", `12345678901234567890`: "12345678901234567890"} {
		es := object(t, `{"backendType": "vault", "data": [{"key": "k", "name": "n"}]}`)
		es.Spec.Data[0].Version = &apiextensionsv1.JSON{Raw: []byte(raw)}
		if got := kes.Spec(es, settings()).Entries[0].Key.Version; got != want {
			t.Errorf("version %s is %q, want %q", raw, got, want)
		}
	}
}

func TestSpecPinned(t *testing.T) {
	set := settings()
	set.Pinned = true
	got := kes.Spec(object(t, `{"backendType": "vault", "data": []}`), set).Refresh
	if want := (spec.Refresh{Mode: spec.Pinned}); got != want {
		t.Errorf("with DISABLE_POLLING: %+v, want %+v", got, want)
	}
}

func TestManaged(t *testing.T) {
	for _, tc := range []struct {
		reason, id, instance string
		want                 bool
	}{
		{"both empty", "", "", true},
		{"equal", "blue", "blue", true},
		{"another instance's", "blue", "green", false},
		{"of nobody, but this instance has a name", "", "blue", false},
		{"of somebody, but this instance has no name", "blue", "", false},
		{"names are not folded", "Blue", "blue", false},
	} {
		es := object(t, `{}`)
		es.Spec.ControllerID = tc.id
		set := settings()
		set.InstanceID = tc.instance
		if got := kes.Managed(es, set); got != tc.want {
			t.Errorf("%s: Managed = %t, want %t", tc.reason, got, tc.want)
		}
	}
}
