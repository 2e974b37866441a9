// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestIntervals has objects ask for more than a second between two reads of the
// same secret (row 33).
func TestIntervals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, nil)
	w.in(w.atk, h.store(ss, "s", "", ""))
	cases := map[string]struct {
		every string
		once  bool // it is read once and never again
	}{
		"nanosecond":  {every: "1ns"},
		"microsecond": {every: "1us"},
		"half":        {every: "500ms"},
		"zero":        {every: "0s", once: true},
		"negative":    {every: "-1s", once: true},
	}
	begin := map[string]time.Time{}
	for name, tc := range cases {
		h.put(name, "x")
		begin[name] = time.Now()
		w.in(w.atk, externalSecret(name, "s", name, tc.every, ""))
	}
	for name, tc := range cases {
		if tc.once {
			continue
		}
		eventually(t, func() error {
			if n := h.reads(name); n < 4 {
				return fmt.Errorf("%s was read %d times", name, n)
			}
			return nil
		})
	}
	for name, tc := range cases {
		n, took := h.reads(name), time.Since(begin[name])
		t.Logf("refreshInterval %s: %d reads in %s", tc.every, n, took.Round(time.Millisecond))
		switch most := int(took/time.Second) + 2; { // the first one, and the phase of the second
		case tc.once && n != 1:
			t.Errorf("%s: %d reads", tc.every, n)
		case n > most:
			t.Errorf("%s: %d reads in %s", tc.every, n, took)
		}
	}
}

// TestManyFollowOne has a hundred objects follow one secret: that is one read, and
// not one for each.
func TestManyFollowOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "one"})
	w.in(w.atk, h.store(ss, "s", "", ", timeout: 1m")) // what is asked again for lack of an answer is not meant
	var all strings.Builder
	for i := range 100 {
		all.WriteString(externalSecret(fmt.Sprintf("app-%d", i), "s", "db", rarely, "") + "---\n")
	}
	w.in(w.atk, all.String())
	for i := range 100 {
		w.synced(w.atk, fmt.Sprintf("app-%d", i))
	}
	// Who is not in sync yet follows at least every five minutes, whatever its
	// interval: the turn of that may come while the objects are made.
	n := h.reads("db")
	if most := 2 + int(h.span(n)/(5*time.Minute)); n > most {
		t.Errorf("the secret was read %d times within %s", n, h.span(n))
	}
}

