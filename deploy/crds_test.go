// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/deploy"
)

// crd reads one embedded CRD as the API server does: strictly, with defaults,
// into the internal version.
func crd(t *testing.T, name string) *apiextensions.CustomResourceDefinition {
	t.Helper()
	raw, err := fs.ReadFile(deploy.CRDs, "crds/"+name)
	if err != nil {
		t.Fatal(err)
	}
	v1 := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, v1); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	scheme.Default(v1)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(v1, internal, nil); err != nil {
		t.Fatal(err)
	}
	return internal
}

// A gate does to a manifest what the API server does before it stores it.
type gate struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

func newGate(t *testing.T, c *apiextensions.CustomResourceDefinition) gate {
	t.Helper()
	props := c.Spec.Validation
	if props == nil {
		props = c.Spec.Versions[0].Schema
	}
	structural, err := structuralschema.NewStructural(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	return gate{structural: structural, validator: validator}
}

// admit prunes object in place and returns the API server's complaint, or "".
func (g gate) admit(object map[string]any) string {
	pruning.Prune(object, g.structural, true)
	errs := validation.ValidateCustomResource(nil, object, g.validator)
	if len(errs) == 0 {
		return ""
	}
	return errs.ToAggregate().Error()
}

func parse(t *testing.T, manifest string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSONStrict([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}

// decode reads JSON as the API server does: whole numbers stay whole.
func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestCRDsAreValid(t *testing.T) {
	files, err := fs.Glob(deploy.CRDs, "crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("embedded CRDs: %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimPrefix(file, "crds/")
		t.Run(name, func(t *testing.T) {
			c := crd(t, name)
			c.Status.StoredVersions = []string{c.Spec.Versions[0].Name}
			if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), c); len(errs) > 0 {
				t.Errorf("the API server would refuse it: %v", errs.ToAggregate())
			}
			if got := c.Annotations["helm.sh/resource-policy"]; got != "keep" {
				t.Errorf("helm.sh/resource-policy = %q: an uninstall would remove every Secret", got)
			}
		})
	}
}

func TestKubernetesClientCRD(t *testing.T) {
	c := crd(t, kesFile)

	if got := c.Annotations["app.kubernetes.io/managed-by"]; got != "helm" {
		t.Errorf("app.kubernetes.io/managed-by = %q, want helm", got)
	}
	names := apiextensions.CustomResourceDefinitionNames{
		Kind: "ExternalSecret", ListKind: "ExternalSecretList",
		Plural: "externalsecrets", Singular: "externalsecret", ShortNames: []string{"es"},
	}
	if diff := cmp.Diff(names, c.Spec.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	columns := []apiextensions.CustomResourceColumnDefinition{
		{Name: "Last Sync", Type: "date", JSONPath: ".status.lastSync"},
		{Name: "status", Type: "string", JSONPath: ".status.status"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
	if diff := cmp.Diff(columns, c.Spec.AdditionalPrinterColumns); diff != "" {
		t.Errorf("printer columns (-want +got):\n%s", diff)
	}
	if c.Spec.Scope != apiextensions.NamespaceScoped || c.Spec.Subresources == nil || c.Spec.Subresources.Status == nil {
		t.Errorf("scope %s, subresources %v: want Namespaced, with status", c.Spec.Scope, c.Spec.Subresources)
	}
}
