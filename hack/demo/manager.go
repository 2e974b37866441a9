// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// manager is the secret manager as a developer with curl sees it.
type manager struct {
	url   string
	token string
}

// login gets a token of IAM for an API key.
func (m *manager) login(ctx context.Context, apiKey string) error {
	typed("export TOKEN=$(curl -s $SECRETS_MANAGER_URL/identity/token -d grant_type=urn:ibm:params:oauth:grant-type:apikey -d apikey=… | jq -r .access_token)")
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {apiKey}}
	var answer struct {
		Token string `json:"access_token"`
	}
	err := m.send(ctx, http.MethodPost, "/identity/token", "application/x-www-form-urlencoded", form.Encode(), &answer)
	m.token = answer.Token
	return err
}

// post prints and makes a request of the API.
func (m *manager) post(ctx context.Context, path, body string, into any) error {
	typed("curl -s $SECRETS_MANAGER_URL%s -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n    -d '%s'", path, body)
	return m.send(ctx, http.MethodPost, path, "application/json", body, into)
}

// stats returns what the stand-in counted.
func (m *manager) stats(ctx context.Context) (ibmsm.Stats, error) {
	var out ibmsm.Stats
	return out, m.send(ctx, http.MethodGet, "/_standin/stats", "", "", &out)
}

func (m *manager) resetStats(ctx context.Context) error {
	return m.send(ctx, http.MethodPost, "/_standin/reset-stats", "", "", nil)
}

func (m *manager) send(ctx context.Context, method, path, contentType, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, m.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if m.token != "" {
		r.Header.Set("Authorization", "Bearer "+m.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}
