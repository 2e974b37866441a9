// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

// TestMissing: a secret is missing when Vault proves it, and else something is
// wrong, which removes nothing.
func TestMissing(t *testing.T) {
	two, one := newWorld(t, 2), newWorld(t, 1)
	for _, name := range []string{"deleted", "destroyed", "back", "old"} {
		two.put(name, map[string]any{"k": "v1"})
	}
	two.put("old", map[string]any{"k": "v2"})
	two.admin(http.MethodDelete, two.data("deleted"), nil)
	two.admin(http.MethodDelete, two.data("back"), nil)
	two.admin(http.MethodPut, two.mount+"/undelete/back", map[string]any{"versions": []int{1}})
	two.admin(http.MethodPut, two.mount+"/destroy/destroyed", map[string]any{"versions": []int{1}})
	two.admin(http.MethodPut, two.mount+"/destroy/old", map[string]any{"versions": []int{1}})
	two.admin(http.MethodPost, two.metadata("only-metadata"), map[string]any{"custom_metadata": map[string]string{"a": "b"}})
	one.put("app", map[string]any{"k": "v"})
	bare := map[string]any{"path": nil}
	for name, c := range map[string]struct {
		reason  string
		world   *world
		changes map[string]any
		ref     backend.Ref
		want    backend.Code
	}{
		"Never":        {"there never was one", two, nil, backend.Ref{Path: "never"}, backend.NotFound},
		"Deleted":      {"its last version was deleted", two, nil, backend.Ref{Path: "deleted"}, backend.NotFound},
		"Destroyed":    {"its last version was destroyed", two, nil, backend.Ref{Path: "destroyed"}, backend.NotFound},
		"Back":         {"its last version is back", two, nil, backend.Ref{Path: "back"}, ""},
		"OldDestroyed": {"the version was destroyed, the secret is there", two, nil, backend.Ref{Path: "old", Version: "1"}, backend.NotFound},
		"Old":          {"the version is there", two, nil, backend.Ref{Path: "old", Version: "2"}, ""},
		"Future":       {"there is no such version", two, nil, backend.Ref{Path: "old", Version: "9"}, backend.NotFound},
		"NoVersions":   {"it has metadata and nothing else", two, nil, backend.Ref{Path: "only-metadata"}, backend.NotFound},
		"Metadata":     {"nor metadata", two, nil, backend.Ref{Path: "never", Part: backend.Metadata}, backend.NotFound},
		"OneNever":     {"there never was one", one, nil, backend.Ref{Path: "never"}, backend.NotFound},
		"OneAsTwo":     {"the engine is of version 1", one, map[string]any{"version": "v2"}, backend.Ref{Path: "app"}, backend.Conflict},
		"TwoAsOne":     {"the engine is of version 2", two, map[string]any{"version": "v1"}, backend.Ref{Path: "old"}, backend.Conflict},
		"TwoAsOneData": {"what is there is no plain secret, but it is what was asked for", two, map[string]any{"version": "v1"}, backend.Ref{Path: "data/old"}, ""},
		"NoMount":      {"there is no engine", two, map[string]any{"path": "nowhere"}, backend.Ref{Path: "a"}, backend.Conflict},
		"NoMountBare":  {"there is no engine", two, bare, backend.Ref{Path: "nowhere/a"}, backend.Conflict},
		"KESAsTwo":     {"KES read a path of version 1 as one of version 2", one, nil, backend.Ref{Path: one.data("app"), Kind: kindV2}, backend.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t.Context(), c.world.open(c.changes, holding(root)), c.ref)
			if backend.CodeOf(err) != c.want {
				t.Errorf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
		})
	}
}

