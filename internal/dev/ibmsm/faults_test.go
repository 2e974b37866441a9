// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
	"github.com/google/go-cmp/cmp"
)

func TestRateLimit(t *testing.T) {
	c := newClock()
	s, hs := start(t, Options{RateLimit: 3, RetryAfter: 1500 * time.Millisecond, Now: c.Now})
	id := put(t, s, "popular", "v")
	api := client(t, hs, secretsKey)
	get := func() (int, string) {
		_, r, err := api.GetSecret(&sm.GetSecretOptions{ID: &id})
		return code(t, r, err), r.Headers.Get("Retry-After")
	}
	for i := range 3 {
		if got, _ := get(); got != 200 {
			t.Fatalf("request %d: %d", i, got)
		}
	}
	for range 2 {
		if got, after := get(); got != 429 || after != "2" {
			t.Errorf("over the rate: %d, Retry-After %q", got, after)
		}
	}
	c.advance(time.Second)
	if got, _ := get(); got != 200 {
		t.Errorf("a second later: %d", got)
	}
	want := Stats{Total: 7, Kinds: map[Kind]int{KindToken: 1, KindGet: 6}, Peak: 5, Limited: 2, Reads: map[string]int{id: 6}, Grants: map[string]int{"apikey": 1}, KeysMade: map[string]int{}}
	if d := cmp.Diff(want, s.Stats()); d != "" {
		t.Error(d)
	}
}

// TestSDKHonoursRetryAfter is IBM's own retry against the stand-in's answer.
func TestSDKHonoursRetryAfter(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "patient", "v")
	s.Fail(Match{Kind: KindGet}, Fault{Status: 429, RetryAfter: "0", Count: 2})
	api := client(t, hs, secretsKey)
	api.EnableRetries(3, time.Second)
	if got := getPayload(t, api, id); got != "v" {
		t.Error("not the value")
	}
	if got := s.Stats().Kinds[KindGet]; got != 3 {
		t.Errorf("%d requests, want two refused and one answered", got)
	}
}

func TestFaults(t *testing.T) {
	const canary = "canary-in-an-error-body"
	cases := map[string]struct {
		reason string
		match  func(id string) Match
		fault  Fault
		status []int // of consecutive reads
		says   string
	}{
		"by id":      {"with the service's body", func(id string) Match { return Match{ID: id} }, Fault{Status: 503}, []int{503, 503}, "Service Unavailable"},
		"by name":    {"the name finds it too", func(string) Match { return Match{Name: "hit"} }, Fault{Status: 500}, []int{500}, ""},
		"count":      {"then it works again", func(string) Match { return Match{} }, Fault{Status: 500, Count: 2}, []int{500, 500, 200}, ""},
		"own body":   {"tests plant a canary", func(string) Match { return Match{} }, Fault{Status: 400, Body: `{"errors":[{"message":"` + canary + `"}]}`}, []int{400}, canary},
		"html":       {"a proxy's page", func(string) Match { return Match{} }, Fault{Status: 502, Body: "<html>"}, []int{502}, ""},
		"other id":   {"another secret's fault", func(string) Match { return Match{ID: "x"} }, Fault{Status: 500}, []int{200}, ""},
		"other kind": {"another kind's fault", func(string) Match { return Match{Kind: KindList} }, Fault{Status: 500}, []int{200}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, hs := start(t, Options{})
			id := put(t, s, "hit", "v")
			api := client(t, hs, secretsKey)
			getPayload(t, api, id) // so that a fault on everything does not hit the token
			s.Fail(tc.match(id), tc.fault)
			for i, want := range tc.status {
				_, r, err := api.GetSecret(&sm.GetSecretOptions{ID: &id})
				if got := code(t, r, err); got != want {
					t.Errorf("%s: read %d got %d", tc.reason, i, got)
				}
				if tc.says != "" && !strings.Contains(fmt.Sprint(err), tc.says) {
					t.Errorf("%s: the error is %v", tc.reason, err)
				}
			}
			s.ClearFaults()
			if getPayload(t, api, id) != "v" {
				t.Error("the fault outlived ClearFaults")
			}
		})
	}
}

