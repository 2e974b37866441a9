// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The two services, as messages name them.
const (
	product = "IBM Cloud Secrets Manager"
	iam     = "IBM Cloud IAM"
)

// party is who makes a request of the API, as messages name it.
type party struct {
	name    string
	refused string // what a 401 says
	words   words
}

// parties are those of each kind of login.
var parties = map[string]party{
	core.AUTHTYPE_IAM:          {name: "the API key", refused: "refuses the token of the API key (401)"},
	core.AUTHTYPE_CONTAINER:    {name: "the trusted profile", refused: "refuses the token of the trusted profile (401)"},
	core.AUTHTYPE_IAM_ASSUME:   {name: "the trusted profile", refused: "refuses the token of the trusted profile (401)"},
	core.AUTHTYPE_BEARER_TOKEN: {name: "the bearer token", refused: "refuses the bearer token (401): it may have expired; check " + envPrefix + "BEARER_TOKEN"},
	core.AUTHTYPE_NOAUTH:       {name: "a request without a login", refused: "demands a login (401): " + envPrefix + "AUTH_TYPE is noAuth"},
}

// classify turns a failure of the API into the error of the contract. The
// server's texts are left out, also as causes: they may repeat what they were
// sent.
func classify(resp *core.DetailedResponse, err error, ref backend.Ref, by party) error {
	if resp == nil || resp.StatusCode == 0 {
		return unanswered(product, err)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound || code == http.StatusGone:
		if !saysMissing(resp) {
			return backend.Errorf(backend.Unavailable,
				"%s answers %d and does not say that there is no %s: check %s", product, code, ref, by.words.endpoint)
		}
		return backend.Errorf(backend.NotFound, "%s has no %s", product, ref)
	case code == http.StatusUnauthorized:
		return backend.Errorf(backend.Unauthenticated, "%s %s", product, by.refused)
	case code == http.StatusForbidden:
		return backend.Errorf(backend.PermissionDenied,
			"%s may not read %s (403): it needs the role SecretsReader for the instance or its secret group", by.name, ref)
	case code == http.StatusPreconditionFailed:
		return backend.Errorf(backend.Conflict, "%s is locked (412)", ref)
	case code >= http.StatusBadRequest && code < http.StatusInternalServerError &&
		code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return backend.Errorf(backend.Unknown, "%s does not accept the request for %s (%d)", product, ref, code)
	case code >= http.StatusOK && code < http.StatusMultipleChoices:
		return unreadable(ref)
	default:
		return elsewhere(product, by.words.endpoint, resp)
	}
}

// classifyLogin turns an answer of IAM that is no token into the error of the
// contract. Refusal is what to say when it does not accept what was given, and
// setting is where its URL comes from.
func classifyLogin(resp *http.Response, refusal, setting string) error {
	switch code := resp.StatusCode; {
	case code == http.StatusBadRequest || code == http.StatusUnauthorized || code == http.StatusForbidden:
		return backend.Errorf(backend.Unauthenticated, refusal, code)
	case code >= http.StatusBadRequest && code < http.StatusInternalServerError &&
		code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return backend.Errorf(backend.Unknown, "%s does not accept the request for a token (%d): check %s", iam, code, setting)
	default:
		return elsewhere(iam, setting, &core.DetailedResponse{StatusCode: code, Headers: resp.Header})
	}
}

// elsewhere classifies what means the same from either service. Setting is
// where its URL comes from.
func elsewhere(who, setting string, resp *core.DetailedResponse) error {
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		return &backend.Error{
			Code: backend.RateLimited, Message: who + " limits our requests (429)",
			RetryAfter: backend.ParseRetryAfter(resp.GetHeaders().Get("Retry-After"), time.Now()),
		}
	case code == http.StatusRequestTimeout || code >= http.StatusInternalServerError:
		return backend.Errorf(backend.Unavailable, "%s is out of order (%d)", who, code)
	case code >= http.StatusMultipleChoices && code < http.StatusBadRequest:
		return backend.Errorf(backend.Unavailable,
			"%s redirects to another address (%d), where the credentials do not belong: check %s", who, code, setting)
	default:
		return backend.Errorf(backend.Unavailable, "%s gave an answer that cannot be read", who)
	}
}

