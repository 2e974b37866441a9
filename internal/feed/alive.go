// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"sync/atomic"
)

// pulse lets others see whether Run's loop moves.
type pulse struct {
	beat  chan struct{}                 // received by the loop
	ended atomic.Pointer[chan struct{}] // nil while no loop runs; closed at its end
}

// starts notes that a loop runs, until what it returns is called.
func (p *pulse) starts() (end func()) {
	ended := make(chan struct{})
	p.ended.Store(&ended)
	return func() {
		p.ended.Store(nil)
		close(ended)
	}
}

// errStuck is what a probe is told.
var errStuck = errors.New("the loop that reads stores does not move")

// Alive returns nil when Run's loop moves before ctx ends, and where none runs.
// It takes no lock, since a lock that nobody lets go of is what it has to find.
func (f *Feed) Alive(ctx context.Context) error {
	ended := f.pulse.ended.Load()
	if ended == nil {
		return nil
	}
	select {
	case f.pulse.beat <- struct{}{}:
		return nil
	case <-*ended:
		return nil
	case <-ctx.Done():
		return errStuck
	}
}
