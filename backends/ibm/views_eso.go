// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"encoding/json"
	"maps"

	"github.com/lockstep-secrets/lockstep/backend"
)

// viewESO lays a secret out as External Secrets Operator did. Payload is what an
// entry without a property means. Fields are its properties, and the keys that
// extract brings; other properties are paths in the Payload.
//
//	type                 Payload                Fields
//	arbitrary            payload                arbitrary
//	username_password    –                      username, password
//	kv                   data                   the members of data
//	iam_credentials      api_key                apikey
//	service_credentials  credentials            credentials
//	imported_cert        –                      certificate, intermediate, private_key; empty where absent
//	public_cert          –                      certificate, intermediate, private_key
//	private_cert         {"certificate":"…",…}  certificate, private_key
//	custom_credentials   credentials_content    its members
//
// With the metadata, its names are Fields besides, and give way to these.
//
// ESO wrote objects, lists and numbers in Go's own form (map[a:b], [a b],
// 1e+06) in credentials and in metadata. Here they are JSON.
func (l layout) viewESO(ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	if ref.Part == backend.Metadata {
		return l.withMetadata(ref, s)
	}
	switch {
	case l.document != "" && l.eso == "":
		members := map[string]json.RawMessage{}
		if json.Unmarshal(s.Payload.Reveal(), &members) != nil { // whose error quotes the document
			return backend.Secret{}, unreadable(ref)
		}
		s.Fields = texts(members)
	case l.eso != "":
		if s.Fields != nil {
			s.Payload = s.Fields[l.fields[0]]
		}
		s.Fields = map[string]backend.Value{l.eso: s.Payload}
	case l.complete:
		s.Fields = maps.Clone(s.Fields)
		for _, name := range l.fields {
			if !s.Fields[name].IsSet() {
				s.Fields[name] = backend.NewValue(nil)
			}
		}
	case l.extract > 0:
		s.Payload, s.JSON = l.v1(s), true
		s.Fields = maps.Clone(s.Fields)
		for _, name := range l.fields[l.extract:] {
			delete(s.Fields, name)
		}
	}
	return s, nil
}

// withMetadata lays out all that the product says of a secret.
func (l layout) withMetadata(ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	all := make(map[string]json.RawMessage, len(s.Fields))
	for name, v := range s.Fields {
		all[name] = v.Reveal()
	}
	value := s
	value.Fields = nil
	if found, err := l.fill(&value, all); err != nil || !found {
		return backend.Secret{}, unreadable(ref)
	}
	ref.Part = backend.Data
	value, err := l.viewESO(ref, value)
	if err != nil {
		return backend.Secret{}, err
	}
	fields := texts(all)
	maps.Copy(fields, value.Fields)
	value.Fields = fields
	return value, nil
}

// texts are JSON values as manifests take them: text is what it says, null
// nothing, and the rest as it is written.
func texts(members map[string]json.RawMessage) map[string]backend.Value {
	out := make(map[string]backend.Value, len(members))
	for name, raw := range members {
		v := []byte(raw)
		var s string
		if json.Unmarshal(raw, &s) == nil {
			v = []byte(s)
		}
		out[name] = backend.NewValue(v)
	}
	return out
}
