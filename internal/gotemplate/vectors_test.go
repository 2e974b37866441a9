// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus is the data that the vectors are over.
var corpus = map[string]string{
	"user": "Ada Lovelace", "pw": "s3cr3t", "num": "42", "csv": "b,a,c,a", "b64": "aGVsbG8=", "multi": "line one\nline two\n",
	"json": `{"a": {"b": ["x", "y"], "n": 1.5}, "t": true, "s": "str"}`,
	"yaml": "a: 1\nb:\n  - x\n  - y\nc: {d: \"e\"}\n",
}

// TestVectors holds results that External Secrets Operator 2.9.0 was seen to give, and what its documentation promises.
func TestVectors(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		keys   map[string]string // template to result, each on its own
	}{
		"Case": {
			reason: "fn-case",
			keys: map[string]string{
				`{{ .user | upper }}`: "ADA LOVELACE", `{{ .user | lower }}`: "ada lovelace",
				`{{ "hello wORLD" | title }}`: "Hello WORLD", `{{ untitle "Hello World" }}`: "hello world",
				`{{ swapcase .user }}`: "aDA lOVELACE", `{{ snakecase "FirstName LastName" }}`: "first_name_last_name",
				`{{ camelcase "http_server-name" }}`: "HttpServerName", `{{ kebabcase "FirstName" }}`: "first-name",
			},
		},
		"Base64": {
			reason: "fn-base64: text that is none is answered by the decoder's complaint, which becomes the value",
			keys: map[string]string{
				`{{ .pw | b64enc }}`: "czNjcjN0", `{{ .b64 | b64dec }}`: "hello", `{{ .pw | b32enc }}`: "OMZWG4RTOQ======",
				`{{ "ONSWG4TFOQ======" | b32dec }}`: "secret", `{{ printf "%s:%s" .num .pw | b64enc }}`: "NDI6czNjcjN0",
				`{{ "%%%" | b64dec }}`:  "illegal base64 data at input byte 0",
				`{{ "6869" | hexdec }}`: "hi",
			},
		},
		"BigIntegers": {
			reason: "fn-json-big-int: numbers are doubles",
			keys: map[string]string{
				`{{ ("{\"n\":12345678901234567890,\"m\":1000000}" | fromJson).n }}`: "1.2345678901234567e+19",
				`{{ ("{\"m\":1000000}" | fromJson).m }}`:                            "1e+06",
				`{{ "{\"m\":1000000,\"x\":1e21}" | fromJson | toJson }}`:            `{"m":1000000,"x":1e+21}`,
			},
		},
		"Range": {
			reason: "fn-range",
			keys: map[string]string{
				`{{ range $i, $e := splitList "," .csv }}{{ $i }}={{ $e }};{{ end }}`:       "0=b;1=a;2=c;3=a;",
				`{{ range $k, $v := (.json | fromJson) }}{{ $k }} {{ end }}`:                "a s t ",
				`{{ $x := .num }}{{ $x = "y" }}{{ $x }}`:                                    "y",
				`{{ range list }}x{{ else }}none{{ end }}`:                                  "none",
				`{{ range list 1 2 3 }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}`: "1",
				`a {{- " b " -}} c`:  "a b c",
				`x{{/* hidden */}}y`: "xy",
				`{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .num }}`:                            "<42>",
				`{{ range $k, $v := . }}{{ $k }},{{ end }}`:                                            "b64,csv,json,multi,num,pw,user,yaml,",
				`{{ range 3 }}{{ . }}{{ end }}`:                                                        "012",
				`{{ range 10000000000 }}{{ break }}{{ end }}`:                                          "",
				`{{ range $i := list 1 2 3 }}{{ if eq $i 2 }}{{ continue }}{{ end }}{{ $i }}{{ end }}`: "13",
			},
		},
		"Arithmetic": {
			reason: "fn-math",
			keys: map[string]string{
				`{{ add 1 2 3 }}{{ add1 4 }}{{ sub 5 2 }}`: "653", `{{ mul 2 3 4 }}{{ div 7 2 }}{{ mod 7 2 }}`: "2431",
				`{{ max 1 5 3 }}{{ min 4 2 }}`: "52", `{{ floor 123.9 }}|{{ ceil 1.1 }}|{{ round 123.5555 2 }}`: "123|2|123.56",
				`{{ addf 1.5 2 }}|{{ subf 3 0.5 }}|{{ mulf 1.5 2 }}|{{ divf 7 2 }}|{{ maxf 1.5 2.5 }}`: "3.5|2.5|3|3.5|2.5",
				`{{ int .num }}{{ int64 "7" }}{{ float64 "1.5" }}{{ atoi "08" }}`:                      "4271.58",
				`{{ toDecimal "0777" }}`: "511", `{{ lt 1 2 }}{{ ge 2 2 }}`: "truetrue", `{{ len .user }}`: "12",
				`{{ seq 5 }}|{{ seq 1 2 9 }}|{{ seq 3 1 }}|{{ until 3 }}|{{ untilStep 6 0 -2 }}`: "1 2 3 4 5|1 3 5 7 9|3 2 1|[0 1 2]|[6 4 2]",
			},
		},
		"Dates": {
			reason: "fn-dates-fixed",
			keys: map[string]string{
				`{{ duration 95 }}|{{ durationRound "2h10m5s" }}`:                                 "0s|2h",
				`{{ (toDate "2006-01-02" "2020-03-04").Year }}`:                                   "2020",
				`{{ dateInZone "2006-01-02" (toDate "2006-01-02" "2020-03-04") "UTC" }}`:          "2020-03-04",
				`{{ dateInZone "2006-01-02" (toDate "2006-01-02" "2020-03-04") "../../../etc" }}`: "2020-03-04",
				`{{ $l := "Jan 2" }}{{ (toDate "2006-01-02" "2020-03-04").Format $l }}`:           "Mar 4",
				`{{ ((toDate "2006-01-02" "2020-03-04").AddDate 0 0 1).Day }}`:                    "5",
			},
		},
		"Text": {
			reason: "documented",
			keys: map[string]string{
				`{{ "x" | repeat 3 }}|{{ trunc 3 .user }}|{{ substr 0 3 .user }}|{{ nospace "a b" }}`:                                 "xxx|Ada|Ada|ab",
				`{{ indent 2 "a\nb" }}|{{ "a\nb" | nindent 1 }}|{{ wrap 3 "ab cd" }}|{{ wrapWith 2 "-" "abcd" }}`:                     "  a\n  b|\n a\n b|ab\ncd|ab-cd",
				`{{ quote "a" 1 }}|{{ squote "a" }}|{{ cat "a" 1 nil }}|{{ "a-b" | replace "-" "+" }}|{{ plural "1" "n" 2 }}`:         `"a" "1"|'a'|a 1|a+b|n`,
				`{{ trimAll "$" "$5$" }}|{{ trimSuffix "-" "a-" }}|{{ contains "b" "abc" }}|{{ hasPrefix "a" "abc" }}`:                "5|a|true|true",
				`{{ splitList "," .csv | sortAlpha | uniq | join "-" }}|{{ (split "," .csv)._1 }}|{{ (splitn "," 2 .csv)._1 }}`:       "a-b-c|a|a,c,a",
				`{{ printf "%-5s|%05d" "a" 7 }}|{{ print 1 2 }}|{{ println "a" }}|{{ html "<a>" }}|{{ urlquery "a b" }}|{{ js "'" }}`: "a    |00007|1 2|a\n|&lt;a&gt;|a+b|\\'",
				`{{ sha256sum "a" | trunc 8 }}|{{ adler32sum "a" }}|{{ htpasswd "u" "p" "sha" }}|{{ htpasswd "a:b" "p" "sha" }}`:      "ca978112|6422626|u:{SHA}UWuXg/ylF+7L0dBk2i0WUxCxl1k=|invalid username: a:b",
			},
		},
		"Data": {
			reason: "documented",
			keys: map[string]string{
				`{{ .json | fromJson | toYaml }}`: "a:\n  b:\n  - x\n  - \"y\"\n  \"n\": 1.5\ns: str\nt: true",
				`{{ (.yaml | fromYaml).c.d }}{{ (fromYaml .yaml).a }}|{{ (fromYaml "a: &x [1]\nb: *x").b }}`:                                                                   "e1|[1]",
				`{{ fromYaml "{" | keys | join "," }}`:                                                                                                                         "Error",
				`{{ toPrettyJson (dict "a" 1) }}|{{ toRawJson "<" }}|{{ toJson "<" }}`:                                                                                         "{\n  \"a\": 1\n}|\"<\"|\"\\u003c\"",
				`{{ default "d" "" }}|{{ coalesce 0 "x" }}|{{ ternary "a" "b" true }}|{{ empty "" }}|{{ all 1 0 }}|{{ any 1 0 }}`:                                              "d|x|a|true|false|true",
				`{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ get $d "b" }}{{ hasKey $d "z" }}{{ unset $d "a" | toJson }}`:                                                 `2false{"b":2}`,
				`{{ merge (dict "a" 1) (dict "a" 2 "b" 3) | toJson }}|{{ mergeOverwrite (dict "a" 1) (dict "a" 2) | toJson }}`:                                                 `{"a":1,"b":3}|{"a":2}`,
				`{{ dig "a" "b" "d" (dict "a" (dict "b" 1)) }}|{{ pick (dict "a" 1 "b" 2) "a" | toJson }}|{{ values (dict "a" 1) }}`:                                           `1|{"a":1}|[1]`,
				`{{ $l := list 1 2 3 }}{{ first $l }}{{ last $l }}{{ rest $l }}{{ initial $l }}{{ reverse $l }}{{ append $l 4 }}{{ prepend $l 0 }}`:                            "13[2 3][1 2][3 2 1][1 2 3 4][0 1 2 3]",
				`{{ has 2 (list 1 2) }}{{ without (list 1 2) 1 }}{{ slice (list 1 2 3) 1 2 }}{{ concat (list 1) (list 2) }}{{ chunk 2 (list 1 2 3) }}{{ compact (list 0 1) }}`: "true[2][2][1 2][[1 2] [3]][1]",
				`{{ kindOf 1 }}|{{ typeOf .user }}|{{ typeIs "string" "a" }}|{{ deepEqual (list 1) (list 1) }}|{{ kindIs "map" (dict) }}`:                                      "int|string|true|true|true",
				`{{ base "/a/b" }}|{{ dir "/a/b" }}|{{ ext "a.txt" }}|{{ clean "a/../b" }}|{{ isAbs "/" }}|{{ osBase "/a/b" }}`:                                                "b|/a|.txt|b|true|b",
				`{{ (urlParse "https://u:p@h:1/x?q#f").host }}|{{ urlJoin (dict "scheme" "https" "host" "h" "path" "/p") }}`:                                                   "h:1|https://h/p",
				`{{ (semver "1.2.3-a+b").Minor }}|{{ semver "v1.2" }}|{{ semverCompare "^1.2.0" "1.3.0" }}`:                                                                    "2|1.2.0|true",
				`{{ dict "a" (index (dict) "x") }}|{{ index (dict) "x" }}`:                                                                                                     "map[a:<nil>]|<no value>",
			},
		},
		"Regex": {
			reason: "documented; the results are those of Go's package",
			keys: map[string]string{
				`{{ regexMatch "^a.c$" "abc" }}{{ regexMatch "(" "abc" }}`:                                                     "truefalse",
				`{{ regexFind "[0-9]+" "a12b3" }}|{{ regexFindAll "[0-9]" "a12b3" 2 }}|{{ regexFindAll "x*" "axb" -1 | len }}`: "12|[1 2]|3",
				`{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}|{{ regexReplaceAllLiteral "a(x*)b" "-axb-" "${1}" }}`:      "-W-xxW-|-${1}-",
				`{{ regexSplit "z+" "pizza" -1 }}|{{ regexQuoteMeta "1.2" }}|{{ regexReplaceAll "\\Qa" "aba" "c" }}`:           "[pi a]|1\\.2|cbc",
				`{{ regexReplaceAll "\\b" "ab cd" "|" }}|{{ regexReplaceAll "(?m)^" "a\nb" ">" }}`:                             "|ab| |cd||>a\n>b",
			},
		},
		"Passwords": {
			reason: "the Master Password algorithm, by sprig's own example",
			keys: map[string]string{
				`{{ derivePassword 1 "long" "password" "user" "example.com" }}`: "ZedaFaxcZaso9*",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for text, want := range tc.keys {
				got, err := New().Execute("k", text, corpus)
				if err != nil {
					t.Errorf("%s: %s: %v", tc.reason, text, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", tc.reason, text, diff)
				}
			}
		})
	}
}

// TestData sees that the data of the caller is not changed.
func TestData(t *testing.T) {
	data := map[string]string{"a": "1"}
	if got, err := New().Execute("k", `{{ range $k, $v := . }}{{ $k }}{{ end }}{{ template "k2" . }}{{ define "k2" }}{{ .a }}{{ end }}`, data); err != nil || got != "a1" {
		t.Errorf("got %q, %v", got, err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, data); diff != "" {
		t.Error(diff)
	}
}

// TestTemplatesStayApart sees that what one template defines, the next does not have.
func TestTemplatesStayApart(t *testing.T) {
	e := New()
	if _, err := e.Execute("a", `{{ define "x" }}{{ end }}`, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Execute("b", `{{ template "x" }}`, nil); err == nil {
		t.Error("the second template has what the first one defined")
	}
}
