// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// apiOf is what a backend asks with.
func apiOf(b backend.Backend) *api { return b.Reader.(*reader).api }

// listing opens an instance whose lists are what answer says. It does not
// check tokens.
func listing(t *testing.T, answer func(q url.Values) string) *api {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/token", says(200, `{"access_token":"t","expires_in":3600}`))
	mux.HandleFunc("GET /api/v2/secrets", func(w http.ResponseWriter, r *http.Request) {
		says(200, answer(r.URL.Query()))(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return apiOf(open(t, map[string]string{
		envPrefix + "ENDPOINT": server.URL, envPrefix + "AUTH_URL": server.URL, envPrefix + "APIKEY": goodKey,
	}, nil))
}

// listed is a page of a list.
func listed(all []string, q url.Values) string {
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	from := min(offset, len(all))
	secrets := []map[string]any{}
	for _, id := range all[from:min(from+limit, len(all))] {
		secrets = append(secrets, map[string]any{"id": id, "secret_type": typeArbitrary, "name": "n-" + id})
	}
	page, _ := json.Marshal(map[string]any{"total_count": len(all), "secrets": secrets})
	return string(page)
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("id-%06d", i)
	}
	return out
}

// walk returns what a listing yields.
func walk(t *testing.T, a *api, f filter) ([]string, error) {
	t.Helper()
	var out []string
	for i, err := range a.list(t.Context(), f) {
		if err != nil {
			return out, err
		}
		out = append(out, i.ID)
	}
	return out, nil
}

// TestListUnderChange: what is there all the time is listed once, whatever is
// added and removed while the pages are read.
func TestListUnderChange(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(all []string) []string // between the first page and the second
		fails  bool
	}{
		"Still":         {"nothing happens", func(all []string) []string { return all }, false},
		"RemovedBefore": {"the others move up", func(all []string) []string { return all[3:] }, false},
		"RemovedMany":   {"half a page is gone back over", func(all []string) []string { return all[400:] }, false},
		"RemovedLast":   {"of the first page", func(all []string) []string { return slices.Delete(all, 999, 1000) }, false},
		"RemovedRest":   {"the list ends earlier than it said", func(all []string) []string { return all[:700] }, false},
		"AddedBefore": {"the others move down", func(all []string) []string {
			return append([]string{"id-0-new", "id-1-new"}, all...)
		}, false},
		"RemovedTooMany": {"nobody knows what is missing", func(all []string) []string { return all[900:] }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := ids(2500)
			after := c.change(slices.Clone(before))
			asked := 0
			a := listing(t, func(q url.Values) string {
				asked++
				if asked == 1 {
					return listed(before, q)
				}
				return listed(after, q)
			})
			got, err := walk(t, a, filter{})
			if c.fails {
				failed(t, err, backend.Unavailable, "IBM Cloud Secrets Manager gives a list of secrets that is not complete")
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if asked > 5 {
				t.Errorf("%d requests", asked)
			}
			seen := map[string]int{}
			for _, id := range got {
				seen[id]++
			}
			for _, id := range before {
				if slices.Contains(after, id) && seen[id] == 0 {
					t.Fatalf("%s: %s is not listed", c.reason, id)
				}
				if seen[id] > 1 {
					t.Fatalf("%s: %s is listed %d times", c.reason, id, seen[id])
				}
			}
		})
	}
}

// TestListAnswers: what is no list must not pass for an empty one, which would
// say that secrets are missing.
func TestListAnswers(t *testing.T) {
	const (
		unread = "IBM Cloud Secrets Manager gave an answer to the request for the list of secrets that cannot be read"
		holes  = "IBM Cloud Secrets Manager gives a list of secrets that is not complete"
	)
	cases := map[string]struct {
		reason string
		body   string
		want   int
		err    string
	}{
		"Empty":       {reason: "as it should be", body: `{"total_count":0,"secrets":[]}`},
		"NewType":     {reason: "the SDK fails on it", body: `{"total_count":1,"secrets":[{"id":"x","secret_type":"later_type","labels":null,"later":{}}]}`, want: 1},
		"NoList":      {reason: "a proxy's JSON", body: `{"total_count":0}`, err: unread},
		"NoTotal":     {reason: "a proxy's JSON", body: `{"secrets":[]}`, err: unread},
		"Null":        {reason: "a proxy's JSON", body: `null`, err: unread},
		"NoBody":      {reason: "a proxy's answer", body: ``, err: unread},
		"Array":       {reason: "a proxy's JSON", body: `["canary"]`, err: unread},
		"NoID":        {reason: "not a secret", body: `{"total_count":1,"secrets":[{"secret_type":"kv"}]}`, err: unread},
		"SamePage":    {reason: "it ignores the offset", body: `{"total_count":5,"secrets":[{"id":"x","secret_type":"kv"}]}`, err: holes},
		"EmptyAtOnce": {reason: "it says there is more", body: `{"total_count":5,"secrets":[]}`, err: holes},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := walk(t, listing(t, func(url.Values) string { return c.body }), filter{})
			if c.err != "" {
				failed(t, err, backend.Unavailable, c.err)
				return
			}
			if err != nil || len(got) != c.want {
				t.Errorf("%s: %d secrets, %v", c.reason, len(got), err)
			}
		})
	}
}

