// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAChangeIsOneWrite: for each change of a secret that many objects have, each of
// their Secrets is read once and written once, and each status is written once. The
// events that come of these writes cost nothing more, whether they come before the
// API server has answered or after.
func TestAChangeIsOneWrite(t *testing.T) {
	const changes, users = 5, 50
	for name, early := range map[string]bool{"events come late": false, "events come early": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "2s")
			g := newGateway(t)
			var all []string
			for i := range users { // they have the same two secrets, of which one changes
				all = append(all, names(i*paths, i*paths+1)...)
			}
			must(t, w.create(all...))
			p := w.run(g.access, "--leader-elect=false")
			w.settle("the first sync")
			w.polled(2)
			if early {
				g.holding(w.arrived())
			}
			reads, writes := len(g.reads(0)), len(g.writes(0))
			for range changes {
				w.manager.rotate(0)
				w.settle("a change")
			}
			g.holding(nil)
			w.polled(2) // what comes of the last events has come
			must(t, p.alive())

			got := map[string]int{}
			for _, line := range slices.Concat(g.reads(reads), g.writes(writes)) {
				method, rest, _ := strings.Cut(line, " ")
				_, about, _ := strings.Cut(rest, w.ns+"/")
				got[method+" "+about]++
			}
			want := map[string]int{}
			for _, o := range all {
				want["GET secrets/"+o], want["PUT secrets/"+o], want["PATCH externalsecrets/"+o+"/status"] = changes, changes, changes
			}
			if !maps.Equal(got, want) {
				for _, line := range slices.Sorted(maps.Keys(got)) {
					if got[line] != want[line] {
						t.Errorf("%d times %s, want %d", got[line], line, want[line])
					}
				}
				t.Errorf("%d different requests, want %d", len(got), len(want))
			}
		})
	}
}

// polled waits until the manager was asked so often more for each secret that
// objects of this test have.
func (w *world) polled(times int) {
	w.Helper()
	before := w.manager.asked()
	w.until("secrets are polled", func() error {
		if n := w.manager.asked() - before; n < 2*times {
			return fmt.Errorf("%d reads", n)
		}
		return nil
	})
}

// arrived returns what waits until our own watch of the API server has told of all
// writes of a Secret so far.
func (w *world) arrived() func(*http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := maps.Clone(w.events) // guarded by the lock of the world
	return func(r *http.Request) {
		name := path.Base(r.URL.Path)
		w.mu.Lock()
		due[name]++
		mine := due[name]
		w.mu.Unlock()
		told := func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.events[name] >= mine
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !told() {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}
}
