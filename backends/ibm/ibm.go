// SPDX-License-Identifier: Apache-2.0

// Package ibm reads IBM Cloud Secrets Manager by its API v2. It speaks one
// product's language and nothing else: it does not retry, cache or log.
//
// API v1, for which the manifests of Kubernetes External Secrets were written,
// was switched off on 31 October 2023; views.go lays the secrets of v2 out as
// v1 did, so that those manifests keep working. README.md says what the
// backend needs and what it cannot do.
package ibm

import "github.com/lockstep-secrets/lockstep/backend"

// Limits of the product. IBM publishes no hard limit on requests, but asks to
// stay below 20 a second for an instance (Best practices for Secrets Manager).
const (
	rate     = 15
	parallel = 8
	payload  = 1 << 20 // an arbitrary secret may have 1 MB
)

// Driver is what Lockstep knows about the product.
func Driver() backend.Driver {
	return backend.Driver{
		Open:  Open,
		Names: map[backend.Dialect]string{backend.KES: "ibmcloudSecretsManager", backend.ESO: "ibm"},
		Ref:   parseRef,
		View:  view,
		Env:   []string{envPrefix + "*"},
	}
}
