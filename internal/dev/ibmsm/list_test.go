// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/google/go-cmp/cmp"
)

func TestPager(t *testing.T) {
	for name, n := range map[string]int{"none": 0, "part of a page": 3, "whole pages": 20, "pages and a part": 23} {
		t.Run(name, func(t *testing.T) {
			s, hs := start(t, Options{})
			for i := range n {
				put(t, s, fmt.Sprintf("secret-%02d", i), "v")
			}
			pager, err := client(t, hs, readerKey).NewSecretsPager(&sm.ListSecretsOptions{
				Limit: core.Int64Ptr(10), Sort: core.StringPtr("-name"), Search: core.StringPtr("SECRET"),
			})
			if err != nil {
				t.Fatal(err)
			}
			all, err := pager.GetAll()
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, m := range all {
				names = append(names, *m.(*sm.ArbitrarySecretMetadata).Name)
			}
			if len(slices.Compact(slices.Clone(names))) != n || !slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(b, a) }) {
				t.Errorf("got %q", names)
			}
			if got, want := s.Stats().Kinds[KindList], max(1, (n+9)/10); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

func TestListShowsNoValues(t *testing.T) {
	s := New(Options{Keys: allKeys})
	put(t, s, "one", "canary-value")
	if _, err := s.Put(Seed{Name: "two", Type: "kv", Fields: map[string]any{"data": map[string]any{"k": "canary-value"}}}); err != nil {
		t.Fatal(err)
	}
	body := call(t, s, "GET", "/api/v2/secrets").Body.String()
	if strings.Contains(body, "canary") || !strings.Contains(body, `"total_count":2`) {
		t.Error("the list shows values, or not both secrets")
	}
}

func TestParseQuery(t *testing.T) {
	cases := map[string]struct {
		reason string
		query  string
		want   query
		wrong  string
	}{
		"empty":       {"IBM's defaults", "", query{page: page{0, 200}, sort: "created_at"}, ""},
		"page":        {"the largest page", "limit=1000&offset=7", query{page: page{7, 1000}, sort: "created_at"}, ""},
		"filters":     {"lists are split at commas", "groups=a,default&secret_types=kv&match_all_labels=x,y", query{page: page{0, 200}, sort: "created_at", groups: []string{"a", "default"}, types: []string{"kv"}, labels: []string{"x", "y"}}, ""},
		"descending":  {"a minus turns the order", "sort=-expiration_date", query{page: page{0, 200}, sort: "expiration_date", desc: true}, ""},
		"limit":       {"more than IBM permits", "limit=1001", query{}, "/limit"},
		"zero":        {"an empty page", "limit=0", query{}, "/limit"},
		"offset":      {"negative", "offset=-1", query{}, "/offset"},
		"not a field": {"sorting by a value", "sort=payload", query{}, "/sort"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			v, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			got, apiErr := parseQuery(v, 200, 1000)
			if tc.wrong != "" {
				if apiErr == nil || apiErr.Status != 400 || !strings.Contains(apiErr.Message, tc.wrong) {
					t.Errorf("%s: got %v", tc.reason, apiErr)
				}
				return
			}
			if apiErr != nil {
				t.Fatal(apiErr)
			}
			if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(query{}, page{})); d != "" {
				t.Errorf("%s: %s", tc.reason, d)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	cases := map[string]struct {
		reason string
		page   page
		total  int
		want   map[string]string // link to offset
	}{
		"nothing":    {"a list without items has a first and a last page", page{0, 10}, 0, map[string]string{"first": "0", "last": "0"}},
		"one page":   {"no neighbours", page{0, 10}, 10, map[string]string{"first": "0", "last": "0"}},
		"first":      {"no previous", page{0, 10}, 11, map[string]string{"first": "0", "next": "10", "last": "10"}},
		"middle":     {"both", page{10, 10}, 25, map[string]string{"first": "0", "previous": "0", "next": "20", "last": "20"}},
		"last":       {"no next", page{20, 10}, 25, map[string]string{"first": "0", "previous": "10", "last": "20"}},
		"between":    {"an offset that is no multiple", page{5, 10}, 25, map[string]string{"first": "0", "previous": "0", "next": "15", "last": "20"}},
		"beyond":     {"past the end", page{100, 10}, 25, map[string]string{"first": "0", "previous": "20", "last": "20"}},
		"beyond all": {"past an empty list", page{100, 10}, 0, map[string]string{"first": "0", "previous": "0", "last": "0"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out := tc.page.envelope(url.URL{Scheme: "http", Host: "h", Path: "/p", RawQuery: "search=x%2Cy"}, tc.total)
			got := map[string]string{}
			for _, k := range []string{"first", "next", "previous", "last"} {
				link, ok := out[k].(fields)
				if !ok {
					continue
				}
				u, err := url.Parse(text(link["href"]))
				if err != nil || u.Host != "h" || u.Query().Get("search") != "x,y" || u.Query().Get("limit") != "10" {
					t.Errorf("%s: %s is %v", tc.reason, k, u)
				}
				got[k] = u.Query().Get("offset")
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s: %s", tc.reason, d)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	sec := &secret{id: "1d", name: "Orders-DB", typ: "kv", group: "g1", description: "of the shop", labels: []any{"dev", "eu"}}
	cases := map[string]struct {
		reason string
		query  query
		want   bool
	}{
		"all":           {"no filter", query{}, true},
		"group":         {"one of the groups", query{groups: []string{"x", "g1"}}, true},
		"other group":   {"none of the groups", query{groups: []string{"default"}}, false},
		"other type":    {"none of the types", query{types: []string{"arbitrary"}}, false},
		"both labels":   {"all labels", query{labels: []string{"eu", "dev"}}, true},
		"one label":     {"a label is missing", query{labels: []string{"eu", "prod"}}, false},
		"search name":   {"without regard to case", query{search: "orders"}, true},
		"search id":     {"the id", query{search: "1d"}, true},
		"search label":  {"a label", query{search: "de"}, true},
		"search text":   {"the description", query{search: "shop"}, true},
		"search misses": {"nowhere", query{search: "payload"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.query.matches(sec); got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
}
