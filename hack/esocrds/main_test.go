// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document is a CRD of a group, with descriptions wherever there may be some.
func document(group, plural string) string {
	return `
kind: CustomResourceDefinition
spec:
  group: ` + group + `
  names: {plural: ` + plural + `}
  versions:
  - name: v1
    additionalPrinterColumns: [{name: A, description: said}]
    schema:
      openAPIV3Schema:
        description: said
        properties:
          description: {type: string, description: said}
          list: {items: {description: said, anyOf: [{description: said, type: string}]}}
          map: {additionalProperties: {description: said, default: said in a default}}
          number: {type: integer, x-kubernetes-validations: [{rule: self > 0, message: said}]}
`
}

func TestPick(t *testing.T) {
	bundle := strings.Join([]string{
		document("external-secrets.io", "externalsecrets"),
		document("external-secrets.io", "secretstores"),
		document("external-secrets.io", "clustersecretstores"),
		document("external-secrets.io", "pushsecrets"),
		document("generators.external-secrets.io", "externalsecrets"),
	}, "---\n")
	got, err := pick(strings.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{}
	for _, plural := range wanted {
		want["external-secrets.io_"+plural+".yaml"] = []byte(header + `kind: CustomResourceDefinition
spec:
  group: external-secrets.io
  names:
    plural: ` + plural + `
  versions:
  - additionalPrinterColumns:
    - name: A
    name: v1
    schema:
      openAPIV3Schema:
        properties:
          description:
            type: string
          list:
            items:
              anyOf:
              - type: string
          map:
            additionalProperties:
              default: said in a default
          number:
            type: integer
            x-kubernetes-validations:
            - message: refused
              rule: self > 0
`)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("picked (-want +got):\n%s", diff)
	}
}

func TestPickRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		bundle string
		want   string
	}{
		"Missing": {
			reason: "a bundle of another version may name them otherwise",
			bundle: document("external-secrets.io", "externalsecrets"),
			want:   "no CRD of clustersecretstores.external-secrets.io",
		},
		"NoVersions": {
			reason: "a CRD without a schema is of no use to a test",
			bundle: "spec: {group: external-secrets.io, names: {plural: secretstores}}",
			want:   "secretstores: no list of versions",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := pick(strings.NewReader(tc.bundle))
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, want %s", tc.reason, err, tc.want)
			}
		})
	}
}
