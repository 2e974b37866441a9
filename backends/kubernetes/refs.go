// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/backend"
)

// parseRef takes the name of a Secret. Versions mean nothing, as with External
// Secrets Operator.
func parseRef(_ backend.Dialect, k backend.Key) (backend.Ref, error) {
	r := backend.Ref{Path: k.Key, Part: k.Part}
	return r, sound(r)
}

// sound refuses what is no name of a Secret, and so all that could leave the
// namespace.
func sound(r backend.Ref) error {
	if r.Path == "" {
		return backend.Errorf(backend.InvalidRef, "the key is empty: it is the name of a Secret")
	}
	if len(validation.IsDNS1123Subdomain(r.Path)) > 0 {
		return backend.Errorf(backend.InvalidRef, "%q is not the name of a Secret: lower case letters, digits, - and . only", r.Path)
	}
	if r.Version != "" {
		return backend.Errorf(backend.InvalidRef, "Secret %s: Kubernetes keeps no old versions", r.Path)
	}
	return nil
}
