// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// maxBody is the largest answer that is read, in bytes. A thousand metadata
// entries of the products we know take about one MiB, and no secret is larger
// than what a Kubernetes Secret holds.
const maxBody = 16 << 20

// errRedirect is what a redirect to another host comes to.
var errRedirect = errors.New("redirected to another host, where the credentials do not belong")

var errTooLarge = errors.New("the answer is larger than 16 MiB")

// Transport makes the transport that carries all requests to stores: proxies
// from the environment, TLS 1.2 and later, and a bound on each answer.
func Transport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return bounded{&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}}
}

// sameHost follows redirects within one host only: credentials must not go
// elsewhere, and neither must the request.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) >= 3 {
		return errors.New("too many redirects")
	}
	first := via[0].URL
	if r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return errRedirect
	}
	return nil
}

// bounded fails the reading of an answer that is too large.
type bounded struct{ base http.RoundTripper }

// RoundTrip makes the request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read fails once the bound is passed.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	if b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
