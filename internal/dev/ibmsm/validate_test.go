// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	labels := func(n int, s string) []any {
		out := make([]any, n)
		for i := range out {
			out[i] = s
		}
		return out
	}
	ok := func(extra fields) fields {
		f := fields{"name": "n1", "secret_type": "arbitrary", "payload": "p"}
		for k, v := range extra {
			f[k] = v
		}
		return f
	}
	login := func(extra fields) fields {
		f := fields{"name": "n1", "secret_type": "username_password", "username": "u"}
		for k, v := range extra {
			f[k] = v
		}
		return f
	}
	cases := map[string]struct {
		reason string
		typ    string
		op     op
		body   fields
		wrong  string // the field named in the error
	}{
		"least":             {"only what is required", "arbitrary", opCreate, ok(nil), ""},
		"null":              {"null is absent", "arbitrary", opCreate, ok(fields{"description": nil}), ""},
		"null required":     {"null is absent", "arbitrary", opCreate, ok(fields{"payload": nil}), "/payload"},
		"no name":           {"a name is required", "arbitrary", opCreate, fields{"secret_type": "arbitrary", "payload": "p"}, "/name"},
		"unknown":           {"a field of another type", "arbitrary", opCreate, ok(fields{"username": "u"}), "/username"},
		"short name":        {"two characters at least", "arbitrary", opCreate, ok(fields{"name": "n"}), "/name"},
		"long name":         {"256 at most", "arbitrary", opCreate, ok(fields{"name": strings.Repeat("n", 257)}), "/name"},
		"longest name":      {"256 at most", "arbitrary", opCreate, ok(fields{"name": strings.Repeat("n", 256)}), ""},
		"name with all":     {"IBM's characters", "arbitrary", opCreate, ok(fields{"name": "_a--B.c_9"}), ""},
		"name slash":        {"a slash is none of them", "arbitrary", opCreate, ok(fields{"name": "a/b"}), "/name"},
		"name end":          {"a dash at the end", "arbitrary", opCreate, ok(fields{"name": "ab-"}), "/name"},
		"name number":       {"a name is a string", "arbitrary", opCreate, ok(fields{"name": json.Number("12")}), "/name"},
		"payload size":      {"the largest", "arbitrary", opCreate, ok(fields{"payload": strings.Repeat("p", maxPayload)}), ""},
		"payload too large": {"one more", "arbitrary", opCreate, ok(fields{"payload": strings.Repeat("p", maxPayload+1)}), "/payload"},
		"30 labels":         {"as many as permitted", "arbitrary", opCreate, ok(fields{"labels": labels(30, "ab")}), ""},
		"31 labels":         {"one more", "arbitrary", opCreate, ok(fields{"labels": labels(31, "ab")}), "/labels"},
		"short label":       {"two characters at least", "arbitrary", opCreate, ok(fields{"labels": labels(1, "a")}), "/labels"},
		"label string":      {"not a list", "arbitrary", opCreate, ok(fields{"labels": "ab"}), "/labels"},
		"expiry":            {"in the future", "arbitrary", opCreate, ok(fields{"expiration_date": "2026-01-02T03:04:06Z"}), ""},
		"expired":           {"now is too late", "arbitrary", opCreate, ok(fields{"expiration_date": "2026-01-02T03:04:05Z"}), "/expiration_date"},
		"expiry no date":    {"not a date", "arbitrary", opCreate, ok(fields{"expiration_date": "tomorrow"}), "/expiration_date"},
		"metadata size":     {"custom metadata has a limit", "arbitrary", opCreate, ok(fields{"custom_metadata": fields{"k": strings.Repeat("v", maxMetadata)}}), "/custom_metadata"},
		"kv":                {"an object", "kv", opCreate, fields{"name": "n1", "secret_type": "kv", "data": fields{}}, ""},
		"kv string":         {"not an object", "kv", opCreate, fields{"name": "n1", "secret_type": "kv", "data": "{}"}, "/data"},
		"kv size":           {"kv has a limit", "kv", opCreate, fields{"name": "n1", "secret_type": "kv", "data": fields{"k": strings.Repeat("v", maxKV)}}, "/data"},
		"kv expiry":         {"kv secrets do not expire", "kv", opCreate, fields{"name": "n1", "secret_type": "kv", "data": fields{}, "expiration_date": "2030-01-01T00:00:00Z"}, "/expiration_date"},
		"no password":       {"it is generated", "username_password", opCreate, login(nil), ""},
		"no user":           {"it is not", "username_password", opCreate, fields{"name": "n1", "secret_type": "username_password"}, "/username"},
		"rotation":          {"a whole policy", "username_password", opCreate, login(fields{"rotation": fields{"auto_rotate": true, "interval": json.Number("1"), "unit": "month"}}), ""},
		"rotation unit":     {"years are none", "username_password", opCreate, login(fields{"rotation": fields{"auto_rotate": true, "interval": json.Number("1"), "unit": "year"}}), "/rotation"},
		"rotation interval": {"not zero", "username_password", opCreate, login(fields{"rotation": fields{"auto_rotate": true, "interval": json.Number("0"), "unit": "day"}}), "/rotation"},
		"policy length":     {"too short", "username_password", opCreate, login(fields{"password_generation_policy": fields{"length": json.Number("11")}}), "/password_generation_policy"},
		"rotate":            {"a new value", "arbitrary", opRotate, fields{"payload": "p", "custom_metadata": fields{}}, ""},
		"rotate empty":      {"a value is required", "arbitrary", opRotate, fields{}, "/payload"},
		"rotate user":       {"a user name stays", "username_password", opRotate, fields{"username": "u"}, "/username"},
		"rotate name":       {"a name is no value", "arbitrary", opRotate, fields{"payload": "p", "name": "n2"}, "/name"},
		"patch group":       {"a secret stays in its group", "arbitrary", opPatch, fields{"secret_group_id": "g"}, "/secret_group_id"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := validate(tc.body, secretTypes[tc.typ].rules(), tc.op, now)
			if tc.wrong == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if err == nil || err.Status != 400 || !strings.Contains(err.Message, "'"+tc.wrong+"'") {
				t.Errorf("%s: got %v, want an error about %s", tc.reason, err, tc.wrong)
			}
		})
	}
}

