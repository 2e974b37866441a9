// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// forward hands connections on from one network to the other.
type forward struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  bool
	all   sync.WaitGroup
}

// newForward listens at a free port of loopback.
func newForward(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*forward, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &forward{listener: l, dial: dial, conns: map[net.Conn]struct{}{}}
	f.all.Add(1)
	go f.accept() //nolint:contextcheck // it ends by the listener
	return f, nil
}

func (f *forward) accept() {
	defer f.all.Done()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // it is closed
		}
		f.all.Add(1)
		go func() {
			defer f.all.Done()
			f.carry(conn)
		}()
	}
}

// carry copies both ways until either side is done.
func (f *forward) carry(near net.Conn) {
	if !f.hold(near) {
		return
	}
	defer f.drop(near)
	far, err := f.dial(context.Background())
	if err != nil || !f.hold(far) {
		return // the server is away; the client is told by the end of its connection
	}
	defer f.drop(far)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
}

func (f *forward) hold(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		_ = c.Close()
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

func (f *forward) drop(c net.Conn) {
	_ = c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// close ends all connections.
func (f *forward) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	f.done = true
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
