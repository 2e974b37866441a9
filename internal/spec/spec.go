// SPDX-License-Identifier: Apache-2.0

// Package spec holds what every dialect's manifests come down to: the Spec of
// one object, and the Inputs that Kubernetes adds to it. Both are plain
// values. How a manifest becomes a Spec is in internal/dialect, where the
// Inputs come from in internal/gather.
package spec

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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

// String is kind and name, for messages.
func (k StoreKey) String() string { return k.Kind + " " + strconv.Quote(k.Name) }

// Store is a configured store.
type Store struct {
	Driver    string      // name in the driver table
	Namespace string      // where its credentials are, unless it says otherwise
	Raw       []byte      // the provider's part of the manifest; nil when Env configures it
	Env       backend.Env // operator's environment, nil for stores of tenants
	// Shared says that it is the operator's, and may name other namespaces. All
	// others are a tenant's: they stay in their namespace, and connect to
	// permitted addresses only.
	Shared bool
	// Revision changes whenever Driver, Raw or the store's identity does. While
	// it is the same, the store need not be opened again. "" is always opened.
	Revision string
	Retry    Retry
	// Removals allows that much of it is missing at once, and what comes of that.
	Removals bool
	// Foreign says that another controller looks after the store.
	Foreign bool
	// Paused says what pauses the store; "" is nothing.
	Paused string
	// Issue tells why the object may not use the store, or why nobody can.
	Issue *Issue
}

// Retry is how often a read that failed for a while is repeated at a fixed
// pause, before the usual back-off takes over. The zero Retry is none.
type Retry struct {
	Max   int
	Pause time.Duration
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
	NoNull      bool      // a value with a NUL byte in it is refused
	Convert     Convert   // of names that a Secret cannot have; not when Rewrite is set
	Rewrite     []Rewrite // of the names, in order
}

// Convert says what happens to names that are no keys of a Secret. It applies
// to what fills one key for each field or find.
type Convert uint8

// The conversions.
const (
	ConvertNone    Convert = iota
	ConvertDefault         // _ for each rune that is not allowed
	ConvertUnicode         // _U and four hexadecimal digits and _ for each
)

// Rewrite changes the names of what an entry brings. Exactly one of the three
// is set.
type Rewrite struct {
	Regexp    *Replace
	Transform string // a Go template that sees the name as .value
	Merge     *Collect
}

// Replace replaces what matches in every name.
type Replace struct {
	Source string // RE2
	Target string // with $1 for groups, as regexp.ReplaceAllString
}

// Collect merges the members of the values, which are JSON objects.
type Collect struct {
	Into            string // with JSON, the key that gets the merged object
	JSON            bool   // one key with an object, beside the others; else one key for each member
	Priority        []string
	IgnoreMissing   bool // names in Priority that were not found
	IgnoreConflicts bool // else two objects may not have the same member, whatever Priority says
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
	DecodeNone      Decode = iota
	DecodeLenient          // base64 as Node.js reads it: what is not base64 is passed over
	DecodeBase64           // RFC 4648 base64, line ends allowed; anything else is an error
	DecodeBase64URL        // its URL alphabet
	DecodeAuto             // either, and what is neither stays as it is
)

// Target is the Secret an object wants.
type Target struct {
	Namespace string
	Name      string
	Type      string // "" is Opaque
	Creation  Creation
	Deletion  Deletion
	Template  Template
	// Program makes the data out of what was read; nil where that is the data.
	Program *Program
	// Freeze makes the Secret immutable, with the data it has by then.
	Freeze bool
	// Manager is the field manager of our writes.
	Manager string
	// ByField says that labels and annotations of others stay, and that ours
	// are told by the field manager, as are all keys where the Secret is not
	// ours alone.
	ByField bool
	// Marks are labels of every Secret we write; OwnerMarks of those that are
	// ours alone.
	Marks, OwnerMarks map[string]string
}

// Program is a set of Go templates over what was read.
type Program struct {
	Data        map[string]string // key to the template of its value; above From
	Labels      map[string]string // name to the template of its value
	Annotations map[string]string
	From        []TemplateFrom // in order: a later one wins
	Keep        bool           // what was read is there too, below all templates
}

// Sources are the ConfigMaps and Secrets that the templates are in, sorted.
func (p *Program) Sources() []Source {
	if p == nil {
		return nil
	}
	var out []Source
	for _, from := range p.From {
		if from.Source.Name != "" {
			out = append(out, from.Source)
		}
	}
	slices.SortFunc(out, func(a, b Source) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(out)
}

// TemplateFrom is a source of templates. Either Source and Items are set, or
// Literal.
type TemplateFrom struct {
	Where   string // place in the manifest
	Source  Source
	Items   []TemplateItem
	Literal string
	Into    Into
	Decode  Decode // of the rendered values
}

// TemplateItem is one key of a source.
type TemplateItem struct {
	Key string
	// Pairs says that the template makes a YAML object, whose members are keys
	// and values. Otherwise it makes the value of the key of its own name.
	Pairs bool
}

// Into is what templates fill.
type Into uint8

// What templates fill.
const (
	IntoData Into = iota
	IntoLabels
	IntoAnnotations
)

// Source names a ConfigMap or a Secret of the object's namespace that holds
// templates.
type Source struct {
	Kind string // ConfigMap or Secret
	Name string
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
	// Once says that a Secret that stands stays as it is, whatever becomes of
	// the manifest, until somebody else changes it.
	Once bool
	// Change is when Mode may change by itself; zero is never.
	Change time.Time
}

// Until is how long it is until Mode may change by itself; 0 is never.
func (r Refresh) Until(now time.Time) time.Duration {
	if r.Change.IsZero() {
		return 0
	}
	return max(r.Change.Sub(now), time.Millisecond)
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
	Store   StoreKey
	Code    backend.Code
	Message string // what is wrong and what to do
}
