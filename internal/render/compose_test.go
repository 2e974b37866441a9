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

// world is what a manifest of the ESO dialect is rendered against.
type world struct {
	answers map[string]plan.Answer // by key
	found   plan.Answer            // of every listing
	sources map[spec.Source]map[string]backend.Value
	drivers spec.Drivers
}

// eso renders a Spec of the ESO dialect.
func (w world) eso(s spec.Spec) render.Desired {
	s.Syntax, s.Object.Dialect = spec.GJSON, backend.ESO
	if s.Target.Name == "" {
		s.Target.Name = "t"
	}
	if w.drivers == nil {
		w.drivers = drivers()
	}
	in := inputs()
	in.Sources = w.sources
	p := plan.Build(s, in, w.drivers)
	snapshot := plan.Snapshot{}
	for _, k := range p.Keys() {
		if k.Listing {
			snapshot[k] = w.found
		}
	}
	for _, k := range plan.Expand(p, snapshot).Keys() {
		if a, ok := w.answers[k.Ref.Path]; ok && !k.Listing {
			snapshot[k] = a
		}
	}
	return render.Secret(s, in, p, snapshot, w.drivers)
}

// one renders a single entry.
func (w world) one(e spec.Entry) render.Desired { return w.eso(spec.Spec{Entries: []spec.Entry{e}}) }

// find is an entry that fills one key for each secret that was found.
func find(rewrites ...spec.Rewrite) spec.Entry {
	return spec.Entry{Where: "spec.dataFrom[0]", Store: store, Find: &backend.Query{Name: "x"}, Rewrite: rewrites}
}

func rewritten(e spec.Entry, rewrites ...spec.Rewrite) spec.Entry {
	e.Rewrite = rewrites
	return e
}

// hits is a listing with values.
func hits(kv ...string) plan.Answer {
	var a plan.Answer
	for i := 0; i < len(kv); i += 2 {
		s := text(kv[i+1]).Secret
		a.Found = append(a.Found, backend.Found{Ref: backend.Ref{Path: kv[i]}, Secret: &s})
	}
	return a
}

// want compares the data, and that there is no problem.
func want(t *testing.T, reason string, got render.Desired, data map[string]string) {
	t.Helper()
	if len(got.Problems) > 0 {
		t.Fatalf("%s: problems: %v", reason, got.Problems)
	}
	if diff := cmp.Diff(data, texts(got.Data)); diff != "" {
		t.Errorf("%s\n-want, +got:\n%s", reason, diff)
	}
}

// wantProblem compares the one problem, and that no message has the canary.
func wantProblem(t *testing.T, reason string, got render.Desired, code backend.Code, message string) {
	t.Helper()
	if len(got.Problems) != 1 || got.Problems[0].Code != code || got.Problems[0].Message != message {
		t.Errorf("%s: problems %v, want %s: %s", reason, got.Problems, code, message)
	}
	if strings.Contains(fmt.Sprintf("%+v", got), canary) {
		t.Error("the canary is in a message")
	}
}

