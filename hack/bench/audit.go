// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

// policy has the API server note what Lockstep's service account writes. The
// requests of the raw ceiling are made in its name too, so they cost the same.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: Metadata
    users: ["system:serviceaccount:` + plane.Namespace + `:` + plane.ServiceAccount + `"]
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
`

// change is a write that reached the API server.
type change struct {
	what      string // secrets create, externalsecrets/status patch
	namespace string
	name      string
	code      int
	at        time.Time // when it was answered
}

// The writes that are looked for by name.
const (
	createSecret = "secrets create"
	updateSecret = "secrets update"
	patchStatus  = "externalsecrets/status patch"
)

// lease reports whether a write is about who leads.
func (c change) lease() bool { return strings.HasPrefix(c.what, "leases") }

// done reports whether the API server did what it was asked.
func (c change) done() bool { return c.code < 300 }

// parseChange reads a line of the audit log.
func parseChange(line []byte) (change, error) {
	var e struct {
		Verb   string `json:"verb"`
		Object struct {
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
			Namespace   string `json:"namespace"`
			Name        string `json:"name"`
		} `json:"objectRef"`
		Response struct {
			Code int `json:"code"`
		} `json:"responseStatus"`
		At time.Time `json:"stageTimestamp"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return change{}, fmt.Errorf("audit log: %w", err)
	}
	what := e.Object.Resource
	if e.Object.Subresource != "" {
		what += "/" + e.Object.Subresource
	}
	return change{
		what: what + " " + e.Verb, namespace: e.Object.Namespace, name: e.Object.Name, code: e.Response.Code, at: e.At,
	}, nil
}

// auditLog follows the API server's audit log.
type auditLog struct {
	path string

	mu   sync.Mutex
	at   int64  // how much of the file was read
	rest []byte // a line whose end is not there yet
	seen []change
}

// read takes in what is new, and returns how many writes there are in all.
func (a *auditLog) read() (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, err := os.Open(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // nothing was written yet
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(f, a.at, 1<<40))
	if err != nil {
		return 0, err
	}
	a.at += int64(len(text))
	a.rest = append(a.rest, text...)
	for {
		line, rest, ok := bytes.Cut(a.rest, []byte("\n"))
		if !ok {
			return len(a.seen), nil
		}
		a.rest = rest
		c, err := parseChange(line)
		if err != nil {
			return 0, err
		}
		a.seen = append(a.seen, c)
	}
}

// since returns the writes after the first n, with what is new.
func (a *auditLog) since(n int) ([]change, error) {
	if _, err := a.read(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen[n:]), nil
}

// work is what is left without leases.
func work(list []change) []change {
	return slices.DeleteFunc(slices.Clone(list), change.lease)
}

// firsts is when each object of a namespace was first written so.
func firsts(list []change, what, namespace string) map[string]time.Time {
	out := map[string]time.Time{}
	for _, c := range list {
		if c.what != what || c.namespace != namespace || !c.done() {
			continue
		}
		if t, ok := out[c.name]; !ok || c.at.Before(t) {
			out[c.name] = c.at
		}
	}
	return out
}

// latest is when the last write was answered.
func latest(list []change) (out time.Time) {
	for _, c := range list {
		if c.at.After(out) {
			out = c.at
		}
	}
	return out
}
