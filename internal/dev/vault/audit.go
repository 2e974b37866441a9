// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Request is what somebody asked a server.
type Request struct {
	Time      time.Time // when it was answered
	Operation string    // read, list, update, delete
	Path      string    // below /v1/
	Accessor  string    // of the token that was shown or, with a login, made; tells tokens apart
	Refused   bool
}

// Requests reads the file of -audit: all that was answered until now, in that
// order, requests of root apart. Streams of events are not in it.
func Requests(file string) ([]Request, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the test's own file
	if err != nil {
		return nil, err
	}
	// The server may be writing the last line.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	var out []Request
	for line := range bytes.Lines(text) {
		var entry struct {
			Type  string
			Time  time.Time
			Error string
			Auth  struct {
				Accessor string
				Policies []string
			}
			Request  struct{ Operation, Path string }
			Response struct {
				Auth struct{ Accessor string }
			}
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if entry.Type != "response" || slices.Contains(entry.Auth.Policies, "root") {
			continue
		}
		r := Request{
			Time: entry.Time, Operation: entry.Request.Operation, Path: entry.Request.Path,
			Accessor: entry.Auth.Accessor, Refused: entry.Error != "",
		}
		if made := entry.Response.Auth.Accessor; made != "" {
			r.Accessor = made
		}
		out = append(out, r)
	}
	return out, nil
}

// Count counts requests by operation and path, written "read secret/data/a",
// of those whose path begins as said.
func Count(requests []Request, prefix string) map[string]int {
	out := map[string]int{}
	for _, r := range requests {
		if strings.HasPrefix(r.Path, prefix) {
			out[r.Operation+" "+r.Path]++
		}
	}
	return out
}