func TestFind(t *testing.T) {
	secret := func(s string) backend.Secret { return text(s).Secret }
	cases := map[string]struct {
		reason  string
		found   plan.Answer
		answers map[string]plan.Answer
		entry   spec.Entry
		want    map[string]string
		problem string
		code    backend.Code
	}{
		"Values":    {reason: "the name is the path", found: hits("db-user", "u", "db-pass", "p"), want: map[string]string{"db-user": "u", "db-pass": "p"}},
		"Converted": {reason: "and is converted", found: hits("team/db-x", "x"), want: map[string]string{"team_db-x": "x"}},
		"Named": {
			reason: "a name goes before the path",
			found:  plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "id-1"}, Name: "db"}}}, answers: map[string]plan.Answer{"id-1": text("v")},
			want: map[string]string{"db": "v"},
		},
		"Fields": {
			reason: "fields are an object",
			found: plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "s"}, Secret: &backend.Secret{
				Fields: values("b", "2", "a", "<1>"),
			}}}},
			want: map[string]string{"s": `{"a":"<1>","b":"2"}`},
		},
		"Vanished": {
			reason: "what goes between listing and reading is not there",
			found:  plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "gone"}}, {Ref: backend.Ref{Path: "here"}}}},
			answers: map[string]plan.Answer{
				"gone": {Err: backend.Errorf(backend.NotFound, "gone")}, "here": {Secret: secret("v")},
			},
			want: map[string]string{"here": "v"},
		},
		"None":   {reason: "nothing is something", want: map[string]string{}},
		"Listed": {reason: "the listing failed", found: plan.Answer{Err: backend.Errorf(backend.PermissionDenied, "no")}, code: backend.PermissionDenied, problem: "no"},
		"Read": {
			reason: "a hit cannot be read", found: plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "a"}}}},
			answers: map[string]plan.Answer{"a": {Err: backend.Errorf(backend.Unavailable, "down")}}, code: backend.Unavailable, problem: "down",
		},
		"Unread": {
			reason: "a hit without an answer must not be an empty value",
			found:  plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "a"}}}}, code: backend.Unknown, problem: "a was not read",
		},
		"Twice": {
			reason: "one of two values would be lost", found: hits("a", "1", "a", "2"), code: backend.InvalidRef,
			problem: `more than one secret that was found is called "a"; narrow the search by path or tags`,
		},
		"Decoded": {
			reason: "every value is decoded", found: hits("std", "aGVsbG8/Pz8+Pj4=", "nl", "aGVs\nbG8=\n"),
			entry: spec.Entry{Decode: spec.DecodeBase64}, want: map[string]string{"std": "hello???>>>", "nl": "hello"},
		},
		"NotDecoded": {
			reason: "one that cannot be fails the entry", found: hits("txt", canary), entry: spec.Entry{Decode: spec.DecodeBase64},
			code: backend.InvalidRef, problem: `the value of key "txt" of what was found is not base64`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := find()
			e.Convert, e.Decode = spec.ConvertDefault, tc.entry.Decode
			got := world{answers: tc.answers, found: tc.found}.one(e)
			if tc.code != "" {
				wantProblem(t, tc.reason, got, tc.code, tc.problem)
				return
			}
			want(t, tc.reason, got, tc.want)
		})
	}
}

