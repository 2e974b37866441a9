// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// canary is in every value that must not be seen in a message.
const canary = "c4n4ry-5ecret"

var store = spec.StoreKey{Kind: "k", Name: "s"}

func drivers() spec.Drivers {
	return spec.Drivers{"plain": {
		Ref: func(_ backend.Dialect, k backend.Key) (backend.Ref, error) { return backend.Ref{Path: k.Key}, nil },
	}}
}

func inputs() spec.Inputs {
	return spec.Inputs{Stores: map[spec.StoreKey]spec.Store{store: {Driver: "plain"}}}
}

// data is an entry that fills one key.
func data(name, key string) spec.Entry {
	return spec.Entry{Where: "spec.data." + name, Store: store, Key: backend.Key{Key: key}, Name: name}
}

func property(name, key, path string) spec.Entry {
	e := data(name, key)
	e.Property, e.HasProperty = path, true
	return e
}

// from is an entry that fills one key for each property.
func from(key string) spec.Entry {
	e := data("", key)
	e.Where = "spec.dataFrom." + key
	return e
}

func binary(e spec.Entry) spec.Entry {
	e.Decode = spec.DecodeLenient
	return e
}

// text is an answer with a value as the store has it.
func text(s string) plan.Answer {
	return plan.Answer{Secret: backend.Secret{Payload: backend.NewValue([]byte(s))}}
}

// document is an answer that is JSON by the product's own definition.
func document(s string) plan.Answer {
	a := text(s)
	a.Secret.JSON = true
	return a
}

// rendered renders entries against answers by key.
func rendered(s spec.Spec, answers map[string]plan.Answer, d spec.Drivers) render.Desired {
	in := inputs()
	p := plan.Build(s, in, d)
	snapshot := plan.Snapshot{}
	for _, k := range p.Keys() {
		if a, ok := answers[k.Ref.Path]; ok {
			snapshot[k] = a
		}
	}
	return render.Secret(s, in, p, snapshot, d)
}

// texts are the values as text, for comparing.
func texts(data map[string]backend.Value) map[string]string {
	out := map[string]string{}
	for k, v := range data {
		out[k] = string(v.Reveal())
	}
	return out
}

func values(kv ...string) map[string]backend.Value {
	out := map[string]backend.Value{}
	for i := 0; i < len(kv); i += 2 {
		out[kv[i]] = backend.NewValue([]byte(kv[i+1]))
	}
	return out
}

