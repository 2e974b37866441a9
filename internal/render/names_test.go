// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func regex(source, target string) spec.Rewrite {
	return spec.Rewrite{Regexp: &spec.Replace{Source: source, Target: target}}
}

func transform(template string) spec.Rewrite { return spec.Rewrite{Transform: template} }

func TestNames(t *testing.T) {
	const (
		db      = `{"db_user":"u","db_pass":"p","other":"o"}`
		bad     = `{"a b":"1","c":"2"}`
		illegal = " has a character that a key of a Secret cannot have; use rewrite or conversionStrategy"
	)
	long := strings.Repeat("k", 254)
	cases := map[string]struct {
		reason   string
		doc      string
		convert  spec.Convert
		rewrites []spec.Rewrite
		want     map[string]string
		problem  string
	}{
		"Default":        {reason: "_ for what is not allowed", doc: `{"a b":"1","c/d:e":"2"}`, convert: spec.ConvertDefault, want: map[string]string{"a_b": "1", "c_d_e": "2"}},
		"Unicode":        {reason: "its number for what is not allowed", doc: `{"a b":"1","x😀":"2"}`, convert: spec.ConvertUnicode, want: map[string]string{"a_U0020_b": "1", "x_U1f600_": "2"}},
		"None":           {reason: "and nothing where nothing is asked", doc: bad, problem: `key "a b"` + illegal},
		"Collision":      {reason: "one of the values would be lost", doc: `{"a b":"1","a/b":"2"}`, convert: spec.ConvertDefault, problem: `two keys are both called "a_b" after conversion; use rewrite to tell them apart`},
		"NoCollision":    {reason: "numbers tell them apart", doc: `{"a b":"1","a/b":"2"}`, convert: spec.ConvertUnicode, want: map[string]string{"a_U0020_b": "1", "a_U002f_b": "2"}},
		"Long":           {reason: "254 bytes are too many", doc: `{"` + long + `":"1"}`, convert: spec.ConvertDefault, problem: `key "` + long[:120] + `…" is too long: at most 253 bytes`},
		"Longest":        {reason: "253 are not", doc: `{"` + long[1:] + `":"1"}`, convert: spec.ConvertDefault, want: map[string]string{long[1:]: "1"}},
		"EmptyName":      {reason: "is dropped", doc: `{"":"1","a":"2"}`, want: map[string]string{"a": "2"}},
		"Regexp":         {reason: "groups", doc: db, rewrites: []spec.Rewrite{regex("(.*)", "my_$1")}, want: map[string]string{"my_db_user": "u", "my_db_pass": "p", "my_other": "o"}},
		"RegexpPart":     {reason: "unanchored", doc: db, rewrites: []spec.Rewrite{regex("db_", "")}, want: map[string]string{"user": "u", "pass": "p", "other": "o"}},
		"RegexpStar":     {reason: "the empty match at the end of a full one does not count", doc: `{"only":"v"}`, rewrites: []spec.Rewrite{regex(".*", "single")}, want: map[string]string{"single": "v"}},
		"RegexpToOne":    {reason: "the later of the old names wins", doc: db, rewrites: []spec.Rewrite{regex("^.*$", "one")}, want: map[string]string{"one": "o"}},
		"RegexpToNone":   {reason: "is dropped", doc: db, rewrites: []spec.Rewrite{regex("^other$", "")}, want: map[string]string{"db_user": "u", "db_pass": "p"}},
		"RegexpNoMatch":  {reason: "rewrites take the place of the conversion", doc: bad, convert: spec.ConvertDefault, rewrites: []spec.Rewrite{regex("zzz", "y")}, problem: `key "a b"` + illegal},
		"RegexpInvalid":  {reason: "names the field", doc: db, rewrites: []spec.Rewrite{regex("a", "b"), regex("(", "b")}, problem: "rewrite[1].regexp.source is not a valid regular expression (RE2)"},
		"Several":        {reason: "in order", doc: `{"a":"1"}`, rewrites: []spec.Rewrite{regex("a", "b"), regex("b", "c"), transform("{{ .value | upper }}")}, want: map[string]string{"C": "1"}},
		"Transform":      {reason: "a template over the name", doc: db, rewrites: []spec.Rewrite{transform("{{ .value | upper }}")}, want: map[string]string{"DB_USER": "u", "DB_PASS": "p", "OTHER": "o"}},
		"Nothing":        {reason: "a rewrite that says nothing does nothing", doc: `{"a":"1"}`, rewrites: []spec.Rewrite{{}}, want: map[string]string{"a": "1"}},
		"Expansion":      {reason: "a target cannot grow without bound", doc: `{"` + long[1:] + `":"1"}`, rewrites: []spec.Rewrite{regex("", strings.Repeat("$0x", 1<<17))}, problem: "rewrite[0].regexp could make a name too long"},
		"ExpansionSmall": {reason: "nor slowly", doc: `{"` + long[1:] + `":"1"}`, rewrites: []spec.Rewrite{regex("k", "kkkkk"), regex("k", "kkkkk")}, problem: "a name is too long to be rewritten: at most 4096 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := rewritten(from("k"), tc.rewrites...)
			e.Convert = tc.convert
			got := world{answers: map[string]plan.Answer{"k": text(tc.doc)}}.one(e)
			if tc.problem != "" {
				wantProblem(t, tc.reason, got, backend.InvalidRef, tc.problem)
				return
			}
			want(t, tc.reason, got, tc.want)
		})
	}
}

func TestTransformFails(t *testing.T) {
	for _, template := range []string{"a{{ .nope }}b", "{{ nosuch }}", "{{"} {
		got := world{answers: map[string]plan.Answer{"k": text(`{"a":"1"}`)}}.one(rewritten(from("k"), transform(template)))
		if len(got.Problems) != 1 || got.Problems[0].Code != backend.InvalidRef || !strings.Contains(got.Problems[0].Message, "rewrite[0].transform") {
			t.Errorf("%s: problems %v, want one that names the rewrite", template, got.Problems)
		}
	}
}

// TestUnicodeNames holds that a name that no Secret can have may still be seen
// by a template.
func TestUnicodeNames(t *testing.T) {
	s := spec.Spec{Entries: []spec.Entry{from("k")}, Target: spec.Target{Program: &spec.Program{Data: map[string]string{"a": `{{ index . "ä" }}`}}}}
	want(t, "a letter", world{answers: map[string]plan.Answer{"k": text(`{"ä":"1"}`)}}.eso(s), map[string]string{"a": "1"})
}
