// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestChangedWhileRead has the world change between a read and the write of what
// was read (row 49): the manager holds its answer back, somebody takes the
// permission away, and then the answer comes. It is not written.
func TestChangedWhileRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		fresh  bool // there is no Secret before
		harm   func(w *world)
		// live says that the answer may come at once, for the controller asks anew
		// whatever it heard of. Else it comes when the controller has heard of the
		// harm, and what seen waits for has happened.
		live bool
		seen func(w *world)
		gone bool   // so is the Secret in the end
		want string // what the Secret holds in the end
	}{
		"label, fresh": {
			reason: "the namespace may not use the store any more", fresh: true, live: true,
			harm: func(w *world) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":null}}}`) },
		},
		"label": {
			reason: "the namespace may not use the store any more", want: "old", live: true,
			harm: func(w *world) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":null}}}`) },
		},
		"conditions": {
			reason: "the store does not admit the namespace any more", want: "old",
			harm: func(w *world) { w.patch(css, "", w.store(), `{"spec":{"conditions":[{"namespaces":["nobody"]}]}}`) },
			seen: func(w *world) { w.failed(w.atk, "app", "not allowed from namespace") },
		},
		"conditions, fresh": {
			reason: "the store does not admit the namespace any more", fresh: true,
			harm: func(w *world) { w.patch(css, "", w.store(), `{"spec":{"conditions":[{"namespaces":["nobody"]}]}}`) },
			seen: func(w *world) { w.failed(w.atk, "app", "not allowed from namespace") },
		},
		"store": {
			reason: "there is no store any more", want: "old",
			harm: func(w *world) { w.remove(css, "", w.store()) },
			seen: func(w *world) { w.failed(w.atk, "app", "does not exist") },
		},
		"store, fresh": {
			reason: "there is no store any more", fresh: true,
			harm: func(w *world) { w.remove(css, "", w.store()) },
			seen: func(w *world) { w.failed(w.atk, "app", "does not exist") },
		},
		"another store": {
			reason: "the object reads from another one now", want: "other",
			harm: func(w *world) {
				w.in(w.atk, fakeStore(ss, "other", "db", "other"))
				w.patch(es, w.atk, "app", `{"spec":{"secretStoreRef":{"kind":"SecretStore","name":"other"}}}`)
			},
			seen: func(w *world) { w.secret(w.atk, "app", map[string]string{"password": "other"}) },
		},
		"the store is elsewhere": {
			reason: "the store means another manager now", want: "old",
			harm: func(w *world) {
				w.patch(css, "", w.store(), `{"spec":{"provider":{"webhook":{"url":"http://127.0.0.1:1/"}}}}`)
			},
		},
		"the object": {
			reason: "nobody asks any more", gone: true,
			harm: func(w *world) { w.remove(es, w.atk, "app") },
			seen: func(w *world) { w.gone("Secret", w.atk, "app") },
		},
		"the object, fresh": {
			reason: "nobody asks any more", fresh: true,
			harm: func(w *world) { w.remove(es, w.atk, "app") },
			seen: func(w *world) { w.gone(es, w.atk, "app") },
		},
		"the namespace": {
			reason: "it is being deleted", fresh: true,
			harm: func(w *world) { w.remove("Namespace", "", w.atk) },
			seen: func(w *world) { w.gone(es, w.atk, "app") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "old"})
			w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":"good"}}}`)
			w.in("", h.store(css, w.store(), ", conditions: [{namespaceSelector: {matchLabels: {team: good}}}]", ", timeout: 1m"))
			if tc.fresh {
				h.hold()
			}
			w.in(w.atk, externalSecretOf(css, "app", w.store(), "db", "1s", ""))
			if !tc.fresh {
				w.secret(w.atk, "app", map[string]string{"password": "old"})
				h.hold()
			}
			h.put("db", w.canary)
			eventually(t, func() error {
				if h.held() == 0 {
					return fmt.Errorf("the manager is not asked")
				}
				return nil
			})
			tc.harm(w)
			if !tc.live {
				w.told()
			}
			if tc.seen != nil {
				tc.seen(w)
			}
			at := w.audit.len()
			h.open()
			w.healthy()
			w.settled(h)
			if lines := w.written(at, w.atk, "app"); len(lines) > 0 {
				t.Errorf("%s, and there was %v", tc.reason, lines)
			}
			switch {
			case tc.fresh || tc.gone:
				w.none(w.atk, "app")
			default:
				w.secret(w.atk, "app", map[string]string{"password": tc.want})
			}
		})
	}
}