func TestMerge(t *testing.T) {
	answers := map[string]plan.Answer{
		"one":  text(`{"a":"one-a","b":"one-b"}`),
		"two":  text(`{"b":"two-b","c":"two-c"}`),
		"word": text("plain"),
	}
	cases := map[string]struct {
		reason   string
		entries  []spec.Entry
		template spec.Template
		want     map[string]string
	}{
		"Empty": {
			reason: "no entries is a Secret without data, not an error",
			want:   map[string]string{},
		},
		"LaterWins": {
			reason:  "of two entries with one key the later one wins",
			entries: []spec.Entry{data("x", "word"), property("x", "one", "a")},
			want:    map[string]string{"x": "one-a"},
		},
		"LaterWinsTheOtherWay": {
			reason:  "and it is the order that decides, not the kind",
			entries: []spec.Entry{property("x", "one", "a"), data("x", "word")},
			want:    map[string]string{"x": "plain"},
		},
		"Spreads": {
			reason:  "a later document overrides single keys of an earlier one",
			entries: []spec.Entry{from("one"), from("two"), property("c", "one", "a")},
			want:    map[string]string{"a": "one-a", "b": "two-b", "c": "one-a"},
		},
		"TemplateBelow": {
			reason:   "what was read wins over the template's data",
			entries:  []spec.Entry{property("a", "one", "a")},
			template: spec.Template{Data: values("a", "template", "d", "template")},
			want:     map[string]string{"a": "one-a", "d": "template"},
		},
		"OverridesAbove": {
			reason:   "stringData wins over what was read, as the API server has it",
			entries:  []spec.Entry{from("one")},
			template: spec.Template{Data: values("a", "below"), Overrides: values("a", "above", "e", "new")},
			want:     map[string]string{"a": "above", "b": "one-b", "e": "new"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := texts(tc.template.Data)
			s := spec.Spec{Entries: tc.entries, Target: spec.Target{Name: "t", Template: tc.template}}
			got := rendered(s, answers, drivers())
			if len(got.Problems) > 0 {
				t.Fatalf("problems: %v", got.Problems)
			}
			if diff := cmp.Diff(tc.want, texts(got.Data)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before, texts(tc.template.Data)); diff != "" {
				t.Errorf("the template itself changed: -want, +got:\n%s", diff)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	yes := true
	target := spec.Target{Name: "t", Type: "kubernetes.io/tls", Template: spec.Template{
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "2"}, Finalizers: []string{"f/g"}, Immutable: &yes,
	}}
	got := rendered(spec.Spec{Target: target}, nil, drivers())
	want := render.Desired{
		Type: "kubernetes.io/tls", Data: map[string]backend.Value{},
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "2"}, Finalizers: []string{"f/g"}, Immutable: &yes,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the template has besides data is passed on\n-want, +got:\n%s", diff)
	}
}

func TestProblems(t *testing.T) {
	down := backend.Errorf(backend.Unavailable, "it is out of order")
	gone := backend.Errorf(backend.NotFound, "there is no such secret")
	answers := map[string]plan.Answer{
		"doc":   text(`{"a":"` + canary + `"}`),
		"plain": text(canary),
		"down":  {Err: down, Failing: 7 * time.Second},
		"gone":  {Err: gone},
		"huge":  text(`"` + strings.Repeat(canary, (4<<20)/len(canary)+1) + `"`),
		"bad":   document("{" + canary),
		"names": text(`{"good":"1","b d":"2","":"3"}`),
	}
	cases := map[string]struct {
		reason  string
		entries []spec.Entry
		want    []render.Problem
	}{
		"Missing": {
			reason:  "in the words of KES",
			entries: []spec.Entry{property("x", "doc", "nope.at[0].all")},
			want:    []render.Problem{problem("spec.data.x", backend.InvalidRef, "Could not find property nope.at[0].all in doc")},
		},
		"MissingEmpty": {
			reason:  "the empty property is a property",
			entries: []spec.Entry{property("x", "doc", "")},
			want:    []render.Problem{problem("spec.data.x", backend.InvalidRef, "Could not find property  in doc")},
		},
		"NotJSON": {
			reason:  "KES dropped such entries and said SUCCESS",
			entries: []spec.Entry{property("x", "plain", "p")},
			want: []render.Problem{problem("spec.data.x", backend.InvalidRef,
				"the value of plain is not JSON, so it has no property p; for a plain value remove the property")},
		},
		"FromNotJSON": {
			reason:  "KES ignored them",
			entries: []spec.Entry{from("plain")},
			want: []render.Problem{problem("spec.dataFrom.plain", backend.InvalidRef,
				"the value of plain is not JSON, so it has no keys to take; for a plain value use data")},
		},
		"AnswerNotJSON": {
			reason:  "a product that breaks its own promise is not the manifest's fault",
			entries: []spec.Entry{data("x", "bad")},
			want:    []render.Problem{problem("spec.data.x", backend.Unknown, "the answer for bad is not JSON")},
		},
		"TooLargeToParse": {
			reason:  "parsing is bounded",
			entries: []spec.Entry{property("x", "huge", "length")},
			want: []render.Problem{problem("spec.data.x", backend.InvalidRef,
				"the value of huge is too large to be read as JSON: at most 4194304 bytes")},
		},
		"Unread": {
			reason:  "a snapshot without the answer must not lead to an empty value",
			entries: []spec.Entry{data("x", "never")},
			want:    []render.Problem{problem("spec.data.x", backend.Unknown, "never was not read")},
		},
		"InOrder": {
			reason: "all of them, in the order of the manifest, with how long the store fails",
			entries: []spec.Entry{
				data("z", "gone"), data("y", "plain"), data("x", "down"), property("w", "doc", "b"),
			},
			want: []render.Problem{
				problem("spec.data.z", backend.NotFound, "there is no such secret"),
				{Issue: spec.Issue{Where: "spec.data.x", Code: backend.Unavailable, Message: "it is out of order"}, Failing: 7 * time.Second},
				problem("spec.data.w", backend.InvalidRef, "Could not find property b in doc"),
			},
		},
		"KeyNames": {
			reason:  "the API server's text, before it is asked, in a fixed order",
			entries: []spec.Entry{from("names")},
			want: []render.Problem{
				problem("data", backend.InvalidRef, `Secret "t" is invalid: data[]: Invalid value: "": `+keyRule),
				problem("data", backend.InvalidRef, `Secret "t" is invalid: data[b d]: Invalid value: "b d": `+keyRule),
			},
		},
		"KeyNamesLater": {
			reason:  "where an entry failed, the data is not all there, and nothing is said of it",
			entries: []spec.Entry{from("names"), data("x", "gone")},
			want:    []render.Problem{problem("spec.data.x", backend.NotFound, "there is no such secret")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := rendered(spec.Spec{Entries: tc.entries, Target: spec.Target{Name: "t"}}, answers, drivers())
			if diff := cmp.Diff(tc.want, got.Problems); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if all := fmt.Sprintf("%v %+v %#v", got.Problems, got, got.Problems); strings.Contains(all, canary) {
				t.Error("the canary is in a message")
			}
		})
	}
}

// keyRule is how the API server words it, with two spaces; the status of an
// object has runs of spaces as one.
const keyRule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' " +
	"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"

func problem(where string, code backend.Code, message string) render.Problem {
	return render.Problem{Issue: spec.Issue{Where: where, Code: code, Message: message}}
}

func TestKeyNames(t *testing.T) {
	cases := map[string]struct {
		reason string
		key    string
		ok     bool
	}{
		"Plain":      {reason: "the usual", key: "tls.crt", ok: true},
		"AllSigns":   {reason: "all that is allowed", key: "A-b_c.9", ok: true},
		"Longest":    {reason: "253 bytes are allowed", key: strings.Repeat("k", 253), ok: true},
		"TooLong":    {reason: "254 are not", key: strings.Repeat("k", 254)},
		"Dot":        {reason: "would be the folder in a volume", key: "."},
		"DotDot":     {reason: "would leave the folder in a volume", key: ".."},
		"DotDotName": {reason: "so does the API server", key: "..x"},
		"Slash":      {reason: "no folders", key: "a/b"},
		"Umlaut":     {reason: "ASCII only", key: "ä"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Entries: []spec.Entry{data(tc.key, "k")}, Target: spec.Target{Name: "t"}}
			got := rendered(s, map[string]plan.Answer{"k": text("v")}, drivers())
			if ok := len(got.Problems) == 0; ok != tc.ok {
				t.Errorf("%s: allowed = %t, want %t: %v", tc.reason, ok, tc.ok, got.Problems)
			}
			for _, p := range got.Problems {
				if prefix := fmt.Sprintf("Secret \"t\" is invalid: data[%s]: Invalid value: ", tc.key); !strings.HasPrefix(p.Message, prefix) {
					t.Errorf("message %q does not begin with %q", p.Message, prefix)
				}
			}
		})
	}
}

