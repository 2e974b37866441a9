// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"

	vault "github.com/hashicorp/vault/api"

	"github.com/lockstep-secrets/lockstep/backend"
)

// api asks one server.
type api struct {
	engine  engine
	words   words
	session func(args string) (*session, error) // for the Args of a Ref
	close   func()
	seen    seen
}

// question is one request.
type question struct {
	path   string // below /v1/
	params url.Values
	body   any  // sent as JSON by a PUT; nil makes it a GET
	delete bool // makes it a DELETE
}

// answer is what all of Vault's answers have in common.
type answer struct {
	LeaseID   string          `json:"lease_id"`
	Lease     int             `json:"lease_duration"` // seconds
	Renewable bool            `json:"renewable"`
	Data      json.RawMessage `json:"data"`
	Auth      *struct {
		Token     string          `json:"client_token"`
		Lease     int             `json:"lease_duration"` // seconds
		Renewable bool            `json:"renewable"`
		MFA       json.RawMessage `json:"mfa_requirement"`
	} `json:"auth"`

	grant *grant // who asked; nil of a login
}

// send makes one request. Its errors are a *refusal, an *backend.Error or one
// of the context.
func send(ctx context.Context, c *vault.Client, q question) (*answer, error) {
	if over := ctx.Err(); over != nil {
		return nil, given(over)
	}
	logical := c.Logical()
	var (
		resp *vault.Response
		err  error
	)
	switch {
	case q.delete:
		return nil, remove(ctx, logical, q.path)
	case q.body != nil:
		text, marshalErr := json.Marshal(q.body)
		if marshalErr != nil {
			return nil, backend.Errorf(backend.InvalidRef, "what is to be sent to Vault is not JSON")
		}
		resp, err = logical.WriteRawWithContext(ctx, q.path, text)
	default:
		resp, err = logical.ReadRawWithDataWithContext(ctx, q.path, q.params)
	}
	if resp == nil {
		return nil, unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, readErr := io.ReadAll(resp.Body)
	if readErr != nil {
		return nil, unanswered(ctx, readErr)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return nil, refuse(resp.StatusCode, resp.Header, text)
	}
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	out := &answer{}
	if len(text) > 0 && json.Unmarshal(text, out) != nil { // its text may quote a value
		return nil, unreadable(q.path)
	}
	return out, nil
}

// remove makes a DELETE, for which the library has no raw form.
func remove(ctx context.Context, logical *vault.Logical, path string) error {
	_, err := logical.DeleteWithContext(ctx, path)
	var said *vault.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return &refusal{code: said.StatusCode, vault: !said.RawError, texts: said.Errors}
	}
	return unanswered(ctx, err)
}

// unanswered is the error of a request that got no answer.
func unanswered(ctx context.Context, err error) error {
	var ours *backend.Error
	if over := ctx.Err(); over != nil && !errors.As(err, &ours) {
		return given(over)
	}
	return given(err)
}

// ask makes a request as the session that a Ref belongs to. When the token has
// ended, and only then, it logs in once more and asks again.
func (a *api) ask(ctx context.Context, s *session, q question) (*answer, error) {
	g, err := s.grant(ctx)
	if err != nil {
		return nil, err
	}
	out, err := send(ctx, g.data, q)
	ended, why := s.ended(ctx, g, err)
	if why != nil {
		return nil, why
	}
	if !ended {
		return out.by(g), err
	}
	fresh, err := s.again(ctx, g)
	if err != nil {
		return nil, err
	}
	out, err = send(ctx, fresh.data, q)
	ended, why = s.ended(ctx, fresh, err)
	if ended && why == nil {
		s.unsighted() // a new token is good: it may not look itself up
	}
	return out.by(fresh), err
}

// by notes whose answer it is.
func (a *answer) by(g *grant) *answer {
	if a != nil {
		a.grant = g
	}
	return a
}

// reading asks, and classifies what goes wrong.
func (a *api) reading(ctx context.Context, s *session, q question, t task) (*answer, error) {
	out, err := a.ask(ctx, s, q)
	if err != nil {
		return nil, a.words.classify(err, t)
	}
	return out, nil
}

// seen are the Refs that were asked for, by path, so that a notice of a path
// can be given for each of them.
type seen struct {
	mu   sync.Mutex
	refs map[string]map[backend.Ref]struct{}
	n    int
}

// maxSeen bounds what is remembered. Beyond it all is forgotten, and those who
// ask are remembered again.
const maxSeen = 50000

func (s *seen) add(path string, ref backend.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.refs[path][ref]; ok {
		return
	}
	if s.refs == nil || s.n >= maxSeen {
		s.refs, s.n = map[string]map[backend.Ref]struct{}{}, 0
	}
	if s.refs[path] == nil {
		s.refs[path] = map[backend.Ref]struct{}{}
	}
	s.refs[path][ref] = struct{}{}
	s.n++
}

// at returns the Refs of a path, in order.
func (s *seen) at(path string) []backend.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.refs[path]), backend.Ref.Compare)
}