// TestListTooLong: neither a list without an end nor an answer without one is
// read.
func TestListTooLong(t *testing.T) {
	n := 0
	a := listing(t, func(q url.Values) string {
		n++
		offset, _ := strconv.Atoi(q.Get("offset"))
		return fmt.Sprintf(`{"total_count":100000000,"secrets":[{"id":"x%d","secret_type":"kv"},{"id":"x%d","secret_type":"kv"}]}`, offset, offset+1)
	})
	_, err := walk(t, a, filter{})
	failed(t, err, backend.Conflict, "the list has more than 200000 secrets; narrow the search")
	if n != maxPages {
		t.Errorf("%d requests, want %d", n, maxPages)
	}
	big := strings.Repeat("canary ", maxAnswer/7)
	_, err = walk(t, listing(t, func(url.Values) string { return `{"total_count":0,"secrets":[],"x":"` + big + `"}` }), filter{})
	failed(t, err, backend.Unavailable, "IBM Cloud Secrets Manager gave an answer to the request for the list of secrets that cannot be read")
}

// TestListRefused: no failure of a listing says that anything is missing.
func TestListRefused(t *testing.T) {
	w := start(t, ibmsm.Options{})
	a := apiOf(w.open(nil))
	for status, want := range map[int]backend.Code{
		400: backend.Unknown, 401: backend.Unauthenticated, 403: backend.PermissionDenied, 404: backend.Unavailable,
		410: backend.Unavailable, 429: backend.RateLimited, 500: backend.Unavailable,
	} {
		w.Fail(ibmsm.Match{Kind: ibmsm.KindList}, ibmsm.Fault{Status: status, Body: errorBody(canary)})
		before := w.Stats().Kinds[ibmsm.KindList]
		_, err := walk(t, a, filter{})
		if got := backend.CodeOf(err); got != want {
			t.Errorf("%d: code %q, want %q", status, got, want)
		}
		clean(t, err)
		if n := w.Stats().Kinds[ibmsm.KindList] - before; n != 1 {
			t.Errorf("%d: %d requests", status, n)
		}
		w.ClearFaults()
	}
}

func TestVersionOf(t *testing.T) {
	cases := map[string]struct {
		reason   string
		typ      string
		reuse    bool
		versions int
		updated  string
		want     string
	}{
		"Usual":    {"both count", typeArbitrary, false, 2, "t", "2 t"},
		"Unknown":  {"the product does not say", typeArbitrary, false, 0, "", ""},
		"Reuse":    {"reading changes nothing", mutatingType, true, 2, "t", "2 t"},
		"Mutating": {"reading moves the date", mutatingType, false, 2, "t", "2"},
		"Silent":   {"never a version that no other has", mutatingType, false, 0, "t", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := versionOf(c.typ, c.reuse, c.versions, c.updated); got != c.want {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
		})
	}
}
