// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

func writing(owner, value string) backend.Write {
	return backend.Write{Ref: ref, Owner: owner, Secret: backend.Secret{Fields: map[string]backend.Value{"k": textValue(value)}}}
}

func TestWriteKeepsMetadata(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(nil, holding(root))
	want := writing("me", "v")
	want.Secret.Labels = map[string]string{"team": "blue"}
	_, err := b.Writer.Write(t.Context(), want)
	w.must(err)
	w.admin(http.MethodPost, w.metadata("app"), map[string]any{"custom_metadata": map[string]string{ownerMark: "me", "by": "hand"}})
	_, err = b.Writer.Write(t.Context(), want)
	w.must(err)
	got := w.admin(http.MethodGet, w.metadata("app"), nil)
	for name, value := range map[string]string{ownerMark: "me", "by": "hand", "team": "blue"} {
		if text(got, "data", "custom_metadata", name) != value {
			t.Errorf("custom metadata %s is %s, want %s", name, text(got, "data", "custom_metadata", name), value)
		}
	}
	want.Secret = backend.Secret{Payload: textValue(`{"n": 1.5, "o": {}}`)}
	_, err = b.Writer.Write(t.Context(), want)
	w.must(err)
	s, err := read(t.Context(), b, ref)
	if err != nil || string(s.Payload.Reveal()) != `{"n":1.5,"o":{}}` {
		t.Errorf("a document: %s, %v", s.Payload.Reveal(), err)
	}
}

// TestWriteOnTop: what was made by hand is not written over, and what was
// deleted may be.
func TestWriteOnTop(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(nil, holding(root))
	w.put("app", map[string]any{"k": "by hand"})
	if _, err := b.Writer.Write(t.Context(), writing("me", "v")); backend.CodeOf(err) != backend.Conflict {
		t.Errorf("on top of what was made by hand: %v", err)
	}
	w.admin(http.MethodDelete, w.data("app"), nil)
	absent := writing("me", "v")
	absent.IfVersion = backend.Absent
	if _, err := b.Writer.Write(t.Context(), absent); err != nil {
		t.Errorf("on top of what was deleted: %v", err)
	}
	stale := writing("me", "v")
	stale.IfVersion = "1 2020-01-01T00:00:00Z"
	if _, err := b.Writer.Write(t.Context(), stale); backend.CodeOf(err) != backend.Conflict {
		t.Errorf("on top of another version: %v", err)
	}
}

// TestWriteRace: of two who write at once, one is told.
func TestWriteRace(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(nil, holding(root))
	w.must(errOf(b.Writer.Write(t.Context(), writing("me", "v"))))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = errOf(b.Writer.Write(t.Context(), writing("me", fmt.Sprint(i)))) })
	}
	wg.Wait()
	good := 0
	for _, err := range errs {
		switch backend.CodeOf(err) {
		case "":
			good++
		case backend.Conflict:
		default:
			t.Errorf("a race: %v", err)
		}
	}
	now := text(w.admin(http.MethodGet, w.metadata("app"), nil), "data", "current_version")
	if now != fmt.Sprint(good+1) {
		t.Errorf("%d writes were good, and the version is %s", good, now)
	}
}

func errOf(_ string, err error) error { return err }

func TestWriteRefuses(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(nil, holding(root))
	for name, change := range map[string]func(*backend.Write){
		"no owner":  func(w *backend.Write) { w.Owner = "" },
		"version":   func(w *backend.Write) { w.Ref.Version = "1" },
		"metadata":  func(w *backend.Write) { w.Ref.Part = backend.Metadata },
		"path":      func(w *backend.Write) { w.Ref.Path = "../x" },
		"plain":     func(w *backend.Write) { w.Ref.Kind = kindPath },
		"binary":    func(w *backend.Write) { w.Secret.Fields["k"] = textValue("\xff") },
		"no object": func(w *backend.Write) { w.Secret = backend.Secret{Payload: textValue(`["a"]`)} },
		"null":      func(w *backend.Write) { w.Secret = backend.Secret{Payload: textValue(`null`)} },
		"no JSON":   func(w *backend.Write) { w.Secret = backend.Secret{Payload: textValue(`x`)} },
	} {
		want := writing("me", "v")
		change(&want)
		before := w.requests.Load()
		if _, err := b.Writer.Write(t.Context(), want); backend.CodeOf(err) != backend.InvalidRef || w.requests.Load() != before {
			t.Errorf("%s: %v, %d requests", name, err, w.requests.Load()-before)
		}
	}
}

// TestWriteOvertaken: somebody writes between our look and our write.
func TestWriteOvertaken(t *testing.T) {
	for name, before := range map[string]bool{"new": false, "old": true} {
		w := newWorld(t, 2)
		b := w.open(nil, holding(root))
		if before {
			w.must(errOf(b.Writer.Write(t.Context(), writing("me", "v"))))
		}
		w.say(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.URL.Path == "/v1/"+w.data("app") {
				w.put("app", map[string]any{"k": "faster"})
			}
			return false
		})
		if _, err := b.Writer.Write(t.Context(), writing("me", "late")); backend.CodeOf(err) != backend.Conflict {
			t.Errorf("%s: an overtaken write: %v", name, err)
		}
		if s, err := read(t.Context(), b, ref); err != nil || string(plain(ref, s).Fields["k"].Reveal()) != "faster" {
			t.Errorf("%s: the faster write is gone: %v", name, err)
		}
	}
}
