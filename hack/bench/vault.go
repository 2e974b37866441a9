// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	mount = "secret"
	token = "token-of-the-benchmark"
)

// The kinds of request.
const (
	kindRead     = "read"
	kindMetadata = "metadata"
	kindMounts   = "mounts"
	kindLookup   = "look up the token"
	kindStream   = "open the stream"
	kindOther    = "other"
)

// A manager is a stand-in for a product: it holds a state, and counts requests.
type manager interface {
	// stores are the manifests of a store of the given name, and of what it
	// needs.
	stores(name string) string
	// remote is the key of a path in a manifest.
	remote(path int) string
	// change gives paths their next version.
	change(paths []int) error
	requests() *counter
	// values is what it holds.
	values() *state
	stop() error
}

// vault speaks as much of Vault's protocol as Lockstep needs for secrets of a
// key-value engine of version 2: reads, the proof that a path is missing, the
// check of a token, and the stream of events where it is told to.
type vault struct {
	state   *state
	delay   time.Duration // of each answer
	counter counter
	streams streams
	served
}

func startVault(s *state, delay time.Duration, streaming bool) (*vault, error) {
	v := &vault{state: s, delay: delay, streams: streams{on: streaming}}
	var err error
	v.served, err = serve(v)
	return v, err
}

// ServeHTTP counts a request, waits and answers.
func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, path := vaultKind(r.Method, r.URL.Path)
	v.counter.note(kind)
	timer := time.NewTimer(v.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	if r.Header.Get("X-Vault-Token") != token {
		answer(w, http.StatusForbidden, `{"errors":["permission denied"]}`)
		return
	}
	switch kind {
	case kindRead:
		v.read(w, path)
	case kindMounts:
		answer(w, http.StatusOK, `{"data":{"type":"kv","path":"`+mount+`/","options":{"version":"2"}}}`)
	case kindLookup:
		answer(w, http.StatusOK, `{"data":{"ttl":0,"renewable":false,"policies":["default"]}}`)
	case kindStream:
		v.streams.serve(w, r)
	default:
		answer(w, http.StatusNotFound, `{"errors":[]}`)
	}
}

// vaultKind is what a request is for, and about which path.
func vaultKind(method, path string) (kind string, number int) {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok || method != http.MethodGet {
		return kindOther, -1
	}
	switch {
	case rest == "auth/token/lookup-self":
		return kindLookup, -1
	case strings.HasPrefix(rest, "sys/internal/ui/mounts/"):
		return kindMounts, -1
	case strings.HasPrefix(rest, "sys/events/subscribe/"):
		return kindStream, -1
	case strings.HasPrefix(rest, mount+"/metadata/"):
		return kindMetadata, -1
	}
	if text, ok := strings.CutPrefix(rest, mount+"/data/app/"); ok {
		if n, err := strconv.Atoi(text); err == nil {
			return kindRead, n
		}
	}
	return kindOther, -1
}

func (v *vault) read(w http.ResponseWriter, path int) {
	version := v.state.version(path)
	if version == 0 {
		answer(w, http.StatusNotFound, `{"errors":[]}`)
		return
	}
	data := map[string]string{}
	for j := range entries {
		data[property(j)] = value(path, j, version)
	}
	text, err := json.Marshal(map[string]any{"data": map[string]any{"data": data, "metadata": map[string]any{
		"version": version, "created_time": fmt.Sprintf("2026-01-01T00:00:%02d.0Z", version%60),
		"deletion_time": "", "destroyed": false, "custom_metadata": nil,
	}}})
	if err != nil {
		answer(w, http.StatusInternalServerError, `{"errors":["no JSON"]}`)
		return
	}
	answer(w, http.StatusOK, string(text))
}

func (v *vault) stores(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %[1]s}
stringData: {token: %[2]q}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: %[1]s}
spec:
  provider:
    vault:
      server: %[3]q
      path: %[4]s
      version: v2
      auth: {tokenSecretRef: {name: %[1]s, key: token}}
`, name, token, v.url, mount)
}

func (v *vault) remote(path int) string { return fmt.Sprintf("app/%d", path) }
func (v *vault) requests() *counter     { return &v.counter }
func (v *vault) values() *state         { return v.state }

func (v *vault) change(paths []int) error {
	v.state.bump(paths)
	for _, p := range paths {
		v.streams.tell(fmt.Sprintf(`{"data":{"event":{"metadata":{"path":"data/app/%[1]d","data_path":"%[2]s/data/app/%[1]d"}},`+
			`"event_type":"kv-v2/data-write","plugin_info":{"mount_path":"%[2]s/"}}}`, p, mount))
	}
	return nil
}

// served is an HTTP server on this machine.
type served struct {
	url    string
	server *http.Server
	ended  chan error
}

func serve(h http.Handler) (served, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it takes no time
	if err != nil {
		return served{}, err
	}
	s := served{url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	s.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.ended <- s.server.Serve(l) }()
	return s, nil
}

func (s served) stop() error {
	err := s.server.Close()
	if end := <-s.ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client is gone; there is nobody to tell
}

// write sends a message, in the time that anybody on this machine has.
func write(ctx context.Context, c *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, []byte(text))
}
