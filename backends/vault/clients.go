// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"net/http"

	vault "github.com/hashicorp/vault/api"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The headers of Vault's protocol.
const (
	headerToken        = "X-Vault-Token" //nolint:gosec // the name of a header
	headerNamespace    = "X-Vault-Namespace"
	headerRequest      = "X-Vault-Request"
	headerInconsistent = "X-Vault-Inconsistent"
)

// clients makes the library's clients for one server, which share connections.
type clients struct {
	server         string
	http           *http.Client
	headers        http.Header // of every request
	readYourWrites bool
}

// as returns a client that shows a token in a namespace of Vault. Both may be
// empty.
//
// The library reads variables of the process's environment and cannot be kept
// from it: VAULT_TOKEN and the like are the operator's, and a store's server is
// whoever its author says. So all that they set is set again here.
func (c *clients) as(token backend.Value, namespace string) (*vault.Client, error) {
	out, err := vault.NewClient(&vault.Config{
		Address: c.server, HttpClient: c.http, MaxRetries: 0, DisableRedirects: true, ReadYourWrites: c.readYourWrites,
	})
	if err != nil { // its text may quote a variable
		return nil, backend.Errorf(backend.InvalidRef,
			"Vault's client library does not take the URL of the server, or a variable in the environment of Lockstep whose name begins with VAULT_")
	}
	headers := c.header(namespace)
	out.SetHeaders(headers)
	out.SetToken(string(token.Reveal()))
	out.SetMFACreds(nil)
	out.SetWrappingLookupFunc(func(string, string) string { return "" })
	return out, nil
}

// header is what each request has.
func (c *clients) header(namespace string) http.Header {
	out := c.headers.Clone()
	if out == nil {
		out = http.Header{}
	}
	out.Set(headerRequest, "true") // without it, Vault may take a request for one that was forged
	if namespace != "" {
		out.Set(headerNamespace, namespace)
	}
	return out
}
