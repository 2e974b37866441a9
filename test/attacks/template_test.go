// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"strings"
	"testing"
)

// outside are the functions of other programs by which a template reaches what
// it must not: the environment, files, the network, the cluster, other
// templates.
var outside = []string{
	`env "HOME"`, `expandenv "$HOME"`, `getenv "HOME"`, `environ`,
	`getHostByName "localhost"`, `lookupIP "localhost"`, `httpGet "http://127.0.0.1"`,
	`readFile "/etc/passwd"`, `readDir "/"`, `ReadFile "/etc/passwd"`, `file "/etc/passwd"`, `glob "*"`, `exec "id"`, `shell "id"`, `sh "id"`,
	`lookup "v1" "Secret" "kube-system" "x"`, `getSecretKey "vic" "login" "token"`, `getSecretKeys "vic" "login"`, `getConfigMapKey "vic" "a" "b"`,
	`secret "login"`, `include "x" .`, `tpl "{{ env }}" .`, `getValueFrom "x"`, `vault "x"`,
}

// TestFunctionsThatReachOut has templates, in every place that takes one, call
// what is not there (rows 9 and 10).
func TestFunctionsThatReachOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "x"})
	w.in(w.atk, h.store(ss, "s", "", "")+"---\n"+h.whole(ss, "w"))
	places := map[string]struct{ target, more, where string }{
		"data":        {target: `template: {data: {a: %q}}`, where: "spec.target.template.data[a]"},
		"label":       {target: `template: {metadata: {labels: {a: %q}}}`, where: "spec.target.template.metadata.labels[a]"},
		"annotation":  {target: `template: {metadata: {annotations: {a: %q}}}`, where: "spec.target.template.metadata.annotations[a]"},
		"literal":     {target: `template: {templateFrom: [{literal: %q}]}`, where: "spec.target.template.templateFrom[0].literal"},
		"labels from": {target: `template: {templateFrom: [{target: Labels, literal: %q}]}`, where: "spec.target.template.templateFrom[0].literal"},
		"rewrite":     {more: `, dataFrom: [{extract: {key: json}, sourceRef: {storeRef: {name: w}}, rewrite: [{transform: {template: %q}}]}]`, where: "rewrite[0].transform"},
	}
	h.body("json", `{"a":"b"}`)
	w.in(w.atk, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: templates}\ndata:\n"+configMap(outside))
	for place, p := range places {
		for i, call := range outside {
			if place != "data" && i%6 != 0 && !strings.HasPrefix(call, "env") && !strings.HasPrefix(call, "getHostByName") {
				continue // the functions are the same everywhere
			}
			w.in(w.atk, externalSecret(slug(fmt.Sprintf("%s-%d", place, i)), "s", "db", rarely,
				", target: {"+filled(p.target, "{{ "+call+" }}")+"}"+filled(p.more, "{{ "+call+" }}")))
		}
	}
	for i := range outside {
		w.in(w.atk, externalSecret(fmt.Sprintf("source-%d", i), "s", "db", rarely,
			fmt.Sprintf(", target: {template: {templateFrom: [{configMap: {name: templates, items: [{key: t%d, templateAs: KeysAndValues}]}}]}}", i)))
	}
	for place, p := range places {
		for i, call := range outside {
			name := slug(fmt.Sprintf("%s-%d", place, i))
			if w.get(es, w.atk, name) == nil {
				continue
			}
			t.Run(place+" "+call, func(t *testing.T) {
				w := w.at(t)
				function, _, _ := strings.Cut(call, " ")
				w.failed(w.atk, name, p.where, "InvalidRef", function)
				w.none(w.atk, name)
			})
		}
	}
	for i, call := range outside {
		t.Run("source "+call, func(t *testing.T) {
			w := w.at(t)
			function, _, _ := strings.Cut(call, " ")
			w.failed(w.atk, fmt.Sprintf("source-%d", i), "spec.target.template.templateFrom[0].configMap", "InvalidRef", function)
			w.none(w.atk, fmt.Sprintf("source-%d", i))
		})
	}
}

// configMap is the data of a ConfigMap with a template for each call.
func configMap(calls []string) string {
	var b strings.Builder
	for i, call := range calls {
		fmt.Fprintf(&b, "  t%d: %q\n", i, "a: {{ "+call+" }}")
	}
	return b.String()
}

func filled(format, text string) string {
	if format == "" {
		return ""
	}
	return fmt.Sprintf(format, text)
}