// TestTooMuch has a manager answer with what no Secret can hold (row 34). The
// object says what is wrong, and no part of it is written: neither when there is
// no Secret yet, nor over the one that stands.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"large": strings.Repeat("x", 1<<20+1), "half": strings.Repeat("x", 600<<10), "zero": "a\x00b"})
	h.body("keys", keys(100_000, "1"))
	h.body("names", `{"good":"x","`+strings.Repeat("k", 254)+`":"x"}`)
	h.body("collide", `{"a!":"x","a?":"y"}`)
	h.body("bad", `{"good":"x","b/d":"y"}`)
	h.body("broken", `{"good":"x"`)
	h.body("list", `[1,2,3]`)
	h.body("nested", strings.Repeat("[", 200_000)+strings.Repeat("]", 200_000))
	w.in(w.atk, h.store(ss, "s", "", "")+"---\n"+h.whole(ss, "w"))
	h.put("good", "fine")
	for name, tc := range map[string]struct {
		reason string
		spec   string // after secretStoreRef
		told   []string
	}{
		"large": {
			reason: "the values have 1 MiB at most",
			spec:   "data: [{secretKey: a, remoteRef: {key: large}}]", told: []string{"data: InvalidRef", "too large", "1048576"},
		},
		"halves": {
			reason: "all of them together",
			spec:   "data: [{secretKey: a, remoteRef: {key: half}}, {secretKey: b, remoteRef: {key: half}}]", told: []string{"data: InvalidRef", "too large", "1048576"},
		},
		"templated": {
			reason: "what templates make of them",
			spec:   `target: {template: {data: {a: "{{ .a }}", b: "{{ .a }}"}}}, data: [{secretKey: a, remoteRef: {key: half}}]`, told: []string{"data: InvalidRef", "too large", "1048576"},
		},
		"annotation": {
			reason: "annotations have 256 KiB",
			spec:   `target: {template: {metadata: {annotations: {a: "{{ .a }}"}}}}, data: [{secretKey: a, remoteRef: {key: half}}]`, told: []string{"spec.target.template.metadata.annotations", "too large"},
		},
		"label": {
			reason: "labels have 63 characters",
			spec:   `target: {template: {metadata: {labels: {a: "{{ .a }}"}}}}, data: [{secretKey: a, remoteRef: {key: half}}]`, told: []string{"spec.target.template.metadata.labels[a]", "63"},
		},
		"keys": {
			reason: "the API server takes no object of that size",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: keys}}]", told: []string{"could not update secret: Secret: InvalidRef: ", "is too large for the API server with the names of its keys"},
		},
		"long name": {
			reason: "names have 253 characters",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: names}}]", told: []string{"spec.dataFrom[0]", "too long", "253"},
		},
		"collision": {
			reason: "one of the two would be lost",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: collide}}]", told: []string{"spec.dataFrom[0]", "InvalidRef", `"a_"`},
		},
		"invalid name": {
			reason: "a rewrite leaves it as it is",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: bad}, rewrite: [{regexp: {source: x, target: z}}]}]", told: []string{"spec.dataFrom[0]", "InvalidRef", `"b/d"`},
		},
		"rewritten name": {
			reason: "a rewrite makes it so",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: collide, conversionStrategy: Unicode}, rewrite: [{transform: {template: '{{ .value }}/x'}}]}]", told: []string{"spec.dataFrom[0]", "InvalidRef"},
		},
		"templated name": {
			reason: "a template makes it so",
			spec:   `target: {template: {templateFrom: [{literal: "a/b: c"}]}}, data: [{secretKey: a, remoteRef: {key: good}}]`, told: []string{"spec.target.template.templateFrom[0].literal", "InvalidRef"},
		},
		"template's name": {
			reason: "the manifest says so",
			spec:   `target: {template: {data: {"a/b": c}}}, data: [{secretKey: a, remoteRef: {key: good}}]`, told: []string{"spec.target.template.data[a/b]", "InvalidRef"},
		},
		"dots": {
			reason: "it would be a folder",
			spec:   `target: {template: {data: {"..": c}}}, data: [{secretKey: a, remoteRef: {key: good}}]`, told: []string{"spec.target.template.data[..]", "InvalidRef"},
		},
		"null byte": {
			reason: "the manifest wants none",
			spec:   "data: [{secretKey: a, remoteRef: {key: zero, nullBytePolicy: Fail}}]", told: []string{"spec.data[0]", "null"},
		},
		"no JSON": {
			reason: "it ends too early",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: broken}}]", told: []string{"spec.dataFrom[0]"},
		},
		"list": {
			reason: "a list has no names",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: list}}]", told: []string{"spec.dataFrom[0]"},
		},
		"nested": {
			reason: "it is nested too deeply",
			spec:   "dataFrom: [{sourceRef: {storeRef: {name: w}}, extract: {key: nested}}]", told: []string{"spec.dataFrom[0]"},
		},
		"base64": {
			reason: "it is none",
			spec:   "data: [{secretKey: a, remoteRef: {key: zero, decodingStrategy: Base64}}]", told: []string{"spec.data[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			head := "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: %s}\nspec: {secretStoreRef: {name: s}, %s}\n"
			fresh, stands := slug(name)+"-fresh", slug(name)+"-stands"
			w.in(w.atk, externalSecret(stands, "s", "good", "8760h0m0s", ""))
			w.secret(w.atk, stands, map[string]string{"password": "fine"})
			before := w.get("Secret", w.atk, stands)
			w.in(w.atk, fmt.Sprintf(head, fresh, tc.spec)+"---\n"+fmt.Sprintf(head, stands, tc.spec))
			c := w.failed(w.atk, fresh, tc.told...)
			if len(c.message) > 2<<10 {
				t.Errorf("the message has %d bytes", len(c.message))
			}
			w.none(w.atk, fresh)
			w.failed(w.atk, stands, tc.told...)
			if after := w.get("Secret", w.atk, stands); after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
				t.Errorf("%s, and the Secret that stood was touched", tc.reason)
			}
		})
	}
}

// keys is a JSON object of many members.
func keys(n int, value string) string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprintf("a-rather-long-name-of-key-%d", i)] = value
	}
	b, _ := json.Marshal(m)
	return string(b)
}
