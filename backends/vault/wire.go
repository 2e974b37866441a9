// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// maxAnswer is the largest answer that is read, in bytes. A secret has at most
// 1 MiB in Vault's own storage, and a listing of 100,000 names a few.
const maxAnswer = 16 << 20

// wire carries the requests. It does what the library has no option for: errors
// are classified while they are whole, for the library turns some of them into
// text.
type wire struct {
	base  http.RoundTripper
	limit time.Duration // for one request with its answer; 0 is none
}

// wired makes a client of the given one that follows no redirect: the token
// would go along.
func wired(given *http.Client) *http.Client {
	w := wire{base: given.Transport, limit: given.Timeout}
	if w.base == nil {
		w.base = http.DefaultTransport
	}
	return &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip makes the request.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := w.bound(r.Context(), r.Header.Get("Upgrade") == "")
	resp, err := w.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		return nil, broken(r.Context(), err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil // a stream has no end, and its body is written to
	}
	resp.Body = &body{resp.Body, end, maxAnswer}
	if code := resp.StatusCode; code >= http.StatusMultipleChoices && code < http.StatusBadRequest {
		_ = resp.Body.Close()
		return nil, (&refusal{code: code}).elsewhere() // not for the library, which would follow it
	}
	return resp, nil
}

// CloseIdleConnections closes the connections that no request uses.
func (w wire) CloseIdleConnections() {
	if base, ok := w.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// bound applies the wire's own limit to the context of a request that ends.
func (w wire) bound(ctx context.Context, ends bool) (context.Context, func()) {
	if w.limit <= 0 || !ends {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, w.limit)
}

// body ends the context of its request when it is closed, and breaks off when
// it is too long.
type body struct {
	io.ReadCloser
	end  func()
	left int64
}

// Read reads.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, backend.Errorf(backend.Unavailable, "the answer of Vault is too large")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Close closes.
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// broken tells apart why there is no answer. The cause is not kept, because
// some of net/http's errors quote the server.
func broken(ctx context.Context, err error) error {
	var (
		ours    *backend.Error
		timeout net.Error
		dns     *net.DNSError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &ours): // the quota's, or the rules' on where to connect to
		return ours
	case ctx.Err() != nil:
		return given(ctx.Err())
	case untrusted(err):
		return backend.Errorf(backend.Unavailable, "Vault has no certificate that is trusted for this host: check its CA")
	case errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch):
		return backend.Errorf(backend.Unavailable, "Vault does not speak TLS: check its URL")
	case errors.As(err, &timeout) && timeout.Timeout():
		return backend.Errorf(backend.Unavailable, "Vault does not answer in time")
	case errors.As(err, &dns):
		return backend.Errorf(backend.Unavailable, "Vault cannot be reached: its name cannot be resolved")
	case errors.Is(err, syscall.ECONNREFUSED):
		return backend.Errorf(backend.Unavailable, "Vault cannot be reached: it refuses the connection")
	}
	return backend.Errorf(backend.Unavailable, "Vault cannot be reached")
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
