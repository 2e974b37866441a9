// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func mustParse(t testing.TB, doc string) Value {
	t.Helper()
	v, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("Parse(%q) = %v", doc, err)
	}
	return v
}

// What KES did with a property, and what we do otherwise. Every rule of JavaScript is in TestVectors.
func TestGet(t *testing.T) {
	tests := map[string]struct {
		reason, doc, path, want string
		missing                 bool
	}{
		"nested":            {"dots walk into objects", `{"a":{"b":{"c":"v"}}}`, "a.b.c", "v", false},
		"literal key":       {"a key that is there as it is wins", `{"a.b":"lit","a":{"b":"nest"}}`, "a.b", "lit", false},
		"literal key deep":  {"but only at the top", `{"x":{"a.b":"lit","a":{"b":"nest"}}}`, "x.a.b", "nest", false},
		"bracket index":     {"arrays have indices", `{"a":[{"b":1}]}`, "a[0].b", "1", false},
		"dot index":         {"in either spelling", `{"a":[{"b":1}]}`, "a.0.b", "1", false},
		"root index":        {"and at the top", `["first","second"]`, "[1]", "second", false},
		"beyond":            {"an index past the end is missing", `{"a":[1,2]}`, "a[5]", "", true},
		"object":            {"objects are compact JSON", `{"o": {"b": 1, "c": [1, 2]}}`, "o", `{"b":1,"c":[1,2]}`, false},
		"number":            {"numbers lose their spelling", `{"n":1.50}`, "n", "1.5", false},
		"boolean":           {"booleans are words", `{"b":true}`, "b", "true", false},
		"null":              {"null is there", `{"z":null}`, "z", "null", false},
		"below null":        {"but has nothing", `{"z":null}`, "z.a", "", true},
		"empty string":      {"an empty value is there", `{"e":""}`, "e", "", false},
		"big number":        {"numbers are doubles", `{"n":12345678901234567890}`, "n", "12345678901234567000", false},
		"huge number":       {"with JavaScript's exponent", `{"n":1e21}`, "n", "1e+21", false},
		"empty path":        {"is the key of no characters", `{"":"e"}`, "", "e", false},
		"empty path absent": {"which may be missing", `{}`, "", "", true},
		"length":            {"strings have a length", `"str"`, "length", "3", false},
		"length in UTF-16":  {"in UTF-16 units", `"\ud83d\ude00"`, "length", "2", false},
		"in null":           {"null has no property", `null`, "a", "", true},
		"quoted":            {"quotes keep dots in a key", `{"a":{"b.c":"q"}}`, `a["b.c"]`, "q", false},
		"invalid path":      {"bytes that are not UTF-8 are U+FFFD in keys and paths", "{\"\xff\":1}", "\xfe", "1", false},

		"inherited method":   {"unlike lodash: code is no data", `{"a":1}`, "toString", "", true},
		"inherited accessor": {"unlike lodash: nor is a prototype", `{"a":1}`, "__proto__", "", true},
		"inherited deep":     {"unlike lodash: nowhere on the way", `{"a":"x"}`, "a.constructor.name", "", true},
		"array method":       {"unlike lodash: arrays neither", `[1]`, "concat", "", true},
		"number method":      {"unlike lodash: numbers neither", `1`, "toFixed", "", true},
		"own, not inherited": {"a key of that name is data", `{"toString":"mine","__proto__":{"x":1}}`, "toString", "mine", false},
		"own __proto__":      {"JSON.parse makes it an own property", `{"__proto__":{"x":1}}`, "__proto__.x", "1", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := mustParse(t, tt.doc).Get(tt.path)
			if ok == tt.missing {
				t.Fatalf("%s: there = %t", tt.reason, ok)
			}
			if ok && string(got.Bytes()) != tt.want {
				t.Errorf("%s: got %q, want %q", tt.reason, got.Bytes(), tt.want)
			}
		})
	}
}

func TestZeroValueIsUndefined(t *testing.T) {
	var v Value
	if v.Kind() != KindUndefined || string(v.Bytes()) != "undefined" || v.Entries() != nil {
		t.Errorf("zero Value is %v, %q", v.Kind(), v.Bytes())
	}
	if _, ok := v.Get("a"); ok {
		t.Error("undefined has a property")
	}
}

func TestKind(t *testing.T) {
	for doc, want := range map[string]Kind{"null": KindNull, "false": KindBool, "0": KindNumber, `""`: KindString, "[]": KindArray, "{}": KindObject} {
		if got := mustParse(t, doc).Kind(); got != want {
			t.Errorf("%s is of kind %v, want %v", doc, got, want)
		}
	}
	if got := fmt.Sprint(KindUndefined, KindNull, KindBool, KindNumber, KindString, KindArray, KindObject); got != "undefined null boolean number string array object" {
		t.Errorf("kinds print as %s", got)
	}
}

