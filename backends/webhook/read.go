// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/lockstep-secrets/lockstep/backend"
)

// reader reads secrets, one with each request.
type reader struct{ hook *hook }

// Read makes one request for each ref.
func (r *reader) Read(ctx context.Context, refs []backend.Ref) ([]backend.Result, error) {
	out := make([]backend.Result, len(refs))
	for i, ref := range refs {
		v, err := r.hook.read(ctx, ref)
		out[i] = backend.Result{Ref: ref, Secret: backend.Secret{Payload: v}, Err: err}
	}
	return out, nil
}

func (h *hook) read(ctx context.Context, ref backend.Ref) (backend.Value, error) {
	a, err := readable(ref)
	if err != nil {
		return backend.Value{}, err
	}
	if h.refused != nil {
		return backend.Value{}, h.refused
	}
	if over := ctx.Err(); over != nil {
		return backend.Value{}, h.given(over)
	}
	path, err := h.path(ref, a)
	if err != nil {
		return backend.Value{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.settings.timeout)
	defer cancel()
	request, err := h.request(ctx, ref, a)
	if err != nil {
		return backend.Value{}, err
	}
	body, err := h.ask(request, ref)
	if err != nil || path == nil {
		return body, err
	}
	return h.pick(body, *path)
}

// path is where in the answer the value is, or nil where the value is all of
// it.
func (h *hook) path(ref backend.Ref, a args) (*jsonPath, error) {
	text, err := h.fill("result.jsonPath", h.settings.Result.JSONPath, h.data(ref, a, plain))
	if err != nil || text == "" {
		return nil, err
	}
	p, err := parsePath(text)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "webhook.result.jsonPath is not a path, such as $.data.value: %s", err)
	}
	return &p, nil
}

// ask makes a request and returns the answer to it.
func (h *hook) ask(r *http.Request, about backend.Ref) (backend.Value, error) {
	resp, err := h.client.Do(r)
	if err != nil {
		return backend.Value{}, h.broken(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return backend.Value{}, h.classify(resp, about)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return backend.Value{}, h.broken(err)
	}
	if len(body) > maxAnswer {
		return backend.Value{}, h.tooLarge()
	}
	return backend.NewValue(body), nil
}

// pick takes the value out of an answer.
func (h *hook) pick(body backend.Value, path jsonPath) (backend.Value, error) {
	doc, err := decode(body.Reveal())
	if errors.Is(err, errTooMany) {
		return backend.Value{}, h.tooLarge()
	}
	if err != nil {
		return backend.Value{}, backend.Errorf(backend.Unavailable, "%s gives an answer that is not JSON, which webhook.result.jsonPath needs", h.who)
	}
	found, err := path.find(doc)
	if err != nil {
		return backend.Value{}, backend.Errorf(backend.Unknown, "the answer of %s has nothing at webhook.result.jsonPath: %s", h.who, err)
	}
	v, err := flat(found)
	if err != nil {
		return backend.Value{}, backend.Errorf(backend.Unknown, "the answer of %s has nothing at webhook.result.jsonPath: %s", h.who, err)
	}
	return v, nil
}

var errTooMany = errors.New("too many values")

// decode reads a JSON document. Numbers keep their digits. What a document of a
// few bytes a value comes to in memory is bounded by counting first.
func decode(b []byte) (any, error) {
	if values(b) > maxValues {
		return nil, errTooMany
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return doc, nil
}

// values returns about how many values a JSON document has.
func values(b []byte) (n int) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// flat makes bytes of a JSON value: of a list it is the first element, and an
// object is JSON with sorted members.
func flat(v any) (backend.Value, error) {
	switch v := v.(type) {
	case nil:
		return backend.NewValue(nil), nil
	case string:
		return backend.NewValue([]byte(v)), nil
	case json.Number:
		return backend.NewValue([]byte(v)), nil
	case bool:
		return backend.NewValue(strconv.AppendBool(nil, v)), nil
	case []any:
		if len(v) == 0 {
			return backend.Value{}, errors.New("the list is empty")
		}
		return flat(v[0])
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return backend.Value{}, errors.New("it cannot be written as JSON")
		}
		return backend.NewValue(b), nil
	}
}

// checker finds out whether there is a server. What it thinks of the store's
// credentials is known for each secret only: no request is harmless to every
// server but one that says nothing.
type checker struct{ hook *hook }

// Check asks for the head of the server's root, without credentials. Any answer
// but that of a gateway that reaches nobody is good.
func (c *checker) Check(ctx context.Context) error {
	h := c.hook
	if over := ctx.Err(); over != nil {
		return h.given(over)
	}
	ctx, cancel := context.WithTimeout(ctx, h.settings.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, h.origin+"/", http.NoBody)
	if err != nil {
		return badURL()
	}
	r.Header.Set("User-Agent", "lockstep")
	once := *h.client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(r)
	if err != nil {
		return h.broken(err)
	}
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return h.classify(resp, backend.Ref{})
	}
	return nil
}