func TestFaultOnIDHitsReadByName(t *testing.T) {
	s := New(Options{Keys: allKeys})
	s.Fail(Match{ID: put(t, s, "named", "v")}, Fault{Status: 500, Count: 1})
	const path = "/api/v2/secret_groups/default/secret_types/arbitrary/secrets/named"
	if a, b := call(t, s, "GET", path).Code, call(t, s, "GET", path).Code; a != 500 || b != 200 {
		t.Errorf("got %d, then %d", a, b)
	}
}

func TestTokenFault(t *testing.T) {
	s, hs := start(t, Options{})
	s.Fail(Match{Kind: KindToken}, Fault{Status: 503, Count: 1})
	api := client(t, hs, readerKey)
	if _, r, err := api.ListSecrets(&sm.ListSecretsOptions{}); err == nil || code(t, r, err) != 503 {
		t.Errorf("got %v", err)
	}
	if _, _, err := api.ListSecrets(&sm.ListSecretsOptions{}); err != nil {
		t.Errorf("the next token: %v", err)
	}
}

func TestResetFault(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "cut", "v")
	api := client(t, hs, secretsKey)
	getPayload(t, api, id)
	s.Fail(Match{Kind: KindGet}, Fault{Reset: true})
	if _, r, err := api.GetSecret(&sm.GetSecretOptions{ID: &id}); err == nil || r != nil {
		t.Errorf("the connection was not cut: %v", err)
	}
	s.ClearFaults()
	getPayload(t, api, id)
}

func TestShapedAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  Fault
		status int
		length string // Content-Length
		body   string
		cut    bool
		typ    string
	}{
		"wrong types":   {"a body of the test's own", Fault{Status: 200, Body: `{"id":7}`}, 200, "8", `{"id":7}`, false, "application/json"},
		"empty":         {"no body", Fault{Empty: true}, 200, "0", "", false, ""},
		"empty 502":     {"no body of an error", Fault{Empty: true, Status: 502}, 502, "0", "", false, ""},
		"content type":  {"a proxy's page", Fault{Status: 200, Body: "<html>", ContentType: "text/html"}, 200, "6", "<html>", false, "text/html"},
		"cut":           {"half a body of the test's own", Fault{Status: 200, Body: `{"id":"abc"}`, Cut: 5}, 200, "12", `{"id"`, true, "application/json"},
		"cut to naught": {"headers only", Fault{Status: 200, Body: `{"id":"abc"}`, Cut: -1}, 200, "12", "", true, "application/json"},
		"cut too late":  {"a body that is shorter is whole", Fault{Status: 200, Body: "{}", Cut: 5}, 200, "2", "{}", false, "application/json"},
		"limited":       {"without Retry-After", Fault{Status: 429, Body: "{}"}, 429, "2", "{}", false, "application/json"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, hs := start(t, Options{})
			s.Fail(Match{Kind: KindList}, tc.fault)
			got, err := fetch(t, s, hs.URL+"/api/v2/secrets")
			if (err != nil) != tc.cut || got.body != tc.body {
				t.Errorf("%s: got %q, %v", tc.reason, got.body, err)
			}
			h := got.header
			if got.status != tc.status || h.Get("Content-Length") != tc.length || h.Get("Content-Type") != tc.typ || h.Get("Retry-After") != "" {
				t.Errorf("%s: got %d %v", tc.reason, got.status, h)
			}
		})
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// fetch reads as far as the connection permits.
func fetch(t *testing.T, s *Server, address string) (reply, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenFor(t, s, managerKey))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body)}, err
}

// TestShapedRealAnswer cuts what the server would have said, and the token too.
func TestShapedRealAnswer(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "whole", "v")
	whole, err := fetch(t, s, hs.URL+"/api/v2/secrets/"+id)
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(Match{ID: id}, Fault{Cut: 100, ContentType: "text/html", Count: 1})
	part, err := fetch(t, s, hs.URL+"/api/v2/secrets/"+id)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(part.body) != 100 || !strings.HasPrefix(whole.body, part.body[:50]) || part.header.Get("Content-Type") != "text/html" {
		t.Errorf("got %d bytes, %v", len(part.body), err)
	}
	s.Fail(Match{Kind: KindToken}, Fault{Cut: 20, Count: 1})
	if _, _, err := client(t, hs, readerKey).ListSecrets(&sm.ListSecretsOptions{}); err == nil {
		t.Error("half a token was enough")
	}
	s.Fail(Match{ID: id}, Fault{Reset: true, Cut: 1})
	r := httptest.NewRequest(http.MethodGet, hs.URL+"/api/v2/secrets/"+id, http.NoBody)
	r.RequestURI = ""
	if resp, err := http.DefaultClient.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("the connection was not cut")
	}
}