func TestConstructors(t *testing.T) {
	inner := mustParse(t, `{"x":[1,null]}`)
	tests := map[string]struct {
		reason string
		give   Value
		want   string
	}{
		"string":          {"is kept", String("é\n"), "é\n"},
		"invalid string":  {"is decoded as Node does", String("a\xff\xe2\x82b"), "a\ufffd\ufffdb"},
		"object":          {"nests", Object(Entry{"payload", inner}), `{"payload":{"x":[1,null]}}`},
		"no entries":      {"are an object", Object(), `{}`},
		"order":           {"is JavaScript's", Object(Entry{"b", String("")}, Entry{"1", inner}, Entry{"0", String("z")}), `{"0":"z","1":{"x":[1,null]},"b":""}`},
		"repeated":        {"the last value at the first place", Object(Entry{"a", String("1")}, Entry{"b", String("2")}, Entry{"a", String("3")}), `{"a":"3","b":"2"}`},
		"half a pair":     {"is a surrogate, which JSON escapes", Object(String("😀").Entries()...), `{"0":"\ud83d","1":"\ude00"}`},
		"invalid key":     {"is decoded too", Object(Entry{"\xff", String("")}), `{"�":""}`},
		"undefined":       {"is left out of JSON", Object(Entry{"a", Value{}}, Entry{"b", String("2")}), `{"b":"2"}`},
		"array as string": {"is not read as JSON", String("[1]"), "[1]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(tt.give.Bytes()); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.reason, got, tt.want)
			}
		})
	}
	if v, ok := Object(Entry{"a", Value{}}).Get("a"); !ok || v.Kind() != KindUndefined {
		t.Error("a property that is undefined is there")
	}
}

func TestParseErrors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := map[string]struct {
		reason, doc string
		want        error
	}{
		"canary":         {"the error has no byte of the input", `{"password":"c4n4ry"`, ErrSyntax},
		"deepest":        {"the limit itself is allowed", deep(maxDepth), nil},
		"too deep":       {"one more is not", deep(maxDepth + 1), ErrDepth},
		"wide, not deep": {"siblings do not count", "[" + strings.Repeat("[],", 2*maxDepth) + "[]]", nil},
		"unclosed":       {"an attack on the stack ends at the limit", strings.Repeat("[", 1<<20), ErrDepth},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Parse([]byte(tt.doc))
			if !errors.Is(err, tt.want) {
				t.Fatalf("%s: got %v, want %v", tt.reason, err, tt.want)
			}
			if err == nil && string(v.Bytes()) != tt.doc {
				t.Errorf("%s: Bytes differ from the document", tt.reason)
			}
		})
	}
}

// A Value may end up in a log line or an error by accident. It must not take its bytes along.
func TestPrintingShowsNothing(t *testing.T) {
	const canary = "c4n4ry"
	values := []Value{String(canary), mustParse(t, `"`+canary+`"`), mustParse(t, `["`+canary+`"]`), Object(Entry{"k", String(canary)})}
	for _, v := range values {
		holder := struct {
			v     Value
			Entry Entry
		}{v, Entry{"k", v}}
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+verb+verb+"\n", v, &v, holder)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v, "h", holder)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v, "h", holder)
		text, err := json.Marshal(holder)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
			t.Errorf("a %v prints its content", v.Kind())
		}
	}
}

// Bytes belong to the caller, and a Value does not change with the document it was read from.
func TestValueIsImmutable(t *testing.T) {
	doc := []byte(`{"a":"xyz"}`)
	v, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	clear(doc)
	clear(v.Bytes())
	a, _ := v.Get("a")
	clear(a.Bytes())
	if got := string(v.Bytes()); got != `{"a":"xyz"}` {
		t.Errorf("value became %q", got)
	}
}

// A list is allocated once, whatever its length: what grows are the parser's two stacks, by doubling.
func TestParseAllocations(t *testing.T) {
	for name, element := range map[string]string{"numbers": "1", "strings": `"s"`} {
		doc := []byte("[" + strings.Repeat(element+",", 1<<15) + element + "]")
		allocs := testing.AllocsPerRun(3, func() {
			if _, err := Parse(doc); err != nil {
				t.Error(err)
			}
		})
		if allocs > 60 {
			t.Errorf("%s: %v allocations for 32,769 elements, want at most 60", name, allocs)
		}
	}
}

func Example() {
	v, err := Parse([]byte(`{"db": {"hosts": ["a", "b"], "port": 5432.0}}`))
	if err != nil {
		return
	}
	host, _ := v.Get("db.hosts[1]")
	port, _ := v.Get("db.port")
	_, inherited := v.Get("toString")
	fmt.Printf("%s %s %s %t\n", host.Bytes(), port.Bytes(), v.Bytes(), inherited)
	// Output: b 5432 {"db":{"hosts":["a","b"],"port":5432}} false
}
