// SPDX-License-Identifier: Apache-2.0

// Command crds finishes the CRDs that controller-gen makes from the types in
// api/. It adds what no marker can say and takes out what changes from one
// controller-gen to the next.
//
// It knows schemas, not manifests: what a field means is said where it is
// declared. The result is deploy/crds, which deploy/embed.go carries into the
// binary. The rules that are one CRD's own are in a file named after its group.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const header = `# SPDX-License-Identifier: Apache-2.0
# Generated from api/ by controller-gen and hack/crds. Do not edit: make generate.
`

// rules holds, per CRD, what is added to its schema. A CRD that needs nothing
// is not in it.
var rules = map[string]func(*apiextensionsv1.CustomResourceDefinition) error{
	"externalsecrets.kubernetes-client.io":    kubernetesClientExternalSecret,
	"externalsecrets.external-secrets.io":     externalSecretsExternalSecret,
	"secretstores.external-secrets.io":        externalSecretsStore,
	"clustersecretstores.external-secrets.io": externalSecretsStore,
}

func main() {
	in := flag.String("in", "bin/crds", "folder of controller-gen's CRDs")
	out := flag.String("out", "deploy/crds", "folder to write the finished CRDs to")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "crds:", err)
		os.Exit(1)
	}
}

// run finishes every CRD in the folder in. It is an error if there is none: an
// empty folder means that the step before this one went wrong.
func run(in, out string) error {
	files, err := filepath.Glob(filepath.Join(in, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CRDs in %s", in)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		done, err := finish(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		if err := os.WriteFile(filepath.Join(out, filepath.Base(file)), done, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// finish turns one CRD of controller-gen into the one we ship.
func finish(raw []byte) ([]byte, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		return nil, err
	}
	if err := finishMetadata(crd); err != nil {
		return nil, err
	}
	for i := range crd.Spec.Versions {
		if err := finishRoot(&crd.Spec.Versions[i]); err != nil {
			return nil, err
		}
	}
	if add := rules[crd.Name]; add != nil {
		if err := add(crd); err != nil {
			return nil, err
		}
	}
	return encode(crd)
}

// finishMetadata sets the keep policy, without which uninstalling the chart
// would remove the CRD, with it every object, and with those every Secret.
func finishMetadata(crd *apiextensionsv1.CustomResourceDefinition) error {
	const version = "controller-gen.kubebuilder.io/version"
	if _, ok := crd.Annotations[version]; !ok {
		return errors.New("not a CRD of controller-gen: it lacks the annotation " + version)
	}
	delete(crd.Annotations, version)
	crd.Annotations["helm.sh/resource-policy"] = "keep"
	return nil
}

// finishRoot takes out what the API server says of every kind by itself.
func finishRoot(v *apiextensionsv1.CustomResourceDefinitionVersion) error {
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		return fmt.Errorf("version %s has no schema", v.Name)
	}
	root := v.Schema.OpenAPIV3Schema
	for _, name := range []string{"apiVersion", "kind", "metadata"} {
		delete(root.Properties, name)
	}
	trim(root)
	return nil
}

// trim removes the line end that controller-gen leaves on a description cut at
// a line of dashes.
func trim(s *apiextensionsv1.JSONSchemaProps) {
	s.Description = strings.TrimSpace(s.Description)
	for name, p := range s.Properties {
		trim(&p)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		trim(s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		trim(s.AdditionalProperties.Schema)
	}
}

// encode writes the CRD without its status, which is the API server's.
func encode(crd *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	typed, err := yaml.Marshal(crd)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := yaml.Unmarshal(typed, &object); err != nil {
		return nil, err
	}
	delete(object, "status")
	body, err := yaml.Marshal(object)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(header), body}, nil), nil
}
