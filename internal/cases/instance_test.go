// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// instance is what store.yaml says of an instance of IBM Cloud Secrets Manager.
// It answers the product's client in place of the network.
type instance struct {
	held map[string]held
	// past makes it answer as it did before it failed.
	past bool
}

// held is one line of the store.
type held struct {
	Type  string `json:"secret_type"`
	Name  string `json:"name"`
	Error *struct {
		Code    string          `json:"code"`
		Failing metav1.Duration `json:"failing"`
	} `json:"error"`
	Fill int `json:"fill"`

	body []byte // the secret as the API shows it
}

// login and everything are lines that are no secrets.
const (
	login      = "iam"
	everything = "*"
)

// statuses are the answers by the name of the error; iam refuses with 400.
var statuses = map[string]int{
	"NotFound":         http.StatusNotFound,
	"PermissionDenied": http.StatusForbidden,
	"Unauthenticated":  http.StatusUnauthorized,
	"RateLimited":      http.StatusTooManyRequests,
	"Unavailable":      http.StatusServiceUnavailable,
	"Conflict":         http.StatusPreconditionFailed,
	"Unknown":          http.StatusTeapot,
	"Unreachable":      0,
}

func newInstance(text string) (*instance, error) {
	i := &instance{held: map[string]held{}}
	var raw map[string]json.RawMessage
	b := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") { // through YAML, members of objects are sorted
		var err error
		if b, err = yaml.YAMLToJSON(b); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for id, body := range raw {
		var h held
		if err := json.Unmarshal(body, &h); err != nil {
			return nil, fmt.Errorf("store: %s: %w", id, err)
		}
		if h.Fill > 0 {
			body = fmt.Appendf(nil, `{"secret_type":%q,"payload":%q}`, h.Type, strings.Repeat("x", h.Fill))
		}
		// Put in as text, so that the members keep their order.
		h.body = fmt.Appendf(nil, `{"id":%q,%s`, id, bytes.TrimLeft(body, " {"))
		if h.Error != nil {
			if _, ok := statuses[h.Error.Code]; !ok {
				return nil, fmt.Errorf("store: %s: no error is called %q", id, h.Error.Code)
			}
		}
		i.held[id] = h
	}
	return i, nil
}

// answers reads a plan, as the feed does.
func (i *instance) answers(ctx context.Context, p plan.Plan, in spec.Inputs, drivers spec.Drivers) plan.Snapshot {
	out := plan.Snapshot{}
	for _, r := range p.Reads {
		i.past = false
		now := i.read(ctx, r, in, drivers)
		i.past = true
		before := i.read(ctx, r, in, drivers)
		for n, ref := range r.Refs {
			a := plan.Answer{Secret: now[n].Secret, Err: now[n].Err}
			if a.Err != nil {
				a.Failing = i.failing(i.id(ref))
			}
			if known := i.held[i.id(ref)].Type != ""; known && before[n].Err == nil && outcome.Transient(backend.CodeOf(a.Err)) {
				a.Secret, a.Stale, a.Err = before[n].Secret, a.Err, nil
			}
			out[plan.Key{Store: r.Store, Ref: ref}] = a
		}
	}
	return out
}

// id is the id that a ref means, by its name if it must.
func (i *instance) id(ref backend.Ref) string {
	for id, h := range i.held {
		if ref.Args != "" && h.Name == ref.Path && h.Type == ref.Kind {
			return id
		}
	}
	return ref.Path
}

// read reads with the product's own code.
func (i *instance) read(ctx context.Context, r plan.Read, in spec.Inputs, drivers spec.Drivers) []backend.Result {
	store := in.Stores[r.Store]
	b, _, err := drivers[store.Driver].Open(ctx, backend.Config{
		Env: store.Env, Fingerprint: func(...backend.Value) string { return "" },
	}, nil, &http.Client{Transport: i})
	if err != nil {
		out := make([]backend.Result, len(r.Refs))
		for n, ref := range r.Refs {
			out[n] = backend.Result{Ref: ref, Err: err}
		}
		return out
	}
	return backend.NewStore("ibm", b, backend.NewQuota(0)).Read(ctx, r.Refs)
}

func (i *instance) failing(id string) time.Duration {
	var d time.Duration
	for _, name := range []string{id, everything, login} {
		if h := i.held[name]; h.Error != nil {
			d = max(d, h.Error.Failing.Duration)
		}
	}
	return d
}

// RoundTrip answers one request of the client.
func (i *instance) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if strings.HasSuffix(req.URL.Path, "/identity/token") {
		return i.token(req)
	}
	id, ok := strings.CutPrefix(req.URL.Path+"/", "/api/v2/secrets/")
	id = strings.TrimSuffix(id, "/")
	if !ok || req.Header.Get("Authorization") != "Bearer a-token" {
		return respond(req, http.StatusUnauthorized, `{}`)
	}
	for _, name := range []string{everything, id} {
		if h := i.held[name]; h.Error != nil && !i.past {
			return fail(req, statuses[h.Error.Code])
		}
	}
	if id == "" {
		return respond(req, http.StatusOK, i.list(req.URL.Query().Get("secret_types")))
	}
	if h := i.held[id]; h.Type != "" {
		return respond(req, http.StatusOK, string(h.body))
	}
	return fail(req, http.StatusNotFound)
}

// list is a page of all secrets of a type.
func (i *instance) list(kind string) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(i.held)) {
		if h := i.held[id]; h.Type == kind {
			all = append(all, fmt.Sprintf(`{"id":%q,"name":%q,"secret_type":%q}`, id, h.Name, h.Type))
		}
	}
	return fmt.Sprintf(`{"total_count":%d,"secrets":[%s]}`, len(all), strings.Join(all, ","))
}

func (i *instance) token(req *http.Request) (*http.Response, error) {
	h := i.held[login]
	if h.Error == nil || i.past {
		return respond(req, http.StatusOK,
			fmt.Sprintf(`{"access_token":"a-token","refresh_token":"none","token_type":"Bearer","expires_in":3600,"expiration":%d}`, time.Now().Add(time.Hour).Unix()))
	}
	if h.Error.Code == "Unauthenticated" {
		return fail(req, http.StatusBadRequest)
	}
	return fail(req, statuses[h.Error.Code])
}

func fail(req *http.Request, status int) (*http.Response, error) {
	if status == 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return respond(req, status, `{"errors":[{"message":"a text of the server"}]}`)
}

func respond(req *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}
