// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

const (
	asObject = "application/json"
	// asMetadata asks for objects without their data, so that no value travels.
	asMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	// asMetadataList is the same of a list.
	asMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

const (
	// maxAnswer is the largest answer that is read, in bytes. A Secret takes at
	// most 2 MiB in JSON; longer lists are asked for in smaller pages.
	maxAnswer = 12 << 20
	// maxRefusal is how much is read of an answer that is an error.
	maxRefusal = 64 << 10
)

// errTooLarge is what an answer beyond maxAnswer comes to.
var errTooLarge = errors.New("the answer is larger than 12 MiB")

// api asks one API server about one namespace.
type api struct {
	base      *url.URL
	namespace string
	client    *http.Client
	login     *login
}

// question is one request.
type question struct {
	method string
	path   []string
	params url.Values
	accept string
	in     any // sent as JSON, unless it is nil
	out    any // where the answer goes, unless it is nil
}

// secrets is the path of the Secrets, or of one of them.
func (a *api) secrets(name ...string) []string {
	return append([]string{"api", "v1", "namespaces", a.namespace, "secrets"}, name...)
}

// ask makes one request. Its errors are a *refusal, an *backend.Error,
// errTooLarge or one of the context.
func (a *api) ask(ctx context.Context, q question) error {
	token, err := a.login.token(ctx)
	if err != nil {
		return err
	}
	req, err := a.request(ctx, q)
	if err != nil {
		return backend.Errorf(backend.InvalidRef, "the URL of the API server cannot be used")
	}
	if token.IsSet() {
		req.Header.Set("Authorization", "Bearer "+string(token.Reveal()))
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		if resp.StatusCode == http.StatusUnauthorized {
			a.login.refused(token)
		}
		return refuse(resp, a.login.field)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return broken(ctx, err)
	case len(text) > maxAnswer:
		return errTooLarge
	case q.out == nil:
		return nil
	}
	if json.Unmarshal(text, q.out) != nil { // its text may quote a value
		return unreadable()
	}
	return nil
}

func (a *api) request(ctx context.Context, q question) (*http.Request, error) {
	u := a.base.JoinPath(q.path...)
	u.RawQuery = q.params.Encode()
	var body io.Reader
	if q.in != nil {
		text, err := json.Marshal(q.in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", q.accept)
	if q.in != nil {
		req.Header.Set("Content-Type", asObject)
	}
	return req, nil
}

// refuse reads an answer that is an error. What of it is the server's own text
// stays behind.
func refuse(resp *http.Response, field string) *refusal {
	r := &refusal{code: resp.StatusCode, field: field, wait: backend.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	var s metav1.Status
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil || json.Unmarshal(text, &s) != nil || s.Kind != "Status" {
		return r
	}
	r.reason, r.proceed = s.Reason, s.Continue
	if s.Details != nil {
		r.kind, r.name = s.Details.Kind, s.Details.Name
	}
	return r
}
