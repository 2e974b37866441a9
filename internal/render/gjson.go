// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// maxSegments bounds how far a property leads down before a text that is a
// document of its own.
const maxSegments = 16

// value returns what an entry of data means: the whole value or a property.
func (c *composer) value(e spec.Entry, s backend.Secret) ([]byte, error) {
	if !e.HasProperty {
		return whole(s), nil
	}
	return c.property(e, s)
}

// whole returns the value as a whole: the payload, or else an object of the
// fields, with U+FFFD for what is not UTF-8.
func whole(s backend.Secret) []byte {
	if s.Payload.IsSet() {
		return s.Payload.Reveal()
	}
	fields := make(map[string]string, len(s.Fields))
	for name, v := range s.Fields {
		fields[name] = string(v.Reveal())
	}
	return marshal(fields)
}

// property returns a property of the secret: a field, a path into a field, or a
// path into the value as a whole. That it does not exist is NotFound: the
// secret was read, and has no such thing.
func (c *composer) property(e spec.Entry, s backend.Secret) ([]byte, error) {
	if v, ok := s.Fields[e.Property]; ok {
		return v.Reveal(), nil
	}
	for i := len(e.Property) - 2; i > 0; i-- {
		if e.Property[i] != '.' {
			continue
		}
		field, ok := s.Fields[e.Property[:i]]
		if !ok {
			continue
		}
		b, ok, err := c.within(e, field.Reveal(), e.Property[i+1:])
		if err != nil || ok {
			return b, err
		}
	}
	if s.Payload.IsSet() || s.Fields == nil {
		return c.path(e, s.Payload.Reveal())
	}
	return nil, absent(e)
}

// path returns what the property is in a document.
func (c *composer) path(e spec.Entry, doc []byte) ([]byte, error) {
	b, ok, err := c.get(e, doc, e.Property)
	if err != nil || ok {
		return b, err
	}
	if err := c.work.valid(doc); err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "property %s of %s %s", e.Property, e.Key.Key, err)
	}
	if !json.Valid(doc) {
		// A value that is no document proves nothing of its properties.
		return nil, backend.Errorf(backend.InvalidRef,
			"the value of %s is not JSON, so it has no property %s; for a plain value remove the property", e.Key.Key, e.Property)
	}
	return nil, absent(e)
}

func absent(e spec.Entry) error {
	return backend.Errorf(backend.NotFound, "property %s of %s does not exist", e.Property, e.Key.Key)
}

// within looks a path up in the value of a field, and where it leads to
// nothing, in the first text on its way, which may be a document again.
func (c *composer) within(e spec.Entry, doc []byte, path string) ([]byte, bool, error) {
	b, ok, err := c.get(e, doc, path)
	if err != nil || ok {
		return b, ok, err
	}
	for i, n := 1, 0; i < len(path)-1 && n < maxSegments; i++ {
		if path[i] != '.' || path[i-1] == '\\' {
			continue
		}
		n++
		r, err := c.lookup(e, doc, path[:i])
		if err != nil || !r.Exists() {
			return nil, false, err
		}
		if r.Type == gjson.String {
			return c.get(e, []byte(r.Str), path[i+1:])
		}
	}
	return nil, false, nil
}

// get returns the text of what a path leads to.
func (c *composer) get(e spec.Entry, doc []byte, path string) ([]byte, bool, error) {
	r, err := c.lookup(e, doc, path)
	if err != nil || !r.Exists() {
		return nil, false, err
	}
	if r.Type == gjson.Number && r.Raw != "" {
		return []byte(number(r.Raw)), true, nil
	}
	return []byte(r.String()), true, nil
}

// lookup is gjson.Get with bounds. A panic of the library is an error: the
// document is an outsider's.
func (c *composer) lookup(e spec.Entry, doc []byte, path string) (r gjson.Result, err error) {
	if err := c.work.path(doc, path); err != nil {
		return r, backend.Errorf(backend.InvalidRef, "property %s of %s %s", shorten(e.Property), remote(e), err)
	}
	defer func() {
		if recover() != nil {
			r, err = gjson.Result{}, backend.Errorf(backend.InvalidRef, "property %s of %s cannot be read", e.Property, remote(e))
		}
	}()
	return gjson.GetBytes(doc, path), nil
}

// spread returns one key for each field.
func (c *composer) spread(e spec.Entry, s backend.Secret) (map[string][]byte, error) {
	if e.HasProperty {
		b, err := c.property(e, s)
		if err != nil {
			return nil, err
		}
		return c.members(b, "property "+e.Property+" of "+remote(e))
	}
	if s.Fields == nil {
		return c.members(s.Payload.Reveal(), "the value of "+remote(e))
	}
	out := make(map[string][]byte, len(s.Fields))
	for name, v := range s.Fields {
		out[name] = v.Reveal()
	}
	return out, nil
}

// members returns the members of an object: text as it is, null as nothing and
// the rest as it is written.
func (c *composer) members(doc []byte, what string) (map[string][]byte, error) {
	object, err := c.object(doc, what)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(object))
	for name, raw := range object {
		out[name] = raw
		if s, ok := text(raw); ok {
			out[name] = s
		}
	}
	return out, nil
}

// object parses an object; null is one without members.
func (c *composer) object(doc []byte, what string) (map[string]json.RawMessage, error) {
	if err := c.work.document(doc); err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "%s %s", what, err)
	}
	var out map[string]json.RawMessage
	if json.Unmarshal(doc, &out) != nil { // whose text would quote the document
		return nil, backend.Errorf(backend.InvalidRef, "%s is not a JSON object, so it has no keys to take; for a plain value use data", what)
	}
	return out, nil
}

// text returns what a JSON text or null says.
func text(raw json.RawMessage) ([]byte, bool) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil, false
	}
	return []byte(s), true
}

// marshal writes JSON for people and programs, not for a page: <, > and & stay
// as they are. It is for values that always marshal.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// shorten keeps a message readable.
func shorten(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
