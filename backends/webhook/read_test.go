// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

// document is what the corpus's server of External Secrets Operator has, and
// more.
const document = `{"user":"web","port":8080,"ratio":1.5,"big":12345678901234567890,"tiny":1.50e-3,"on":true,"none":null,
	"list":["first","second"],"lists":[[["deep"]]],"empty":[],"nested":{"deep":{"c":"d"},"a":"<b>"},
	"text":"{\"k\":\"v\"}","wrapped":{"result":{"k1":"v1"}},"a-b":"hyphen","a.b":"dot"}`

// TestValues: what a path gives, as a value.
func TestValues(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) })
	b := open(t, map[string]any{
		"url": base + "/{{ .remoteRef.key }}", "result": map[string]string{"jsonPath": "$.{{ .remoteRef.property }}"},
	}, cluster{})
	for property, want := range map[string]string{
		"user": "web", "port": "8080", "ratio": "1.5", "big": "12345678901234567890", "tiny": "1.50e-3", "on": "true", "none": "",
		"list": "first", "lists": "deep", "nested": `{"a":"\u003cb\u003e","deep":{"c":"d"}}`, "nested.deep.c": "d", "text": `{"k":"v"}`,
		"wrapped.result": `{"k1":"v1"}`, "a-b": "hyphen",
	} {
		got, err := get(t.Context(), b, refOf(t, "app", property))
		if err != nil || got != want {
			t.Errorf("%s: %q (error %v), want %q", property, got, err, want)
		}
	}
	for property, code := range map[string]backend.Code{
		"gone": backend.Unknown, "user.x": backend.Unknown, "empty": backend.Unknown, "list[2]": backend.Unknown, // not NotFound, which may delete
		"": backend.InvalidRef, "a b": backend.InvalidRef, "canary[": backend.InvalidRef,
	} {
		_, err := get(t.Context(), b, refOf(t, "app", property))
		failed(t, err, code, "webhook.result.jsonPath")
	}
}

// TestAnswers: what becomes of an answer.
func TestAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		body   string
		path   string
		want   string
		code   backend.Code
	}{
		"All":          {"without a path all of it, byte by byte", 200, " {\"a\": 1}\n\x00\xff", "", " {\"a\": 1}\n\x00\xff", ""},
		"Created":      {"any success", 201, "v", "", "v", ""},
		"Empty":        {"a value without bytes", 204, "", "", "", ""},
		"NoJSON":       {"a proxy's page", 200, "<html>canary", "$.a", "", backend.Unavailable},
		"HalfJSON":     {"an answer that broke off", 200, `{"a":"canary"`, "$.a", "", backend.Unavailable},
		"TwoDocuments": {"which one", 200, `{"a":1} {"a":2}`, "$.a", "", backend.Unavailable},
		"Path":         {"the part", 200, `{"a":"v"}`, "$.a", "v", ""},
		"PathName":     {"without a dollar", 200, `{"a":"v"}`, "a", "v", ""},
		"Missing":      {"may delete", 404, "canary", "", "", backend.NotFound},
		"Gone":         {"only a 404 counts", 410, "canary", "", "", backend.Unknown},
		"NotModified":  {"compared with what", 304, "", "", "", backend.Unavailable},
		"Choices":      {"no value", 300, "canary", "", "", backend.Unavailable},
		"Conflict":     {"a 4xx", 409, "canary", "", "", backend.Unknown},
		"Late":         {"better later", 408, "canary", "", "", backend.Unavailable},
		"Broken":       {"better later", 500, "canary", "", "", backend.Unavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			b := open(t, map[string]any{"url": base, "result": map[string]string{"jsonPath": c.path}}, cluster{})
			got, err := get(t.Context(), b, backend.Ref{Path: "x"})
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
			failed(t, err, c.code, "")
		})
	}
}

