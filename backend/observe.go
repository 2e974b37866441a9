// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// An Operation is what a request to a product is for.
type Operation string

// The operations that there are.
const (
	OpRead   Operation = "read"
	OpFind   Operation = "find"
	OpProbe  Operation = "probe"
	OpCheck  Operation = "check"
	OpWatch  Operation = "watch"
	OpRenew  Operation = "renew"
	OpRevoke Operation = "revoke"
	OpLogin  Operation = "login"
	// OpOther is what was begun by none of these, such as what a Close sends.
	OpOther Operation = "other"
)

type operationKey struct{}

// WithOperation says what the requests with a context are for. A Store says it
// for each of its methods. Backends say OpLogin for requests that make, renew or
// check their own login, whoever waits for it.
func WithOperation(ctx context.Context, op Operation) context.Context {
	return context.WithValue(ctx, operationKey{}, op)
}

func operation(ctx context.Context) Operation {
	if op, ok := ctx.Value(operationKey{}).(Operation); ok {
		return op
	}
	return OpOther
}

// An Observation is one request that left, as it was seen where it left.
type Observation struct {
	Operation Operation
	// Code is the HTTP status of the answer, or "none".
	Code string
	// Took is how long the answer took, up to its header. For a watch that is
	// until the stream began.
	Took time.Duration
}

// observed makes a request and tells observe what became of it.
func observed(r *http.Request, base http.RoundTripper, observe func(Observation)) (*http.Response, error) {
	began := time.Now()
	resp, err := base.RoundTrip(r)
	code := "none"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	observe(Observation{operation(r.Context()), code, time.Since(began)})
	return resp, err
}