// TestAbsence is about what is gone, and what is not proven to be.
func TestAbsence(t *testing.T) {
	answers := map[string]plan.Answer{
		"doc":    text(`{"a":"1"}`),
		"plain":  text(canary),
		"fields": fields("a", "1"),
		"gone":   {Err: backend.Errorf(backend.NotFound, "gone does not exist")},
		"denied": {Err: backend.Errorf(backend.PermissionDenied, "denied"), Failing: time.Second},
		// An outage that a missing secret caused is still an outage.
		"down": {Err: &backend.Error{Code: backend.Unavailable, Message: "down", Err: backend.Errorf(backend.NotFound, "no")}},
	}
	at := func(where string, code backend.Code, message string) render.Problem {
		p := problem(where, code, message)
		p.Store = store
		return p
	}
	denied := at("spec.data.x", backend.PermissionDenied, "denied")
	denied.Failing = time.Second
	absent := at("spec.data.x", backend.NotFound, "property b of doc does not exist")
	cases := map[string]struct {
		reason                string
		deletion              spec.Deletion
		entries               []spec.Entry
		found                 plan.Answer
		missing, problems     []render.Problem
		data                  map[string]string
		wantEmpty, unprovenIs bool
	}{
		"Retain": {
			reason: "nothing goes", entries: []spec.Entry{data("a", "doc"), data("x", "gone")},
			problems: []render.Problem{at("spec.data.x", backend.NotFound, "gone does not exist")},
		},
		"RetainProperty": {
			reason: "a property counts as a secret", entries: []spec.Entry{property("x", "doc", "b")}, problems: []render.Problem{absent},
		},
		"Drop": {
			reason: "the key goes", deletion: spec.DropMissing, entries: []spec.Entry{property("a", "doc", "a"), property("x", "doc", "b")},
			missing: []render.Problem{absent}, data: map[string]string{"a": "1"},
		},
		"Delete": {
			reason: "all keys are gone", deletion: spec.DeleteSecret, entries: []spec.Entry{data("x", "gone")},
			missing: []render.Problem{at("spec.data.x", backend.NotFound, "gone does not exist")}, data: map[string]string{}, wantEmpty: true,
		},
		"DeleteField": {
			reason: "fields are proof too", deletion: spec.DeleteSecret, entries: []spec.Entry{property("x", "fields", "b")},
			missing: []render.Problem{at("spec.data.x", backend.NotFound, "property b of fields does not exist")}, data: map[string]string{}, wantEmpty: true,
		},
		"DeleteExtract": {
			reason: "also of whole documents", deletion: spec.DeleteSecret, entries: []spec.Entry{from("gone")},
			missing: []render.Problem{at("spec.dataFrom.gone", backend.NotFound, "gone does not exist")}, data: map[string]string{}, wantEmpty: true,
		},
		"Denied": {
			reason: "what may not be read is not gone", deletion: spec.DeleteSecret, entries: []spec.Entry{data("x", "denied")}, problems: []render.Problem{denied},
		},
		"Down": {
			reason: "nor is what does not answer", deletion: spec.DeleteSecret, entries: []spec.Entry{data("x", "down")},
			problems: []render.Problem{at("spec.data.x", backend.Unavailable, "down")},
		},
		"NotJSON": {
			reason: "a value that is no document proves nothing", deletion: spec.DeleteSecret, entries: []spec.Entry{property("x", "plain", "a")},
			problems: []render.Problem{at("spec.data.x", backend.InvalidRef, "the value of plain is not JSON, so it has no property a; for a plain value remove the property")},
		},
		"FindNone": {reason: "an empty listing is empty", deletion: spec.DeleteSecret, entries: []spec.Entry{find()}, data: map[string]string{}, wantEmpty: true},
		"FindPartial": {
			reason: "which proves nothing where it may leave out something", deletion: spec.DeleteSecret, entries: []spec.Entry{find()},
			found: plan.Answer{Partial: true}, data: map[string]string{}, wantEmpty: true, unprovenIs: true,
		},
		"FindSome": {
			reason: "what is there is there", entries: []spec.Entry{find()},
			found: plan.Answer{Partial: true, Found: hits("a", "1").Found}, data: map[string]string{"a": "1"},
		},
		"JSONNull": {reason: "null has no keys", entries: []spec.Entry{from("null")}, data: map[string]string{}, wantEmpty: true},
		"None":     {reason: "no entries bring nothing", data: map[string]string{}, wantEmpty: true},
	}
	answers["null"] = text("null")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{answers: answers, found: tc.found}.eso(spec.Spec{Entries: tc.entries, Target: spec.Target{Deletion: tc.deletion}})
			if diff := cmp.Diff(tc.problems, got.Problems); diff != "" {
				t.Errorf("%s: problems -want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.missing, got.Missing); diff != "" {
				t.Errorf("%s: missing -want, +got:\n%s", tc.reason, diff)
			}
			if tc.data != nil {
				want(t, tc.reason, got, tc.data)
			}
			if got.Empty != tc.wantEmpty || got.Unproven != tc.unprovenIs {
				t.Errorf("%s: empty %t, unproven %t, want %t, %t", tc.reason, got.Empty, got.Unproven, tc.wantEmpty, tc.unprovenIs)
			}
		})
	}
}

func TestLaterWins(t *testing.T) {
	answers := map[string]plan.Answer{
		"a": text(`{"k":"1","x":"x"}`), "b": text(`{"k":"2","y":"y"}`), "first": text("first"), "second": text("second"),
	}
	got := world{answers: answers}.eso(spec.Spec{Entries: []spec.Entry{from("a"), from("b")}})
	want(t, "of two documents", got, map[string]string{"k": "2", "x": "x", "y": "y"})
	got = world{answers: answers}.eso(spec.Spec{Entries: []spec.Entry{data("k", "first"), data("k", "second")}})
	want(t, "of two entries", got, map[string]string{"k": "second"})
}

