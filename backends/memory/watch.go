// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"

	"github.com/lockstep-secrets/lockstep/backend"
)

// A watcher collects notices until its Watch passes them on. The store's lock
// guards it.
type watcher struct {
	pending []backend.Ref
	signal  chan struct{} // holds one token while pending is not empty
}

// wake gives every watcher a notice. The caller holds the lock.
func (m *Memory) wake(r backend.Ref) {
	for w := range m.watchers {
		w.pending = append(w.pending, r)
		select {
		case w.signal <- struct{}{}:
		default:
		}
	}
}

// Watch implements backend.Watcher. The stream breaks when every call fails.
func (s *session) Watch(ctx context.Context, notify func(backend.Ref)) error {
	w := &watcher{signal: make(chan struct{}, 1)}
	err := s.request(ctx, func(m *Memory) error {
		m.watchers[w] = true
		return nil
	})
	if err != nil {
		return err
	}
	m := s.memory
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, w)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.signal:
		}
		m.mu.Lock()
		notices, err := w.pending, s.admit()
		w.pending = nil
		m.mu.Unlock()
		if err != nil {
			return err
		}
		for _, r := range notices {
			notify(r)
		}
	}
}
