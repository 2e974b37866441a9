// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Inputs is everything in Kubernetes that the result of a Spec depends on.
// The same value decides what is read, what is rendered and what is written,
// and it is compared with the cluster once more before a write.
type Inputs struct {
	Namespace Namespace
	Stores    map[StoreKey]Store
	Current   *Secret // the target as it stands; nil when there is none
	// Sources holds those of the templates that there are, by key.
	Sources map[Source]map[string]backend.Value
	// SourcesChanged is when the newest of Sources was last written, as far as
	// the API server notes it.
	SourcesChanged time.Time
	// Leftovers are Secrets that were the object's target under another name,
	// without their data.
	Leftovers []Secret
}

// Namespace is what matters of the object's namespace.
type Namespace struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
}

// Secret is a Kubernetes Secret as a value.
type Secret struct {
	UID             string
	ResourceVersion string
	Namespace       string
	Name            string
	Type            string
	Data            map[string]backend.Value
	Labels          map[string]string
	Annotations     map[string]string
	Finalizers      []string
	Immutable       *bool
	Owners          []OwnerRef
	Deleting        bool
	// Fields are what the target's field manager wrote last: "data:k",
	// "label:k", "annotation:k".
	Fields map[string]bool
}

// OwnerRef is an owner reference.
type OwnerRef struct {
	APIVersion string
	Kind       string
	Name       string
	UID        string
	Controller bool
	Block      bool // the owner's deletion waits for the Secret's
}

// Controller returns the owner that controls the Secret, if any.
func (s *Secret) Controller() (OwnerRef, bool) {
	i := slices.IndexFunc(s.Owners, func(o OwnerRef) bool { return o.Controller })
	if i < 0 {
		return OwnerRef{}, false
	}
	return s.Owners[i], true
}

// OwnerRefTo is the reference that makes o the controller of a Secret.
func OwnerRefTo(o Object) OwnerRef {
	return OwnerRef{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: true}
}

// Drivers are the products by name.
type Drivers map[string]backend.Driver