func TestSize(t *testing.T) {
	cases := map[string]struct {
		reason string
		sizes  []int
		ok     bool
	}{
		"Exactly":    {reason: "1 MiB is allowed", sizes: []int{1 << 20}, ok: true},
		"OneMore":    {reason: "one byte more is not", sizes: []int{1<<20 + 1}},
		"Together":   {reason: "all values count together", sizes: []int{1 << 19, 1 << 19}, ok: true},
		"TogetherUp": {reason: "all values count together", sizes: []int{1 << 19, 1<<19 + 1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec.Spec{Target: spec.Target{Name: "t"}}
			answers := map[string]plan.Answer{}
			for i, n := range tc.sizes {
				key := fmt.Sprintf("key-%d", i)
				s.Entries = append(s.Entries, data(key, key))
				answers[key] = text(strings.Repeat("x", n))
			}
			var want []render.Problem
			if !tc.ok {
				want = []render.Problem{problem("data", backend.InvalidRef,
					`Secret "t" is too large: its values may have 1048576 bytes together; take fewer or smaller entries`)}
			}
			if diff := cmp.Diff(want, rendered(s, answers, drivers()).Problems); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSizeCountsTemplates(t *testing.T) {
	s := spec.Spec{Target: spec.Target{Name: "t", Template: spec.Template{
		Data: values("a", strings.Repeat("x", 1<<19)), Overrides: values("b", strings.Repeat("x", 1<<19), "c", "y"),
	}}}
	if got := rendered(s, nil, drivers()); len(got.Problems) != 1 {
		t.Errorf("1 MiB and a byte out of templates gives %d problems, want one", len(got.Problems))
	}
}

func TestStale(t *testing.T) {
	down := backend.Errorf(backend.Unavailable, "down")
	slow := &backend.Error{Code: backend.RateLimited, Message: "slow", RetryAfter: time.Minute}
	last := func(s string, err error, failing time.Duration) plan.Answer {
		a := text(s)
		a.Stale, a.Failing = err, failing
		return a
	}
	answers := map[string]plan.Answer{
		"good":   text("g"),
		"recent": last("r", slow, time.Second),
		"old":    last("o", down, time.Minute),
	}
	cases := map[string]struct {
		reason  string
		entries []spec.Entry
		want    *render.Problem
		data    map[string]string
	}{
		"Current": {
			reason:  "nothing is stale",
			entries: []spec.Entry{data("a", "good")},
			data:    map[string]string{"a": "g"},
		},
		"LastGood": {
			reason:  "the last good value is used, and it is told since when",
			entries: []spec.Entry{data("a", "good"), data("b", "recent")},
			want:    &render.Problem{Issue: spec.Issue{Where: "spec.data.b", Code: backend.RateLimited, Message: "slow"}, Failing: time.Second},
			data:    map[string]string{"a": "g", "b": "r"},
		},
		"Longest": {
			reason:  "of several the one that fails longest counts, wherever it stands",
			entries: []spec.Entry{data("b", "recent"), data("c", "old")},
			want:    &render.Problem{Issue: spec.Issue{Where: "spec.data.c", Code: backend.Unavailable, Message: "down"}, Failing: time.Minute},
			data:    map[string]string{"b": "r", "c": "o"},
		},
		"LongestFirst": {
			reason:  "of several the one that fails longest counts, wherever it stands",
			entries: []spec.Entry{data("c", "old"), data("b", "recent")},
			want:    &render.Problem{Issue: spec.Issue{Where: "spec.data.c", Code: backend.Unavailable, Message: "down"}, Failing: time.Minute},
			data:    map[string]string{"b": "r", "c": "o"},
		},
		"First": {
			reason:  "among equals the first of the manifest",
			entries: []spec.Entry{data("x", "old"), data("y", "old")},
			want:    &render.Problem{Issue: spec.Issue{Where: "spec.data.x", Code: backend.Unavailable, Message: "down"}, Failing: time.Minute},
			data:    map[string]string{"x": "o", "y": "o"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := rendered(spec.Spec{Entries: tc.entries, Target: spec.Target{Name: "t"}}, answers, drivers())
			if diff := cmp.Diff(tc.want, got.Stale); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.data, texts(got.Data)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if len(got.Problems) > 0 {
				t.Errorf("stale is no problem yet: %v", got.Problems)
			}
		})
	}
}

func TestView(t *testing.T) {
	d := spec.Drivers{"plain": {
		Ref: drivers()["plain"].Ref,
		View: func(dialect backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
			if ref.Path == "broken" {
				return backend.Secret{}, backend.Errorf(backend.Unknown, "%s cannot be laid out", ref)
			}
			s.JSON, s.Payload = true, backend.NewValue([]byte(`{"for":"`+string(dialect)+`","v":"`+string(s.Payload.Reveal())+`"}`))
			return s, nil
		},
	}}
	s := spec.Spec{
		Object:  spec.Object{Dialect: backend.KES},
		Entries: []spec.Entry{property("a", "k", "v"), property("b", "k", "for"), data("c", "k")},
		Target:  spec.Target{Name: "t"},
	}
	got := rendered(s, map[string]plan.Answer{"k": text("x")}, d)
	want := map[string]string{"a": "x", "b": "kes", "c": `{"for":"kes","v":"x"}`}
	if diff := cmp.Diff(want, texts(got.Data)); diff != "" {
		t.Errorf("the product lays the secret out for the dialect\n-want, +got:\n%s", diff)
	}
	s.Entries = []spec.Entry{data("a", "broken"), data("b", "fails")}
	got = rendered(s, map[string]plan.Answer{"broken": text("x"), "fails": {Err: backend.Errorf(backend.NotFound, "no")}}, d)
	problems := []render.Problem{
		problem("spec.data.a", backend.Unknown, "broken cannot be laid out"),
		problem("spec.data.b", backend.NotFound, "no"), // there is nothing to lay out
	}
	if diff := cmp.Diff(problems, got.Problems); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
