// SPDX-License-Identifier: Apache-2.0

// Package v1 is the manifest that External Secrets Operator (ESO) taught its
// users to write: ExternalSecret, SecretStore and ClusterSecretStore of
// external-secrets.io/v1. The same types serve v1beta1, whose CRD version
// hack/crds copies from this one.
//
// It holds the served types and the markers from which their CRDs are
// generated, and nothing that decides: what a manifest means is in
// internal/dialect/eso. What markers cannot say of the schema is in hack/crds.
//
// The schema accepts what that of ESO 2.9.0 accepts, and the types decode
// whatever that schema lets be stored, also below ESO's own CRDs: one object
// that a client cannot decode would end the list and the watch of every
// namespace. So what is text in the schema is a string here, however much it
// looks like a duration, and provider.go and status.go decode by hand what the
// standard decoder would refuse.
//
// +kubebuilder:object:generate=true
// +groupName=external-secrets.io
package v1
