// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// attacks are properties that cost far more than their document.
func attacks() map[string]struct{ doc, path string } {
	small := `{"a":{"b":"c"},"l":[1,2,3]}`
	rows := `[` + strings.Repeat("0,", 1<<18) + `0]`
	deep := strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20)
	chain := func(s string, n int) string { return s + strings.Repeat("|"+s, n) }
	return map[string]struct{ doc, path string }{
		"Doubling":       {small, chain("[@this,@this]", 40)},
		"DoublingNamed":  {small, chain(`{"a":@this,"b":@this}`, 40)},
		"DoublingQuoted": {small, chain(`["\\],",@this,@this]`, 40)},
		"DoublingEnds":   {small, chain(`[x\],@this,@this]`, 40)},
		"Nested":         {small, strings.Repeat("[@this,", 40) + "@this" + strings.Repeat("]", 40)},
		"Escaping":       {small, chain("@tostr", 40)},
		"EscapingQuoted": {small, `a"|` + chain("@tostr", 40)},
		"Group":          {`{"` + strings.Repeat("k", 1<<20) + `":` + rows + `}`, "@group"},
		"Literals":       {rows, `#.{"` + strings.Repeat("k", 1000) + `":@this}`},
		"PrettyDeep":     {strings.Repeat("[", 9000) + strings.Repeat("]", 9000), `@pretty:{"indent":"` + strings.Repeat(" ", 1000) + `"}`},
		"DeepPretty":     {deep, "@pretty"},
		"DeepDig":        {deep, "@dig:x"},
		"DeepValid":      {deep, "@valid"},
		"DeepFlatten":    {deep, `@flatten:{"deep":true}`},
		"DeepOpen":       {strings.Repeat("[", 1<<21), "@dig:x"},
		"DeepObjects":    {strings.Repeat(`{"a":`, 1<<19), "@dig:a"},
		"DeepQuoted":     {`"` + strings.Repeat("[", 1<<21), "@dig:x"},
		"DeepText":       {`"` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `"`, "@fromstr|@valid"},
		"DeepEscaped":    {`"` + strings.Repeat(`\u005b`, 1<<18) + strings.Repeat("]", 1<<18) + `"`, "@fromstr|@dig:x"},
		"Long":           {small, strings.Repeat("a.", 4096)},
		"Huge":           {`{"a":"` + strings.Repeat("x", 4<<20) + `"}`, "a"},
		"ChainWildcards": {rows, strings.Repeat("*|", 2000) + "0"},
	}
}

func TestPropertyBounds(t *testing.T) {
	for name, tc := range attacks() {
		t.Run(name, func(t *testing.T) {
			answers := map[string]plan.Answer{"k": text(tc.doc)}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			got := world{answers: answers}.one(property("x", "k", tc.path))
			runtime.ReadMemStats(&after)
			if len(got.Problems) != 1 || got.Problems[0].Code != backend.InvalidRef {
				t.Errorf("problems %v, want one", got.Problems)
			}
			if len(got.Problems) == 1 && len(got.Problems[0].Message) > 400 {
				t.Errorf("a message of %d bytes", len(got.Problems[0].Message))
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("allocated %d bytes", grown)
			}
		})
	}
}

// TestPropertyRoom holds that the bounds leave alone what people write.
func TestPropertyRoom(t *testing.T) {
	var rows []string
	for i := range 500 {
		rows = append(rows, fmt.Sprintf(`{"name":"n-%d","tags":["a","b"],"spec":{"k":"%s"}}`, i, strings.Repeat("v", 100)))
	}
	doc := `{"rows":[` + strings.Join(rows, ",") + `],"text":"{\"a\":[{\"b\":\"c\"}]}"}`
	for _, path := range []string{
		"rows.#", "rows.#.name", `rows.#(name=="n-7").spec.k`, `rows.#(name%"n-1*")#|#.name`, "rows|@reverse|0.name", "rows.3.spec.@pretty",
		`{"first":rows.0.name,"second":rows.1.name,"third":rows.2.name,"n":rows.#}`, "[rows.0.name,rows.1.name,rows.2.name,rows.3.name,rows.4.name,rows.5.name]",
		"rows.@values|0", "rows.0.@keys", "text.@fromstr.a.0.b", "text|@fromstr|a|@flatten", "rows.1.@tostr", "rows.#.tags|@flatten", "r?ws.0.name", "@ugly", "rows.1.@pretty:{\"indent\":\"\\t\"}",
	} {
		got := world{answers: map[string]plan.Answer{"k": text(doc)}}.one(property("x", "k", path))
		if len(got.Problems) > 0 || got.Data["x"].Len() == 0 {
			t.Errorf("%s: %v, %d bytes", path, got.Problems, got.Data["x"].Len())
		}
	}
}

// TestWorkBound holds that many entries together are bounded too.
func TestWorkBound(t *testing.T) {
	doc := `{"a":"` + strings.Repeat("x", 3<<20) + `"}`
	var s spec.Spec
	for i := range 100 {
		e := property(fmt.Sprintf("x%d", i), "k", "b")
		s.Entries = append(s.Entries, e)
	}
	got := world{answers: map[string]plan.Answer{"k": text(doc)}}.eso(s)
	last := got.Problems[len(got.Problems)-1]
	if want := "property b of k would take too much work"; last.Message != want {
		t.Errorf("the last of many: %q, want %q", last.Message, want)
	}
	if first := got.Problems[0]; first.Code != backend.NotFound {
		t.Errorf("the first of many: %v, want NotFound", first)
	}
}

func TestDocumentBounds(t *testing.T) {
	huge := `{"a":"` + strings.Repeat("x", 4<<20) + `"}`
	const large = " is too large to be read as JSON: at most 4194304 bytes"
	w := world{answers: map[string]plan.Answer{"k": text(huge)}, found: hits("k", huge)}
	wantProblem(t, "extract", w.one(from("k")), backend.InvalidRef, "the value of k"+large)
	wantProblem(t, "merge", w.one(find(merge(spec.Collect{}))), backend.InvalidRef, `the value of key "k"`+large)
	wantProblem(t, "but not as a whole", w.one(data("x", "k")), backend.InvalidRef,
		"the data is too large: the values of a Secret may have 1048576 bytes together; take fewer or smaller entries")
}
