// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/lockstep-secrets/lockstep/backend"
)

const (
	// events are those of key-value engines of both versions.
	events = "sys/events/subscribe/kv*"
	// maxEvent is the longest event that is read, in bytes.
	maxEvent = 1 << 20
	// pings find out, on a stream where nothing happens, that nobody is there
	// any more.
	pingEvery   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// watcher follows Vault's stream of events: a WebSocket, which servers have
// that are Enterprise, or older than 1.16 and told to. Others say 404, and
// OpenBao does.
type watcher struct{ api *api }

// event is one message of the stream, in what of it is used. data_path came
// with 1.16; before, path is below the mount.
type event struct {
	Data struct {
		Event struct {
			Metadata struct {
				Path     string `json:"path"`
				DataPath string `json:"data_path"`
			} `json:"metadata"`
		} `json:"event"`
		Type   string `json:"event_type"`
		Plugin struct {
			Mount string `json:"mount_path"`
		} `json:"plugin_info"`
	} `json:"data"`
}

// Watch implements backend.Watcher. It ends with NotFound where the server has
// no stream, and with PermissionDenied where the login may not have it.
func (w *watcher) Watch(ctx context.Context, notify func(backend.Ref)) error {
	if err := ctx.Err(); err != nil {
		return given(err)
	}
	s, err := w.api.session("")
	if err != nil {
		return err
	}
	g, err := s.grant(ctx)
	if err != nil {
		return err
	}
	conn, err := w.dial(ctx, s, g)
	ended, why := s.ended(ctx, g, err)
	if why != nil {
		return why
	}
	if ended {
		if g, err = s.again(ctx, g); err == nil {
			conn, err = w.dial(ctx, s, g)
		}
	}
	if err != nil {
		return w.refused(err)
	}
	defer func() { _ = conn.CloseNow() }()
	return w.follow(ctx, conn, notify)
}

// refused says what a stream that is not opened comes to.
func (w *watcher) refused(err error) error {
	var r *refusal
	if errors.As(err, &r) && (r.code == http.StatusNotFound || r.code == http.StatusMethodNotAllowed) {
		return backend.Errorf(backend.NotFound, "this server of Vault has no stream of events (%d)", r.code)
	}
	return w.api.words.classify(err, task{"subscribe to", "its events"})
}

// dial opens the stream.
func (w *watcher) dial(ctx context.Context, s *session, g *grant) (*websocket.Conn, error) {
	header := s.clients.header(s.namespace)
	if g.token.IsSet() {
		header.Set(headerToken, string(g.token.Reveal()))
	}
	conn, resp, err := websocket.Dial(ctx, s.clients.server+"/v1/"+events+"?json=true", &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		HTTPClient: s.clients.http, HTTPHeader: header,
	})
	if err == nil {
		conn.SetReadLimit(maxEvent)
		return conn, nil
	}
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == http.StatusOK {
		return nil, unanswered(ctx, err)
	}
	text, readErr := io.ReadAll(resp.Body) // the library has read it, and closed the connection
	if readErr != nil {
		return nil, unanswered(ctx, readErr)
	}
	return nil, refuse(resp.StatusCode, resp.Header, text)
}

// follow passes on notices until the stream breaks.
func (w *watcher) follow(ctx context.Context, conn *websocket.Conn, notify func(backend.Ref)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer func() { <-done }()
	defer cancel()
	go func() {
		defer close(done)
		ping(ctx, conn)
	}()
	for {
		_, text, err := conn.Read(ctx)
		if over := ctx.Err(); over != nil {
			return given(over)
		}
		if err != nil {
			return backend.Errorf(backend.Unavailable, "Vault's stream of events broke")
		}
		for _, ref := range w.about(text) {
			notify(ref)
		}
	}
}

// ping ends the connection when nobody answers.
func ping(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		one, cancel := context.WithTimeout(ctx, pingTimeout)
		err := conn.Ping(one)
		cancel()
		if err != nil {
			_ = conn.CloseNow()
			return
		}
	}
}

// about returns the Refs that an event is about: those that were asked for by
// its path, and how a manifest would write it.
func (w *watcher) about(text []byte) []backend.Ref {
	var e event
	if json.Unmarshal(text, &e) != nil {
		return []backend.Ref{{}} // anything may have changed
	}
	mount := strings.Trim(e.Data.Plugin.Mount, "/")
	full := strings.Trim(e.Data.Event.Metadata.DataPath, "/")
	if path := strings.Trim(e.Data.Event.Metadata.Path, "/"); full == "" && path != "" {
		full = mount + "/" + path
	}
	below, ok := strings.CutPrefix(full, mount+"/")
	if !ok || mount == "" || below == "" {
		return []backend.Ref{{}}
	}
	if strings.HasPrefix(e.Data.Type, "kv-v2/") {
		for _, part := range []string{"metadata/", "delete/", "undelete/", "destroy/"} {
			if rest, ok := strings.CutPrefix(below, part); ok {
				below = "data/" + rest
			}
		}
	}
	out := w.api.seen.at(mount + "/" + below)
	if len(out) > 0 {
		return out
	}
	for _, path := range w.api.engine.spellings(mount, below) {
		out = append(out, backend.Ref{Path: path})
	}
	return out
}
