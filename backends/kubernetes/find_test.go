// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

func mustURL(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse("https://api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// scripted is an API server with some Secrets of one size, that says 410 in the
// middle of a listing, as often as it is told.
type scripted struct {
	names   []string
	size    int // bytes of each
	expires int // times
	token   bool
	always  bool     // also where it said to go on
	asked   []string // limit and continue of each request
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.asked = append(s.asked, strings.TrimSpace(q.Get("limit")+" "+q.Get("continue")))
	from, limit := 0, 0
	_, _ = fmt.Sscan(q.Get("limit"), &limit)
	if c := q.Get("continue"); c != "" {
		_, _ = fmt.Sscan(strings.TrimPrefix(c, "fresh-"), &from)
		if s.expires > 0 && (s.always || !strings.HasPrefix(c, "fresh-")) {
			s.expires--
			status := metav1.Status{Code: http.StatusGone, Reason: metav1.StatusReasonExpired}
			if s.token {
				status.Continue = "fresh-" + c
			}
			sayStatus(w, status)
			return
		}
	}
	to := min(from+limit, len(s.names))
	list := corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	for _, name := range s.names[from:to] {
		list.Items = append(list.Items, corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", ResourceVersion: "1"}, Data: map[string][]byte{"k": make([]byte, s.size)},
		})
	}
	if to < len(s.names) {
		list.Continue = strconv.Itoa(to)
	}
	say(w, http.StatusOK, list)
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("s%04d", i)
	}
	return out
}

func TestFindGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		server scripted
		asked  []string
		want   int
		code   backend.Code
	}{
		"pages":         {"to the end", scripted{names: names(1100)}, []string{"500", "500 500", "500 1000"}, 1100, ""},
		"expired":       {"from the same name", scripted{names: names(600), expires: 1, token: true}, []string{"500", "500 500", "500 fresh-500"}, 600, ""},
		"expires again": {"it does not go round for ever", scripted{names: names(600), expires: 9, token: true, always: true}, []string{"500", "500 500", "500 fresh-500"}, 500, backend.Unavailable},
		"no way on":     {"half a listing is none", scripted{names: names(600), expires: 1}, []string{"500", "500 500"}, 500, backend.Unavailable},
		"too large":     {"in smaller pages", scripted{names: names(40), size: 1 << 20}, []string{"500", "125", "31", "7", "7 7", "7 14", "7 21", "7 28", "7 35"}, 40, ""},
		"one alone":     {"is too large", scripted{names: names(1), size: 10 << 20}, []string{"500", "125", "31", "7", "1"}, 0, backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(&c.server)
			defer server.Close()
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			f := &finder{&api{base: base, namespace: "ns", client: server.Client(), login: &login{}}}
			var got []string
			for found, e := range f.Find(t.Context(), backend.Query{}) {
				if err = e; err == nil {
					got = append(got, found.Ref.Path)
				}
			}
			if backend.CodeOf(err) != c.code || !slices.Equal(got, c.server.names[:c.want]) {
				t.Errorf("%s: %d found with code %q, want the first %d with %q", c.reason, len(got), backend.CodeOf(err), c.want, c.code)
			}
			if diff := cmp.Diff(c.asked, c.server.asked); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// A Secret that a listing garbles would be taken for a removed one.
func TestFindRefusesGarbage(t *testing.T) {
	for name, body := range map[string]string{
		"no list":         `{}`,
		"no version":      `{"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a", "namespace": "ns"}}]}`,
		"other namespace": `{"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a", "namespace": "x", "resourceVersion": "1"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
			defer server.Close()
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			f := &finder{&api{base: base, namespace: "ns", client: server.Client(), login: &login{}}}
			for _, err = range f.Find(t.Context(), backend.Query{}) {
				break
			}
			if backend.CodeOf(err) != backend.Unavailable {
				t.Errorf("code %q", backend.CodeOf(err))
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	for name, c := range map[string]struct {
		reason   string
		query    backend.Query
		selector string
		code     backend.Code
	}{
		"tags":       {"are labels", backend.Query{Tags: "env=dev,tier=x"}, "env=dev,tier=x", ""},
		"no value":   {"an empty label", backend.Query{Tags: "env="}, "env=", ""},
		"no tags":    {"no labels", backend.Query{Name: "x"}, "", ""},
		"bad name":   {"is no label", backend.Query{Tags: "a b=x"}, "", backend.InvalidRef},
		"operator":   {"is not smuggled in", backend.Query{Tags: "a=b)|c"}, "", backend.InvalidRef},
		"kind":       {"there are none", backend.Query{Kind: "Opaque"}, "", backend.InvalidRef},
		"expression": {"is none", backend.Query{Name: "("}, "", backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			params, _, err := narrow(c.query)
			if params.Get("labelSelector") != c.selector || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %q with code %q, want %q with %q", c.reason, params.Get("labelSelector"), backend.CodeOf(err), c.selector, c.code)
			}
		})
	}
}

func TestProbeCosts(t *testing.T) {
	w := newWorld(t)
	w.smallPages = 2
	token := w.user("reader", everything)
	getter := w.user("getter", []string{"get"})
	var refs []backend.Ref
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		refs = append(refs, w.put(name, fields("k", name)))
	}
	gone := backend.Ref{Path: "gone"}
	meta := backend.Ref{Path: "a", Part: backend.Metadata}
	for name, c := range map[string]struct {
		reason   string
		token    string
		refs     []backend.Ref
		requests int64
		told     []bool
		code     backend.Code
	}{
		"none":        {"no question, no request", token, nil, 0, nil, ""},
		"one":         {"is got, which needs no right to list", getter, refs[3:4], 1, []bool{true}, ""},
		"one twice":   {"is one", token, []backend.Ref{refs[0], meta}, 1, []bool{true, true}, ""},
		"one missing": {"has to be read", token, []backend.Ref{gone}, 1, []bool{false}, ""},
		"near":        {"on one page", token, refs[:2], 1, []bool{true, true}, ""},
		"far":         {"no more requests than for reading", token, []backend.Ref{refs[0], refs[6]}, 2, []bool{true, false}, ""},
		"bad":         {"is told by reading", token, []backend.Ref{refs[0], {}}, 1, []bool{true, false}, ""},
		"may not":     {"so all have to be read", getter, refs[:2], 1, nil, backend.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(w.manifest(nil), holding(c.token))
			before, values := w.requests.Load(), w.values.Load()
			tokens, err := b.Prober.Probe(t.Context(), c.refs)
			if backend.CodeOf(err) != c.code || w.requests.Load()-before != c.requests || w.values.Load() != values {
				t.Fatalf("%s: code %q, %d requests, %d for values", c.reason, backend.CodeOf(err), w.requests.Load()-before, w.values.Load()-values)
			}
			var told []bool
			for i, got := range tokens {
				told = append(told, got != "")
				if s, err := read(t.Context(), b, c.refs[i]); got != "" && (err != nil || s.Version != got) {
					t.Errorf("the token of %s is not the version that is read", c.refs[i])
				}
			}
			if diff := cmp.Diff(c.told, told); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
