// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	esov1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
)

// The rules of the webhook of External Secrets Operator that the CRD has. E1 to
// E9 are names for them; what is not here is refused at reconcile.
func TestExternalSecretRules(t *testing.T) {
	const (
		data    = "data: [{secretKey: k, remoteRef: {key: r}}]"
		token   = "kubernetes.io/service-account-token"
		account = "kubernetes.io/service-account.name"
	)
	gates := map[string]gate{
		"eso":  newGate(t, esoDir, "external-secrets.io_externalsecrets.yaml"),
		"ours": newGate(t, oursDir, "external-secrets.io_externalsecrets.yaml"),
	}
	cases := map[string]struct {
		reason string
		spec   string
		want   string // how the only complaint begins; empty: accepted
	}{
		"DeleteOwner":      {"the owner may delete", "{" + data + ", target: {deletionPolicy: Delete}}", ""},
		"DeleteOrphan":     {"ESO lets it pass", "{" + data + ", target: {deletionPolicy: Delete, creationPolicy: Orphan}}", ""},
		"MergeMerge":       {"keys are removed", "{" + data + ", target: {deletionPolicy: Merge, creationPolicy: Merge}}", ""},
		"RetainNone":       {"nothing is written, nothing deleted", "{" + data + ", target: {creationPolicy: None}}", ""},
		"DataFromOnly":     {"something to read", "{dataFrom: [{extract: {key: r}}]}", ""},
		"StoreOnly":        {"ESO's webhook lets an item with a store and nothing else pass", "{dataFrom: [{sourceRef: {storeRef: {name: s}}}]}", ""},
		"ExtractFromStore": {"a store beside what to read of it", "{dataFrom: [{extract: {key: r}, sourceRef: {storeRef: {name: s}}}]}", ""},
		"Generator":        {"refused at reconcile, not here", "{dataFrom: [{sourceRef: {generatorRef: {kind: Password, name: g}}}]}", ""},
		"TokenAlone":       {"a token without an account is never issued", "{" + data + ", target: {template: {type: " + token + "}}}", ""},
		"TokenLabels":      {"labels do no harm", "{" + data + ", target: {template: {type: " + token + ", templateFrom: [{target: Labels, literal: a}, {literal: b}]}}}", ""},
		"AnnotationAlone":  {"an annotation without the type", "{" + data + ", target: {template: {metadata: {annotations: {" + account + ": a}}}}}", ""},
		"Duplicate":        {"refused at reconcile, not here", "{data: [{secretKey: k, remoteRef: {key: r}}, {secretKey: k, remoteRef: {key: r}}]}", ""},
		"NoSpec":           {"the objects that are there already must keep their status", "null", ""},

		"DeleteMerge":         {"E1", "{" + data + ", target: {deletionPolicy: Delete, creationPolicy: Merge}}", "spec.target.deletionPolicy: Invalid value"},
		"DeleteNone":          {"E1", "{" + data + ", target: {deletionPolicy: Delete, creationPolicy: None}}", "spec.target.deletionPolicy: Invalid value"},
		"DeleteCreateOrMerge": {"E1", "{" + data + ", target: {deletionPolicy: Delete, creationPolicy: CreateOrMerge}}", "spec.target.deletionPolicy: Invalid value"},
		"MergeNone":           {"E2", "{" + data + ", target: {deletionPolicy: Merge, creationPolicy: None}}", "spec.target.deletionPolicy: Invalid value"},
		"Empty":               {"E3", "{}", "spec: Required value: data and dataFrom are both empty"},
		"EmptyLists":          {"E3", "{data: [], dataFrom: []}", "spec: Required value: data and dataFrom are both empty"},
		"Bootstrap":           {"E4", "{" + data + ", target: {template: {type: bootstrap.kubernetes.io/token}}}", "spec.target.template.type: Forbidden"},
		"TokenAnnotation":     {"E5", "{" + data + ", target: {template: {type: " + token + ", metadata: {annotations: {" + account + ": a}}}}}", "spec.target.template.metadata.annotations: Forbidden"},
		"TokenTemplateFrom":   {"E6", "{" + data + ", target: {template: {type: " + token + ", templateFrom: [{literal: a}, {target: Annotations, literal: a}]}}}", "spec.target.template.templateFrom: Forbidden"},
		"ExtractAndFind":      {"E8", "{dataFrom: [{extract: {key: r}}, {extract: {key: r}, find: {}}]}", "spec.dataFrom[1]: Invalid value"},
		"ExtractAndGenerator": {"E8", "{dataFrom: [{extract: {key: r}, sourceRef: {generatorRef: {kind: UUID, name: g}}}]}", "spec.dataFrom[0]: Invalid value"},
		"FindAndGenerator":    {"E8", "{dataFrom: [{find: {}, sourceRef: {generatorRef: {kind: UUID, name: g}}}]}", "spec.dataFrom[0]: Invalid value"},
		"EmptyItem":           {"E9", "{dataFrom: [{rewrite: []}]}", "spec.dataFrom[0]: Required value"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := "{spec: " + tc.spec + "}"
			if errs := gates["eso"].admit(manifest(t, text)); len(errs) > 0 {
				t.Fatalf("not a case for a rule: ESO's schema refuses it already: %s", complaint(errs))
			}
			errs := gates["ours"].admit(manifest(t, text))
			switch {
			case tc.want == "" && len(errs) > 0:
				t.Errorf("%s: refused: %s", tc.reason, complaint(errs))
			case tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)):
				t.Errorf("%s:\n got %s\nwant %s", tc.reason, complaint(errs), tc.want)
			}
		})
	}
}

// What is refused says what to do, in every version.
func TestRulesHaveMessages(t *testing.T) {
	crd := load(t, oursDir, "external-secrets.io_externalsecrets.yaml")
	for _, name := range []string{esov1.GroupVersion.Version, "v1beta1"} {
		rules := 0
		for path, facts := range factsOf(t, version(t, crd, name)) {
			said, ok := facts["rules"]
			if !ok {
				continue
			}
			count := strings.Count(said, `"rule":`)
			rules += count
			if strings.Count(said, `"message":`) != count || strings.Count(said, `"reason":`) != count {
				t.Errorf("%s: %s: a rule without a message or a reason", name, path)
			}
		}
		if rules != 9 {
			t.Errorf("%s has %d rules, want 9", name, rules)
		}
	}
}
