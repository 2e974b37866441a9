// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// missing is the value of a vector whose property is not there.
const missing = "\x00missing"

// fields is an answer of named fields.
func fields(kv ...string) plan.Answer {
	return plan.Answer{Secret: backend.Secret{Fields: values(kv...)}}
}

// both is an answer with a value as a whole beside its fields.
func both(whole string, kv ...string) plan.Answer {
	a := fields(kv...)
	a.Secret.Payload = backend.NewValue([]byte(whole))
	return a
}

// TestVectors runs what KES 8.5.5 was observed to make of values, and the few
// places where it is not followed, which say so.
func TestVectors(t *testing.T) {
	cases := map[string]struct {
		reason string
		answer plan.Answer
		entry  spec.Entry
		want   string
	}{
		"Path":              {"a path goes down", text(`{"a":{"b":{"c":"v"}}}`), property("x", "k", "a.b.c"), "v"},
		"LiteralKey":        {"a key with dots wins over the path", text(`{"a.b":"lit","a":{"b":"nest"}}`), property("x", "k", "a.b"), "lit"},
		"LiteralKeyDeep":    {"but only at the top level", text(`{"a":{"b.c":"lit"}}`), property("x", "k", "a.b.c"), missing},
		"Index":             {"brackets index", text(`{"a":[{"b":"v"}]}`), property("x", "k", "a[0].b"), "v"},
		"IndexDots":         {"dots index", text(`{"a":[{"b":"v"}]}`), property("x", "k", "a.0.b"), "v"},
		"IndexRoot":         {"an array has indices at the top", text(`["x","y"]`), property("x", "k", "[1]"), "y"},
		"IndexBeyond":       {"past the end there is nothing", text(`{"a":[1,2]}`), property("x", "k", "a[5]"), missing},
		"Object":            {"an object is compact JSON with its order", text(`{"a": {"c": [1, 2], "b": 1}}`), property("x", "k", "a"), `{"c":[1,2],"b":1}`},
		"ObjectIntegerKeys": {"integer keys come first", text(`{"a":{"b":1,"2":2,"1":3}}`), property("x", "k", "a"), `{"1":3,"2":2,"b":1}`},
		"Float":             {"numbers are doubles", text(`{"a":1.50}`), property("x", "k", "a"), "1.5"},
		"BigInteger":        {"numbers are doubles", text(`{"a":12345678901234567890}`), property("x", "k", "a"), "12345678901234567000"},
		"Exponent":          {"numbers are doubles", text(`{"a":1e21}`), property("x", "k", "a"), "1e+21"},
		"True":              {"as text", text(`{"a":true}`), property("x", "k", "a"), "true"},
		"Null":              {"as text", text(`{"a":null}`), property("x", "k", "a"), "null"},
		"EmptyString":       {"an empty value is a value", text(`{"a":""}`), property("x", "k", "a"), ""},
		"EmptyProperty":     {"the empty property is a key", text(`{"":"e"}`), property("x", "k", ""), "e"},
		"EmptyMissing":      {"and can be missing", text(`{"a":"e"}`), property("x", "k", ""), missing},
		"Length":            {"strings have a length", text(`"str"`), property("x", "k", "length"), "3"},
		"Prototype":         {"KES wrote the source of a function", text(`{"a":1}`), property("x", "k", "toString"), missing},
		"PropertyOfNull":    {"null has no properties", text(`null`), property("x", "k", "a"), missing},
		"Plain":             {"without a property the value is as it is", text("a\r\n b\xff"), data("x", "k"), "a\r\n b\xff"},
		"PlainJSON":         {"also if it happens to be JSON", text(`{ "a": 1.0 }`), data("x", "k"), `{ "a": 1.0 }`},
		"PlainEmpty":        {"nothing is something", text(""), data("x", "k"), ""},
		"Document":          {"an answer that is JSON went through JavaScript", document(`{ "payload": {"b": 1.0, "1": null} }`), data("x", "k"), `{"payload":{"1":null,"b":1}}`},
		"DocumentProperty":  {"and so did its parts", document(`{"payload":{"k":1e21}}`), property("x", "k", "payload.k"), "1e+21"},
		"DocumentPart":      {"and so did its parts", document(`{"payload":{"k": [1, 2]}}`), property("x", "k", "payload"), `{"k":[1,2]}`},
		"Binary":            {"base64 as Node reads it", text("AAEC_w !!\n"), binary(data("x", "k")), "\x00\x01\x02\xff"},
		"BinaryText":        {"what is no base64 is garbage and no error", text("hello world"), binary(data("x", "k")), "\x85\xe9e\xa3\n+\x95"},
		"BinaryProperty":    {"strings are decoded", text(`{"a":"aGk="}`), binary(property("x", "k", "a")), "hi"},
		"BinaryNumber":      {"numbers are left alone", text(`{"a":1234}`), binary(property("x", "k", "a")), "1234"},
		"BinaryObject":      {"objects are left alone", text(`{"a":{"b":"aGk="}}`), binary(property("x", "k", "a")), `{"b":"aGk="}`},
		"UTF8":              {"text keeps its bytes", text(`{"a":"é漢😀"}`), property("x", "k", "a"), "é漢😀"},
		"Whole":             {"a value beside the properties is what is meant without one", both("key", "api_key", "p"), data("x", "k"), "key"},
		"WholeBinary":       {"and is base64 like any other", both("aGk=", "api_key", "p"), binary(data("x", "k")), "hi"},
		"WholeProperty":     {"and is not, with one", both("key", "api_key", "p"), property("x", "k", "api_key"), "p"},
		"WholeMissing":      {"nor is it a property", both("key", "api_key", "p"), property("x", "k", "key"), missing},
		"WholeJSON":         {"nor are its own", both(`{"a":"in the value"}`, "b", "p"), property("x", "k", "a"), missing},
		"Fields":            {"fields alone are a document", fields("user", `"u"`, "a b", "\u2028<"), data("x", "k"), "{\"a b\":\"\u2028<\",\"user\":\"\\\"u\\\"\"}"},
		"FieldsProperty":    {"with properties", fields("user", `"u"`), property("x", "k", "user"), `"u"`},
		"Escapes":           {"escapes are resolved", text(`{"a":"\u00e9\n\ud83d\ude00"}`), property("x", "k", "a"), "é\n😀"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Entries: []spec.Entry{tc.entry}, Target: spec.Target{Name: "t"}}
			got := rendered(s, map[string]plan.Answer{"k": tc.answer}, drivers())
			if tc.want == missing {
				wantMessage := "Could not find property " + tc.entry.Property + " in k"
				if len(got.Problems) != 1 || got.Problems[0].Message != wantMessage {
					t.Fatalf("%s: problems %v, want %q", tc.reason, got.Problems, wantMessage)
				}
				return
			}
			if len(got.Problems) > 0 {
				t.Fatalf("%s: %v", tc.reason, got.Problems)
			}
			if diff := cmp.Diff(map[string]string{"x": tc.want}, texts(got.Data)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSpreadVectors(t *testing.T) {
	cases := map[string]struct {
		reason string
		answer plan.Answer
		binary bool
		want   map[string]string
	}{
		"String": {"a string spreads into its characters", text(`"abc"`), false, map[string]string{"0": "a", "1": "b", "2": "c"}},
		"Array":  {"an array into its elements", text(`["x",{"y":1}]`), false, map[string]string{"0": "x", "1": `{"y":1}`}},
		"Number": {"a number has none", text(`12`), false, map[string]string{}},
		"Null":   {"null has none", text(`null`), false, map[string]string{}},
		"Types": {
			"each value as text", text(`{"n":1,"o":{"p":1},"nul":null,"b":false}`), false,
			map[string]string{"n": "1", "o": `{"p":1}`, "nul": "null", "b": "false"},
		},
		"Binary":   {"strings are decoded; KES forgot isBinary here", text(`{"a":"aGVsbG8=","n":7}`), true, map[string]string{"a": "hello", "n": "7"}},
		"Document": {"what the product lays out spreads too", document(`{"username":"ada","password":"x"}`), false, map[string]string{"username": "ada", "password": "x"}},
		"Fields":   {"named fields are properties", fields("username", "ada", "password", "x"), false, map[string]string{"username": "ada", "password": "x"}},
		"Whole":    {"a value as a whole is none", both("key", "api_key", "p"), false, map[string]string{"api_key": "p"}},
		"Repeated": {"the last of two members counts", text(`{"a":"1","a":"2"}`), false, map[string]string{"a": "2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := from("k")
			if tc.binary {
				e = binary(e)
			}
			got := rendered(spec.Spec{Entries: []spec.Entry{e}, Target: spec.Target{Name: "t"}}, map[string]plan.Answer{"k": tc.answer}, drivers())
			if len(got.Problems) > 0 {
				t.Fatalf("%s: %v", tc.reason, got.Problems)
			}
			if diff := cmp.Diff(tc.want, texts(got.Data)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOrder holds for random manifests that only the later-wins rule sees the
// order of entries: each key has the value of the last entry that fills it, and
// an order that keeps those of one key in place changes nothing.
func TestOrder(t *testing.T) {
	answers := map[string]plan.Answer{
		"doc": text(`{"a":"doc-a","b":"doc-b"}`), "two": text(`{"b":"two-b","c":"two-c"}`), "plain": text("plain"),
	}
	pool := []spec.Entry{
		from("doc"), from("two"), data("a", "plain"), data("d", "plain"), property("c", "doc", "a"), property("d", "two", "c"),
	}
	// fills is what an entry brings when it stands alone.
	fills := func(e spec.Entry) map[string]string {
		return texts(rendered(spec.Spec{Entries: []spec.Entry{e}, Target: spec.Target{Name: "t"}}, answers, drivers()).Data)
	}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same manifests every time
	for range 500 {
		entries := make([]spec.Entry, rnd.IntN(8))
		want := map[string]string{}
		for i := range entries {
			entries[i] = pool[rnd.IntN(len(pool))]
			for k, v := range fills(entries[i]) {
				want[k] = v
			}
		}
		if diff := cmp.Diff(want, dataOf(entries, answers)); diff != "" {
			t.Fatalf("%v: -want, +got:\n%s", wheres(entries), diff)
		}
		// Two neighbours that fill no key together may change places.
		for i := 1; i < len(entries); i++ {
			if overlap(fills(entries[i-1]), fills(entries[i])) {
				continue
			}
			swapped := slices.Clone(entries)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			if diff := cmp.Diff(want, dataOf(swapped, answers)); diff != "" {
				t.Fatalf("%v instead of %v changes the data: -want, +got:\n%s", wheres(swapped), wheres(entries), diff)
			}
		}
	}
}

func dataOf(entries []spec.Entry, answers map[string]plan.Answer) map[string]string {
	return texts(rendered(spec.Spec{Entries: entries, Target: spec.Target{Name: "t"}}, answers, drivers()).Data)
}

func wheres(entries []spec.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Where)
	}
	return out
}

func overlap(a, b map[string]string) bool {
	for k := range a {
		if _, both := b[k]; both {
			return true
		}
	}
	return false
}

// TestDeterministic holds that the same input renders the same, problems and
// their order included, whatever the maps iterate like.
func TestDeterministic(t *testing.T) {
	answers := map[string]plan.Answer{
		"names": text(`{"b d":"1","a c":"2","é":"3","x":"y"}`),
		"gone":  {Err: backend.Errorf(backend.NotFound, "gone")},
	}
	for _, entries := range [][]spec.Entry{
		{from("names")},
		{data("a", "gone"), from("names"), data("b", "gone")},
	} {
		s := spec.Spec{Entries: entries, Target: spec.Target{Name: "t", Template: spec.Template{Data: values("p", "1", "q", "2"), Overrides: values("r", "3")}}}
		want := rendered(s, answers, drivers())
		for range 20 {
			if diff := cmp.Diff(want, rendered(s, answers, drivers())); diff != "" {
				t.Fatalf("not the same twice: -first, +later:\n%s", diff)
			}
		}
	}
}
