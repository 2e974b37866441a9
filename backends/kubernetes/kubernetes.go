// SPDX-License-Identifier: Apache-2.0

// Package kubernetes reads the Secrets of one namespace, of this cluster or of
// another one: the provider `kubernetes` of External Secrets Operator. It does
// not retry, cache or log, and it knows nothing of the cluster that Lockstep
// runs in: credentials come through backend.Credentials.
//
// It speaks the API of Kubernetes with the API's own types, and kubeconfigs are
// parsed by client-go. The requests are not client-go's: from verbosity 8 that
// logs the bodies of answers, which are Secrets, and it counts by host in
// metrics of the process that never shrink, while here tenants choose the host.
// README.md says what the backend needs and how it differs.
package kubernetes

import "github.com/lockstep-secrets/lockstep/backend"

const (
	// parallel and rate are far below what an API server serves, which has a
	// flow control of its own and says 429.
	parallel = 16
	rate     = 100
	payload  = 1 << 20 // what a Secret may hold

	// page is how many Secrets are listed at once.
	page = 500
)

// Driver is what Lockstep knows about the product.
func Driver() backend.Driver {
	return backend.Driver{
		Open:         Open,
		Names:        map[backend.Dialect]string{backend.ESO: "kubernetes"},
		View:         view,
		ConvertFound: true,
		Ref:          parseRef,
	}
}
