// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

var (
	tpls  = spec.Source{Kind: "ConfigMap", Name: "tpls"}
	stpls = spec.Source{Kind: "Secret", Name: "stpls"}
)

// templated is a world with two secrets, k and b, and the sources of the
// recorded cases.
func templated() world {
	return world{
		answers: map[string]plan.Answer{"k": text("v"), "b": text("w"), "secret": text(canary)},
		sources: map[spec.Source]map[string]backend.Value{
			tpls: values("conf.yaml", "user: {{ .k }}\npass: {{ .b | quote }}\n", "kv", "alpha: {{ .k }}\nbeta: \"{{ .b }}\"\n{{ .k }}-key: dyn\n",
				"lab", "tier: {{ .k }}\n", "bad", "{{ .k | nosuch }}", "notmap", "just text", "nested", "a:\n  b: c\n", "tier", "{{ .k }}"),
			stpls: values("one", "S-{{ .k }}", "kv", "s1: {{ .b }}\nalpha: from-secret\n"),
		},
	}
}

// both entries of the recorded cases.
func entries() []spec.Entry { return []spec.Entry{data("k", "k"), data("b", "b")} }

func source(s spec.Source, items ...spec.TemplateItem) spec.TemplateFrom {
	return spec.TemplateFrom{Where: "spec.target.template.templateFrom[0]", Source: s, Items: items}
}

func literal(text string) spec.TemplateFrom {
	return spec.TemplateFrom{Where: "spec.target.template.templateFrom[0]", Literal: text}
}

func pairs(key string) spec.TemplateItem { return spec.TemplateItem{Key: key, Pairs: true} }

func (w world) run(p spec.Program) render.Desired {
	return w.eso(spec.Spec{Entries: entries(), Target: spec.Target{Program: &p}})
}

func TestProgram(t *testing.T) {
	decoded := literal(`a: "{{ .k | b64enc }}"`)
	decoded.Decode = spec.DecodeBase64
	cases := map[string]struct {
		reason  string
		program spec.Program
		want    map[string]string
	}{
		"Nothing":    {"a program that makes no data leaves what was read", spec.Program{}, map[string]string{"k": "v", "b": "w"}},
		"Metadata":   {"nor do labels", spec.Program{Labels: map[string]string{"t": "l"}}, map[string]string{"k": "v", "b": "w"}},
		"Data":       {"templates take its place", spec.Program{Data: map[string]string{"x": "{{ .k }}-{{ .b }}"}}, map[string]string{"x": "v-w"}},
		"Static":     {"a text without actions", spec.Program{Data: map[string]string{"x": "fixed"}}, map[string]string{"x": "fixed"}},
		"Keep":       {"what was read can stay", spec.Program{Keep: true, Data: map[string]string{"x": "{{ .k }}", "b": "new"}}, map[string]string{"k": "v", "b": "new", "x": "v"}},
		"KeepBelow":  {"below the sources", spec.Program{Keep: true, From: []spec.TemplateFrom{literal("k: new")}}, map[string]string{"k": "new", "b": "w"}},
		"Values":     {"a source's key is a key", spec.Program{From: []spec.TemplateFrom{source(tpls, spec.TemplateItem{Key: "conf.yaml"})}}, map[string]string{"conf.yaml": "user: v\npass: \"w\"\n"}},
		"Secret":     {"also of a Secret", spec.Program{From: []spec.TemplateFrom{source(stpls, spec.TemplateItem{Key: "one"})}}, map[string]string{"one": "S-v"}},
		"Pairs":      {"or a map of keys", spec.Program{From: []spec.TemplateFrom{source(tpls, pairs("kv"))}}, map[string]string{"alpha": "v", "beta": "w", "v-key": "dyn"}},
		"PairsKeep":  {"beside what was read", spec.Program{Keep: true, From: []spec.TemplateFrom{source(tpls, pairs("kv"))}}, map[string]string{"alpha": "v", "beta": "w", "v-key": "dyn", "k": "v", "b": "w"}},
		"Order":      {"a later source wins", spec.Program{From: []spec.TemplateFrom{source(tpls, pairs("kv")), source(stpls, pairs("kv"))}}, map[string]string{"alpha": "from-secret", "beta": "w", "v-key": "dyn", "s1": "w"}},
		"OrderItems": {"a later key wins", spec.Program{From: []spec.TemplateFrom{source(tpls, pairs("lab"), spec.TemplateItem{Key: "tier"})}}, map[string]string{"tier": "v"}},
		"DataLast":   {"and single keys over all", spec.Program{From: []spec.TemplateFrom{source(tpls, pairs("kv"))}, Data: map[string]string{"alpha": "data"}}, map[string]string{"alpha": "data", "beta": "w", "v-key": "dyn"}},
		"Literal": {"numbers are text", spec.Program{From: []spec.TemplateFrom{
			literal("int: 1\nfl: 1.50\nexp: 1e3\nbig: 12345678901234567890\noct: 0777\nyes: true\nnul: null\n1: one\nn: 0\n"),
		}}, map[string]string{"int": "1", "fl": "1.5", "exp": "1000", "big": "12345678901234567890", "oct": "511", "true": "true", "nul": "", "1": "one", "false": "0"}},
		"LiteralEmpty": {"nothing is no keys", spec.Program{From: []spec.TemplateFrom{literal("{{ if false }}{{ end }}")}}, map[string]string{}},
		"NoSource":     {"an entry without a source is an entry", spec.Program{From: []spec.TemplateFrom{{Where: "x"}}}, map[string]string{}},
		"LabelsOnly":   {"a source for labels is a source", spec.Program{From: []spec.TemplateFrom{{Literal: "tier: x", Into: spec.IntoLabels}}}, map[string]string{}},
		"Decode":       {"rendered values are decoded", spec.Program{From: []spec.TemplateFrom{decoded}}, map[string]string{"a": "v"}},
		"DecodeNotData": {
			"but not those of single keys",
			spec.Program{From: []spec.TemplateFrom{decoded}, Data: map[string]string{"x": "{{ .k | b64enc }}"}},
			map[string]string{"a": "v", "x": "dg=="},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { want(t, tc.reason, templated().run(tc.program), tc.want) })
	}
}

