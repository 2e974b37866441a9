// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// found returns the names that a query finds, each of which can be read.
func (w *world) found(b backend.Backend, q backend.Query) ([]string, error) {
	w.t.Helper()
	var out []string
	for f, err := range b.Finder.Find(w.t.Context(), q) {
		if err != nil {
			return nil, err
		}
		if _, err := read(w.t.Context(), b, f.Ref); err != nil {
			w.t.Errorf("%s is found and cannot be read: %v", f.Name, err)
		}
		out = append(out, f.Name)
	}
	return out, nil
}

func TestFind(t *testing.T) {
	for _, version := range []int{1, 2} {
		w := newWorld(t, version)
		for _, name := range []string{"a", "dev/a", "dev/x/b", "dev", "dev2/a", "data/a", w.mount + "/a", w.mount + "/data/a"} {
			w.put(name, map[string]any{"k": "v"})
		}
		own := w.mount
		bare := map[string]any{"path": nil}
		inBare, dataBare := own+"/", own+"/"
		if version == 2 {
			dataBare = own + "/data/"
		}
		for name, c := range map[string]struct {
			reason  string
			changes map[string]any
			query   backend.Query
			want    []string
			code    backend.Code
		}{
			"All":       {"all that can be asked for", nil, backend.Query{}, []string{"a", "dev", own + "/a", own + "/data/a", "dev2/a", "dev/a", "dev/x/b", "data/a"}, ""},
			"Folder":    {"a folder is not the beginning of a name, nor the secret of its name", nil, backend.Query{Path: "dev"}, []string{"dev/a", "dev/x/b"}, ""},
			"Slash":     {"the same folder", nil, backend.Query{Path: "/dev/"}, []string{"dev/a", "dev/x/b"}, ""},
			"Nowhere":   {"a folder that is not there is empty", nil, backend.Query{Path: "none"}, nil, ""},
			"Mount":     {"the mount itself", nil, backend.Query{Path: own, Name: "^dev2"}, []string{"dev2/a"}, ""},
			"Name":      {"matches anywhere in the path", nil, backend.Query{Name: "x/"}, []string{"dev/x/b"}, ""},
			"Up":        {"out of the mount", nil, backend.Query{Path: "../x"}, nil, backend.InvalidRef},
			"Kind":      {"there are none", nil, backend.Query{Kind: "x"}, nil, backend.InvalidRef},
			"Bare":      {"nobody knows where", bare, backend.Query{Name: "a"}, nil, backend.InvalidRef},
			"BarePath":  {"a mount", bare, backend.Query{Path: own, Name: "dev2"}, []string{inBare + "dev2/a"}, ""},
			"BareIn":    {"a folder", bare, backend.Query{Path: inBare + "dev"}, []string{inBare + "dev/a", inBare + "dev/x/b"}, ""},
			"BareData":  {"as External Secrets Operator wanted it", bare, backend.Query{Path: dataBare + "dev2"}, []string{dataBare + "dev2/a"}, ""},
			"NoMount":   {"an engine that is not there is not an empty one", map[string]any{"path": "nowhere"}, backend.Query{}, nil, backend.Conflict},
			"OtherKind": {"an engine of the other version is not an empty one", map[string]any{"version": fmt.Sprintf("v%d", 3-version)}, backend.Query{}, nil, backend.Conflict},
		} {
			if version == 1 && name == "BareData" {
				continue
			}
			got, err := w.found(w.open(c.changes, holding(root)), c.query)
			if diff := cmp.Diff(c.want, got); diff != "" || backend.CodeOf(err) != c.code {
				t.Errorf("version %d, %s: %s: %v (-want +got):\n%s", version, name, c.reason, err, diff)
			}
		}
	}
}

func TestFindTags(t *testing.T) {
	w := newWorld(t, 2)
	w.admin(http.MethodPost, w.metadata("deep/one"), map[string]any{"custom_metadata": map[string]string{"team": "blue", "a": "b"}})
	w.put("deep/one", map[string]any{"k": "v"})
	w.put("two", map[string]any{"k": "v"})
	got, err := w.found(w.open(nil, holding(root)), backend.Query{Tags: "team=blue", Name: "e$"})
	if diff := cmp.Diff([]string{"deep/one"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	w1 := newWorld(t, 1)
	if _, err := w1.found(w1.open(nil, holding(root)), backend.Query{Tags: "team=blue"}); backend.CodeOf(err) != backend.InvalidRef {
		t.Errorf("tags of version 1: %v", err)
	}
}

// TestFindForbidden: what may not be listed is not empty.
func TestFindForbidden(t *testing.T) {
	w := newWorld(t, 2)
	w.put("open/a", map[string]any{"k": "v"})
	w.put("shut/b", map[string]any{"k": "v"})
	token := w.token(w.policy("some", `path "`+w.mount+`/metadata/shut/*" { capabilities = ["deny"] }`), nil)
	if _, err := w.found(w.open(nil, holding(token)), backend.Query{}); backend.CodeOf(err) != backend.PermissionDenied {
		t.Errorf("a folder that may not be listed: %v", err)
	}
}

// TestFindEnds: a server that invents folders is left after a while.
func TestFindEnds(t *testing.T) {
	w := newWorld(t, 2)
	depth := 0
	w.say(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/metadata") {
			return false
		}
		depth++
		keys := []string{"d/"}
		if depth%100 == 0 {
			keys = []string{"..", "../x", "/", "a/b", "a\nb"}
		} else if depth%100 == 99 {
			keys = []string{"e/", "f/", "g/", "h/", "d/"}
		}
		answerJSON(rw, http.StatusOK, map[string]any{"data": map[string]any{"keys": keys}})
		return true
	})
	b := w.open(nil, holding(root))
	for f, err := range b.Finder.Find(t.Context(), backend.Query{}) {
		if err == nil {
			t.Fatalf("%q is found", f.Name)
		}
		if code := backend.CodeOf(err); code != backend.Conflict && code != backend.InvalidRef {
			t.Errorf("code %q, want an end: %v", code, err)
		}
	}
	if depth > maxFolders {
		t.Errorf("%d folders were listed", depth)
	}
}
