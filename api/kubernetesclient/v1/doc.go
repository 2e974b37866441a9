// SPDX-License-Identifier: Apache-2.0

// Package v1 is the manifest that Kubernetes External Secrets (KES) taught its
// users to write: the ExternalSecret of kubernetes-client.io/v1.
//
// It holds the served types and the markers from which their CRD is generated,
// and nothing that decides: what a manifest means is in internal/dialect/kes.
// What markers cannot say of the schema is in hack/crds. The schema accepts,
// rejects and prunes exactly what that of KES 8.5.5 did.
//
// +kubebuilder:object:generate=true
// +groupName=kubernetes-client.io
package v1