// TestAnswers are those that a proxy, or a server that is no Vault, may give.
func TestAnswers(t *testing.T) {
	w := newWorld(t, 2)
	const page = "<html>canary</html>"
	data := func(rest string) string { return `{"data":` + rest + `}` }
	for name, c := range map[string]struct {
		reason string
		status int
		body   string
		want   backend.Code
	}{
		"Page404":      {"a page of a proxy proves nothing", 404, page, backend.Unavailable},
		"Empty404":     {"nor does an empty answer", 404, "", backend.Unavailable},
		"Object404":    {"nor one that is not Vault's", 404, `{"message":"canary"}`, backend.Unavailable},
		"Warning404":   {"the engine is of the other version", 404, `{"errors":[],"warnings":["Invalid path for a versioned K/V secrets engine. canary"]}`, backend.Conflict},
		"Sealed":       {"it is sealed", 503, `{"errors":["Vault is sealed"]}`, backend.Unavailable},
		"Recovery":     {"the standby of another cluster", 472, `{"errors":[]}`, backend.Unavailable},
		"Standby":      {"a performance standby", 473, `{}`, backend.Unavailable},
		"Behind":       {"it does not have the last write", 412, `{"errors":["canary"]}`, backend.Unavailable},
		"Broken":       {"it is out of order", 500, page, backend.Unavailable},
		"Wall":         {"a firewall's page", 403, page, backend.PermissionDenied},
		"Method":       {"the engine has nothing to read", 405, `{"errors":["1 error occurred:\n\t* unsupported operation\n\n"]}`, backend.Conflict},
		"BadRequest":   {"anything else", 400, `{"errors":["canary"]}`, backend.Unknown},
		"NoToken":      {"a proxy ate the token", 400, `{"errors":["missing client token"]}`, backend.Unauthenticated},
		"InvalidToken": {"as Vault says it since 1.19", 403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`, backend.Unauthenticated},
		"Page200":      {"a login page", 200, page, backend.Unavailable},
		"Empty200":     {"nothing", 200, "", backend.Conflict},
		"NoData":       {"no data", 200, `{}`, backend.Conflict},
		"NoMetadata":   {"an engine of version 1 whose secret has the name data in it", 200, data(`{"data":{"a":"canary"}}`), backend.Conflict},
		"Text":         {"a secret is an object", 200, data(`{"data":"canary","metadata":{"version":1}}`), backend.Unavailable},
		"Null":         {"nothing is not a secret that was removed", 200, data(`{"data":null,"metadata":{"version":1}}`), backend.Unavailable},
		"Cut":          {"half an answer", 200, `{"data":{"data":{"a":"canary`, backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w.say(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v1/"+w.data("app") {
					return false
				}
				rw.WriteHeader(c.status)
				_, _ = rw.Write([]byte(c.body))
				return true
			})
			_, err := read(t.Context(), w.open(nil, holding(root)), ref)
			if backend.CodeOf(err) != c.want {
				t.Errorf("%s: code %q, want %q: %v", c.reason, backend.CodeOf(err), c.want, err)
			}
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "canary") {
				t.Errorf("%s: the error has the server's words: %s", c.reason, text)
			}
		})
	}
}

// TestWrongVersion: a server that answers with another version than it was
// asked for is not believed.
func TestWrongVersion(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b := w.open(nil, holding(root))
	w.say(func(_ http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery = ""
		return false
	})
	if _, err := read(t.Context(), b, backend.Ref{Path: "app", Version: "2"}); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("another version: %v", err)
	}
}

func TestReadValues(t *testing.T) {
	w := newWorld(t, 2)
	w.admin(http.MethodPost, w.metadata("app"), map[string]any{"custom_metadata": map[string]string{"team": "blue"}})
	w.put("app", map[string]any{"n": 1234567890123456, "o": map[string]any{"b": "<"}})
	b := w.open(nil, holding(root))
	s, err := read(t.Context(), b, ref)
	w.must(err)
	if got, want := string(s.Payload.Reveal()), `{"n":1234567890123456,"o":{"b":"\u003c"}}`; got != want || !s.JSON || s.ReadMutates {
		t.Errorf("payload %s, want %s", got, want)
	}
	if diff := cmp.Diff(map[string]string{"team": "blue"}, s.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	m, err := read(t.Context(), b, backend.Ref{Path: "app", Part: backend.Metadata})
	w.must(err)
	if got := string(m.Payload.Reveal()); got != `{"team":"blue"}` {
		t.Errorf("metadata %s", got)
	}
	// A secret that was removed with its history begins anew, and is another.
	w.admin(http.MethodDelete, w.metadata("app"), nil)
	w.put("app", map[string]any{"n": 1})
	again, err := read(t.Context(), b, ref)
	w.must(err)
	if again.Version == s.Version {
		t.Errorf("a new secret has the version of the one before: %s", s.Version)
	}
}

// TestPaths: names that need it are escaped, so that they are names.
func TestPaths(t *testing.T) {
	for _, version := range []int{1, 2} {
		w := newWorld(t, version)
		b := w.open(nil, holding(root))
		for _, name := range []string{"a?version=1", "a#b", "100%", "a%20b", "ü/ö", "a b", "a+b", "a;b", ".a", "%3f"} {
			escaped := strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23", " ", "%20", ";", "%3B", "ü", "%C3%BC", "ö", "%C3%B6").Replace(name)
			w.put(escaped, map[string]any{"k": name})
			s, err := read(t.Context(), b, backend.Ref{Path: name})
			if err != nil || plain(ref, s).Fields["k"].Len() != len(name) {
				t.Errorf("version %d, %q: %v", version, name, err)
			}
		}
	}
}

// TestCancelledLogin: the login goes on for those who come later.
func TestCancelledLogin(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b, login := w.appRole(map[string]any{"token_policies": w.policy("all"), "token_ttl": "1h"})
	arrived, release := make(chan struct{}), make(chan struct{})
	w.say(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/"+login {
			close(arrived)
			<-release
		}
		return false
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := read(ctx, b, ref); backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("a read that was given up: %v", err)
	}
	close(release)
	w.reads(b)
	if n := w.count(login); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}
