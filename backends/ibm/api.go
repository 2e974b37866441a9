// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"net/http"
	"net/url"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

// api makes requests of one instance, with one login.
type api struct {
	service *core.BaseService
	login   *login
	names   directory
}

// question is one request.
type question struct {
	method string            // GET when empty
	path   string            // with {names} of params, which are escaped
	params map[string]string // each is one path segment, never empty
	query  url.Values
	body   any           // sent as JSON; nil sends none
	merge  bool          // the body is a JSON merge patch
	means  map[int]error // of a status that says something else here than to a read
}

// ask makes one request and reads its JSON into into, which may be nil. about
// is for messages.
func (a *api) ask(ctx context.Context, q question, about backend.Ref, into any) error {
	if over := ctx.Err(); over != nil {
		return given(product, over)
	}
	token, err := a.login.token(ctx)
	if err != nil {
		return err
	}
	request, err := a.request(ctx, q, token)
	if err != nil {
		return badID(about.Path)
	}
	resp, err := a.service.Request(request, into)
	if err == nil {
		return nil
	}
	if over := ctx.Err(); over != nil {
		return given(product, over)
	}
	if resp != nil && resp.StatusCode == http.StatusUnauthorized {
		a.login.refused(token)
	}
	if resp != nil && q.means[resp.StatusCode] != nil {
		return q.means[resp.StatusCode]
	}
	return classify(resp, err, about, a.by())
}

// by is who asks, as messages name it.
func (a *api) by() party {
	by := parties[a.login.config.kind]
	by.words = a.login.config.words
	return by
}

func (a *api) request(ctx context.Context, q question, token string) (*http.Request, error) {
	method := q.method
	if method == "" {
		method = http.MethodGet
	}
	builder := core.NewRequestBuilder(method).WithContext(ctx)
	if _, err := builder.ResolveRequestURL(a.service.Options.URL, q.path, q.params); err != nil {
		return nil, err
	}
	for name, values := range q.query {
		for _, v := range values {
			builder.AddQuery(name, v)
		}
	}
	if q.body != nil {
		if _, err := builder.SetBodyContentJSON(q.body); err != nil {
			return nil, err
		}
		kind := "application/json"
		if q.merge {
			kind = "application/merge-patch+json"
		}
		builder.AddHeader("Content-Type", kind)
	}
	builder.AddHeader("Accept", "application/json")
	if token != "" {
		builder.AddHeader("Authorization", "Bearer "+token)
	}
	return builder.Build()
}
