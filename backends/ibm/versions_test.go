// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

func history(t *testing.T, b backend.Backend, ref backend.Ref) ([]backend.Version, error) {
	t.Helper()
	var out []backend.Version
	for v, err := range b.Versioner.Versions(t.Context(), ref) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func TestVersions(t *testing.T) {
	w := start(t, ibmsm.Options{})
	ref := w.arbitrary("v0")
	for _, v := range []string{"v1", "v2", "v3"} {
		if _, err := w.Rotate(ref.Path, map[string]any{"payload": v}); err != nil {
			t.Fatal(err)
		}
	}
	b := w.open(nil)
	for _, ref := range []backend.Ref{ref, named("some-secret")} {
		all, err := history(t, b, ref)
		if err != nil || len(all) != 4 {
			t.Fatalf("%d versions, %v", len(all), err)
		}
		for i, v := range all {
			if v.Created.IsZero() || v.Available != (i < 2) {
				t.Errorf("version %d: created %s, available %t", i, v.Created, v.Available)
			}
		}
	}
}

// TestVersionsMoved: a name that means another secret by now.
func TestVersionsMoved(t *testing.T) {
	w := start(t, ibmsm.Options{})
	b := w.open(nil)
	first := w.put("moving", typeArbitrary, map[string]any{"payload": "p"})
	if _, err := history(t, b, named("moving")); err != nil {
		t.Fatal(err)
	}
	w.drop(first)
	_, err := history(t, b, named("moving"))
	failed(t, err, backend.NotFound, "No arbitrary secret named moving")
	w.put("moving", typeArbitrary, map[string]any{"payload": "p"})
	if all, err := history(t, b, named("moving")); err != nil || len(all) != 1 {
		t.Errorf("%d versions, %v", len(all), err)
	}
}

// TestVersionAnswersOf looks at answers of the endpoint for all versions.
func TestHistoryAnswers(t *testing.T) {
	const unread = "IBM Cloud Secrets Manager gave an answer to the request for arbitrary x1 that cannot be read"
	one := func(id, more string) string {
		return `{"id":"` + id + `","secret_id":"x1","secret_type":"arbitrary"` + more + `}`
	}
	cases := map[string]struct {
		reason string
		body   string
		want   string // ids
		code   backend.Code
		err    string
	}{
		"Order": {
			reason: "the API does not promise one",
			body: one("a", `,"created_at":"2026-01-01T00:00:00Z"`) + "," + one("b", `,"created_at":"2026-01-03T00:00:00Z","alias":"previous"`) +
				"," + one("c", `,"created_at":"2026-01-02T00:00:00Z"`) + "," + one("d", `,"created_at":"2026-01-03T00:00:00Z","alias":"current"`),
			want: "d b c a",
		},
		"NoID":    {reason: "no version", body: one("", ""), code: backend.Unavailable, err: unread},
		"Another": {reason: "of another secret", body: strings.Replace(one("a", ""), "x1", "x2", 1), code: backend.Unavailable, err: unread},
		"Type": {
			reason: "as reading it", body: strings.Replace(one("a", ""), "arbitrary", "kv", 1), code: backend.InvalidRef,
			err: "secret x1 is of type kv, not arbitrary; correct secretType",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			all, err := history(t, answering(t, says(200, `{"versions":[`+c.body+`]}`)), backend.Ref{Path: "x1", Kind: typeArbitrary})
			if c.err != "" {
				failed(t, err, c.code, c.err)
				return
			}
			var got []string
			for _, v := range all {
				got = append(got, v.ID)
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%s: %q, want %q (%v)", c.reason, got, c.want, err)
			}
		})
	}
	_, err := history(t, answering(t, says(200, `{}`)), backend.Ref{Path: "x1", Kind: typeArbitrary})
	failed(t, err, backend.Unavailable, unread)
}
