// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"cmp"
	"strings"
)

// Part says which part of a secret a Ref means.
type Part uint8

// The parts.
const (
	Data     Part = iota // the value
	Metadata             // what the store knows about the secret: tags, dates
)

// A Ref names one secret in a store. It is comparable and canonical: two
// manifests that mean the same secret make equal Refs. It never names a field
// of the secret, so that two fields of one secret are one read.
type Ref struct {
	Path    string // id, name or path, in the product's grammar
	Version string // "" is the current one
	Kind    string // secret, key, certificate; an IBM secret type; a Vault engine
	Part    Part
	Args    string // canonical extra arguments of the product
	// Owner is empty when the answer may be shared. Otherwise only this owner
	// may have it: leases, and secrets that reading changes.
	Owner string
}

// Compare orders refs, for stable output.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		strings.Compare(r.Path, o.Path),
		strings.Compare(r.Kind, o.Kind),
		strings.Compare(r.Version, o.Version),
		cmp.Compare(r.Part, o.Part),
		strings.Compare(r.Args, o.Args),
		strings.Compare(r.Owner, o.Owner),
	)
}

// String is for messages: path, and version and kind where they are set.
func (r Ref) String() string {
	var b strings.Builder
	if r.Kind != "" {
		b.WriteString(r.Kind + " ")
	}
	b.WriteString(r.Path)
	if r.Version != "" {
		b.WriteString(" version " + r.Version)
	}
	return b.String()
}

// Result is the answer to one Ref: either Err is set or Secret is.
type Result struct {
	Ref    Ref
	Secret Secret
	Err    error
}
