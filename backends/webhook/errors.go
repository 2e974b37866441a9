// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// classify turns an answer that is no success into the error of the contract.
// Nothing that the server says is a part of it.
func (h *hook) classify(resp *http.Response, about backend.Ref) error {
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound: // as ESO has it, whoever says so
		return backend.Errorf(backend.NotFound, "%s has no %s (404)", h.who, about)
	case code == http.StatusUnauthorized:
		return backend.Errorf(backend.Unauthenticated, "%s refuses the credentials (401): check webhook.headers and webhook.secrets", h.who)
	case code == http.StatusForbidden:
		return backend.Errorf(backend.PermissionDenied, "%s does not give out %s (403)", h.who, about)
	case code == http.StatusTooManyRequests:
		return &backend.Error{
			Code: backend.RateLimited, Message: h.who + " limits our requests (429)",
			RetryAfter: backend.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		}
	case code == http.StatusRequestTimeout || code >= http.StatusInternalServerError:
		return backend.Errorf(backend.Unavailable, "%s is out of order (%d)", h.who, code)
	case code == http.StatusNotModified:
		return backend.Errorf(backend.Unavailable, "%s answers that nothing changed (304), and gives no value", h.who)
	case code < http.StatusBadRequest:
		return backend.Errorf(backend.Unavailable, "%s answers neither with a value nor with an error (%d)", h.who, code)
	default:
		return backend.Errorf(backend.Unknown, "%s does not accept the request for %s (%d)", h.who, about, code)
	}
}

func (h *hook) tooLarge() error {
	return backend.Errorf(backend.Unknown, "%s gives a longer answer than is read: %d bytes, or in JSON %d values", h.who, maxAnswer, maxValues)
}

// given is the error of a request whose time was over.
func (h *hook) given(err error) error {
	text := h.who + " does not answer in time"
	if errors.Is(err, context.Canceled) {
		text = "the request to " + h.who + " was given up"
	}
	return &backend.Error{Code: backend.Unavailable, Message: text, Err: err}
}

// confined makes a client of the given one that stays with one server: what the
// store sends is meant for nobody else.
func confined(given *http.Client) *http.Client {
	c := *given
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if originOf(r.URL) != originOf(via[0].URL) {
			return backend.Errorf(backend.Unavailable, "the webhook redirects to another host, where the credentials do not belong")
		}
		if len(via) > maxRedirects {
			return backend.Errorf(backend.Unavailable, "the webhook redirects more than %d times", maxRedirects)
		}
		return nil
	}
	return &c
}

// broken tells apart why there is no answer. The cause is not kept, for some of
// net/http's errors quote the URL or the server.
func (h *hook) broken(err error) error {
	var ours *backend.Error
	if errors.As(err, &ours) { // the quota's, or that of a redirect
		return ours
	}
	for _, over := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, over) {
			return h.given(over)
		}
	}
	var (
		timeout net.Error
		dns     *net.DNSError
	)
	what := "cannot be reached"
	switch {
	case isUntrusted(err):
		what = "has no certificate that is trusted for this host"
	case isNoTLS(err):
		what = "does not speak TLS"
	case errors.As(err, &timeout) && timeout.Timeout():
		what = "does not answer in time"
	case errors.As(err, &dns):
		what = "cannot be reached: its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "cannot be reached: it refuses the connection"
	}
	return backend.Errorf(backend.Unavailable, "%s %s", h.who, what)
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