// TestWebhookTemplateThatReachesOut has the templates of a store call what is
// not there.
func TestWebhookTemplateThatReachesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "x"})
	for name, tc := range map[string]struct{ provider, told string }{
		"url":    {`url: "%s/secrets/{{ env \"HOME\" }}"`, "webhook.url"},
		"body":   {`url: "%s/secrets/db", body: "{{ getHostByName \"localhost\" }}"`, "webhook.body"},
		"header": {`url: "%s/secrets/db", headers: {X-A: "{{ expandenv \"$HOME\" }}"}`, "webhook.headers.X-A"},
		"path":   {`url: "%s/secrets/db", result: {jsonPath: "{{ env \"HOME\" }}"}`, "webhook.result.jsonPath"},
		"bomb":   {`url: "%s/secrets/db", body: "{{ repeat 2000000000 \"a\" }}"`, "webhook.body"},
		"loop":   {`url: "%s/secrets/db", body: "{{ range until 1000000000 }}a{{ end }}"`, "webhook.body"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			w.in(w.atk, fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: %s}\nspec: {provider: {webhook: {%s}}}\n---",
				name, fmt.Sprintf(tc.provider, h.URL))+externalSecret(name, name, "db", rarely, ""))
			w.failed(w.atk, name, "InvalidRef", tc.told)
			w.none(w.atk, name)
		})
	}
	if n := h.reads(""); n != 0 {
		t.Errorf("the manager was asked %d times", n)
	}
}

// TestBombs has templates that would take all time or memory (row 31). Each ends,
// on the cost of its own object only; how soon is held in internal/gotemplate.
func TestBombs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": w.canary})
	w.holds = true
	w.in(w.atk, h.store(ss, "s", "", ""))
	bombs := map[string]string{
		"repeat":       `{{ repeat 2000000000 "a" }}`,
		"repeat twice": `{{ repeat 30000 (repeat 30000 "a") }}`,
		"until":        `{{ range until 1000000000 }}a{{ end }}`,
		"until step":   `{{ range untilStep 0 2000000000 1 }}a{{ end }}`,
		"seq":          `{{ seq 1 1000000000 }}`,
		"number":       `{{ range 1000000000000 }}{{ end }}`,
		"recursion":    `{{ define "x" }}{{ template "x" . }}{{ template "x" . }}{{ end }}{{ template "x" . }}`,
		"doubling":     `{{ $a := "aaaaaaaa" }}{{ range until 64 }}{{ $a = print $a $a }}{{ end }}{{ $a }}`,
		"list":         `{{ $l := list 1 }}{{ range until 64 }}{{ $l = concat $l $l }}{{ end }}{{ len $l }}`,
		"keys":         `{{ range until 1000 }}{{ genPrivateKey "rsa" }}{{ end }}`,
		"authorities":  `{{ range until 1000 }}{{ genCA "a" 1 }}{{ end }}`,
		"bcrypt":       `{{ range until 100000 }}{{ bcrypt "a" }}{{ end }}`,
		"htpasswd":     `{{ range until 100000 }}{{ htpasswd "a" "b" }}{{ end }}`,
		"derived":      `{{ range until 100000 }}{{ derivePassword 1 "long" "a" "b" "c" }}{{ end }}`,
		"random":       `{{ randAlphaNum 2000000000 }}`,
		"indent":       `{{ indent 2000000000 "a" }}`,
		"printf":       `{{ printf "%2000000000d" 1 }}`,
		"yaml aliases": "{{ fromYaml \"a: &a [x,x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\" }}",
		"nested":     strings.Repeat("{{ if true }}", 5000) + strings.Repeat("{{ end }}", 5000),
		"parens":     "{{ " + strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000) + " }}",
		"replace":    `{{ repeat 1000 "a" | replace "" (repeat 100000 "b") }}`,
		"split":      `{{ len (splitList "" (repeat 1000000 "a")) }}{{ range until 1000 }}{{ splitList "" (repeat 1000000 "a") }}{{ end }}`,
		"join":       `{{ join (repeat 100000 "a") (until 100000) }}`,
		"merge loop": `{{ $d := dict "a" 1 }}{{ range $i := until 10000000 }}{{ $_ := set $d (print $i) $d }}{{ end }}{{ toJson $d }}`,
		"cycle":      `{{ $d := dict "a" 1 }}{{ $_ := set $d "d" $d }}{{ toJson $d }}`,
		"print loop": `{{ $d := dict "a" 1 }}{{ $_ := set $d "d" $d }}{{ $d }}`,
		"deep equal": `{{ $d := dict "a" 1 }}{{ $_ := set $d "d" $d }}{{ $e := dict "a" 1 }}{{ $_ := set $e "d" $e }}{{ deepEqual $d $e }}`,
		"semver":     `{{ semverCompare (repeat 100000 ">1 ") "1.2.3" }}`,
	}
	names := map[string]string{"data": "data[a]", "annotation": "metadata.annotations[a]"}
	for name, bomb := range bombs {
		for place := range names {
			target := fmt.Sprintf(", target: {template: {data: {a: %q}}}", bomb)
			if place == "annotation" {
				if len(name)%3 != 0 {
					continue // the engine is the same everywhere
				}
				target = fmt.Sprintf(", target: {template: {metadata: {annotations: {a: %q}}}}", bomb)
			}
			t.Run(name+" in "+place, func(t *testing.T) {
				w := w.at(t)
				w.in(w.atk, externalSecret(slug(name+"-"+place), "s", "db", rarely, target))
				w.failed(w.atk, slug(name+"-"+place), "spec.target.template."+names[place], "InvalidRef")
				w.none(w.atk, slug(name+"-"+place))
			})
		}
	}
	// These look like bombs, and are none for RE2.
	for name, text := range map[string]string{
		"large program": `{{ regexMatch "(((a{100}){100}){100})" .password }}`,
		"backtracking":  `{{ regexReplaceAll "(a*)*b" (repeat 100000 "a") "${1}" | len }}`,
	} {
		w.in(w.atk, externalSecret(slug(name), "s", "db", rarely, fmt.Sprintf(", target: {template: {data: {a: %q}}}", text)))
		w.synced(w.atk, slug(name))
	}
	// A bomb in the first template takes no budget away from another object.
	w.in(w.atk, externalSecret("after", "s", "db", rarely, `, target: {template: {data: {a: "{{ .password | b64enc | b64dec }}"}}}`))
	w.secret(w.atk, "after", map[string]string{"a": w.canary})
}

