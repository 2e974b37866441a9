// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// streams is Vault's stream of events, for those who opened it.
type streams struct {
	mu   sync.Mutex
	on   bool // there is one
	open map[chan string]struct{}
}

// backlog is how many events a listener may be behind: more than paths change at
// once.
const backlog = 100_000

// serve sends events until the listener leaves. Without a stream it answers as
// servers of Vault do that have none.
func (s *streams) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	on := s.on
	s.mu.Unlock()
	if !on {
		answer(w, http.StatusNotFound, `{"errors":[]}`)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer func() { _ = conn.CloseNow() }()
	events := make(chan string, backlog)
	s.join(events)
	defer s.leave(events)
	ctx := conn.CloseRead(r.Context()) // answers pings
	for {
		select {
		case text := <-events:
			if write(ctx, conn, text) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *streams) join(events chan string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[chan string]struct{}{}
	}
	s.open[events] = struct{}{}
}

func (s *streams) leave(events chan string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, events)
}

// listeners is how many have the stream open.
func (s *streams) listeners() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// turn says whether there is a stream from now on.
func (s *streams) turn(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
}

// tell sends an event to all listeners. One whose backlog is full misses it, as
// it would with Vault.
func (s *streams) tell(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for events := range s.open {
		select {
		case events <- text:
		default:
		}
	}
}
