// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// Our CRDs take the place of those of External Secrets Operator, and give it
// back. So they are compared word for word; that they differ anywhere has a
// reason, and the reason is in this file.

const (
	oursDir = "../../deploy/crds"
	esoDir  = "../../test/controlplane/testdata/eso-2.9.0"
)

var esoFiles = []string{
	"external-secrets.io_externalsecrets.yaml",
	"external-secrets.io_secretstores.yaml",
	"external-secrets.io_clustersecretstores.yaml",
}

// difference is what one line of the comparison may say.
type difference struct {
	where  string // path and fact, or the beginning of it before a *
	reason string
}

var externalSecretDifferences = []difference{
	{"apiVersion *", "the API server knows it of every kind"},
	{"kind *", "the API server knows it of every kind"},
	{"metadata *", "the API server knows it of every kind"},
	{"spec rules", "a rule of ESO's webhook: something to read"},
	{"spec.dataFrom[] rules", "rules of ESO's webhook: one source in an item"},
	{"spec.target rules", "rules of ESO's webhook: policies that go together"},
	{"spec.target.template rules", "rules of ESO's webhook: types that are powers"},
	{"status.versions *", "ours: what reading has changed must survive a restart"},
	{"status.versions{} *", "ours: what reading has changed must survive a restart"},
}

var storeDifferences = []difference{
	{"apiVersion *", "the API server knows it of every kind"},
	{"kind *", "the API server knows it of every kind"},
	{"metadata *", "the API server knows it of every kind"},
	{"spec.refreshInterval anyOf", "x-kubernetes-int-or-string says it"},
	{"spec.provider unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.fake unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.fake.*", "what we do not know is kept, and named in a condition"},
	{"spec.provider.ibm unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.ibm.*", "what we do not know is kept, and named in a condition"},
	{"spec.provider.kubernetes unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.kubernetes.*", "what we do not know is kept, and named in a condition"},
	{"spec.provider.openBao unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.openBao.*", "what we do not know is kept, and named in a condition"},
	{"spec.provider.vault unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.vault.*", "what we do not know is kept, and named in a condition"},
	{"spec.provider.webhook unknown", "what we do not know is kept, and named in a condition"},
	{"spec.provider.webhook.*", "what we do not know is kept, and named in a condition"},
}

// products are the members of the provider union that are compared. Another
// one is not in our schema.
var products = []string{"fake", "ibm", "kubernetes", "openBao", "vault", "webhook"}

// sentence is what a rule says to people. In ESO's files it is "refused".
var sentence = regexp.MustCompile(`"message":"[^"]*"`)

func TestSchemasAreESOs(t *testing.T) {
	for _, file := range esoFiles {
		t.Run(file, func(t *testing.T) {
			allowed := storeDifferences
			if strings.Contains(file, "externalsecrets") {
				allowed = externalSecretDifferences
			}
			eso := factsOf(t, version(t, load(t, esoDir, file), "v1"))
			for path := range eso {
				if otherProduct(path) {
					delete(eso, path)
				}
			}
			ours := factsOf(t, version(t, load(t, oursDir, file), "v1"))
			for path, facts := range ours {
				if rules, ok := facts["rules"]; ok && strings.HasPrefix(path, "spec.provider.") {
					facts["rules"] = sentence.ReplaceAllString(rules, `"message":"refused"`)
				}
			}
			used := map[string]bool{}
			for _, line := range compare(eso, ours) {
				i := slices.IndexFunc(allowed, func(d difference) bool { return d.allows(line) })
				if i < 0 {
					t.Errorf("not ESO's: %s", line)
					continue
				}
				used[allowed[i].where] = true
			}
			for _, d := range allowed {
				if !used[d.where] {
					t.Errorf("no longer a difference: %s (%s)", d.where, d.reason)
				}
			}
		})
	}
}

// allows is true of a line that d is about. Below a product only that unknown
// fields are kept may differ, whatever the path.
func (d difference) allows(line string) bool {
	where, _, _ := strings.Cut(line, ":")
	if strings.HasPrefix(where, "spec.provider.") && !strings.HasSuffix(where, " unknown") {
		return false
	}
	if start, ok := strings.CutSuffix(d.where, "*"); ok {
		return strings.HasPrefix(where, start)
	}
	return where == d.where
}

func otherProduct(path string) bool {
	below, ok := strings.CutPrefix(path, "spec.provider.")
	if !ok {
		return false
	}
	name, _, _ := strings.Cut(below, ".")
	name = strings.TrimRight(name, "[]{}")
	return !slices.Contains(products, name)
}

