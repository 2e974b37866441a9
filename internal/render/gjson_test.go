// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// people is the document of the recorded cases.
const people = `{"name": {"first": "Tom", "last": "Anderson"}, "age": 37, "height": 1.8, "active": true, "nick": null, ` +
	`"tags": ["red", "green", "blue"], "friends": [{"first": "Dale", "last": "Murphy", "age": 44}, {"first": "Roger", "last": "Craig", "age": 68}], ` +
	`"a.b": "dotted", "empty": "", "user@host": "at"}`

// cluster is a Secret of another cluster.
func cluster() plan.Answer {
	return fields("user", "u", "pass", "p\n", "json", `{"a":{"b":"c"},"n":1,"t":"{\"in\":\"text\"}"}`, "dot.key", "dotted", "dot", `{"key":"shadowed","other":"o"}`, "bin", "\x00\xff\xfe")
}

// TestProperties runs what ESO 2.9.0 was observed to make of properties.
func TestProperties(t *testing.T) {
	doc := text(people)
	cases := map[string]struct {
		reason   string
		answer   plan.Answer
		property string
		want     string
	}{
		"Empty":         {"an empty text is a value", doc, "empty", ""},
		"Number":        {"as text", doc, "age", "37"},
		"Float":         {"as text", doc, "height", "1.8"},
		"True":          {"as text", doc, "active", "true"},
		"Null":          {"is nothing", doc, "nick", ""},
		"Path":          {"dots lead down", doc, "name.first", "Tom"},
		"Index":         {"also into arrays", doc, "friends.1.first", "Roger"},
		"Count":         {"# counts", doc, "friends.#", "2"},
		"Each":          {"# maps", doc, "friends.#.first", `["Dale","Roger"]`},
		"Query":         {"the first that matches", doc, `friends.#(last=="Craig").first`, "Roger"},
		"Wildcard":      {"in names", doc, "na*.f?rst", "Tom"},
		"Escaped":       {"a dot in a name is escaped", doc, `a\.b`, "dotted"},
		"Unescaped":     {"and is a path else: there is no exact name first", doc, "a.b", missing},
		"At":            {"an at sign within a name", doc, "user@host", "at"},
		"Object":        {"is as it is written", doc, "name", `{"first": "Tom", "last": "Anderson"}`},
		"Array":         {"is as it is written", doc, "tags", `["red", "green", "blue"]`},
		"Modifier":      {"modifiers work", doc, "tags|@reverse", `["blue","green","red"]`},
		"Multipath":     {"so do several paths", doc, "[age,name.first]", `[37,"Tom"]`},
		"Named":         {"with names", doc, `{"n":age,"f":friends.0.first}`, `{"n":37,"f":"Dale"}`},
		"Pretty":        {"and what makes text longer", text(`{"a":[1]}`), "@pretty", "{\n  \"a\": [1]\n}\n"},
		"FromText":      {"and a document in a text", text(`{"a":"{\"b\":1}"}`), "a.@fromstr.b", "1"},
		"Lines":         {"JSON lines", text("{\"n\":\"a\"}\n{\"n\":\"b\"}\n"), "..#", "2"},
		"LinesPath":     {"JSON lines", text("{\"n\":\"a\"}\n{\"n\":\"b\"}\n"), "..1.n", "b"},
		"Missing":       {"is not there", doc, "nope", missing},
		"Repeated":      {"the first of two members counts, as gjson has it", text(`{"a":"1","a":"2"}`), "a", "1"},
		"Decimal":       {"a number is written shortest", text(`{"a":1.50}`), "a", "1.5"},
		"Exponent":      {"a number is written out", text(`{"a":1e3}`), "a", "1000"},
		"BigInteger":    {"digits stay", text(`{"a":12345678901234567890}`), "a", "12345678901234567890"},
		"BigFloat":      {"digits stay, where ESO loses them", text(`{"a":0.12345678901234567890123}`), "a", "0.12345678901234567890123"},
		"Huge":          {"a number beyond doubles stays", text(`{"a":1e999}`), "a", "1e999"},
		"Tiny":          {"a number beyond doubles stays", text(`{"a":1e-999999999}`), "a", "1e-999999999"},
		"Escapes":       {"are resolved", text(`{"a":"\u00e9\n\ud83d\ude00"}`), "a", "é\n😀"},
		"Field":         {"a field is exact", cluster(), "user", "u"},
		"FieldBytes":    {"and keeps its bytes", cluster(), "bin", "\x00\xff\xfe"},
		"FieldDot":      {"a field with a dot goes before a path", cluster(), "dot.key", "dotted"},
		"FieldPath":     {"a path leads into the value of a field", cluster(), "json.a.b", "c"},
		"FieldObject":   {"a path leads into the value of a field", cluster(), "json.a", `{"b":"c"}`},
		"FieldShort":    {"also with a shorter name than another field", cluster(), "dot.other", "o"},
		"FieldNested":   {"and into a text that is a document", cluster(), "json.t.in", "text"},
		"FieldMissing":  {"is not there", cluster(), "json.x", missing},
		"FieldNone":     {"is not there", cluster(), "nope", missing},
		"FieldDotEnd":   {"nothing after the dot", cluster(), "user.", missing},
		"FieldDotStart": {"nothing before the dot", cluster(), ".user", missing},
		"Labels":        {"metadata are fields", fields("labels", `{"env":"dev"}`), "labels.env", "dev"},
		"LabelsWhole":   {"metadata are fields", fields("labels", `{"env":"dev"}`), "labels", `{"env":"dev"}`},
		"Annotation":    {"a document in an annotation", fields("annotations", `{"note":"{\"in\":\"ann\"}"}`), "annotations.note.in", "ann"},
		"FieldsFirst":   {"where there are fields, they are the properties", both(`{"a":"in the value"}`, "b", "p"), "b", "p"},
		"FieldsAndPath": {"and then those of the value", both(`{"a":{"b":"in the value"}}`, "b", "p"), "a.b", "in the value"},
		"FieldsAndNone": {"or neither", both(`{"a":"in the value"}`, "b", "p"), "c", missing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{answers: map[string]plan.Answer{"k": tc.answer}}.one(property("x", "k", tc.property))
			if tc.want == missing {
				wantProblem(t, tc.reason, got, backend.NotFound, "property "+tc.property+" of k does not exist")
				return
			}
			want(t, tc.reason, got, map[string]string{"x": tc.want})
		})
	}
}