// saysMissing reports whether a 404 is the product's own. Only that proves
// that a secret is missing: proxies and wrong URLs answer 404 as well, and so
// does the product for a version of its API that it has switched off, of which
// it says that it "is not a valid access endpoint".
func saysMissing(resp *core.DetailedResponse) bool {
	body, ok := resp.Result.(map[string]any)
	if !ok {
		return false
	}
	list, ok := body["errors"].([]any)
	if !ok || len(list) == 0 {
		return false
	}
	for _, e := range list {
		one, _ := e.(map[string]any)
		if text, _ := one["message"].(string); strings.Contains(text, "not a valid access endpoint") {
			return false
		}
	}
	return true
}

// unreadable is a success of the API whose body makes no sense.
func unreadable(ref backend.Ref) error {
	return backend.Errorf(backend.Unavailable, "%s gave an answer to the request for %s that cannot be read", product, ref)
}

// given is the error for a caller whose context ended.
func given(who string, err error) error {
	text := who + " does not answer in time"
	if errors.Is(err, context.Canceled) {
		text = "the request to " + who + " was given up"
	}
	return &backend.Error{Code: backend.Unavailable, Message: text, Err: err}
}

// unanswered is the error of a request without an answer. The wire below has
// seen to the words; what else can come is of the SDK's own making.
func unanswered(who string, err error) error {
	var ours *backend.Error
	if errors.As(err, &ours) {
		return ours
	}
	return backend.Errorf(backend.Unavailable, "%s cannot be reached", who)
}

// wire carries the requests to one service. It does what the SDK has no option
// for: errors are classified while they are whole, for the SDK turns some of
// them into text.
type wire struct {
	who   string
	base  http.RoundTripper
	limit time.Duration // for one request with its answer; 0 is none
}

// client makes a client of the given one that follows no redirect: the token
// and, on a 307, the API key itself would go along.
func (w wire) client(given *http.Client) *http.Client {
	w.base = given.Transport
	if w.base == nil {
		w.base = http.DefaultTransport
	}
	w.limit = given.Timeout
	return &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip makes the request.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := w.bound(r.Context())
	resp, err := w.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		return nil, broken(w.who, r.URL.Host, err)
	}
	resp.Body = &body{resp.Body, end, maxAnswer}
	return resp, nil
}

// bound applies the wire's own limit to the context of a request.
func (w wire) bound(ctx context.Context) (context.Context, func()) {
	if w.limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, w.limit)
}

// maxAnswer is more than a page of secrets, or a secret of the largest size,
// takes in JSON.
const maxAnswer = 32 << 20

// body ends the context of its request when it is closed, and breaks off when
// it is too long.
type body struct {
	io.ReadCloser
	end  func()
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// broken tells apart why there is no answer. The cause is not kept, because
// some of net/http's errors quote the server.
func broken(who, host string, err error) error {
	var ours *backend.Error
	if errors.As(err, &ours) { // the quota's
		return ours
	}
	who += " at " + host
	for _, over := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, over) {
			return given(who, over)
		}
	}
	var (
		timeout net.Error
		dns     *net.DNSError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return backend.Errorf(backend.Unavailable, "%s cannot be reached: there is no connection to the proxy", who)
	case isUntrusted(err):
		return backend.Errorf(backend.Unavailable, "%s has no certificate that is trusted for this host", who)
	case isNoTLS(err):
		return backend.Errorf(backend.Unavailable, "%s does not speak TLS", who)
	case errors.As(err, &timeout) && timeout.Timeout():
		return backend.Errorf(backend.Unavailable, "%s does not answer in time", who)
	case errors.As(err, &dns):
		return backend.Errorf(backend.Unavailable, "%s cannot be reached: its name cannot be resolved", who)
	case errors.Is(err, syscall.ECONNREFUSED):
		return backend.Errorf(backend.Unavailable, "%s cannot be reached: it refuses the connection", who)
	default:
		return backend.Errorf(backend.Unavailable, "%s cannot be reached", who)
	}
}

func isUntrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

func isNoTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}
