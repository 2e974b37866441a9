// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func merge(c spec.Collect) spec.Rewrite { return spec.Rewrite{Merge: &c} }

func TestMergeRewrite(t *testing.T) {
	const disB = `{"q": [1, 2], "t": true, "nul": null, "f": 2.5, "big": 12345678901234567890, "html": "<&>"}`
	dis := hits("dis-a", `{"p": "p", "n": {"z": 1}}`, "dis-b", disB)
	cfg := hits("cfg-a", `{"x": "a", "only_a": "1"}`, "cfg-b", `{"x": "b", "only_b": 2}`)
	flat := map[string]string{
		"big": "12345678901234567890", "f": "2.5", "html": "<&>", "n": `{"z":1}`, "nul": "", "p": "p", "q": "[1,2]", "t": "true",
	}
	conflict := `rewrite[0].merge finds more than one value of "x"; set conflictPolicy to Ignore to let the later one win`
	object := `{"big":12345678901234567890,"f":2.5,"html":"<&>","n":{"z":1},"nul":null,"p":"p","q":[1,2],"t":true}`
	cases := map[string]struct {
		reason   string
		found    plan.Answer
		rewrites []spec.Rewrite
		want     map[string]string
		problem  string
	}{
		"Disjoint": {reason: "one key for each member; digits stay", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{})}, want: flat},
		"Conflict": {reason: "two values of one member", found: cfg, rewrites: []spec.Rewrite{merge(spec.Collect{})}, problem: conflict},
		"ConflictPriority": {
			reason: "priority alone allows no conflict", found: cfg, rewrites: []spec.Rewrite{merge(spec.Collect{Priority: []string{"cfg-a"}})}, problem: conflict,
		},
		"Ignore": {
			reason: "the later key wins", found: cfg, rewrites: []spec.Rewrite{merge(spec.Collect{IgnoreConflicts: true})},
			want: map[string]string{"only_a": "1", "only_b": "2", "x": "b"},
		},
		"Priority": {
			reason: "the key with priority wins", found: cfg, rewrites: []spec.Rewrite{merge(spec.Collect{IgnoreConflicts: true, Priority: []string{"cfg-a"}})},
			want: map[string]string{"only_a": "1", "only_b": "2", "x": "a"},
		},
		"PriorityOrder": {
			reason: "the last of them", found: cfg, rewrites: []spec.Rewrite{merge(spec.Collect{IgnoreConflicts: true, Priority: []string{"cfg-b", "cfg-a"}})},
			want: map[string]string{"only_a": "1", "only_b": "2", "x": "a"},
		},
		"PriorityMissing": {
			reason: "names must be there", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{Priority: []string{"nope"}})},
			problem: `rewrite[0].merge.priority names key "nope", which was not found`,
		},
		"PriorityMissingIgnored": {
			reason: "unless they need not", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{Priority: []string{"nope", "dis-a"}, IgnoreMissing: true})}, want: flat,
		},
		"JSON": {
			reason: "beside the others", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{JSON: true, Into: "all"})},
			want: map[string]string{"all": object, "dis-a": `{"p": "p", "n": {"z": 1}}`, "dis-b": disB},
		},
		"JSONInto": {
			reason: "in the place of one", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{JSON: true, Into: "dis-a"})},
			want: map[string]string{"dis-a": object, "dis-b": disB},
		},
		"JSONNowhere": {
			reason: "it needs a key", found: dis, rewrites: []spec.Rewrite{merge(spec.Collect{JSON: true})},
			problem: "rewrite[0].merge.into is missing: strategy JSON needs the key of the result",
		},
		"JSONNothing": {reason: "of nothing", rewrites: []spec.Rewrite{merge(spec.Collect{JSON: true, Into: "all"})}, want: map[string]string{"all": "{}"}},
		"Then": {
			reason: "what was merged is rewritten", found: hits("a", `{"b":1}`), rewrites: []spec.Rewrite{merge(spec.Collect{}), regex("^", "m_")},
			want: map[string]string{"m_b": "1"},
		},
		"Before": {
			reason: "what was rewritten is merged", found: hits("b", `{"x":1}`, "a", `{"x":2}`),
			rewrites: []spec.Rewrite{regex("^a$", "z"), merge(spec.Collect{IgnoreConflicts: true})}, want: map[string]string{"x": "2"},
		},
		"Null": {reason: "has no members", found: hits("a", "null", "b", `{"x":"1"}`), rewrites: []spec.Rewrite{merge(spec.Collect{})}, want: map[string]string{"x": "1"}},
		"Text": {
			reason: "is no object", found: hits("txt-a", canary), rewrites: []spec.Rewrite{merge(spec.Collect{})},
			problem: `the value of key "txt-a" is not a JSON object, so it cannot be merged`,
		},
		"Array": {
			reason: "is no object", found: hits("arr-a", `["`+canary+`"]`), rewrites: []spec.Rewrite{merge(spec.Collect{})},
			problem: `the value of key "arr-a" is not a JSON object, so it cannot be merged`,
		},
		"Numbers": {
			reason: "as ESO writes them where that is the same number",
			found:  hits("a", `{"a":1.50,"b":1e3,"c":-0.0,"d":100,"e":0.1,"f":1e999,"g":123456789.123456789123,"h":1E-7,"l":[1.0,1e3,1e21,1e-7,9007199254740993]}`),
			rewrites: []spec.Rewrite{
				merge(spec.Collect{}),
			},
			want: map[string]string{
				"a": "1.5", "b": "1000", "c": "-0", "d": "100", "e": "0.1", "f": "1e999", "g": "123456789.123456789123", "h": "0.0000001",
				"l": "[1,1000,1e+21,1e-7,9007199254740993]",
			},
		},
		"Escapes": {
			reason: "as ESO writes objects and arrays", found: hits("a", `{"o":{"b":"<","a":"é"},"l":["&"]}`), rewrites: []spec.Rewrite{merge(spec.Collect{})},
			want: map[string]string{"o": `{"a":"é","b":"\u003c"}`, "l": `["\u0026"]`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{found: tc.found}.one(find(tc.rewrites...))
			if tc.problem != "" {
				wantProblem(t, tc.reason, got, backend.InvalidRef, tc.problem)
				return
			}
			want(t, tc.reason, got, tc.want)
		})
	}
}

// TestMergeFields has secrets whose fields are what is merged.
func TestMergeFields(t *testing.T) {
	found := plan.Answer{Found: []backend.Found{
		{Ref: backend.Ref{Path: "src-two"}, Secret: &backend.Secret{Fields: values("user", "u2")}},
		{Ref: backend.Ref{Path: "other"}, Secret: &backend.Secret{Fields: values("z", "1")}},
	}}
	want(t, "keys of several Secrets", world{found: found}.one(find(merge(spec.Collect{}))), map[string]string{"user": "u2", "z": "1"})
}