func TestWhole(t *testing.T) {
	lines := "{ \"b\": 1,\n  \"a\": \"<&>\" }\n"
	cases := map[string]struct {
		reason string
		answer plan.Answer
		want   string
	}{
		"Text":   {"is as it is", text("hunter2"), "hunter2"},
		"Bytes":  {"are as they are", text("\x00\xff"), "\x00\xff"},
		"JSON":   {"is copied byte for byte", text(lines), lines},
		"Answer": {"also where the product answers JSON", document(lines), lines},
		"None":   {"nothing is something", text(""), ""},
		"Both":   {"a value beside the fields is meant", both("key", "api_key", "p"), "key"},
		"Fields": {
			"fields are an object; what is not UTF-8 is replaced", fields("bin", "\x00\xff\xfe", "dot.key", "dotted", "json", `{"a":{"b":"c"},"n":1}`, "html", "<&>"),
			`{"bin":"\u0000\ufffd\ufffd","dot.key":"dotted","html":"<&>","json":"{\"a\":{\"b\":\"c\"},\"n\":1}"}`,
		},
		"NoFields": {"of which there may be none", plan.Answer{Secret: backend.Secret{Fields: map[string]backend.Value{}}}, "{}"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := data("x", "k")
			e.Convert = spec.ConvertUnicode // which is for names of entries that fill more than one key
			want(t, tc.reason, world{answers: map[string]plan.Answer{"k": tc.answer}}.one(e), map[string]string{"x": tc.want})
		})
	}
}

