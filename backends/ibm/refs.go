// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The secret types that are served. The names are IBM's.
const (
	typeArbitrary        = "arbitrary"
	typeUsernamePassword = "username_password"
	typeKV               = "kv"
)

var served = []string{typeArbitrary, typeUsernamePassword, typeKV}

// known are IBM's other types, which deserve another answer than a typing error.
var known = []string{
	"iam_credentials", "service_credentials", "imported_cert", "public_cert", "private_cert", "custom_credentials",
}

// idGrammar keeps path segments such as ".." out of the request; ids are UUIDs.
var idGrammar = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$`)

// parseRef reads a key as a dialect writes it. KES ignored the versions in a
// manifest for this product, and so do we for its manifests.
func parseRef(d backend.Dialect, k backend.Key) (backend.Ref, error) {
	if d != backend.KES {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "IBM Cloud Secrets Manager is not served for %s manifests by this version of Lockstep", d)
	}
	if k.Kind == "" {
		// The words of IBM's v1 client, which KES passed on.
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "Missing required parameters: secretType")
	}
	if slices.Contains(known, k.Kind) {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"secretType %q is not supported by this version of Lockstep; supported: %s", k.Kind, strings.Join(served, ", "))
	}
	if !slices.Contains(served, k.Kind) {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef,
			"secretType %q is not one that IBM Cloud Secrets Manager has; use one of %s", k.Kind, strings.Join(served, ", "))
	}
	if k.Args["keyByName"] == "true" {
		return backend.Ref{}, backend.Errorf(backend.InvalidRef, "keyByName is not supported by this version of Lockstep; use the id of the secret")
	}
	if !idGrammar.MatchString(k.Key) {
		return backend.Ref{}, badID(k.Key)
	}
	return backend.Ref{Path: k.Key, Kind: k.Kind}, nil
}

// readable finds questions that cannot be right before they are asked. A Ref
// has a Kind here: asking for a secret of an unknown type may change it, for
// IBM makes a new key for each reader of some iam_credentials.
func readable(ref backend.Ref) error {
	if !idGrammar.MatchString(ref.Path) {
		return badID(ref.Path)
	}
	if ref.Version != "" && !idGrammar.MatchString(ref.Version) {
		return backend.Errorf(backend.InvalidRef, "%q is not a version of a secret in IBM Cloud Secrets Manager", ref.Version)
	}
	if !slices.Contains(served, ref.Kind) {
		return backend.Errorf(backend.InvalidRef, "secrets of type %q are not supported by this version of Lockstep", ref.Kind)
	}
	if ref.Part != backend.Data {
		return backend.Errorf(backend.InvalidRef, "the metadata of secrets is not supported by this version of Lockstep")
	}
	return nil
}

func badID(id string) error {
	return backend.Errorf(backend.InvalidRef, "%q is not the id of a secret in IBM Cloud Secrets Manager", id)
}