// waitReads polls until n reads of a secret have arrived.
func waitReads(t *testing.T, s *Server, id string, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Reads[id] < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the request did not arrive")
		}
	}
}

func TestHold(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "slow", "v")
	api := client(t, hs, secretsKey)
	release := s.Fail(Match{ID: id}, Fault{Hold: true})
	defer release()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	read := func(ctx context.Context) {
		_, _, err := api.GetSecretWithContext(ctx, &sm.GetSecretOptions{ID: &id})
		done <- err
	}
	go read(ctx)
	waitReads(t, s, id, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read returned %v", err)
	}
	go read(t.Context())
	waitReads(t, s, id, 2)
	select {
	case <-done:
		t.Error("the read was not held")
	default:
	}
	release()
	if err := <-done; err != nil {
		t.Errorf("a released read: %v", err)
	}
}

func TestStatsEndpoint(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "counted", "v")
	api := client(t, hs, managerKey)
	getPayload(t, api, id)
	get := func() (out Stats) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hs.URL+"/_standin/stats", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hs.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := cmp.Diff(s.Stats(), get()); d != "" || s.Stats().Total != 2 {
		t.Errorf("two requests, and asking counts as none: %s", d)
	}
	if w := call(t, s, "POST", "/_standin/reset-stats"); w.Code != 204 {
		t.Errorf("reset: %d", w.Code)
	}
	if got := get(); got.Total != 0 || len(got.Reads) != 0 || got.Peak != 0 {
		t.Errorf("after the reset: %+v", got)
	}
}

func TestPeakIsAnyOneSecond(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tr := newTraffic()
	for _, ms := range []int{0, 900, 1000, 1899, 2500} {
		tr.arrive(base.Add(time.Duration(ms)*time.Millisecond), KindGet, "", 0)
	}
	if tr.stats.Peak != 3 {
		t.Errorf("got %d, want the three from 900 to 1899 ms", tr.stats.Peak)
	}
}

func TestPut(t *testing.T) {
	s := New(Options{Keys: allKeys})
	id := put(t, s, "seeded", "v1")
	if put(t, s, "seeded", "v1") != id || s.store.secrets[id].total != 1 {
		t.Error("the same value makes no version")
	}
	if put(t, s, "seeded", "v2") != id || s.store.secrets[id].total != 2 {
		t.Error("another value makes one")
	}
	login := func(user string) error {
		_, err := s.Put(Seed{Name: "login", Type: "username_password", Group: "team", Fields: map[string]any{"username": user, "password": "p"}})
		return err
	}
	if err := errors.Join(login("u"), login("u")); err != nil {
		t.Error(err)
	}
	if login("other") == nil {
		t.Error("a user name cannot be rotated")
	}
	if id, ok := s.Lookup("team", "username_password", "login"); !ok || s.Delete(id) != nil || s.Delete(id) == nil {
		t.Error("delete removes once")
	}
	if _, err := s.Put(Seed{Name: "bad name", Fields: map[string]any{"payload": "canary-value"}}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if s.Stats().Total != 0 {
		t.Error("the back door counts as no request")
	}
}

func TestConcurrentUse(t *testing.T) {
	s, hs := start(t, Options{})
	id := put(t, s, "shared", "v")
	api := client(t, hs, managerKey)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if _, _, err := api.GetSecret(&sm.GetSecretOptions{ID: &id}); err != nil {
					t.Error(err)
				}
				if _, _, err := api.ListSecrets(&sm.ListSecretsOptions{}); err != nil {
					t.Error(err)
				}
				if _, err := s.Rotate(id, map[string]any{"payload": fmt.Sprint("v", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.Stats(); got.Reads[id] != 80 || got.Kinds[KindList] != 80 {
		t.Errorf("counted %d reads and %d lists", got.Reads[id], got.Kinds[KindList])
	}
}
