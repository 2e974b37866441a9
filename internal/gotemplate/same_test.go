// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"

	"github.com/Masterminds/sprig/v3"
)

// plainly renders as text/template does, with sprig's functions and no bound.
func plainly(text string, data map[string]string) (string, error) {
	t, err := template.New("k").Option("missingkey=error").Funcs(sprig.TxtFuncMap()).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, data)
	return out.String(), err
}

// TestSame holds the rewritten tree to the one that was written.
func TestSame(t *testing.T) {
	for _, text := range []string{
		``, `a`, `{{ "" }}`, `{{ 1 }}{{ 1.5 }}{{ 'a' }}{{ true }}{{ 1e3 }}{{ 0x10 }}{{ 1i }}`, `{{ . }}`, `{{ $ }}`, `{{ .a }}`, `{{ (index . "a") }}`,
		`{{ .a | upper | lower | printf "%s-%s" .b }}`, `{{ with .a }}{{ . }}{{ $.b }}{{ else }}x{{ end }}`, `{{ with "" }}{{ else with .b }}{{ . }}{{ end }}`,
		`{{ if eq .a "x" }}1{{ else if eq .a "1" "2" }}2{{ else }}3{{ end }}`, `{{ and .a .b }}{{ or "" .b }}{{ not .a }}{{ and "" (div 1 0) }}`,
		`{{ "1" | eq .a }}{{ .b | eq .a }}{{ lt 1 2 }}{{ 1 | lt 2 }}{{ ne .a .b }}{{ eq nil nil }}`, `{{ len .a }}{{ .a | len }}{{ len . }}`,
		`{{ range $i, $v := list .a .b nil }}{{ $i }}{{ $v }}{{ end }}`, `{{ range . }}{{ . }}{{ end }}`, `{{ range $k, $v := dict "b" 1 "a" nil }}{{ $k }}{{ $v }}{{ end }}`,
		`{{ range $x := 3 }}{{ $x }}{{ end }}`, `{{ range 0 }}{{ else }}e{{ end }}`, `{{ range nil | default "" }}{{ end }}`, `{{ range list }}{{ else }}{{ .a }}{{ end }}`,
		`{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}`, `{{ $x := "" }}{{ range $x = list 1 2 }}{{ end }}{{ $x }}`,
		`{{ define "d" }}[{{ . }}{{ $ }}]{{ end }}{{ template "d" .a }}{{ template "d" }}{{ block "e" .b }}{{ . }}{{ end }}`,
		`{{ define "f" }}{{ if gt . 0 }}{{ . }}{{ template "f" (sub . 1) }}{{ end }}{{ end }}{{ template "f" 5 }}`,
		`{{ (toDate "2006" "2020").Unix }}`, `{{ (toDate "2006" "2020").Format "Jan 2006" }}`, `{{ "Jan 2006" | (toDate "2006" "2020").Format }}`, `{{ $t := toDate "2006" "2020" }}{{ "2006" | $t.Format }}{{ $t.AddDate 1 0 0 }}{{ $t }}{{ $t.Location }}`,
		`{{ list $ 1 nil "a" (dict "x" .a) }}`, `{{ dict "a" (list 1 2) | toJson }}`, `{{ index (list 1 2) 1 }}{{ index (dict "a" (list 7)) "a" 0 }}{{ 1 | index (list 4 5) }}`,
		`{{ (semver "1.2.3").Compare (semver "1.2.4") }}{{ (semver "1.2.3").IncMajor }}{{ semver "1.2.3" }}`, `{{ list now.Location | len }}`,
		`{{ break }}`, `{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}`, `{{ nil }}`, `{{ nil | default 1 }}`, `{{ .a.b }}`, `{{ .nope }}`, `{{ $x }}`, `{{ .a "b" }}`,
		`{{ template "k" }}`, `{{ index .a 100 }}`, `{{ printf "%d %v %q %5.2f %t %x %c %U %T" 1 .a .b 1.5 true .a 65 66 .a }}`, `{{ print nil .a 1 2 "x" }}{{ println .a }}`,
		`{{ slice (list 1 2 3) 1 }}`, `{{ html .a "<" 1 (list "&") }}{{ js "<" }}{{ urlquery "a b" 1 }}`, `{{- /* c */ -}}  x  {{- .a -}} `, `{{/* {{ */}}y`, "{{ `{{ \" }}` }}", `{{ "}}" }}{{ "\"}}" }}`,
		`{{ call .a }}`, `{{ (call (index (list upper) 0)) }}`, `{{ not (not 1) | ternary "a" "b" }}`, `{{ ((((.a)))) }}`, `{{ (dict "k" .).k.a }}`, `{{ len (.a | list | first) }}`,
		`{{ define "q" }}.{{ end }}{{ range 300 }}{{ template "q" }}{{ end }}`,
		`{{ if true }}{{ define "in" }}{{ end }}{{ end }}`, `{{ define "x" }}1{{ end }}{{ define "x" }}2{{ end }}`, `{{ if`, `{{ end }}`, `{{ "a`, `{{ . | }}`, `{{ 1 | 2 }}`, `{{ 99999999999999999999 }}`,
	} {
		data := map[string]string{"a": "1", "b": "<two>"}
		want, wantErr := plainly(text, data)
		got, err := New().Execute("k", text, data)
		if (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %v, text/template: %v", text, err, wantErr)
		}
		if err == nil && got != want {
			t.Errorf("%s: %q, text/template: %q", text, got, want)
		}
	}
}

