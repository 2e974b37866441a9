// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-secrets/lockstep/backends/memory"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// alive asks as a probe does, with a second to answer.
func alive(t *testing.T, f *Feed) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return f.Alive(ctx)
}

// TestAlive: a loop that moves is alive, busy or not, and so is one that does not
// run here, as on a replica that does not lead.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memory.New(), Options{})
		check := func(when string) {
			t.Helper()
			if err := alive(t, w.feed); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		check("before it runs")
		w.start()
		check("while nothing is due")
		time.Sleep(3 * idle)
		check("after hours without anything to do")
		w.stop()
		check("after it ended")
	})
}

// TestStuck: a loop that does not come back is found, whatever it waits for.
func TestStuck(t *testing.T) {
	t.Run("Lock", func(t *testing.T) {
		// In a bubble time stands still while somebody waits for a lock.
		f := New(Options{Wake: func(spec.ID) {}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.Run(ctx)
		}()
		defer func() {
			cancel()
			<-ended
		}()
		ask := func() error {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			return f.Alive(ctx)
		}
		f.mu.Lock()
		for ask() == nil { // it may not have come to the lock yet
			f.nudge()
		}
		f.mu.Unlock()
		for err := ask(); err != nil; err = ask() {
			t.Log("it goes on in a moment")
		}
	})
	t.Run("Wake", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, memory.New(), Options{})
			hang := make(chan struct{})
			w.feed.opts.Wake = func(spec.ID) { <-hang }
			w.start()
			w.feed.mu.Lock()
			w.feed.schedule.set(&follower{id: spec.ID{Name: "a"}}, time.Now())
			w.feed.mu.Unlock()
			w.feed.nudge()
			synctest.Wait()
			if alive(t, w.feed) == nil {
				t.Error("a call hangs, and the feed is called alive")
			}
			close(hang)
			if err := alive(t, w.feed); err != nil {
				t.Errorf("it goes on: %v", err)
			}
		})
	})
}
