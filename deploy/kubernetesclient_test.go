// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"

	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
)

// The tables hold what KES 8.5.5's own CRD did with the same manifests.

const kesFile = "kubernetes-client.io_externalsecrets.yaml"

const kesHead = "apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: app, namespace: team}\n"

const (
	noneValid   = `<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid`
	sixValid    = `<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 6 valid alternatives`
	nothing     = `<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf), spec.data: Required value`
	itemNone    = `<nil>: Invalid value: "": "spec.data[0]" must validate one and only one schema (oneOf). Found none valid`
	itemBoth    = `<nil>: Invalid value: "": "spec.data[0]" must validate one and only one schema (oneOf). Found 2 valid alternatives`
	allBackends = `"secretsManager", "systemManager", "vault", "azureKeyVault", "gcpSecretsManager", "alicloudSecretsManager", "ibmcloudSecretsManager", "akeyless"`
)

func TestKubernetesClientRejects(t *testing.T) {
	g := newGate(t, crd(t, kesFile))
	cases := map[string]struct {
		reason   string
		manifest string
		want     string
	}{
		"NoSpec": {
			reason:   "an object without a spec asks for nothing",
			manifest: "",
			want:     "spec: Required value",
		},
		"EmptySpec": {
			reason:   "six of the seven branches match a spec without a backend; azureKeyVault wants a vault",
			manifest: "spec: {}",
			want:     "[" + nothing + ", " + sixValid + "]",
		},
		"NoBackend": {
			reason:   "backendType is required by the branches, not by a list of required fields",
			manifest: "spec: {data: [{key: k, name: nn}]}",
			want:     sixValid,
		},
		"OldBackendName": {
			reason:   "secretManager was an alias in old code that the schema never admitted",
			manifest: "spec: {backendType: secretManager, data: [{key: k, name: nn}]}",
			want: "[" + noneValid +
				`, spec.backendType: Unsupported value: "secretManager": supported values: "secretsManager", "systemManager"` +
				`, spec.backendType: Unsupported value: "secretManager": supported values: ` + allBackends + "]",
		},
		"AzureWithoutVault": {
			reason:   "keyVaultName is required by that backend",
			manifest: "spec: {backendType: azureKeyVault, data: [{key: k, name: nn}]}",
			want:     "[" + noneValid + `, spec.backendType: Unsupported value: "azureKeyVault": supported values: "secretsManager", "systemManager"]`,
		},
		"NothingToRead": {
			reason:   "one of the three lists must be there",
			manifest: "spec: {backendType: vault, vaultRole: app}",
			want:     "[" + nothing + "]",
		},
		"OldProperties": {
			reason:   "properties, the old name of data, is pruned before it is looked at",
			manifest: "spec: {backendType: vault, properties: [{key: k, name: nn}]}",
			want:     "[" + nothing + "]",
		},
		"OldDescriptor": {
			reason:   "secretDescriptor, the old name of spec, is pruned before it is looked at",
			manifest: "secretDescriptor: {backendType: vault, data: [{key: k, name: nn}]}",
			want:     "spec: Required value",
		},
		"EmptyItem": {
			reason:   "an item is one value or one path",
			manifest: "spec: {backendType: vault, data: [{}]}",
			want:     "[" + itemNone + ", spec.data[0].key: Required value, spec.data[0].name: Required value]",
		},
		"ItemWithoutName": {
			reason:   "a value must go somewhere",
			manifest: "spec: {backendType: vault, data: [{key: k}]}",
			want:     "[" + itemNone + ", spec.data[0].name: Required value]",
		},
		"ItemValueAndPath": {
			reason:   "an item is not both",
			manifest: "spec: {backendType: systemManager, data: [{key: k, name: nn, path: /p}]}",
			want:     itemBoth,
		},
		"OptionsWithoutKey": {
			reason:   "key is required there by a list of required fields",
			manifest: "spec: {backendType: vault, dataFromWithOptions: [{isBinary: true}]}",
			want:     "spec.dataFromWithOptions[0].key: Required value",
		},
		"KVVersion0": {
			reason:   "Vault's engine has the versions 1 and 2",
			manifest: "spec: {backendType: vault, kvVersion: 0, data: []}",
			want:     "spec.kvVersion: Invalid value: 0: spec.kvVersion in body should be greater than or equal to 1",
		},
		"KVVersion3": {
			reason:   "Vault's engine has the versions 1 and 2",
			manifest: "spec: {backendType: vault, kvVersion: 3, data: []}",
			want:     "spec.kvVersion: Invalid value: 3: spec.kvVersion in body should be less than or equal to 2",
		},
		"VersionIsBoolean": {
			reason:   "a version is a number or a string",
			manifest: "spec: {backendType: gcpSecretsManager, data: [{key: k, name: nn, version: true}]}",
			want:     `spec.data[0].version: Invalid value: "boolean": spec.data[0].version in body must be of type integer,string: "boolean"`,
		},
		"VersionIsFraction": {
			reason:   "a version is a whole number",
			manifest: "spec: {backendType: gcpSecretsManager, data: [{key: k, name: nn, version: 1.5}]}",
			want:     `spec.data[0].version: Invalid value: "number": spec.data[0].version in body must be of type integer,string: "number"`,
		},
		"TemplateIsArray": {
			reason:   "a template is an object, whatever is in it",
			manifest: "spec: {backendType: vault, data: [], template: [1]}",
			want:     `spec.template: Invalid value: "array": spec.template in body must be of type object: "array"`,
		},
		"PropertyIsNumber": {
			reason:   "strings are not taken from numbers",
			manifest: "spec: {backendType: vault, data: [{key: k, name: nn, property: 1}]}",
			want:     `spec.data[0].property: Invalid value: "integer": spec.data[0].property in body must be of type string: "integer"`,
		},
		"DataFromIsObjects": {
			reason:   "dataFrom is a list of strings",
			manifest: "spec: {backendType: vault, dataFrom: [{key: k}]}",
			want:     `spec.dataFrom[0]: Invalid value: "object": spec.dataFrom[0] in body must be of type string: "object"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := g.admit(parse(t, kesHead+tc.manifest)); got != tc.want {
				t.Errorf("%s:\n got %s\nwant %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestKubernetesClientAccepts(t *testing.T) {
	g := newGate(t, crd(t, kesFile))
	cases := map[string]struct {
		reason string
		spec   string
		want   string // empty: nothing is pruned
	}{
		"Item": {
			reason: "the smallest manifest",
			spec:   "{backendType: vault, data: [{key: k, name: nn}]}",
		},
		"EmptyData": {
			reason: "an empty list is there, and stays there",
			spec:   "{backendType: vault, data: []}",
		},
		"EmptyDataFrom": {
			reason: "an empty list is there, and stays there",
			spec:   "{backendType: vault, dataFrom: []}",
		},
		"EmptyDataFromWithOptions": {
			reason: "an empty list is there, and stays there",
			spec:   "{backendType: vault, dataFromWithOptions: []}",
		},
		"EveryList": {
			reason: "the lists do not exclude each other",
			spec:   "{backendType: vault, data: [{key: k, name: nn}], dataFrom: [a], dataFromWithOptions: [{key: b}]}",
		},
		"PathAndKey": {
			reason: "a key without a name does not make an item a value",
			spec:   "{backendType: systemManager, data: [{path: /p, key: k}]}",
		},
		"PathAndName": {
			reason: "a name without a key does not make an item a value",
			spec:   "{backendType: systemManager, data: [{path: /p, name: nn, recursive: true}]}",
		},
		"EmptyPath": {
			reason: "an empty path is a path to the schema",
			spec:   `{backendType: systemManager, data: [{path: ""}]}`,
		},
		"EmptyProperty": {
			reason: "an empty property is the member with the empty name",
			spec:   `{backendType: vault, data: [{key: k, name: nn, property: "", isBinary: false}]}`,
		},
		"EmptySecretType": {
			reason: "KES names an empty type and a missing one differently",
			spec:   `{backendType: ibmcloudSecretsManager, keyByName: true, data: [{key: k, name: nn, secretType: ""}]}`,
		},
		"Azure": {
			reason: "with its vault",
			spec:   "{backendType: azureKeyVault, controllerId: other, keyVaultName: v, data: [{key: k, name: nn}]}",
		},
		"GCPVersions": {
			reason: "a version is a number of any size or a string",
			spec:   `{backendType: gcpSecretsManager, projectId: p, data: [{key: k, name: nn, version: 1}, {key: k, name: m, version: latest}, {key: k, name: o, version: 99999999999}]}`,
		},
		"EveryItemField": {
			reason: "no backend's fields are pruned for another backend",
			spec:   `{backendType: secretsManager, controllerId: c, type: Opaque, region: r, roleArn: a, data: [{key: k, name: nn, property: p, isBinary: true, secretType: t, version: "3", versionStage: s, versionId: i, recursive: true}]}`,
		},
		"EverySpecField": {
			reason: "no backend's fields are pruned for another backend",
			spec:   "{backendType: akeyless, controllerId: c, type: t, template: {}, data: [], roleArn: a, region: r, vaultRole: v, vaultMountPoint: m, kvVersion: 1, keyVaultName: k, projectId: p, keyByName: true}",
		},
		"Template": {
			reason: "anything may stand below template",
			spec:   `{backendType: vault, data: [], template: {type: t, immutable: true, metadata: {labels: {a: "<%= data.a %>"}, foo: [1, {b: null}]}, stringData: {c: d}, any: [1.5, "x", false]}}`,
		},
		"PrunedInItem": {
			reason: "what belongs to spec is not known in an item",
			spec:   "{backendType: vault, vaultRole: app, data: [{key: k, name: nn, keyByName: true, projectId: p, region: r, roleArn: q, foo: {bar: 1}}]}",
			want:   "{backendType: vault, vaultRole: app, data: [{key: k, name: nn}]}",
		},
		"PrunedInOptions": {
			reason: "dataFromWithOptions knows neither secretType nor version",
			spec:   "{backendType: vault, dataFromWithOptions: [{key: k, isBinary: true, versionStage: s, versionId: i, secretType: t, version: 2, property: p}]}",
			want:   "{backendType: vault, dataFromWithOptions: [{key: k, isBinary: true, versionStage: s, versionId: i}]}",
		},
		"PrunedInSpec": {
			reason: "a typing error is pruned without a word",
			spec:   "{backendType: vault, vaultRoel: app, properties: [], data: []}",
			want:   "{backendType: vault, data: []}",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := parse(t, kesHead+"spec: "+tc.spec)
			if complaint := g.admit(object); complaint != "" {
				t.Fatalf("%s: refused: %s", tc.reason, complaint)
			}
			want := tc.want
			if want == "" {
				want = tc.spec
			}
			if diff := cmp.Diff(parse(t, kesHead+"spec: "+want), object); diff != "" {
				t.Errorf("%s: stored (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(object, throughTypes(t, object)); diff != "" {
				t.Errorf("%s: after a round through the Go types (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// throughTypes decodes what the API server stored as a client does, and encodes
// it again. Nothing that a spec may say is lost on that way.
func throughTypes(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	typed := &kesv1.ExternalSecret{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, typed); err != nil {
		t.Fatalf("an object that the schema accepts must decode: %v", err)
	}
	raw, err = json.Marshal(typed)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}

// One object that the schema accepts and a client cannot decode would end the
// watch for every namespace, so numbers are tried at their extremes.
func TestKubernetesClientNumbers(t *testing.T) {
	g := newGate(t, crd(t, kesFile))
	cases := map[string]struct {
		reason  string
		object  string
		refused bool
	}{
		"Generation": {
			reason: "beyond what a float holds",
			object: `{"spec":{"backendType":"vault","data":[]},"status":{"observedGeneration":9007199254740993}}`,
		},
		"GenerationBeyondInt64": {
			reason:  "the Go type cannot hold it",
			object:  `{"spec":{"backendType":"vault","data":[]},"status":{"observedGeneration":9223372036854775808}}`,
			refused: true,
		},
		"GenerationHuge": {
			reason:  "the Go type cannot hold it",
			object:  `{"spec":{"backendType":"vault","data":[]},"status":{"observedGeneration":1e30}}`,
			refused: true,
		},
		"GenerationFraction": {
			reason:  "the Go type cannot hold it; KES's schema would have let it pass",
			object:  `{"spec":{"backendType":"vault","data":[]},"status":{"observedGeneration":1.5}}`,
			refused: true,
		},
		"KVVersionAsFloat": {
			reason: "2.0 is a whole number, and is stored as 2",
			object: `{"spec":{"backendType":"vault","kvVersion":2.0,"data":[]}}`,
		},
		"VersionBeyondInt32": {
			reason: "an IntOrString cannot hold it",
			object: `{"spec":{"backendType":"vault","data":[{"key":"k","name":"a","version":99999999999}]}}`,
		},
		"VersionHuge": {
			reason:  "no whole number to the API server",
			object:  `{"spec":{"backendType":"vault","data":[{"key":"k","name":"a","version":1e30}]}}`,
			refused: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := decode(t, []byte(tc.object))
			complaint := g.admit(object)
			if refused := complaint != ""; refused != tc.refused {
				t.Fatalf("%s: refused = %v (%s), want %v", tc.reason, refused, complaint, tc.refused)
			}
			if !tc.refused {
				throughTypes(t, object)
			}
		})
	}
}
