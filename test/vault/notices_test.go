// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// streams waits until Vault answered n subscriptions to its events with a
// status, since the gateway was made.
func (w *world) streams(g *gateway, n, status int) {
	w.Helper()
	w.eventually(func() error {
		if got := g.subscribed(status); got < n {
			return fmt.Errorf("%d of %d streams are answered %s", got, n, http.StatusText(status))
		}
		return nil
	})
}

func (g *gateway) subscribed(status int) (n int) {
	list, _ := g.since(0, "/v1/sys/events/subscribe/")
	for _, p := range list {
		if p.status == status {
			n++
		}
	}
	return n
}

// arrives puts a value, and measures how long it takes into the Secret.
func (w *world) arrives(name, value string) {
	w.Helper()
	began := time.Now()
	w.put(value)
	w.has(name, value)
	w.Logf("%s: in the Secret after %s", value, time.Since(began).Round(time.Millisecond))
}

// TestNotices: what is put in Vault is in the Secret though no poll is due for a
// year, also after the stream of events was cut.
func TestNotices(t *testing.T) {
	w := loneWorld(t, "-data", t.TempDir())
	g := w.gateway()
	w.kubernetes()
	w.policy(readSecret, readEvents)
	w.put("first")
	w.store("vault", secondEngine, asApp)
	w.wants("app", "vault", rarely, password)
	w.has("app", "first")
	w.streams(g, 1, http.StatusSwitchingProtocols)
	for _, value := range []string{"second", "third", "fourth"} {
		w.arrives("app", value)
	}

	w.vault.Kill()
	must(t, w.vault.Restart())
	w.put("meanwhile") // before there is a stream again, or right after
	w.has("app", "meanwhile")
	w.streams(g, 2, http.StatusSwitchingProtocols)
	w.arrives("app", "later")
	w.says("ExternalSecret", "app", synced)
}

// TestNoNotices: a server without a stream of events is polled, and is not
// asked for the stream again and again. So is one whose stream the login may
// not have.
func TestNoNotices(t *testing.T) {
	cases := map[string]struct {
		reason string
		flags  []string
		rules  []string
		status int
	}{
		"none":      {"Vault since 1.16, and OpenBao", []string{"-events=false"}, []string{readSecret, readEvents}, http.StatusNotFound},
		"forbidden": {"the policies have no events", nil, []string{readSecret}, http.StatusForbidden},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			w := newWorld(t, c.flags...)
			g := w.gateway()
			w.kubernetes()
			w.policy(c.rules...)
			w.put("first")
			w.store("vault", secondEngine, asApp)
			w.wants("app", "vault", "2s", password)
			w.has("app", "first")
			w.streams(g, 1, c.status)
			for _, value := range []string{"second", "third"} {
				w.put(value)
				w.has("app", value)
			}
			if n := g.subscribed(c.status); n != 1 {
				t.Errorf("%d times it asked for a stream that there is not", n)
			}
			if list := shared.eso.complaints(w.ns); len(list) > 0 {
				t.Errorf("%d complaints, such as %s", len(list), list[0])
			}
		})
	}
}