func TestStaleStore(t *testing.T) {
	stale := text("v")
	stale.Stale, stale.Failing = backend.Errorf(backend.Unavailable, "down"), time.Minute
	got := world{found: plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "a"}}}}, answers: map[string]plan.Answer{"a": stale}}.one(find())
	want(t, "the last good value of a hit is used", got, map[string]string{"a": "v"})
	wantStale := &render.Problem{Issue: spec.Issue{Where: "spec.dataFrom[0]", Store: store, Code: backend.Unavailable, Message: "down"}, Failing: time.Minute}
	if diff := cmp.Diff(wantStale, got.Stale); diff != "" {
		t.Errorf("and it is told: -want, +got:\n%s", diff)
	}
}

func TestFoundVersions(t *testing.T) {
	s := text("v").Secret
	s.ReadMutates, s.Version = true, "7"
	got := world{found: plan.Answer{Found: []backend.Found{{Ref: backend.Ref{Path: "a"}, Secret: &s}}}}.one(find())
	if diff := cmp.Diff(map[string]string{"a": "7"}, got.Versions); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestReserved holds that nobody marks a Secret as a controller's by copying or
// rendering its labels.
func TestReserved(t *testing.T) {
	mine := map[string]string{"a": "1", "reconcile.external-secrets.io/managed": "true", "lockstep-secrets.dev/kept": "x"}
	clean := map[string]string{"a": "1"}
	s := spec.Spec{Entries: []spec.Entry{data("k", "k")}, Target: spec.Target{Template: spec.Template{Labels: mine, Annotations: mine}}}
	w := world{answers: map[string]plan.Answer{"k": text("v")}}
	got := w.eso(s)
	if diff := cmp.Diff([]map[string]string{clean, clean}, []map[string]string{got.Labels, got.Annotations}); diff != "" {
		t.Errorf("copied: -want, +got:\n%s", diff)
	}
	if len(mine) != 3 {
		t.Error("the manifest itself changed")
	}
	s.Target.Template = spec.Template{Finalizers: []string{"example.com/hold"}}
	s.Target.Program = &spec.Program{Labels: mine, Annotations: mine, From: []spec.TemplateFrom{
		{Literal: "lockstep-secrets.dev/owner: x", Into: spec.IntoLabels},
	}}
	got = w.eso(s)
	if diff := cmp.Diff([]map[string]string{clean, clean}, []map[string]string{got.Labels, got.Annotations}); diff != "" {
		t.Errorf("rendered: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"example.com/hold"}, got.Finalizers); diff != "" {
		t.Errorf("finalizers pass: -want, +got:\n%s", diff)
	}
}

func TestDataChecks(t *testing.T) {
	const rule = ": at most 253 letters, digits, -, _ and ., and not . or .."
	cases := map[string]struct {
		reason  string
		key     string
		value   string
		problem string
	}{
		"Exactly": {reason: "1 MiB is allowed", key: "k", value: strings.Repeat("x", render.MaxSize)},
		"OneMore": {
			reason: "one byte more is not", key: "k", value: strings.Repeat("x", render.MaxSize+1),
			problem: "the data is too large: the values of a Secret may have 1048576 bytes together; take fewer or smaller entries",
		},
		"Space":  {reason: "no spaces", key: "a b", problem: `data key "a b" is not a valid key of a Secret` + rule},
		"Umlaut": {reason: "a letter, but not one of a key", key: "ä", problem: `data key "ä" is not a valid key of a Secret` + rule},
		"Dots":   {reason: "would leave the folder in a volume", key: "..", problem: `data key ".." is not a valid key of a Secret` + rule},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := world{answers: map[string]plan.Answer{"k": text(tc.value)}}.one(data(tc.key, "k"))
			if tc.problem != "" {
				wantProblem(t, tc.reason, got, backend.InvalidRef, tc.problem)
				return
			}
			want(t, tc.reason, got, map[string]string{tc.key: tc.value})
		})
	}
}
