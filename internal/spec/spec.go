// SPDX-License-Identifier: Apache-2.0

// Package spec holds what every dialect's manifests come down to: the Spec of
// one object, and the Inputs that Kubernetes adds to it. Both are plain
// values. How a manifest becomes a Spec is in internal/dialect, where the
// Inputs come from in internal/gather.
package spec

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
)

// Object is the manifest a Spec was made from.
type Object struct {
	Dialect    backend.Dialect
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
	UID        string
	Generation int64
}

// ID names an object within one cluster. It is comparable and outlives
// neither the object nor the process.
type ID struct {
	Dialect   backend.Dialect
	Kind      string
	Namespace string
	Name      string
}

// ID returns the object's ID.
func (o Object) ID() ID { return ID{o.Dialect, o.Kind, o.Namespace, o.Name} }

// String is "namespace/name", as logs and messages show it.
func (i ID) String() string { return i.Namespace + "/" + i.Name }

// Spec is what an object asks for, in the terms of the engine.
type Spec struct {
	Object Object
	Target Target
	// Stores are those the manifest carries inline, or the operator's
	// environment supplies; the others come with the Inputs.
	Stores  map[StoreKey]Store
	Entries []Entry // in merge order: a later one wins
	Syntax  Syntax
	Refresh Refresh
	// Issues are what is wrong with the manifest itself. With an issue,
	// nothing is asked and nothing is written.
	Issues []Issue
}

// StoreKey names a store as one object sees it. What two objects share is
// decided by backend.Identity and not by this name.
type StoreKey struct {
	Kind      string
	Namespace string
	Name      string
}

// Store is a configured store.
type Store struct {
	Driver    string      // name in the driver table
	Namespace string      // where its credentials are
	Raw       []byte      // the provider's part of the manifest; nil when Env configures it
	Env       backend.Env // operator's environment, nil for stores of tenants
}

// Entry is one line of the manifest that brings data.
type Entry struct {
	Where       string // place in the manifest, for messages: spec.data[0]
	Store       StoreKey
	Key         backend.Key
	Find        *backend.Query // when set, the entry means all that match, and Key is empty
	Name        string         // key of the Secret to fill; "" fills one key for each field
	Property    string         // field of the remote secret
	HasProperty bool           // in KES the empty property is one too
	Decode      Decode
}

// Syntax is how Property is read.
type Syntax uint8

// The syntaxes.
const (
	Lodash Syntax = iota // JavaScript's, as KES
	GJSON                // as ESO
)

// Decode is what happens to a value on its way into the Secret.
type Decode uint8

// The decodings.
const (
	DecodeNone    Decode = iota
	DecodeLenient        // base64 as Node.js reads it: what is not base64 is passed over
)

// Target is the Secret an object wants.
type Target struct {
	Namespace string
	Name      string
	Type      string // "" is Opaque
	Creation  Creation
	Deletion  Deletion
	Template  Template
	// Manager is the field manager of our writes.
	Manager string
}

// Creation says whose the Secret is.
type Creation uint8

// The creation policies.
const (
	Owner         Creation = iota // ours alone, gone with the object
	Orphan                        // created by us, stays when the object goes
	Merge                         // somebody else's; we fill our keys
	CreateOrMerge                 // as Merge, and created when missing
	None                          // not written at all
)

// Deletion says what happens when a remote secret is proven gone.
type Deletion uint8

// The deletion policies.
const (
	Retain       Deletion = iota // everything stays as it was
	DeleteSecret                 // the Secret goes when no remote secret is left
	DropMissing                  // keys without a remote secret go
)

// Template is what a Secret has besides the data that was read.
type Template struct {
	Labels      map[string]string
	Annotations map[string]string
	Finalizers  []string
	Data        map[string]backend.Value // below what was read
	Overrides   map[string]backend.Value // above what was read
	Immutable   *bool
}

// Refresh says when the remote secrets are looked at again.
type Refresh struct {
	Every time.Duration
	Mode  Mode
}

// Mode is whether an object follows changes.
type Mode uint8

// The modes.
const (
	Periodic Mode = iota
	// Pinned objects are never woken because somebody else polls the same
	// secret: a freeze is a safety control.
	Pinned
)

// Issue is something that cannot work as it is written.
type Issue struct {
	Where   string // place in the manifest: spec.data[0].secretType
	Code    backend.Code
	Message string // what is wrong and what to do
}
