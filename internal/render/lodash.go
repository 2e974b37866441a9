// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/lodash"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// maxDocument bounds what is parsed, in bytes, because a parsed document takes
// many times its size in memory. It is four times what a Secret can hold.
const maxDocument = 4 << 20

// lodashEntry reads an entry by JavaScript's rules, as Kubernetes External
// Secrets did.
func lodashEntry(e spec.Entry, s backend.Secret) (map[string]backend.Value, error) {
	raw, document := lodashText(s, e.HasProperty || e.Name == "")
	if len(raw) > maxDocument && (document || e.HasProperty || e.Name == "") {
		return nil, backend.Errorf(backend.InvalidRef, "the value of %s is too large to be read as JSON: at most %d bytes", e.Key.Key, maxDocument)
	}
	if document {
		// The product's answer was parsed and written again by JavaScript
		// before anybody saw it.
		doc, err := lodash.Parse(raw)
		if err != nil {
			return nil, backend.Errorf(backend.Unknown, "the answer for %s is not JSON", e.Key.Key)
		}
		raw = doc.Bytes()
	}
	if e.Name == "" {
		return lodashSpread(e, raw)
	}
	if !e.HasProperty {
		if e.Decode == spec.DecodeLenient {
			raw = lodash.DecodeBase64(raw)
		}
		return map[string]backend.Value{e.Name: backend.NewValue(raw)}, nil
	}
	doc, err := lodash.Parse(raw)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef,
			"the value of %s is not JSON, so it has no property %s; for a plain value remove the property", e.Key.Key, e.Property)
	}
	v, ok := doc.Get(e.Property)
	if !ok {
		return nil, backend.Errorf(backend.InvalidRef, "Could not find property %s in %s", e.Property, e.Key.Key)
	}
	return map[string]backend.Value{e.Name: lodashValue(v, e.Decode)}, nil
}

// lodashText returns what an entry reads, and whether it is JSON by the
// product's own definition. A secret may have both a payload, which is then its
// value as a whole, and fields, which are its properties.
func lodashText(s backend.Secret, properties bool) (raw []byte, document bool) {
	if s.Fields == nil || s.Payload.IsSet() && !properties {
		return s.Payload.Reveal(), s.JSON
	}
	fields := make(map[string]string, len(s.Fields))
	for name, v := range s.Fields {
		fields[name] = string(v.Reveal())
	}
	raw, _ = json.Marshal(fields) // strings always marshal
	return raw, true
}

// lodashSpread makes one key of each property of the document.
func lodashSpread(e spec.Entry, raw []byte) (map[string]backend.Value, error) {
	doc, err := lodash.Parse(raw)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef,
			"the value of %s is not JSON, so it has no keys to take; for a plain value use data", e.Key.Key)
	}
	out := map[string]backend.Value{}
	for _, p := range doc.Entries() {
		out[p.Key] = lodashValue(p.Value, e.Decode)
	}
	return out, nil
}

// lodashValue turns a value into the bytes of a key. Only strings can be
// base64; numbers and objects are left as they are.
func lodashValue(v lodash.Value, d spec.Decode) backend.Value {
	b := v.Bytes()
	if d == spec.DecodeLenient && v.Kind() == lodash.KindString {
		b = lodash.DecodeBase64(b)
	}
	return backend.NewValue(b)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