// TestExpressions has regular expressions that are none, or would take all time
// or memory (row 32).
func TestExpressions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "x"})
	h.body("json", `{"a":"b","c":"d"}`)
	w.in(w.atk, h.store(ss, "s", "", "")+"---\n"+h.whole(ss, "w")+"---\n"+fakeStore(ss, "f", "db", "x"))
	for name, tc := range map[string]struct {
		reason, source, told string
	}{
		"open":      {reason: "no expression", source: "(", told: "is not a regular expression"},
		"lookahead": {reason: "RE2 has none", source: "(?!x)a", told: "is not a regular expression"},
		"backward":  {reason: "RE2 has none", source: `(a)\1`, told: "is not a regular expression"},
		"repeat":    {reason: "too large a program", source: "((a{1000}){1000}){1000}", told: "is not a regular expression"},
		"nested":    {reason: "too deep", source: strings.Repeat("(", 1500) + strings.Repeat(")", 1500), told: "is not a regular expression"},
		"long":      {reason: "too long", source: strings.Repeat("a", 100000), told: "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			for place, p := range map[string]struct{ more, where string }{
				"find":    {`{sourceRef: {storeRef: {name: f}}, find: {name: {regexp: %q}}}`, "spec.dataFrom[0].find.name.regexp"},
				"rewrite": {`{sourceRef: {storeRef: {name: w}}, extract: {key: json}, rewrite: [{regexp: {source: a, target: b}}, {regexp: {source: %q, target: b}}]}`, "spec.dataFrom[0].rewrite[1].regexp.source"},
			} {
				w.in(w.atk, externalSecret(name+"-"+place, "s", "db", rarely, ", dataFrom: ["+fmt.Sprintf(p.more, tc.source)+"]"))
				c := w.failed(w.atk, name+"-"+place, p.where, tc.told)
				if len(c.message) > 8<<10 {
					t.Errorf("the message has %d bytes", len(c.message))
				}
				w.none(w.atk, name+"-"+place)
			}
		})
	}
	t.Run("explosion", func(t *testing.T) {
		w := w.at(t)
		target := strings.Repeat("$0", 2000)
		w.in(w.atk, externalSecret("explosion", "s", "db", rarely,
			fmt.Sprintf(", dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: json}, rewrite: [{regexp: {source: '.*', target: %q}}, {regexp: {source: '.', target: %q}}, {regexp: {source: '.', target: %q}}]}]",
				target, target, target)))
		w.failed(w.atk, "explosion", "spec.dataFrom[0]", "InvalidRef", "too long")
		w.none(w.atk, "explosion")
	})
}
