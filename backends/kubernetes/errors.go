// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

// refusal is an answer that is an error, in what of it can be relied on.
type refusal struct {
	code       int
	reason     metav1.StatusReason
	kind, name string // of the object it is about
	proceed    string // where a listing that took too long can go on
	wait       time.Duration
	field      string // of the manifest, where the credentials come from
}

// Error is for logs of tests; classify makes the message.
func (r *refusal) Error() string { return fmt.Sprintf("the API server answers %d", r.code) }

// task is what a request was for, as messages say it.
type task struct {
	verb      string // of Kubernetes: get, list, create, update, delete
	name      string // of the Secret, or "" for all
	namespace string
}

func (t task) String() string {
	if t.name == "" {
		return fmt.Sprintf("the Secrets of namespace %s", t.namespace)
	}
	return fmt.Sprintf("Secret %s/%s", t.namespace, t.name)
}

// classify turns what ask returned into the error of the contract.
func classify(err error, t task) error {
	var (
		r    *refusal
		ours *backend.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return r.classify(t)
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, errTooLarge):
		return backend.Errorf(backend.Unavailable, "the answer of the API server for %s is too large", t)
	case errors.Is(err, context.DeadlineExceeded):
		return &backend.Error{Code: backend.Unavailable, Message: "the API server does not answer in time", Err: err}
	case errors.Is(err, context.Canceled):
		return &backend.Error{Code: backend.Unavailable, Message: "the request to the API server was given up", Err: err}
	}
	return backend.Errorf(backend.Unavailable, "the API server cannot be reached")
}

func (r *refusal) classify(t task) error {
	switch code := r.code; {
	case code == http.StatusNotFound:
		if !r.missing(t) {
			return backend.Errorf(backend.Unavailable, "a server answers 404 and does not say that there is no %s: check the URL of the API server", t)
		}
		return backend.Errorf(backend.NotFound, "there is no %s", t)
	case code == http.StatusUnauthorized:
		return backend.Errorf(backend.Unauthenticated, "the API server refuses the credentials (401): check %s", r.field)
	case code == http.StatusForbidden:
		return backend.Errorf(backend.PermissionDenied, "the API server does not allow to %s %s (403): the user of %s needs a Role for it", t.verb, t, r.field)
	case code == http.StatusConflict:
		return backend.Errorf(backend.Conflict, "%s was changed by somebody else, or exists already (409)", t)
	case code == http.StatusTooManyRequests:
		return &backend.Error{Code: backend.RateLimited, Message: "the API server limits our requests (429)", RetryAfter: r.wait}
	case code == http.StatusUnprocessableEntity:
		return backend.Errorf(backend.InvalidRef, "the API server does not accept what is to be written to %s (422): it may be immutable", t)
	case code == http.StatusRequestTimeout || code == http.StatusGone || code >= http.StatusInternalServerError:
		return backend.Errorf(backend.Unavailable, "the API server is out of order (%d)", code)
	case code >= http.StatusMultipleChoices && code < http.StatusBadRequest:
		return backend.Errorf(backend.Unavailable, "the API server redirects to another address (%d), where the credentials do not belong: check its URL", code)
	}
	return backend.Errorf(backend.Unknown, "the API server does not accept the request for %s (%d)", t, r.code)
}

// missing reports whether a 404 proves that there is no such Secret. Proxies
// and wrong URLs answer 404 as well. The API server says what it did not find,
// and says so only to those who may get it; to the others it says 403.
func (r *refusal) missing(t task) bool {
	return r.reason == metav1.StatusReasonNotFound && r.kind == "secrets" && r.name == t.name && t.name != ""
}

// unreadable is a success whose body makes no sense.
func unreadable() error {
	return backend.Errorf(backend.Unavailable, "the API server gave an answer that cannot be read: check its URL")
}

// broken tells apart why there is no answer. The cause is not kept, because
// some of net/http's errors quote the server.
func broken(ctx context.Context, err error) error {
	var (
		ours    *backend.Error
		timeout net.Error
		dns     *net.DNSError
	)
	switch {
	case errors.As(err, &ours): // the quota's, or the rules' on where to connect to
		return ours
	case ctx.Err() != nil:
		return ctx.Err()
	case untrusted(err):
		return backend.Errorf(backend.Unavailable, "the API server has no certificate that is trusted: check %s.server.caBundle and caProvider, or the kubeconfig", where)
	case errors.As(err, &timeout) && timeout.Timeout():
		return backend.Errorf(backend.Unavailable, "the API server does not answer in time")
	case errors.As(err, &dns):
		return backend.Errorf(backend.Unavailable, "the API server cannot be reached: its name cannot be resolved")
	case errors.Is(err, syscall.ECONNREFUSED):
		return backend.Errorf(backend.Unavailable, "the API server cannot be reached: it refuses the connection")
	}
	return backend.Errorf(backend.Unavailable, "the API server cannot be reached")
}

func untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid)
}
