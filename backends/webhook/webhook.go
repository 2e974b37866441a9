// SPDX-License-Identifier: Apache-2.0

// Package webhook reads secrets from any HTTP server: the manifest says how the
// request looks and where in the answer the value is. It is the generic webhook
// provider of External Secrets Operator. It renders no template itself, pushes
// nothing and lists nothing.
//
// What may become part of a request is decided in request.go, how an answer
// becomes a value in read.go and jsonpath.go. README.md says what differs from
// the predecessor.
package webhook

import (
	"net/http"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// A Render fills in a template of the store's. data holds remoteRef, and the
// Secrets of the store by the names that the manifest gives them. It is called
// by many goroutines at once and must bound what a template can cost.
//
// Only the message of an *backend.Error is shown to people: it must hold
// nothing of data.
type Render func(name, text string, data map[string]map[string]string) (string, error)

// Bounds of one read.
const (
	parallel       = 8
	maxAnswer      = 4 << 20 // bytes of an answer, unpacked
	maxValues      = 1 << 17 // values in an answer that is JSON
	maxText        = 1 << 20 // bytes of what a template makes
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	maxRedirects   = 3
)

// New returns what Lockstep knows about the product. It renders templates with
// render.
func New(render Render) backend.Driver {
	return backend.Driver{
		Open:  opener{render}.open,
		Names: map[backend.Dialect]string{backend.ESO: "webhook"},
		Ref:   parseRef,
		// Templates see the property.
		OwnProperties: true,
		ByNamespace:   byNamespace,
	}
}

// hook is one store.
type hook struct {
	settings settings
	render   Render
	client   *http.Client
	secrets  map[string]backend.Secret // for the templates, by their names there
	refused  *backend.Error            // why they must not be used, or nil
	origin   string                    // scheme and host of all requests; "" where they depend on the namespace
	who      string                    // the server, as messages name it
}
