// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// FuzzProperty holds that no document and no property makes a panic, a second
// result, or the document part of a message.
func FuzzProperty(f *testing.F) {
	for _, path := range []string{"a", "a.b", `a\.b`, "a.#", "#(a==1)#", "[a,b]", `{"x":a}`, "@pretty", "a|@reverse", "..1.a", "@group", "*", "", "."} {
		f.Add(people, path)
		f.Add(`{"a":"`+canary+`"`, path)
	}
	f.Fuzz(func(t *testing.T, doc, path string) {
		if strings.Contains(path, canary) {
			return // a property may be in a message
		}
		answers := map[string]plan.Answer{"k": text(doc), "f": fields("a", doc)}
		extract := from("k")
		extract.Property, extract.HasProperty = path, true
		for _, e := range []spec.Entry{property("x", "k", path), property("x", "f", path), extract} {
			got := world{answers: answers}.one(e)
			if diff := cmp.Diff(got, world{answers: answers}.one(e)); diff != "" {
				t.Errorf("not the same twice:\n%s", diff)
			}
			if strings.Contains(doc, canary) && strings.Contains(fmt.Sprint(got.Problems), canary) {
				t.Errorf("the canary is in a message: %v", got.Problems)
			}
		}
	})
}

// FuzzNames holds the same for all that is made of names and values.
func FuzzNames(f *testing.F) {
	f.Add(`{"a":"aGk=","b b":1}`, `(.*)b`, "$1-${1}", "all", uint8(0))
	f.Add(`{"a":{"x":1.0},"b":{"x":2}}`, ``, "", "a", uint8(0xff))
	f.Add(`null`, `(`, "$", "", uint8(7))
	f.Fuzz(func(t *testing.T, doc, source, target, into string, flags uint8) {
		e := rewritten(from("k"), regex(source, target), merge(spec.Collect{
			Into: into, Priority: []string{into}, JSON: flags&1 > 0, IgnoreMissing: flags&2 > 0, IgnoreConflicts: flags&4 > 0,
		}), regex("^", target))
		e.Decode = spec.Decode(flags >> 3 % 5)
		plain := from("k")
		plain.Convert, plain.NoNull = spec.Convert(flags%3), flags&8 > 0
		answers := map[string]plan.Answer{"k": text(doc)}
		for _, e := range []spec.Entry{e, plain} {
			got := world{answers: answers}.one(e)
			if diff := cmp.Diff(got, world{answers: answers}.one(e)); diff != "" {
				t.Errorf("not the same twice:\n%s", diff)
			}
			for _, p := range got.Problems {
				if p.Code != backend.InvalidRef {
					t.Errorf("problem %v", p)
				}
			}
		}
	})
}

// FuzzPairs holds it for what templates make.
func FuzzPairs(f *testing.F) {
	f.Add("a: 1\nb: [x]")
	f.Add("&a [*a]: {<<: *a}")
	f.Add("{a: &x {b: c}, <<: *x}")
	f.Fuzz(func(t *testing.T, out string) {
		w := world{answers: map[string]plan.Answer{"k": text(out)}}
		for _, into := range []spec.Into{spec.IntoData, spec.IntoLabels, spec.IntoAnnotations} {
			w.eso(spec.Spec{Entries: []spec.Entry{data("k", "k")}, Target: spec.Target{Program: &spec.Program{
				From: []spec.TemplateFrom{{Where: "x", Literal: "{{ .k }}", Into: into}},
			}}})
		}
	})
}