func TestExtract(t *testing.T) {
	const noObject = " is not a JSON object, so it has no keys to take; for a plain value use data"
	cases := map[string]struct {
		reason   string
		answer   plan.Answer
		property string
		want     map[string]string
		problem  string
		code     backend.Code
	}{
		"Types": {
			reason: "text is decoded, the rest as it is written",
			answer: text(`{"s":"a\nb","n":1.50,"big":12345678901234567890,"e":1e3,"o":{ "p": 1 },"l":[1, 2],"nul":null,"b":false,"html":"<&>"}`),
			want: map[string]string{
				"s": "a\nb", "n": "1.50", "big": "12345678901234567890", "e": "1e3", "o": `{ "p": 1 }`, "l": "[1, 2]", "nul": "", "b": "false", "html": "<&>",
			},
		},
		"Property": {reason: "of an object", answer: text(people), property: "name", want: map[string]string{"first": "Tom", "last": "Anderson"}},
		"PropertyNumbers": {
			reason: "numbers become text", answer: text(people), property: "friends.0", want: map[string]string{"first": "Dale", "last": "Murphy", "age": "44"},
		},
		"Null":     {reason: "has no keys", answer: text("null"), want: map[string]string{}},
		"Empty":    {reason: "has no keys", answer: text(" {} "), want: map[string]string{}},
		"Repeated": {reason: "the last of two members counts", answer: text(`{"a":"1","a":"2"}`), want: map[string]string{"a": "2"}},
		"Fields":   {reason: "are keys", answer: fields("user", "u", "bin", "\xff"), want: map[string]string{"user": "u", "bin": "\xff"}},
		"Both":     {reason: "also beside a value", answer: both("key", "api_key", "p"), want: map[string]string{"api_key": "p"}},
		"NoFields": {reason: "there may be none", answer: plan.Answer{Secret: backend.Secret{Fields: map[string]backend.Value{}}}, want: map[string]string{}},
		"FieldProperty": {
			reason: "a field can be an object", answer: cluster(), property: "json", want: map[string]string{"a": `{"b":"c"}`, "n": "1", "t": `{"in":"text"}`},
		},
		"Scalar":        {reason: "is no object", answer: text(people), property: "age", code: backend.InvalidRef, problem: "property age of k" + noObject},
		"Array":         {reason: "is no object", answer: text("[1]"), code: backend.InvalidRef, problem: "the value of k" + noObject},
		"Text":          {reason: "is no object", answer: text(canary), code: backend.InvalidRef, problem: "the value of k" + noObject},
		"Trailing":      {reason: "is no object", answer: text(`{"a":1} ` + canary), code: backend.InvalidRef, problem: "the value of k" + noObject},
		"FieldNoObject": {reason: "is no object", answer: cluster(), property: "user", code: backend.InvalidRef, problem: "property user of k" + noObject},
		"Missing":       {reason: "is not there", answer: text(people), property: "nope", code: backend.NotFound, problem: "property nope of k does not exist"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := from("k")
			if tc.property != "" {
				e.Property, e.HasProperty = tc.property, true
			}
			got := world{answers: map[string]plan.Answer{"k": tc.answer}}.one(e)
			if tc.code != "" {
				wantProblem(t, tc.reason, got, tc.code, tc.problem)
				return
			}
			want(t, tc.reason, got, tc.want)
		})
	}
}

func TestESOView(t *testing.T) {
	d := spec.Drivers{"plain": {
		Ref: drivers()["plain"].Ref,
		View: func(dialect backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
			if ref.Path == "broken" {
				return backend.Secret{}, backend.Errorf(backend.Unknown, "%s cannot be laid out", ref)
			}
			return backend.Secret{Fields: values("for", string(dialect), "v", string(s.Payload.Reveal()))}, nil
		},
	}}
	w := world{answers: map[string]plan.Answer{"k": text("x"), "broken": text(canary)}, found: hits("a", "y"), drivers: d}
	got := w.eso(spec.Spec{Entries: []spec.Entry{property("a", "k", "v"), data("b", "k"), find()}})
	want(t, "the product lays the secret out for the dialect", got, map[string]string{"a": `{"for":"eso","v":"y"}`, "b": `{"for":"eso","v":"x"}`})
	wantProblem(t, "or says that it cannot", w.one(data("a", "broken")), backend.Unknown, "broken cannot be laid out")
}
