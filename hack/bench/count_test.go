// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

func TestPeak(t *testing.T) {
	at := func(millis ...int) (out []time.Time) {
		for _, ms := range millis {
			out = append(out, time.Unix(0, 0).Add(time.Duration(ms)*time.Millisecond))
		}
		return out
	}
	cases := map[string]struct {
		reason string
		times  []time.Time
		want   int
	}{
		"None":     {"nothing came", nil, 0},
		"One":      {"it is within any window", at(5), 1},
		"Apart":    {"a window that is open at its end", at(0, 1000, 2000), 1},
		"Together": {"the busiest window is in the middle", at(0, 1500, 1600, 2400, 4000), 3},
		"Mixed":    {"connections overtake each other", at(2400, 1500, 1600, 0), 3},
		"Same":     {"at one moment", at(7, 7, 7), 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := peak(c.times, time.Second); got != c.want {
				t.Errorf("%s: %d, want %d", c.reason, got, c.want)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // from large to small
	}
	cases := map[string]struct {
		reason string
		list   []time.Duration
		p      float64
		want   time.Duration
	}{
		"None":    {"there is nothing", nil, 50, 0},
		"One":     {"it is all of them", []time.Duration{3}, 1, 3},
		"Half":    {"half are at most so long", hundred, 50, 50},
		"Most":    {"99 of 100 are", hundred, 99, 99},
		"All":     {"all are", hundred, 100, 100},
		"Few":     {"one of two is not 99 percent", []time.Duration{1, 9}, 99, 9},
		"First":   {"the smallest", hundred, 0, 1},
		"FewHalf": {"but half", []time.Duration{9, 1}, 50, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := percentile(c.list, c.p); got != c.want {
				t.Errorf("%s: %d, want %d", c.reason, got, c.want)
			}
		})
	}
}

func TestTally(t *testing.T) {
	list := []arrival{{kind: kindRead}, {kind: kindLookup}, {kind: kindRead}}
	got := tallyOf(list, func(a arrival) string { return a.kind })
	if got.total() != 3 || got.total(kindRead) != 1 || got[kindRead] != 2 {
		t.Errorf("%v of %v", got, list)
	}
	if want := "1 look up the token, 2 read"; got.String() != want {
		t.Errorf("%q, want %q", got, want)
	}
	if want := "none"; (tally{}).String() != want {
		t.Errorf("%q, want %q", tally{}, want)
	}
}

func TestKinds(t *testing.T) {
	type kind struct {
		what string
		path int
	}
	for path, want := range map[string]kind{
		"/v1/secret/data/app/17":                        {kindRead, 17},
		"/v1/secret/data/app/x":                         {kindOther, -1},
		"/v1/secret/metadata/app/17":                    {kindMetadata, -1},
		"/v1/sys/internal/ui/mounts/secret/data/app/17": {kindMounts, -1},
		"/v1/sys/events/subscribe/kv*":                  {kindStream, -1},
		"/v1/auth/token/lookup-self":                    {kindLookup, -1},
		"/secret/data/app/17":                           {kindOther, -1},
	} {
		if what, n := vaultKind("GET", path); what != want.what || n != want.path {
			t.Errorf("%s of Vault is %s of %d, want %v", path, what, n, want)
		}
	}
	if what, _ := vaultKind("PUT", "/v1/secret/data/app/17"); what != kindOther {
		t.Errorf("a write is %s", what)
	}
	for path, want := range map[string]string{
		"/identity/token":                    "token",
		"/api/v2/secrets":                    "list",
		"/api/v2/secrets/a-b":                kindRead,
		"/api/v2/secrets/a-b/metadata":       kindMetadata,
		"/api/v2/secret_groups":              kindOther,
		"/api/v2/secrets/a-b/versions/c/xyz": kindMetadata,
	} {
		if got := ibmKind("GET", path); got != want {
			t.Errorf("%s of IBM is %s, want %s", path, got, want)
		}
	}
}