func TestProgramMetadata(t *testing.T) {
	into := func(f spec.TemplateFrom, into spec.Into) spec.TemplateFrom {
		f.Into = into
		return f
	}
	target := spec.Target{
		Template: spec.Template{Labels: map[string]string{"copied": "c", "t": "copied"}, Annotations: map[string]string{"a": "copied"}},
		Program: &spec.Program{
			Labels: map[string]string{"t": "{{ .k }}"}, Annotations: map[string]string{"Example.com/Note": "any text: {{ .b }}"},
			From: []spec.TemplateFrom{
				into(source(tpls, pairs("lab"), spec.TemplateItem{Key: "tier"}), spec.IntoLabels), into(literal("t: from\nx1: why"), spec.IntoLabels), into(literal("num: 1"), spec.IntoAnnotations),
			},
		},
	}
	got := templated().eso(spec.Spec{Entries: entries(), Target: target})
	if len(got.Problems) > 0 {
		t.Fatal(got.Problems)
	}
	if diff := cmp.Diff(map[string]string{"copied": "c", "t": "v", "tier": "v", "x1": "why"}, got.Labels); diff != "" {
		t.Errorf("labels: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "copied", "num": "1", "Example.com/Note": "any text: w"}, got.Annotations); diff != "" {
		t.Errorf("annotations: -want, +got:\n%s", diff)
	}
	if len(target.Template.Labels) != 2 || len(target.Template.Annotations) != 1 {
		t.Error("the manifest itself changed")
	}
}

func TestProgramProblems(t *testing.T) {
	const at = "spec.target.template.templateFrom[0]"
	into := func(text string, into spec.Into) []spec.TemplateFrom {
		f := literal(text)
		f.Into = into
		return []spec.TemplateFrom{f}
	}
	const rule = ": at most 253 letters, digits, -, _ and ., and not . or .."
	const labelRule = " renders to what is not a valid value: at most 63 letters, digits, -, _ and ., which begins and ends with a letter or digit"
	decoded := source(tpls, spec.TemplateItem{Key: "tier"})
	decoded.Decode = spec.DecodeBase64
	decodedPairs := literal("a: " + canary)
	decodedPairs.Decode = spec.DecodeBase64
	notMap := "what " + at + " renders to is not a YAML map of keys to plain values"
	cases := map[string]struct {
		reason  string
		program spec.Program
		where   string
		problem string // "" is any that has the where in it
	}{
		"NoConfigMap": {
			"it may come", spec.Program{From: []spec.TemplateFrom{source(spec.Source{Kind: "ConfigMap", Name: "nope"}, pairs("a"))}}, at, `ConfigMap "nope" does not exist`,
		},
		"NoKey":        {"it may come", spec.Program{From: []spec.TemplateFrom{source(stpls, spec.TemplateItem{Key: "nope"})}}, at, `Secret "stpls" has no key "nope"`},
		"NotMap":       {"text has no keys", spec.Program{From: []spec.TemplateFrom{literal("just {{ .secret }}")}}, at, notMap},
		"List":         {"a list has no keys", spec.Program{From: []spec.TemplateFrom{literal("- {{ .secret }}")}}, at, notMap},
		"Nested":       {"an object is no value", spec.Program{From: []spec.TemplateFrom{literal("a: {b: {{ .secret }}}")}}, at, notMap},
		"NestedList":   {"a list is no value", spec.Program{From: []spec.TemplateFrom{literal("a: [{{ .secret }}]")}}, at, notMap},
		"BrokenYAML":   {"a parser would quote it", spec.Program{From: []spec.TemplateFrom{literal("a: {{ .secret }}\n\tb: c")}}, at, notMap},
		"NotMapSource": {"the source is named", spec.Program{From: []spec.TemplateFrom{source(tpls, pairs("notmap"))}}, at, `what key "notmap" of ConfigMap "tpls" renders to is not a YAML map of keys to plain values`},
		"BadKey": {
			"a rendered key is not shown, for it may be secret",
			spec.Program{From: []spec.TemplateFrom{literal(`"{{ .secret }} x": y`)}},
			at,
			"data key that " + at + " renders is not a valid key of a Secret" + rule,
		},
		"BadDataKey":     {"a written one is", spec.Program{Data: map[string]string{"a b": "x"}}, "spec.target.template.data[a b]", `data key "a b" is not a valid key of a Secret` + rule},
		"NotBase64":      {"nor is a value", spec.Program{From: []spec.TemplateFrom{decoded}}, at, `what key "tier" of ConfigMap "tpls" renders to is not base64`},
		"PairsNotBase64": {"nor is a value", spec.Program{From: []spec.TemplateFrom{decodedPairs}}, at, "a value that " + at + " renders to is not base64"},
		"LabelName":      {"as the API server has it", spec.Program{From: into(`"{{ .secret }} x": y`, spec.IntoLabels)}, at, "label that " + at + " renders is not a valid name of a label"},
		"LabelValue":     {"as the API server has it", spec.Program{Labels: map[string]string{"l": "{{ .secret }} x"}}, "spec.target.template.metadata.labels[l]", `label "l"` + labelRule},
		"AnnotationName": {"as the API server has it", spec.Program{Annotations: map[string]string{"a b": "x"}}, "spec.target.template.metadata.annotations[a b]", `annotation "a b" is not a valid name of an annotation`},
		"AnnotationSize": {
			"as the API server has it",
			spec.Program{Annotations: map[string]string{"a": strings.Repeat("x", 256<<10)}},
			"spec.target.template.metadata.annotations",
			"the annotations are too large: at most 262144 bytes together",
		},
		"Function":   {"of the engine", spec.Program{From: []spec.TemplateFrom{source(tpls, spec.TemplateItem{Key: "bad"})}}, at, ""},
		"MissingKey": {"of the engine", spec.Program{Data: map[string]string{"x": `{{ .nope | default "d" }}`}}, "spec.target.template.data[x]", ""},
		"Executing":  {"of the engine", spec.Program{Data: map[string]string{"x": `{{ index (list) 3 }}`}}, "spec.target.template.data[x]", ""},
		"Value":      {"of the engine", spec.Program{Data: map[string]string{"x": `{{ index (list) .secret }}`}}, "spec.target.template.data[x]", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Entries: append(entries(), data("secret", "secret")), Target: spec.Target{Program: &tc.program, Deletion: spec.DeleteSecret}}
			got := templated().eso(s)
			if len(got.Problems) != 1 || got.Problems[0].Where != tc.where || got.Problems[0].Code != backend.InvalidRef {
				t.Fatalf("%s: problems %v, want one of %s", tc.reason, got.Problems, tc.where)
			}
			if tc.problem != "" && got.Problems[0].Message != tc.problem {
				t.Errorf("%s: message %q, want %q", tc.reason, got.Problems[0].Message, tc.problem)
			}
			if strings.Contains(fmt.Sprintf("%+v", got), canary) {
				t.Error("the canary is in a message")
			}
		})
	}
}

