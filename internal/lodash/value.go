// SPDX-License-Identifier: Apache-2.0

// Package lodash holds the part of JavaScript's value semantics that manifests of Kubernetes External Secrets (KES) rely
// on. KES ran JSON.parse over what a store answered, picked a property with lodash 4.17.21 (`hasIn`, then `get`), and
// turned the result into bytes with JSON.stringify or String. Manifests in the field depend on how those behave: numbers
// are doubles, integer-like keys come first, "a.b" is a key before it is a path, a string has a length and indices.
//
// It is not an interpreter of JavaScript, not a general JSON library, and no lodash: templates are rendered elsewhere.
// It differs from the original in one thing on purpose: what an object inherits from its prototype (toString,
// constructor, __proto__) is missing, where KES wrote the source text of a function into the Secret.
//
// Everything here is a pure function over secret bytes. No error carries a byte of the input, and printing a Value, by
// whatever verb, shows an address only; Bytes is the way out.
//
// Start at Parse (parse.go), Value.Get (path.go) and Value.Bytes (stringify.go); text.go says how strings are kept. The
// rules were compared with the original by testdata/vectors.js, which also wrote the vectors that the tests run.
package lodash

// Kind says what a Value is.
type Kind uint8

// The kinds of a Value. An array is told apart from an object, although both have typeof "object".
const (
	KindUndefined Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// String returns the kind's name in lower case, for messages.
func (k Kind) String() string {
	switch k {
	case KindNull:
		return "null"
	case KindBool:
		return "boolean"
	case KindNumber:
		return "number"
	case KindString:
		return "string"
	case KindArray:
		return "array"
	case KindObject:
		return "object"
	default:
		return "undefined"
	}
}

// Value is one JavaScript value, immutable and safe for concurrent use. The zero Value is undefined.
//
// What it holds is behind a function, because fmt follows a pointer, even one in an unexported field, for some verbs.
type Value struct {
	reveal func() *node
}

// Entry is one own property of a Value. Its key is valid UTF-8: a lone surrogate is U+FFFD.
type Entry struct {
	Key   string
	Value Value
}

// node is what a Value holds. The zero node is undefined.
type node struct {
	kind Kind
	// text is the literal of a boolean or number as the document spells it, or the content of a string (see text.go).
	text string
	// list has the members of an array or object.
	list *list
}

// list has the members of an array, or of an object in JavaScript's order of own keys.
type list struct {
	values []node
	// keys are as many as values; nil for an array.
	keys []string
	// at finds a key's position; nil where a walk over keys is as quick.
	at map[string]int
}

// String returns the string s. Bytes that are not UTF-8 become U+FFFD, as when Node decodes a buffer.
func String(s string) Value {
	return wrap(&node{kind: KindString, text: decodeUTF8(s)})
}

// Object returns the object literal with these entries: of two with one key the later value stands at the earlier place,
// and keys are put in JavaScript's order.
func Object(entries ...Entry) Value {
	keys := make([]string, len(entries))
	values := make([]node, len(entries))
	for i, e := range entries {
		keys[i] = decodeUTF8(e.Key)
		values[i] = *e.Value.node()
	}
	return wrap(&node{kind: KindObject, list: newObject(keys, values)})
}

func wrap(n *node) Value {
	return Value{func() *node { return n }}
}

// node is what v holds, which nobody may change.
func (v Value) node() *node {
	if v.reveal == nil {
		return &node{}
	}
	return v.reveal()
}

// Kind says what v is.
func (v Value) Kind() Kind {
	return v.node().kind
}

// Entries are the properties that object spread ({...v}) copies: an object's own in JavaScript's order, an array's
// elements under "0", "1" and so on, a string's UTF-16 units likewise; none of any other kind, and never a length.
func (v Value) Entries() []Entry {
	switch n := v.node(); n.kind {
	case KindObject:
		entries := make([]Entry, len(n.list.values))
		for i := range n.list.values {
			entries[i] = Entry{toUTF8(n.list.keys[i]), wrap(&n.list.values[i])}
		}
		return entries
	case KindArray:
		return indexed(n.list.values)
	case KindString:
		return indexed(splitUnits(n.text))
	default:
		return nil
	}
}
