// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Object is what Vault takes and gives.
type Object = map[string]any

// Ask sends one request with a token, and returns what came, whatever it was.
// path is below /v1/. A body that is no JSON object is returned as an error.
func (s *Server) Ask(ctx context.Context, token, method, path string, in any) (status int, out Object, err error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.Address+"/v1/"+path, body)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Vault-Token", token)
	s.mu.RLock()
	client := s.http
	s.mu.RUnlock()
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	out = Object{}
	if len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	return resp.StatusCode, out, err
}

// root asks as root, and takes no refusal.
func (s *Server) root(ctx context.Context, method, path string, in any) (Object, error) {
	status, out, err := s.Ask(ctx, s.Token, method, path, in)
	if err == nil && status >= http.StatusMultipleChoices {
		err = fmt.Errorf("vault answers %d, %v", status, out["errors"])
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return out, nil
}

// Write writes as root, and returns what came back, if anything did.
func (s *Server) Write(ctx context.Context, path string, in any) (Object, error) {
	return s.root(ctx, http.MethodPost, path, in)
}

// Read reads as root. What is not there is an error.
func (s *Server) Read(ctx context.Context, path string) (Object, error) {
	return s.root(ctx, http.MethodGet, path, nil)
}

// List lists as root. What is not there is an error.
func (s *Server) List(ctx context.Context, path string) (Object, error) {
	return s.root(ctx, "LIST", path, nil)
}

// Remove deletes as root, as far as the engine does.
func (s *Server) Remove(ctx context.Context, path string) error {
	_, err := s.root(ctx, http.MethodDelete, path, nil)
	return err
}

// Mount brings an engine of secrets to a path. options may be nil.
func (s *Server) Mount(ctx context.Context, path, engine string, options map[string]string) error {
	_, err := s.Write(ctx, "sys/mounts/"+path, Object{"type": engine, "options": options})
	return err
}

// Login brings a way to log in to a path below auth/.
func (s *Server) Login(ctx context.Context, path, kind string) error {
	_, err := s.Write(ctx, "sys/auth/"+path, Object{"type": kind})
	return err
}

// Policy says what the tokens may that have it, from now on, in Vault's own
// language. A rule is the text of one path.
func (s *Server) Policy(ctx context.Context, name string, rules ...string) error {
	_, err := s.Write(ctx, "sys/policies/acl/"+name, Object{"policy": strings.Join(rules, "\n")})
	return err
}

// Seal makes the server answer 503 to everything.
func (s *Server) Seal(ctx context.Context) error {
	_, err := s.Write(ctx, "sys/seal", nil)
	return err
}

// Unseal ends that.
func (s *Server) Unseal(ctx context.Context) error {
	out, err := s.Write(ctx, "sys/unseal", Object{"key": s.UnsealKey})
	if err == nil && out["sealed"] != false {
		return fmt.Errorf("one key did not unseal Vault: %v", out["errors"])
	}
	return err
}

// Users are those that a pretended database has.
func (s *Server) Users(ctx context.Context, database string) ([]string, error) {
	resp, err := s.database(ctx, database, "", "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct{ Users []string }
	err = json.NewDecoder(resp.Body).Decode(&out)
	return out.Users, err
}

// Admits reports whether a pretended database lets a user in.
func (s *Server) Admits(ctx context.Context, database, user, password string) (bool, error) {
	resp, err := s.database(ctx, database+"/login", user, password)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusNoContent, resp.Body.Close()
}

func (s *Server) database(ctx context.Context, path, user, password string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Address+"/_database/"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(user, password)
	s.mu.RLock()
	client := s.http
	s.mu.RUnlock()
	return client.Do(r)
}

// Text is a member of an answer, written out; "<nil>" when there is none.
func Text(o Object, path ...string) string {
	var v any = o
	for _, name := range path {
		m, _ := v.(Object)
		v = m[name]
	}
	return fmt.Sprint(v)
}
