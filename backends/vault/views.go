// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"encoding/json"

	"github.com/lockstep-secrets/lockstep/backend"
)

// view lays a secret out as a dialect's manifests expect it.
//
//	dialect  Payload                                   Fields
//	KES      the document, as JavaScript writes it     –
//	ESO      the document, as Go writes it             its members
//
// JavaScript's form is made where its rules are, in the rendering. Go's has the
// names in order, and < > & escaped; External Secrets Operator put it into the
// Secret where no property is asked for. Members are text as it is, null as
// nothing and the rest as it is written.
func view(d backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	if d != backend.ESO || !s.Payload.IsSet() {
		return s, nil
	}
	dec := json.NewDecoder(bytes.NewReader(s.Payload.Reveal()))
	dec.UseNumber() // which keeps the digits
	var members map[string]any
	if dec.Decode(&members) != nil || members == nil { // whose error quotes the document
		return backend.Secret{}, backend.Errorf(backend.Unknown, "%s is not a JSON object", ref)
	}
	doc, err := json.Marshal(members)
	if err != nil {
		return backend.Secret{}, backend.Errorf(backend.Unknown, "%s is not a JSON object", ref)
	}
	s.Payload = backend.NewValue(doc)
	s.Fields = make(map[string]backend.Value, len(members))
	for name, member := range members {
		text, err := fieldText(member)
		if err != nil {
			return backend.Secret{}, backend.Errorf(backend.Unknown, "a member of %s is not JSON", ref)
		}
		s.Fields[name] = backend.NewValue(text)
	}
	return s, nil
}

func fieldText(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case json.Number:
		return []byte(v), nil
	}
	return json.Marshal(v)
}