// TestProgramWithoutData is about templates over nothing.
func TestProgramWithoutData(t *testing.T) {
	static := &spec.Program{Data: map[string]string{"x": "static"}}
	reads := &spec.Program{Data: map[string]string{"x": "{{ .k }}"}}
	cases := map[string]struct {
		reason   string
		deletion spec.Deletion
		program  *spec.Program
		want     map[string]string
	}{
		"Retain": {"nothing is rendered", spec.Retain, static, map[string]string{}},
		"Delete": {"a Secret that goes needs no data, and no key that is gone", spec.DeleteSecret, reads, map[string]string{}},
		"Drop":   {"a Secret that stays has what is left", spec.DropMissing, static, map[string]string{"x": "static"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{}.eso(spec.Spec{Entries: []spec.Entry{find()}, Target: spec.Target{Program: tc.program, Deletion: tc.deletion}})
			want(t, tc.reason, got, tc.want)
			if !got.Empty {
				t.Error("a template's data is not what was read")
			}
		})
	}
	got := world{}.eso(spec.Spec{Entries: []spec.Entry{find()}, Target: spec.Target{Program: reads, Deletion: spec.DropMissing}})
	if len(got.Problems) != 1 || got.Empty {
		t.Errorf("problems %v, empty %t: a key that is gone is missed by the template", got.Problems, got.Empty)
	}
}

// TestProblemsStopTheProgram holds that nothing is rendered of half the data.
func TestProblemsStopTheProgram(t *testing.T) {
	w := templated()
	w.answers["b"] = plan.Answer{Err: backend.Errorf(backend.Unavailable, "down")}
	got := w.run(spec.Program{Data: map[string]string{"x": "{{ .b }}"}})
	wantProblem(t, "only the cause is told", got, backend.Unavailable, "down")
}