// TestChangedWhileDecided has the world change when the controller has looked at
// everything and is about to write: the last thing that it reads before is held
// back.
func TestChangedWhileDecided(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		harm   func(w *world)
		want   string // what the Secret holds in the end; "" is that there is none
	}{
		"label": {
			reason: "the namespace may not use the store any more", want: "old",
			harm: func(w *world) { w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":null}}}`) },
		},
		"conditions": {
			reason: "the store does not admit the namespace any more", want: "old",
			harm: func(w *world) { w.patch(css, "", w.store(), `{"spec":{"conditions":[{"namespaces":["nobody"]}]}}`) },
		},
		"store": {
			reason: "there is no store any more", want: "old",
			harm: func(w *world) { w.remove(css, "", w.store()) },
		},
		"another store": {
			reason: "the object reads from another one now", want: "other",
			harm: func(w *world) {
				w.in(w.atk, fakeStore(ss, "other", "db", "other"))
				w.patch(es, w.atk, "app", `{"spec":{"secretStoreRef":{"kind":"SecretStore","name":"other"}}}`)
			},
		},
		"the store is elsewhere": {
			reason: "the store means another manager now", want: "old",
			harm: func(w *world) {
				w.patch(css, "", w.store(), `{"spec":{"provider":{"webhook":{"url":"http://127.0.0.1:1/"}}}}`)
			},
		},
		"the store is another one": {
			reason: "another store has its name now", want: "other",
			harm: func(w *world) {
				w.remove(css, "", w.store())
				w.in("", fakeStore(css, w.store(), "db", "other"))
			},
		},
		"the object": {
			reason: "nobody asks any more",
			harm: func(w *world) {
				w.remove(es, w.atk, "app")
				w.gone("Secret", w.atk, "app")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			h := newHook(t, map[string]string{"db": "old"})
			w.patch("Namespace", "", w.atk, `{"metadata":{"labels":{"team":"good"}}}`)
			w.in("", h.store(css, w.store(), ", conditions: [{namespaceSelector: {matchLabels: {team: good}}}]", ""))
			w.in(w.atk, externalSecretOf(css, "app", w.store(), "db", "1s", ""))
			w.secret(w.atk, "app", map[string]string{"password": "old"})
			w.synced(w.atk, "app")
			g := w.audit.stop(t, "GET /api/v1/namespaces/"+w.atk+"/secrets/app")
			w.patch("Secret", w.atk, "app", `{"metadata":{"labels":{"touched":"yes"}}}`)
			select {
			case <-g.reached:
			case <-time.After(patience):
				t.Fatal("the controller does not look at the Secret")
			}
			// An object is looked at by one worker at a time, so there is no other that
			// came past before. The third question comes when the controller has the
			// answer to the second.
			h.put("db", w.canary)
			n := h.reads("db")
			eventually(t, func() error {
				if got := h.reads("db") - n; got < 3 {
					return fmt.Errorf("the manager was asked %d times more", got)
				}
				return nil
			})
			at := w.audit.len()
			tc.harm(w)
			w.told()
			g.open()
			w.settled(h)
			if tc.want == "" {
				w.none(w.atk, "app")
			} else {
				w.secret(w.atk, "app", map[string]string{"password": tc.want})
			}
			if lines := w.written(at, w.atk, "app"); len(lines) > 0 && tc.want != "other" {
				t.Errorf("%s, and there was %v", tc.reason, lines)
			}
			if lines := w.written(at, w.atk, "app"); len(lines) > 1 {
				t.Errorf("%s, and there was %v", tc.reason, lines)
			}
		})
	}
}

// store is a name for a ClusterSecretStore of this world.
func (w *world) store() string { return "shared-" + w.id }

// settled waits until the controller has read two values more for somebody else
// from the same manager: what it read before is dealt with by then.
func (w *world) settled(h *hook) {
	w.t.Helper()
	w.in(w.well, h.store(ss, "clock", "", "")+"---"+externalSecret("clock", "clock", "clock", "1s", ""))
	for _, v := range []string{"one", "two"} {
		h.put("clock", v)
		w.secret(w.well, "clock", map[string]string{"password": v})
	}
}

// TestOnlyMissingRemoves has a manager fail in every way under deletionPolicy
// Delete (row 51): a proven 404 is the only one that removes the Secret.
func TestOnlyMissingRemoves(t *testing.T) {
	t.Parallel()
	status := func(code int) answer {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"error":"not found"}`)
			return true
		}
	}
	text := func(body string) answer {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for name, tc := range map[string]struct {
		answer  answer
		removes bool
		timeout string // of the store; "" is so long that no machine is too slow
		told    string
	}{
		"404":           {answer: status(404), removes: true},
		"400":           {answer: status(400), told: "Unknown"},
		"401":           {answer: status(401), told: "Unauthenticated"},
		"403":           {answer: status(403), told: "PermissionDenied"},
		"405":           {answer: status(405), told: "Unknown"},
		"410":           {answer: status(410), told: "Unknown"}, // gone is not what the provider calls missing
		"429":           {answer: status(429), told: "RateLimited"},
		"500":           {answer: status(500), told: "Unavailable"},
		"503":           {answer: status(503), told: "Unavailable"},
		"304":           {answer: status(304), told: "Unavailable"},
		"redirect":      {answer: redirect("http://127.0.0.2/", 302), told: "Unavailable"},
		"no answer":     {answer: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, told: "Unavailable"},
		"empty":         {answer: text(""), told: "Unavailable"},
		"HTML":          {answer: text("<html>404 not found</html>"), told: "Unavailable"},
		"another shape": {answer: text(`{"error":"not found"}`), told: "Unknown"},
		"too long":      {answer: text(`{"value":"` + strings.Repeat("x", 5<<20) + `"}`), told: "Unknown"},
		"timeout":       {timeout: ", timeout: 1s", told: "Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ours)
			w.holds = true
			h := newHook(t, map[string]string{"db": w.canary})
			w.in(w.atk, h.store(ss, "s", "", tc.timeout)+"---"+externalSecret("app", "s", "db", "1s", ", target: {deletionPolicy: Delete}"))
			w.secret(w.atk, "app", map[string]string{"password": w.canary})
			before := w.get("Secret", w.atk, "app")
			if tc.answer == nil {
				h.hold()
			}
			h.instead(tc.answer)
			if tc.removes {
				w.gone("Secret", w.atk, "app")
				w.becomes(es, w.atk, "app", "True", "SecretDeleted")
			} else {
				w.failed(w.atk, "app", "spec.data[0], SecretStore", tc.told)
				if after := w.get("Secret", w.atk, "app"); after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
					t.Error("the Secret was touched")
				}
			}
			h.instead(nil)
			h.open()
			w.becomes(es, w.atk, "app", "True", "SecretSynced")
			w.secret(w.atk, "app", map[string]string{"password": w.canary})
		})
	}
}