func TestMergePatch(t *testing.T) {
	cases := map[string]struct {
		reason              string
		target, patch, want any
	}{
		"adds":     {"a new member", fields{"a": "1"}, fields{"b": "2"}, fields{"a": "1", "b": "2"}},
		"removes":  {"null removes", fields{"a": "1", "b": "2"}, fields{"a": nil}, fields{"b": "2"}},
		"deep":     {"objects merge", fields{"a": fields{"x": "1", "y": "2"}}, fields{"a": fields{"x": nil}}, fields{"a": fields{"y": "2"}}},
		"list":     {"lists are replaced", fields{"a": []any{"1"}}, fields{"a": []any{"2"}}, fields{"a": []any{"2"}}},
		"no match": {"an object replaces a string, without its nulls", "x", fields{"a": nil, "b": "1"}, fields{"b": "1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, mergePatch(tc.target, tc.patch)); d != "" {
				t.Errorf("%s: %s", tc.reason, d)
			}
		})
	}
}

// TestTypesTable holds the table to what the code reads out of it.
func TestTypesTable(t *testing.T) {
	if len(secretTypes) != 9 {
		t.Errorf("IBM has nine types, the table %d", len(secretTypes))
	}
	for key, typ := range secretTypes {
		if key != typ.name {
			t.Errorf("%s: the entry has another name", key)
		}
		for _, f := range typ.fields {
			switch {
			case f.check == nil, f.made == (f.create != never), f.made && (!f.value || f.rotate != never):
				t.Errorf("%s: field %s cannot be served so", key, f.name)
			case f.value && f.patch != never, !f.value && f.rotate != never:
				t.Errorf("%s: field %s is a value or metadata, not both", key, f.name)
			}
		}
		for _, f := range typ.arguments {
			if f.check == nil || f.rotate == never || f.create != never || f.patch != never {
				t.Errorf("%s: argument %s is for new versions only", key, f.name)
			}
		}
	}
}
