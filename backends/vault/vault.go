// SPDX-License-Identifier: Apache-2.0

// Package vault reads HashiCorp Vault and OpenBao by their HTTP API: the
// key-value engines of both versions, and whatever else answers a GET. It
// speaks one product's language and nothing else: it does not retry, cache or
// log.
//
// The requests are made with Vault's own client library. It takes settings from
// the environment of the process, tokens among them, which in a controller are
// not the store's; clients.go sees to it that none of them gets into a request.
//
//	refs.go      a manifest's key ─▶ Ref
//	paths.go     Ref ─▶ path of the API, as the store is configured
//	sessions.go  who asks: one token for each role, renewed, made again
//	api.go       one request, and what its answer means
//
// README.md says what the backend needs and how it differs.
package vault

import "github.com/lockstep-secrets/lockstep/backend"

const (
	// rate and parallel are far below what a server bears. One with a rate limit
	// quota says 429.
	rate     = 200
	parallel = 32

	// The bounds of a search: a server that invents folders must not keep us
	// busy for good.
	maxFolders  = 5000
	maxExamined = 10000
)

// Driver is what Lockstep knows about Vault.
func Driver() backend.Driver {
	return backend.Driver{
		Open:  Open,
		Names: map[backend.Dialect]string{backend.KES: "vault", backend.ESO: "vault"},
		Ref:   parseRef,
		View:  view,
		Env: []string{
			envAddress, envNamespace, envMount, envRole, envThreshold, envInterval, envSkipVerify, envToken,
		},
	}
}

// OpenBao is what Lockstep knows about OpenBao, where External Secrets Operator
// has a provider of its own for it. A server of OpenBao answers to Driver too.
func OpenBao() backend.Driver {
	return backend.Driver{
		Open:  OpenBaoStore,
		Names: map[backend.Dialect]string{backend.ESO: "openBao"},
		Ref:   parseRef,
		View:  view,
	}
}