func TestVersionsAreServed(t *testing.T) {
	for _, file := range esoFiles {
		t.Run(file, func(t *testing.T) {
			crd := load(t, oursDir, file)
			v1, beta := version(t, crd, "v1"), version(t, crd, "v1beta1")
			if len(crd.Spec.Versions) != 2 || !v1.Served || !v1.Storage || v1.Deprecated || !beta.Served || beta.Storage || !beta.Deprecated {
				t.Errorf("want v1 served and stored, and v1beta1 served and deprecated")
			}
			if beta.DeprecationWarning == nil || !strings.Contains(*beta.DeprecationWarning, "external-secrets.io/v1,") {
				t.Errorf("the warning does not say what to write")
			}
			if crd.Spec.Conversion == nil || crd.Spec.Conversion.Strategy != apiextensionsv1.NoneConverter {
				t.Errorf("conversion %v: want None, which leaves every field as it is", crd.Spec.Conversion)
			}
			own := cmpopts.IgnoreFields(apiextensionsv1.CustomResourceDefinitionVersion{},
				"Name", "Storage", "Deprecated", "DeprecationWarning")
			if diff := cmp.Diff(v1, beta, own); diff != "" {
				t.Errorf("v1beta1 is not v1 (-v1 +v1beta1):\n%s", diff)
			}
		})
	}
}

func TestNamesAreESOs(t *testing.T) {
	for _, file := range esoFiles {
		t.Run(file, func(t *testing.T) {
			eso, ours := load(t, esoDir, file), load(t, oursDir, file)
			if diff := cmp.Diff(eso.Spec.Names, ours.Spec.Names); diff != "" {
				t.Errorf("names (-eso +ours):\n%s", diff)
			}
			if diff := cmp.Diff(eso.Labels, ours.Labels); diff != "" {
				t.Errorf("labels (-eso +ours):\n%s", diff)
			}
			if eso.Name != ours.Name || eso.Spec.Scope != ours.Spec.Scope {
				t.Errorf("%s, %s: want %s, %s", ours.Name, ours.Spec.Scope, eso.Name, eso.Spec.Scope)
			}
			rest := cmpopts.IgnoreFields(apiextensionsv1.CustomResourceDefinitionVersion{}, "Schema")
			if diff := cmp.Diff(version(t, eso, "v1"), version(t, ours, "v1"), rest); diff != "" {
				t.Errorf("columns, selectable fields, subresources (-eso +ours):\n%s", diff)
			}
		})
	}
}

func load(t *testing.T, dir, file string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

func version(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition, name string) apiextensionsv1.CustomResourceDefinitionVersion {
	t.Helper()
	for _, v := range crd.Spec.Versions {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("%s has no version %s", crd.Name, name)
	return apiextensionsv1.CustomResourceDefinitionVersion{}
}

// compare says what differs, one line for each fact: where, a colon, what.
func compare(eso, ours map[string]map[string]string) []string {
	all := map[string]bool{}
	for _, side := range []map[string]map[string]string{eso, ours} {
		for path := range side {
			all[path] = true
		}
	}
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		facts := map[string]bool{}
		for _, side := range []map[string]string{eso[path], ours[path]} {
			for fact := range side {
				facts[fact] = true
			}
		}
		for _, fact := range slices.Sorted(maps.Keys(facts)) {
			if theirs, mine := eso[path][fact], ours[path][fact]; theirs != mine {
				lines = append(lines, fmt.Sprintf("%s %s: %s in ESO, %s here", path, fact, said(theirs), said(mine)))
			}
		}
	}
	return lines
}

func said(fact string) string {
	if fact == "" {
		return "nothing"
	}
	return fact
}

// factsOf lists what a schema says of each path, but for sentences.
func factsOf(t *testing.T, v apiextensionsv1.CustomResourceDefinitionVersion) map[string]map[string]string {
	t.Helper()
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		t.Fatalf("version %s has no schema", v.Name)
	}
	facts := map[string]map[string]string{}
	gather(t, "", v.Schema.OpenAPIV3Schema, facts)
	return facts
}

func gather(t *testing.T, path string, s *apiextensionsv1.JSONSchemaProps, facts map[string]map[string]string) {
	t.Helper()
	facts[path] = factsAt(t, s)
	for name, p := range s.Properties {
		gather(t, strings.TrimPrefix(path+"."+name, "."), &p, facts)
	}
	if s.Items != nil && s.Items.Schema != nil {
		gather(t, path+"[]", s.Items.Schema, facts)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		gather(t, path+"{}", s.AdditionalProperties.Schema, facts)
	}
}

// factsAt lists everything that s says itself, by the name of the keyword.
func factsAt(t *testing.T, s *apiextensionsv1.JSONSchemaProps) map[string]string {
	t.Helper()
	s = s.DeepCopy()
	s.Description = ""
	s.Properties, s.Items = nil, nil
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		s.AdditionalProperties = nil
	}
	slices.Sort(s.Required)
	slices.SortFunc(s.Enum, func(a, b apiextensionsv1.JSON) int { return strings.Compare(string(a.Raw), string(b.Raw)) })
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var keywords map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keywords); err != nil {
		t.Fatal(err)
	}
	short := map[string]string{
		"x-kubernetes-preserve-unknown-fields": "unknown",
		"x-kubernetes-validations":             "rules",
	}
	out := map[string]string{}
	for keyword, value := range keywords {
		if name, ok := short[keyword]; ok {
			keyword = name
		}
		out[keyword] = string(value)
	}
	return out
}
