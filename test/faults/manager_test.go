// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	mount   = "secret"
	token   = "token-of-the-tests"
	latency = 20 * time.Millisecond // of an answer
	fields  = 5                     // of each secret
	paths   = 20
)

// manager speaks as much of Vault's protocol as is needed for secrets of a
// key-value engine of version 2 and a token that does not change. All fields of a
// secret are of one generation, and say so.
type manager struct {
	server *httptest.Server

	mu          sync.Mutex
	generations [paths]int
	reads       int
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{}
	for i := range m.generations {
		m.generations[i] = 1
	}
	m.server = httptest.NewServer(m)
	t.Cleanup(m.server.Close)
	return m
}

// rotate gives secrets another generation, all of them where none is named.
func (m *manager) rotate(which ...int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.generations {
		if len(which) == 0 || slices.Contains(which, i) {
			m.generations[i]++
		}
	}
}

func (m *manager) generation(path int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generations[path]
}

// asked is how often secrets were read.
func (m *manager) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// value is a field of a secret.
func value(path, generation, field int) string {
	return fmt.Sprintf("%s %d %d %d", canary, path, generation, field)
}

// ServeHTTP answers with what there was when it was asked.
func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusNotFound, `{"errors":[]}`
	switch rest, _ := strings.CutPrefix(r.URL.Path, "/v1/"); {
	case r.Header.Get("X-Vault-Token") != token:
		status, text = http.StatusForbidden, `{"errors":["permission denied"]}`
	case rest == "auth/token/lookup-self":
		status, text = http.StatusOK, `{"data":{"ttl":0,"renewable":false,"policies":["default"]}}`
	case strings.HasPrefix(rest, "sys/internal/ui/mounts/"):
		status, text = http.StatusOK, `{"data":{"type":"kv","path":"`+mount+`/","options":{"version":"2"}}}`
	case strings.HasPrefix(rest, mount+"/data/"):
		if path, err := strconv.Atoi(strings.TrimPrefix(rest, mount+"/data/")); err == nil && path < paths {
			status, text = http.StatusOK, m.read(path)
		}
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who was killed does not read it
}

func (m *manager) read(path int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	n := m.generations[path]
	data := map[string]string{}
	for f := range fields {
		data["f"+strconv.Itoa(f)] = value(path, n, f)
	}
	text, _ := json.Marshal(map[string]any{"data": map[string]any{"data": data, "metadata": map[string]any{
		"version": n, "created_time": time.Unix(int64(n), 0).UTC().Format(time.RFC3339Nano), "deletion_time": "", "destroyed": false,
	}}}) // maps of text cannot fail
	return string(text)
}
