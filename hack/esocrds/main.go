// SPDX-License-Identifier: Apache-2.0

// Command esocrds takes from the bundle of CRDs that External Secrets Operator
// ships those that Lockstep serves too, and leaves out every sentence: what
// remains is what the API server does with a manifest, and nothing to read.
//
// Tests hold our CRDs against the result, and run with it. It knows nothing of
// our own CRDs: those are made by hack/crds.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const header = `# SPDX-License-Identifier: Apache-2.0
# From the CRDs of External Secrets Operator, without descriptions, by hack/esocrds. Do not edit.
`

const group = "external-secrets.io"

// wanted are the resources of group that Lockstep serves too.
var wanted = []string{"clustersecretstores", "externalsecrets", "secretstores"}

func main() {
	in := flag.String("in", "", "the bundle of CRDs: YAML documents")
	out := flag.String("out", "test/controlplane/testdata/eso-2.9.0", "folder to write to")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "esocrds:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	file, err := os.Open(in)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	crds, err := pick(file)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, crd := range crds {
		if err := os.WriteFile(filepath.Join(out, name), crd, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the wanted CRDs of a bundle by the names of their files. It is
// an error if one is missing.
func pick(bundle io.Reader) (map[string][]byte, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bundle))
	crds := make(map[string][]byte, len(wanted))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var crd map[string]any
		if err := yaml.Unmarshal(document, &crd); err != nil {
			return nil, err
		}
		if in, _, _ := unstructured.NestedString(crd, "spec", "group"); in != group {
			continue
		}
		plural, _, _ := unstructured.NestedString(crd, "spec", "names", "plural")
		if !slices.Contains(wanted, plural) {
			continue
		}
		if err := silenceVersions(crd); err != nil {
			return nil, fmt.Errorf("%s: %w", plural, err)
		}
		body, err := yaml.Marshal(crd)
		if err != nil {
			return nil, err
		}
		crds[group+"_"+plural+".yaml"] = append([]byte(header), body...)
	}
	for _, plural := range wanted {
		if _, ok := crds[group+"_"+plural+".yaml"]; !ok {
			return nil, fmt.Errorf("no CRD of %s.%s", plural, group)
		}
	}
	return crds, nil
}

// silenceVersions removes the descriptions of a CRD's schemas and columns.
func silenceVersions(crd map[string]any) error {
	versions, ok, err := unstructured.NestedFieldNoCopy(crd, "spec", "versions")
	if err != nil {
		return err
	}
	list, isList := versions.([]any)
	if !ok || !isList {
		return errors.New("no list of versions")
	}
	for _, version := range list {
		v, ok := version.(map[string]any)
		if !ok {
			return errors.New("a version is no object")
		}
		if s, ok := v["schema"].(map[string]any); ok {
			silence(s["openAPIV3Schema"])
		}
		columns, _ := v["additionalPrinterColumns"].([]any)
		for _, column := range columns {
			if c, ok := column.(map[string]any); ok {
				delete(c, "description")
			}
		}
	}
	return nil
}

// silence removes the sentences of a schema and of all schemas in it. A
// property that is called description stays.
func silence(schema any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return
	}
	delete(s, "description")
	delete(s, "externalDocs")
	delete(s, "example")
	rules, _ := s["x-kubernetes-validations"].([]any)
	for _, rule := range rules {
		// The API server demands a message of a rule of several lines.
		if r, ok := rule.(map[string]any); ok && r["message"] != nil {
			r["message"] = "refused"
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, p := range properties {
		silence(p)
	}
	for _, one := range []string{"items", "additionalProperties", "not"} {
		silence(s[one])
	}
	for _, several := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := s[several].([]any)
		for _, p := range list {
			silence(p)
		}
	}
}