func TestPaths(t *testing.T) {
	const doc = `{"store":{"book":[{"t":"a","p":8.95,"in":true},{"t":"b","p":12},{"t":"c","p":8.950,"n":{"t":"d"}}],"bike":{"p":20}},
		"k":"t","a b":1,"é":2,"'":3}`
	cases := map[string]struct {
		reason string
		path   string
		want   string // "!" is an error
	}{
		"Root":        {"all of it", "$.store.bike", `{"p":20}`},
		"Spaces":      {"between the parts", " $ . store [ 'bike' ] . p ", "20"},
		"Quotes":      {"of either kind", `$["store"]['bike']["p"]`, "20"},
		"Raw":         {"and Go's raw ones", "$[`a b`]", "1"},
		"Escapes":     {"in quotes", `$['\'']`, "3"},
		"Letters":     {"of any script", "$.é", "2"},
		"Index":       {"from zero", "$.store.book[1].t", "b"},
		"IndexText":   {"a number in quotes", "$.store.book['1'].t", "b"},
		"IndexUnder":  {"as the predecessor's module has it", "$.store.book[-1].t", "!"},
		"IndexOver":   {"not there", "$.store.book[3]", "!"},
		"IndexHuge":   {"not there", "$.store.book[99999999999999999999]", "!"},
		"Union":       {"the first that is there", "$.store.book[7,2].t", "c"},
		"UnionNames":  {"the first that is there", "$['x','k']", "t"},
		"Every":       {"by name: bike comes before book", "$.store.*", `{"p":20}`},
		"EveryList":   {"in order", "$.store.book[*].t", "a"},
		"Deep":        {"by name, from above", "$..p", "20"},
		"DeepOnly":    {"all of that name", "$.store.book..t", "a"},
		"DeepUnion":   {"as above", "$..['in']", "true"},
		"DeepNone":    {"an empty list", "$..gone", "!"},
		"Slice":       {"a part", "$.store.book[1:].t", "b"},
		"SliceEnd":    {"from the end", "$.store.book[-1:].t", "c"},
		"SliceBack":   {"backwards", "$.store.book[::-1].t", "c"},
		"SliceStep":   {"every second", "$.store.book[1:3:2].t", "b"},
		"SliceZero":   {"is one", "$.store.book[1:3:0].t", "b"},
		"SliceNone":   {"an empty list", "$.store.book[2:1]", "!"},
		"SliceObject": {"an empty list", "$.store[0:1]", "!"},
		"SliceDeep":   {"as the predecessor's module has it", "$..[0:1]", "!"},
		"Filter":      {"by a text", `$.store.book[?(@.t == 'b')].p`, "12"},
		"FilterBare":  {"without parentheses", `$.store.book[?@.t=="b"].p`, "12"},
		"FilterNot":   {"by what is not", `$.store.book[?(@.t != 'a')].t`, "b"},
		"FilterWorth": {"numbers by their worth", `$.store.book[?(@.p == 8.95)].t`, "a"},
		"FilterRight": {"the constant may come first", `$.store.book[?('c' == @.t)].t`, "c"},
		"FilterRoot":  {"by another part of the document", `$..n[?(@ != $.k)]`, "d"},
		"FilterTrue":  {"by a boolean", `$.store.book[?(@.in == true)].t`, "a"},
		"FilterTruth": {"without an operator", `$.store.book[?(@.in)].t`, "a"},
		"FilterNone":  {"an empty list", `$.store.book[?(@.gone == 'x')]`, "!"},
		"KeyByPath":   {"a key out of the document", `$.store.book[0][$.k]`, "a"},
		"Constant":    {"is no path", `'x'`, "!"},
		"DotEnd":      {"ends too early", "$.store.", "!"},
		"Dots":        {"too many", "$...p", "!"},
		"Unclosed":    {"ends too early", "$['store", "!"},
		"Mixed":       {"a union or a slice", "$.store.book[0,1:2]", "!"},
		"Operator":    {"as the predecessor's module has it", `$.store.book[?(@.p < 10)]`, "!"},
		"Nested":      {"too deep", strings.Repeat("$[?", 9) + "$" + strings.Repeat("]", 9), "!"},
		"Long":        {"too long", "$" + strings.Repeat(".a", 2049), "!"},
		"Function":    {"there are none", "$.store.length()", "!"},
	}
	d, err := decode([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := "!"
			if p, err := parsePath(c.path); err == nil {
				if found, err := p.find(d); err == nil {
					if v, err := flat(found); err == nil {
						got = string(v.Reveal())
					}
				}
			}
			if got != c.want {
				t.Errorf("%s: %s is %s, want %s", c.reason, c.path, got, c.want)
			}
		})
	}
}

// TestPathsEnd: no path takes more than its share, whatever the document.
func TestPathsEnd(t *testing.T) {
	docs := map[string]string{
		"wide":  "[" + strings.Repeat("[1],", maxValues/3) + "1]",
		"deep":  strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"pair":  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		"named": `{"a":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000) + "}",
	}
	ended := 0
	for _, path := range []string{
		"$" + strings.Repeat("[0,0]", 40), "$" + strings.Repeat("..*", 20), "$..[?(@..* == $..*)]", "$[?($[?($[?($[?(1)])])])]",
		"$..*..*..a", "$..[*]..[*]", "$[?($ == $)]", "$" + strings.Repeat("..a", 30),
	} {
		p, err := parsePath(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for name, doc := range docs {
			d, err := decode([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			w := &walk{root: d, left: maxSteps}
			_, err = w.follow(p, d)
			if over := w.left < 0; over != errors.Is(err, errTooDeep) {
				t.Errorf("%.40s in %s: out of steps is %t, and the error is %v", path, name, over, err)
			}
			if err != nil {
				ended++
			}
		}
	}
	if ended < len(docs) {
		t.Errorf("only %d of the paths are stopped", ended)
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"$.a['b'][0,1][::2]..*", "$[?(@.a == 'x')]", "a.b", "$['\\'\\x41']", "$[-1:]"} {
		f.Add(seed)
	}
	d, err := decode([]byte(document))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, path string) {
		if p, err := parsePath(path); err == nil {
			_, _ = p.find(d)
		}
	})
}
