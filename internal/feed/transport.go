// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/lockstep-secrets/lockstep/backend"
)

// ExtraCA is the variable of Node.js, and so of Kubernetes External Secrets,
// that names a file with certificates of further CAs.
const ExtraCA = "NODE_EXTRA_CA_CERTS"

// maxBody is the largest answer that is read, in bytes after decompression. A
// thousand metadata entries of the products we know take about one MiB, and no
// secret is larger than what a Kubernetes Secret holds.
const maxBody = 16 << 20

// maxHeader is the largest header of an answer, in bytes.
const maxHeader = 1 << 20

// errRedirect is what a redirect to another host comes to.
var errRedirect = errors.New("redirected to another host, where the credentials do not belong")

var errTooLarge = errors.New("the answer is larger than 16 MiB")

// Transport makes the transport for stores that the operator configures: that of
// Network without a configuration of its own.
func Transport() http.RoundTripper { return Network{}.Transport(false, nil) }

// Roots returns the CAs of the system and those in a PEM file, or nil, which
// means the system's alone, when file is empty. Unlike Node.js it does not pass
// over a file that is not there: whoever names one needs it.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ExtraCA, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("%s: read the certificates of the system: %w", ExtraCA, err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM in it", ExtraCA, file)
	}
	return roots, nil
}

// letThrough says that it was the proxy who refused, and in our words: a
// proxy's own may repeat what it was sent.
func letThrough(_ context.Context, _ *url.URL, asked *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return backend.Errorf(backend.Unavailable, "the proxy does not connect us to %s (%d)", asked.Host, answer.StatusCode)
}

// refusing fails every request with an error of ours.
type refusing struct{ err error }

// RoundTrip makes no request.
func (f refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // a RoundTripper must, whatever happens
	}
	return nil, f.err
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
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil // not an answer but a stream; whoever reads it bounds its messages
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

// CloseIdleConnections closes the connections that no request uses.
func (b bounded) CloseIdleConnections() {
	if base, ok := b.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
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
