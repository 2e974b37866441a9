// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func templated(t testing.TB, template string) spec.Spec {
	t.Helper()
	return kes.Spec(object(t, `{"backendType": "vault", "type": "from/spec", "data": [], "template": `+template+`}`), settings())
}

func value(s string) backend.Value { return backend.NewValue([]byte(s)) }

func wrong(where, what string) []spec.Issue {
	return []spec.Issue{{Where: where, Code: backend.InvalidRef, Message: where + " " + what}}
}

func TestTemplate(t *testing.T) {
	yes := true
	const script = "is a lodash template, which this version of Lockstep does not run"
	cases := map[string]struct {
		reason   string
		template string
		want     spec.Template
		issues   []spec.Issue
	}{
		"Static": {
			reason: "all that a Secret has passes through",
			template: `{"metadata": {"labels": {"l": "1"}, "annotations": {"a": "2"}, "finalizers": ["f/g"]},
				"data": {"d": "aGk="}, "stringData": {"s": "text"}, "immutable": true}`,
			want: spec.Template{
				Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "2"}, Finalizers: []string{"f/g"},
				Data: map[string]backend.Value{"d": value("hi")}, Overrides: map[string]backend.Value{"s": value("text")}, Immutable: &yes,
			},
		},
		"Empty": {reason: "nothing asked for", template: `{}`},
		"Nulls": {
			reason:   "null is the empty string, as for the API server",
			template: `{"metadata": {"labels": {"l": null}}, "data": {"d": null}, "stringData": {"s": null}}`,
			want: spec.Template{
				Labels: map[string]string{"l": ""}, Data: map[string]backend.Value{"d": value("")}, Overrides: map[string]backend.Value{"s": value("")},
			},
		},
		"NullObjects": {reason: "null objects are absent", template: `{"metadata": null, "data": null, "stringData": null, "immutable": null}`},
		"CaseOfNames": {
			reason:   "names of fields have one spelling, as for the API server",
			template: `{"Data": {"d": "aGk="}, "metadata": {"Labels": {"l": "1"}}, "STRINGDATA": {"s": "x"}, "Immutable": true}`,
		},
		"Base64Lines": {
			reason: "the API server passes over line feeds", template: `{"data": {"d": "aG\nk=\n"}}`,
			want: spec.Template{Data: map[string]backend.Value{"d": value("hi")}},
		},
		"NotBase64": {
			reason: "the API server would refuse it", template: `{"data": {"d": "not base64!"}}`,
			issues: wrong("spec.template.data.d", "is not base64; for plain text use spec.template.stringData"),
		},
		"NotAString": {
			reason: "as it would the rest", template: `{"metadata": {"labels": {"l": 1}}, "stringData": {"s": true}}`,
			issues: append(wrong("spec.template.metadata.labels.l", "is not a string; put it in quotes"),
				wrong("spec.template.stringData.s", "is not a string; put it in quotes")...),
		},
		"NotASecret": {
			reason: "another shape altogether", template: `{"metadata": {"labels": ["l"]}}`,
			issues: wrong("spec.template", "is not the shape of a Secret; compare it with kubectl explain secret"),
		},
		"NotAnObject": {
			reason: "the schema forbids it, but is not everywhere", template: `["x"]`,
			issues: wrong("spec.template", "is not the shape of a Secret; compare it with kubectl explain secret"),
		},

		"ScriptInLabel":      {reason: "KES ran it", template: `{"metadata": {"labels": {"l": "<%= data.a %>"}}}`, issues: wrong("spec.template.metadata.labels.l", script)},
		"ScriptInAnnotation": {reason: "KES ran it", template: `{"metadata": {"annotations": {"a": "x<% if (1) { %>y<% } %>"}}}`, issues: wrong("spec.template.metadata.annotations.a", script)},
		"ScriptInData":       {reason: "before it is decoded", template: `{"data": {"d": "<%- data.a %>"}}`, issues: wrong("spec.template.data.d", script)},
		"ScriptInStringData": {reason: "over several lines", template: `{"stringData": {"s": "a\n<%=\n data.a\n%>"}}`, issues: wrong("spec.template.stringData.s", script)},
		"ScriptDollar":       {reason: "lodash knows ${} as well", template: `{"stringData": {"s": "a ${data.a} b"}}`, issues: wrong("spec.template.stringData.s", script)},
		"ScriptDollarEmpty":  {reason: "and would fail on it", template: `{"stringData": {"s": "${}"}}`, issues: wrong("spec.template.stringData.s", script)},
		"ScriptDollarBrace":  {reason: "an escaped brace does not end it", template: `{"stringData": {"s": "${'\\}'}"}}`, issues: wrong("spec.template.stringData.s", script)},

		"StaticDollar":    {reason: "no brace, no script", template: `{"stringData": {"s": "costs $5, $HOME"}}`, want: overrides("costs $5, $HOME")},
		"StaticOpen":      {reason: "nothing closes it", template: `{"stringData": {"s": "a <% b"}}`, want: overrides("a <% b")},
		"StaticClose":     {reason: "nothing opens it", template: `{"stringData": {"s": "a %> b } ${"}}`, want: overrides("a %> b } ${")},
		"StaticEmpty":     {reason: "a script is never empty", template: `{"stringData": {"s": "<%%>"}}`, want: overrides("<%%>")},
		"StaticBackslash": {reason: "an open brace at the end", template: `{"stringData": {"s": "${ \\"}}`, want: overrides(`${ \`)},
		"StaticBlank":     {reason: "the empty string", template: `{"stringData": {"s": ""}}`, want: overrides("")},
		"ScriptInName": {
			reason: "KES compiled values and no names", template: `{"stringData": {"<%= 1 %>": "x"}}`,
			want: spec.Template{Overrides: map[string]backend.Value{"<%= 1 %>": value("x")}},
		},
		"ScriptInArray": {
			reason: "nor anything inside arrays", template: `{"metadata": {"finalizers": ["<%= 1 %>"]}}`,
			want: spec.Template{Finalizers: []string{"<%= 1 %>"}},
		},
		"ScriptElsewhere": {
			reason:   "what a Secret does not have, or what is overwritten anyway, is not looked at",
			template: `{"other": "<%= data.a %>", "kind": "${x}", "metadata": {"name": "<%= 1 %>", "foo": "<%= 2 %>"}}`,
		},

		"Namespace": {
			reason: "in the words of the API server", template: `{"metadata": {"namespace": "default"}}`,
			issues: []spec.Issue{{
				Where: "spec.template.metadata.namespace", Code: backend.InvalidRef,
				Message: "the namespace of the provided object does not match the namespace sent on the request",
			}},
		},
		"OwnNamespace": {reason: "it is what it is", template: `{"metadata": {"namespace": "ns"}}`},
		"Owners": {
			reason: "an owner reference decides over life and death", template: `{"metadata": {"ownerReferences": [{"name": "x"}]}}`,
			issues: wrong("spec.template.metadata.ownerReferences", "cannot be set: the ExternalSecret owns the Secret"),
		},
		"NoOwners": {reason: "an empty list asks for nothing", template: `{"metadata": {"ownerReferences": []}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := templated(t, tc.template)
			if diff := cmp.Diff(tc.issues, got.Issues); diff != "" {
				t.Errorf("%s: issues\n-want, +got:\n%s", tc.reason, diff)
			}
			if tc.issues != nil {
				return
			}
			if diff := cmp.Diff(tc.want, got.Target.Template); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func overrides(s string) spec.Template {
	return spec.Template{Overrides: map[string]backend.Value{"s": value(s)}}
}

func TestType(t *testing.T) {
	cases := map[string]struct {
		reason   string
		template string
		want     string
		issues   []spec.Issue
	}{
		"Template":  {reason: "the template wins", template: `{"type": "from/template"}`, want: "from/template"},
		"Spec":      {reason: "then the spec", template: `{}`, want: "from/spec"},
		"Blank":     {reason: "an empty one is none", template: `{"type": ""}`, want: "from/spec"},
		"Null":      {reason: "null is none", template: `{"type": null}`, want: "from/spec"},
		"Falsy":     {reason: "JavaScript's ||", template: `{"type": 0}`, want: "from/spec"},
		"FalsyBool": {reason: "JavaScript's ||", template: `{"type": false}`, want: "from/spec"},
		"FalsyReal": {reason: "JavaScript's ||", template: `{"type": 0.0}`, want: "from/spec"},
		"Script":    {reason: "KES took it before templating", template: `{"type": "<%= data.a %>"}`, want: "<%= data.a %>"},
		"Number": {
			reason: "the API server would refuse it", template: `{"type": 5}`, want: "from/spec",
			issues: wrong("spec.template.type", "is not a string; put it in quotes"),
		},
		"Object": {
			reason: "the API server would refuse it", template: `{"type": {"a": 1}}`, want: "from/spec",
			issues: wrong("spec.template.type", "is not a string; put it in quotes"),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := templated(t, tc.template)
			if got.Target.Type != tc.want {
				t.Errorf("%s: type %q, want %q", tc.reason, got.Target.Type, tc.want)
			}
			if diff := cmp.Diff(tc.issues, got.Issues); diff != "" {
				t.Errorf("%s: issues\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
	if got := kes.Spec(object(t, `{"backendType": "vault", "data": []}`), settings()).Target.Type; got != "" {
		t.Errorf("without any the type is %q, want none, which is Opaque", got)
	}
}

// TestTemplateIssuesShowNoValue holds that a mistake in a template does not put
// its values into the status.
func TestTemplateIssuesShowNoValue(t *testing.T) {
	const canary = "c4n4ry-5ecret"
	got := templated(t, `{"type": {"x": "`+canary+`"}, "data": {"d": "!`+canary+`"}, "stringData": {"s": "<%= '`+canary+`' %>", "o": ["`+canary+`"]}}`)
	if len(got.Issues) != 4 {
		t.Errorf("%d issues, want four", len(got.Issues))
	}
	for _, i := range got.Issues {
		if strings.Contains(i.Where+i.Message, canary) {
			t.Errorf("the issue at %s shows the value", i.Where)
		}
	}
}
