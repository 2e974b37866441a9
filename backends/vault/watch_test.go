// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// watch follows a store until the test ends.
func (w *world) watch(b backend.Backend) (notices chan backend.Ref, broke chan error) {
	w.t.Helper()
	notices, broke = make(chan backend.Ref, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		broke <- b.Watcher.Watch(ctx, func(r backend.Ref) { notices <- r })
	}()
	return notices, broke
}

// notice changes a secret until there is a notice, for the stream may not have
// begun, and returns it.
func (w *world) notice(notices chan backend.Ref, change func()) backend.Ref {
	w.t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case r := <-notices:
			return r
		case <-tick.C:
			change()
		case <-end:
			w.t.Fatal("no notice")
		}
	}
}

func TestWatch(t *testing.T) {
	for _, version := range []int{1, 2} {
		w := newWorld(t, version)
		b := w.open(nil, holding(root))
		put := func() { w.put("team/app", map[string]any{"k": "v"}) }
		put()
		notices, _ := w.watch(b)
		if got := w.notice(notices, put); got != (backend.Ref{Path: "team/app"}) {
			t.Errorf("version %d: a notice of %+v", version, got)
		}
		// Those who asked in another spelling have their notice, too.
		asked := []backend.Ref{{Path: w.mount + "/team/app"}, {Path: "team/app"}}
		for _, r := range asked {
			_, err := read(t.Context(), b, r)
			w.must(err)
		}
		var got []backend.Ref
		for len(got) < 2 {
			if r := w.notice(notices, put); !slices.Contains(got, r) {
				got = append(got, r)
			}
		}
		for _, r := range asked {
			if !slices.Contains(got, r) {
				t.Errorf("version %d: no notice of %+v, but of %+v", version, r, got)
			}
		}
		// A secret of another mount is none of the store's.
		other := newWorld(t, version)
		other.put("x", map[string]any{"k": "v"})
		for range 3 {
			if r := w.notice(notices, put); !slices.Contains(asked, r) {
				t.Errorf("version %d: a notice of %+v", version, r)
			}
		}
	}
}

func TestWatchRemovals(t *testing.T) {
	w := newWorld(t, 2)
	w.put("app", map[string]any{"k": "v"})
	b := w.open(nil, holding(root))
	notices, _ := w.watch(b)
	w.notice(notices, func() { w.put("app", map[string]any{"k": "v"}) })
	for _, c := range []struct {
		method, path string
		in           any
	}{
		{http.MethodDelete, w.data("app"), nil},
		{http.MethodPut, w.mount + "/undelete/app", map[string]any{"versions": []int{1}}},
		{http.MethodPut, w.mount + "/destroy/app", map[string]any{"versions": []int{1}}},
		{http.MethodDelete, w.metadata("app"), nil},
	} {
		for len(notices) > 0 {
			<-notices
		}
		if r := w.notice(notices, func() { w.admin(c.method, c.path, c.in) }); r != ref {
			t.Errorf("%s %s: a notice of %+v", c.method, c.path, r)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	w := newWorld(t, 2)
	for name, c := range map[string]struct {
		reason string
		answer int
		want   backend.Code
	}{
		"NoStream": {"a community server of today", http.StatusNotFound, backend.NotFound},
		"Sealed":   {"it is sealed", http.StatusServiceUnavailable, backend.Unavailable},
		"Moved":    {"the token does not go along", http.StatusTemporaryRedirect, backend.Unavailable},
		"Success":  {"a server that does not know what it is asked", http.StatusOK, backend.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w.say(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Upgrade") == "" {
					return false
				}
				rw.Header().Set("Location", "https://elsewhere.example.com/")
				answerJSON(rw, c.answer, map[string]any{"errors": []string{"canary"}})
				return true
			})
			_, broke := w.watch(w.open(nil, holding(root)))
			if err := <-broke; backend.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %q", c.reason, err, c.want)
			}
		})
	}
	w.say(nil)
	_, broke := w.watch(w.open(nil, holding(w.token(w.policy("no-events"), nil))))
	if err := <-broke; backend.CodeOf(err) != backend.PermissionDenied {
		t.Errorf("without the right: %v", err)
	}
}

// another is a Vault of the test's own.
func another(t testing.TB, args ...string) *world {
	t.Helper()
	s, err := startServer(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	w := &world{t: t, vault: s, mount: "secret", version: 2}
	w.door = newDoor(t, s.Address, w)
	return w
}

func TestWatchBreaks(t *testing.T) {
	w := another(t)
	notices, broke := w.watch(w.open(nil, holding(root)))
	w.notice(notices, func() { w.put("app", map[string]any{"k": "v"}) })
	w.vault.stop()
	if err := <-broke; backend.CodeOf(err) != backend.Unavailable {
		t.Errorf("a stream that breaks: %v", err)
	}
}

// TestWatchNowhere is a real server without a stream.
func TestWatchNowhere(t *testing.T) {
	w := another(t, "-events=false")
	_, broke := w.watch(w.open(nil, holding(root)))
	if err := <-broke; backend.CodeOf(err) != backend.NotFound {
		t.Errorf("a server without a stream: %v", err)
	}
}