// FuzzExecute looks for a panic, a result beyond the bounds, and a difference from text/template.
func FuzzExecute(f *testing.F) {
	slow := []string{"Bcrypt", "Scrypt", "RSAHidden", "RegexQuadratic", "NestedRange", "UncertainRange"}
	for name, a := range attacks() {
		if len(a.text) < 4000 && !slices.Contains(slow, name) {
			f.Add(a.text)
		}
	}
	for name := range rules {
		f.Add("{{ " + name + ` .a | ` + name + ` .b 1 }}`)
	}
	f.Add(`{{ range $i, $e := splitList "," .a }}{{ if eq $e .b }}{{ break }}{{ else if .b }}{{ end }}{{ with $x := .a }}{{ $x }}{{ end }}{{ end }}`)
	f.Fuzz(func(t *testing.T, text string) {
		data := map[string]string{"a": "a,b", "b": "{}", "j": "[1]", "y": "a: 1", "p": "x", "h": "x", "k": "x", "l": "x"}
		e := New()
		out, err := e.Execute("k", text, data)
		if len(out) > maxOutput || e.left < 0 || err != nil && out != "" {
			t.Errorf("%d bytes, %d units left, %v", len(out), e.left, err)
		}
		if len(text) > 200 || budget-e.left > 200_000 || strings.ContainsAny(text, "Rr") || strings.Contains(text, "uuid") || strings.Contains(text, "now") {
			return // expensive, random (every such name has an r) or of another time
		}
		if err == nil && !strings.Contains(text, "keys") && !strings.Contains(text, "values") && !strings.Contains(text, "ago") && !strings.Contains(text, "ate") && !strings.Contains(text, "shuffle") && !strings.Contains(text, "encryptAES") {
			if again, err := New().Execute("k", text, data); err != nil || again != out {
				t.Errorf("%q: first %q, then %q, %v", text, out, again, err)
			}
		}
	})
}

// TestScan looks at what the parser would be asked to do.
func TestScan(t *testing.T) {
	for text, want := range map[string]shape{
		"":                                 {},
		"a}}b":                             {},
		"{{if .a}}{{end}}{{if .b}}{{end}}": {actions: 4, inside: 16, nesting: 1},
		"{{- if .a -}}{{else if .b}}{{else with .c}}{{range .d}}{{end}}{{end}}": {actions: 6, inside: 45, nesting: 4},
		`{{if "{{end}}"}}{{if '}'}}`:                           {actions: 2, inside: 18, nesting: 2},
		"{{if `{{end}}`}}{{/* {{end}} */}}{{with \"\\\"}}\"}}": {actions: 3, inside: 36, nesting: 2},
		"{{((a)) (b)}}": {actions: 1, inside: 9, parens: 2},
		"{{endless}}{{end}}{{iffy}}{{block \"x\" .}}": {actions: 4, inside: 25, nesting: 1},
		"{{/* open": {actions: 1, inside: 7},
		"{{ ` open": {actions: 1, inside: 7},
	} {
		if got := scan(text); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// FuzzScan holds the scan to the parser: what the parser nests, the scan must have seen.
func FuzzScan(f *testing.F) {
	f.Add("{{-\n/* ` */}}{{if 1}}{{if 2}}{{else if `{{end}}`}}{{end}}{{end}}{{/* ` */}}")
	f.Add("{{with \"{{end}}\"}}{{range '\\''}}{{else}}{{end}}{{- end -}}{{block \"x\" 1}}{{end}}{{define `y`}}{{end}}")
	f.Fuzz(func(t *testing.T, text string) {
		trees := map[string]*parse.Tree{}
		tree := parse.New("k")
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(text, leftDelimiter, rightDelimiter, trees); err != nil {
			return
		}
		s := scan(text)
		for _, tree := range trees {
			if n := nesting(tree.Root); n > s.nesting {
				t.Errorf("%q: %d blocks inside each other, scanned %d", text, n, s.nesting)
			}
		}
	})
}

func nesting(l *parse.ListNode) int {
	deepest := 0
	if l == nil {
		return 0
	}
	for _, n := range l.Nodes {
		var b *parse.BranchNode
		switch n := n.(type) {
		case *parse.IfNode:
			b = &n.BranchNode
		case *parse.WithNode:
			b = &n.BranchNode
		case *parse.RangeNode:
			b = &n.BranchNode
		default:
			continue
		}
		deepest = max(deepest, 1+nesting(b.List), 1+nesting(b.ElseList))
	}
	return deepest
}

// TestSearch holds the search that is charged for to the one of Go's package: it must see the same matches, or it charges for
// others than there will be.
func TestSearch(t *testing.T) {
	for _, expr := range []string{`a`, `a*`, `\b`, `^`, `(?m)^`, `$`, `(?m)$`, `\B.`, `\Aa`, `a\z`, `.`, `(?s).`, `(?i)A`, `x|`, `é`, `[^a]`, `\Q.`, `(a)(b)?`, `a{2}`, `(?U)a+`, `\bab\b`} {
		for _, s := range []string{"", "a", "aab", "ab ab\nab", "éaé\xffb", "a.b.", "\n\n", "xaxa"} {
			e := New()
			p, err := e.compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			if err := p.search(s, -1, func(n int) error { got = append(got, n); return nil }); err != nil {
				t.Fatal(err)
			}
			// The search also stops at empty matches right after another one, which Go's package leaves out.
			want := regexp.MustCompile(expr).FindAllStringIndex(s, -1)
			sum, total := 0, 0
			for _, n := range got {
				sum += n
			}
			for _, m := range want {
				total += m[1] - m[0]
			}
			if len(got) < len(want) || len(got) > 2*len(want)+1 || sum != total {
				t.Errorf("%s in %q: lengths %v, want %v", expr, s, got, want)
			}
		}
	}
}
