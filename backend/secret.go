// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// A Secret is what a store holds under one Ref. A product sets Payload or
// Fields, whichever its own interface has.
type Secret struct {
	Payload Value            // one opaque value, often a JSON document
	JSON    bool             // Payload is a JSON document by the product's own definition
	Fields  map[string]Value // named fields
	// Version changes whenever the secret does. It is compared for equality
	// only; "" means that the product does not say.
	Version string
	Expires time.Time         // zero when it does not expire
	Labels  map[string]string // tags and other metadata that is not secret
	// ReadMutates marks a secret that reading changes: it is never polled and
	// never read twice for one purpose.
	ReadMutates bool
	// Lease is set where the product made the secret for this Read: the next
	// one makes another. Whoever read it has it alone, renews it and, when it
	// is of no use any more, revokes it. ReadMutates is set, too.
	Lease Lease
}

// Lease is the life of a secret that was made for who read it. The zero Lease
// is none.
type Lease struct {
	ID        string    // what Renew and Revoke take; not secret
	Expires   time.Time // by our own clock
	Renewable bool
}

// Equal reports whether two secrets hold the same bytes in the same places.
// Version, Expires, Labels and Lease do not count.
func (s Secret) Equal(o Secret) bool {
	return s.Payload.Equal(o.Payload) && maps.EqualFunc(s.Fields, o.Fields, Value.Equal)
}

// FieldNames returns the names of the fields, sorted.
func (s Secret) FieldNames() []string { return slices.Sorted(maps.Keys(s.Fields)) }

const redacted = "[redacted]"

// Value holds secret bytes. Reveal is the only way to them, so that an audit
// is a search for one word. The bytes are behind a function because a
// redacting byte slice still leaks: fmt does not call methods of values in
// unexported fields, and prints their bytes.
//
// The zero Value is absent, which is not the same as empty.
type Value struct {
	reveal func() []byte
}

// NewValue makes a Value of b, which the caller must not change any more.
func NewValue(b []byte) Value {
	if b == nil {
		b = []byte{}
	}
	return Value{reveal: func() []byte { return b }}
}

// Reveal returns the bytes, which the caller must not change. It returns nil
// for an absent Value.
func (v Value) Reveal() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// IsSet reports whether the Value is present, possibly with no bytes in it.
func (v Value) IsSet() bool { return v.reveal != nil }

// Len returns the number of bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal compares in a time that depends on the lengths only. An absent Value
// equals only an absent one.
func (v Value) Equal(o Value) bool {
	return v.IsSet() == o.IsSet() && subtle.ConstantTimeCompare(v.Reveal(), o.Reveal()) == 1
}

// String keeps the bytes out of messages.
func (v Value) String() string { return redacted }

// Format keeps the bytes out of every fmt verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the bytes out of logs.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the bytes out of JSON, YAML and the like.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Env is an operator's environment by name. Some of it is secret, and nothing
// tells which, so all of it is kept like secrets.
type Env map[string]Value

// NewEnv makes an Env of plain text.
func NewEnv(env map[string]string) Env {
	out := make(Env, len(env))
	for name, text := range env {
		out[name] = NewValue([]byte(text))
	}
	return out
}

// Reveal returns a variable, and "" for one that is not set.
func (e Env) Reveal(name string) string { return string(e[name].Reveal()) }
