// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// merged merges the members of the values, which are JSON objects, in
// alphabetical order of their keys and those with priority last, where they
// win.
func (c *composer) merged(m spec.Collect, data map[string][]byte, where string) (map[string][]byte, error) {
	all := map[string]json.RawMessage{}
	conflicts := map[string]bool{}
	for _, key := range mergeOrder(m, data) {
		value, ok := data[key]
		if !ok && m.IgnoreMissing {
			continue
		}
		if !ok {
			return nil, backend.Errorf(backend.InvalidRef, "%s.priority names key %s, which was not found", where, quote(key))
		}
		object, err := c.mergeable(value, key)
		if err != nil {
			return nil, err
		}
		for name, raw := range object {
			if _, double := all[name]; double {
				conflicts[name] = true
			}
			all[name] = raw
		}
	}
	if len(conflicts) > 0 && !m.IgnoreConflicts {
		return nil, backend.Errorf(backend.InvalidRef,
			"%s finds more than one value of %s; set conflictPolicy to Ignore to let the later one win", where, list(sortedKeys(conflicts)))
	}
	if !m.JSON {
		return mergedMembers(all)
	}
	if m.Into == "" {
		return nil, backend.Errorf(backend.InvalidRef, "%s.into is missing: strategy JSON needs the key of the result", where)
	}
	object := make(map[string]any, len(all))
	for name, raw := range all {
		v, err := exact(raw)
		if err != nil {
			return nil, notMergeable(m.Into)
		}
		object[name] = v
	}
	out := maps.Clone(data)
	if out == nil {
		out = map[string][]byte{}
	}
	out[m.Into] = marshal(object)
	return out, nil
}

// mergeOrder returns the keys to merge.
func mergeOrder(m spec.Collect, data map[string][]byte) []string {
	keys := slices.DeleteFunc(sortedKeys(data), func(key string) bool { return slices.Contains(m.Priority, key) })
	return append(keys, m.Priority...)
}

func (c *composer) mergeable(value []byte, key string) (map[string]json.RawMessage, error) {
	if err := c.work.document(value); err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "the value of key %s %s", quote(key), err)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil { // whose text would quote the document
		return nil, notMergeable(key)
	}
	return object, nil
}

func notMergeable(key string) error {
	return backend.Errorf(backend.InvalidRef, "the value of key %s is not a JSON object, so it cannot be merged", quote(key))
}

// mergedMembers makes one key of each member.
func mergedMembers(all map[string]json.RawMessage) (map[string][]byte, error) {
	out := make(map[string][]byte, len(all))
	for name, raw := range all {
		v, err := exact(raw)
		if err != nil {
			return nil, notMergeable(name)
		}
		switch v := v.(type) {
		case nil:
			out[name] = []byte{}
		case string:
			out[name] = []byte(v)
		case json.Number:
			out[name] = []byte(number(string(raw)))
		default:
			// External Secrets Operator escapes <, > and & here, and only here.
			if out[name], err = json.Marshal(v); err != nil {
				return nil, notMergeable(name)
			}
		}
	}
	return out, nil
}

// list names a few names.
func list(names []string) string {
	const most = 5
	var out []string
	for i, name := range names {
		if i == most {
			out = append(out, "…")
			break
		}
		out = append(out, quote(name))
	}
	return strings.Join(out, ", ")
}
