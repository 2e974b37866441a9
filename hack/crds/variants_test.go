// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"regexp"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// A variant is a value that puts something at one place of a schema; around it
// is only what the schema demands.
type variant struct {
	place string
	value any
}

// texts are what people, and enemies, write where any text goes. The times are
// forms of a date-time, of which not all are RFC 3339.
var texts = []string{
	"", "a", "soon", "1d", "-1s", "0", "true", "null", "@daily", "é\u0000\u2028", strings.Repeat("a", 300),
	"2026-01-02T15:04:05Z", "2026-01-02T15:04:05.123456789+01:00", "2026-01-02T15:04:05", "2026-01-02T15:04:05.000",
	"2026-01-02T15:04Z", "2026-01-02t15:04:05z", "2026-01-02 15:04:05", "2026-01-02T15:04:60Z", "9999-12-31T23:59:59Z",
	"2026-01-02T15:04:05+0100", "2026-01-02T15:04:05-99:99", "0000-00-00T00:00:00Z", "YWJj", "YWJj\nZGVm",
}

var numbers = []any{
	int64(0), int64(-1), int64(math.MaxInt32), int64(math.MinInt32), int64(math.MaxInt32) + 1,
	int64(math.MaxInt64), int64(math.MinInt64), float64(2), 1.5, 1e15, 9.2e18, 1e30,
}

// variants lists values for s, one for each thing that may be put at each place
// at or below it.
func variants(place string, s *apiextensionsv1.JSONSchemaProps) []variant {
	out := []variant{{place, nil}}
	switch {
	case s.XIntOrString || s.Type == "":
		for _, n := range numbers {
			out = append(out, variant{place, n})
		}
		return append(out, textVariants(place, s)...)
	case s.Type == "boolean":
		return append(out, variant{place, true}, variant{place, false})
	case s.Type == "integer" || s.Type == "number":
		for _, n := range numbers {
			out = append(out, variant{place, n})
		}
		return out
	case s.Type == "string":
		return append(out, textVariants(place, s)...)
	case s.Type == "array":
		out = append(out, variant{place, []any{}}, variant{place, []any{nil}}, variant{place, sample(s)})
		for _, v := range variants(place+"[]", s.Items.Schema) {
			out = append(out, variant{v.place, []any{v.value}})
		}
		return out
	}
	out = append(out, variant{place, map[string]any{}}, variant{place, sample(s)},
		variant{place, around(s, "unknown", []any{1.5, "x"})})
	for name, p := range s.Properties {
		for _, v := range variants(place+"."+name, &p) {
			out = append(out, variant{v.place, around(s, name, v.value)})
		}
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		for _, v := range variants(place+"{}", s.AdditionalProperties.Schema) {
			out = append(out, variant{v.place, map[string]any{"a": v.value, "": v.value}})
		}
	}
	return out
}

func textVariants(place string, s *apiextensionsv1.JSONSchemaProps) []variant {
	out := []variant{{place, sample(s)}}
	for _, text := range texts {
		out = append(out, variant{place, text})
	}
	return out
}

// around puts value into an object of s that has what s requires.
func around(s *apiextensionsv1.JSONSchemaProps, name string, value any) map[string]any {
	object := map[string]any{}
	for _, required := range s.Required {
		p := s.Properties[required]
		object[required] = sample(&p)
	}
	object[name] = value
	return object
}

// sample is a value that s accepts, as small as may be.
func sample(s *apiextensionsv1.JSONSchemaProps) any {
	if len(s.Enum) > 0 {
		return strings.Trim(string(s.Enum[0].Raw), `"`)
	}
	switch s.Type {
	case "boolean":
		return true
	case "integer", "number":
		return int64(1)
	case "array":
		return []any{sample(s.Items.Schema)}
	case "object":
		object := map[string]any{}
		for _, required := range s.Required {
			p := s.Properties[required]
			object[required] = sample(&p)
		}
		if s.MinProperties != nil && len(object) == 0 {
			for name, p := range s.Properties {
				object[name] = sample(&p)
				break
			}
		}
		return object
	}
	for _, text := range []string{"a", "@daily", "https://a.example", "2026-01-02T15:04:05Z", "11111111-1111-1111-1111-111111111111"} {
		fits := s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(text)
		if fits && (s.Format != "date-time" || strings.HasPrefix(text, "2026")) {
			return text
		}
	}
	return "a"
}
