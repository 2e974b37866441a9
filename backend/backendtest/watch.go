// SPDX-License-Identifier: Apache-2.0

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

var watchChecks = []Check{
	{Name: "watch/notice", Needs: backend.CanWatch, Skip: noRotate, Run: watchNotice},
	{Name: "watch/ends", Needs: backend.CanWatch, Run: watchEnds},
}

// watchNotice: a change is noticed. Notices may be lost, so the secret changes
// until one comes.
func watchNotice(ctx context.Context, h Harness) error {
	ref := h.Seed("watched", h.secret("old"))
	ctx, cancel := context.WithTimeout(ctx, h.Patience)
	defer cancel()
	broke := make(chan error, 1)
	notices := make(chan backend.Ref, 64)
	go func() {
		broke <- h.Backend.Watcher.Watch(ctx, func(r backend.Ref) {
			select {
			case notices <- r:
			default:
			}
		})
	}()
	again := time.NewTicker(h.Patience / 50)
	defer again.Stop()
	for n := 0; ; n++ {
		select {
		case r := <-notices:
			if r == ref || r == (backend.Ref{}) {
				return nil
			}
			return fmt.Errorf("a notice of %s, which did not change", r)
		case err := <-broke:
			if ctx.Err() != nil {
				return errors.New("no notice of a change")
			}
			return fmt.Errorf("the stream broke: %w", err)
		case <-ctx.Done():
			return errors.New("no notice of a change")
		case <-again.C:
			h.Rotate(ref, h.secret(fmt.Sprintf("new %d", n)))
		}
	}
}

// watchEnds: Watch lives as long as its context.
func watchEnds(ctx context.Context, h Harness) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return h.promptly("a Watch whose context ended", func() error {
		return coded("a Watch whose context ended", h.Backend.Watcher.Watch(ctx, func(backend.Ref) {}), backend.Unavailable)
	})
}
