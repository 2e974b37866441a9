// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/lockstep-secrets/lockstep/backend"
)

// view lays a secret out as a dialect's manifests expect it. What ESO's see is
// in views_eso.go.
//
//	type                 API v2                   what KES saw of API v1
//	arbitrary            payload                  {"payload":"…"}
//	username_password    username, password       {"username":"…","password":"…"}
//	kv                   data                     {"payload":{…}}
//	imported_cert,       certificate, …           {"certificate":"…","intermediate":"…","private_key":"…"}
//	public_cert
//	private_cert         certificate, …           {"certificate":"…","private_key":"…","issuing_ca":"…","ca_chain":["…"]}
//	iam_credentials      api_key                  "…", and no properties
//	service_credentials  credentials              was not there: {"credentials":{…}}
//	custom_credentials   credentials_content      was not there: {"credentials_content":{…}}
//
// What is not there is left out. KES wrote the API key of iam_credentials with
// the quotes of a JSON string around it, which nobody can log in with: here it
// is the bare key, and has the property api_key as well.
func view(d backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	if d != backend.KES && d != backend.ESO {
		return s, nil
	}
	l, ok := layouts[ref.Kind]
	if !ok || s.Fields == nil && !s.Payload.IsSet() {
		return backend.Secret{}, backend.Errorf(backend.Unknown, "%s has no value", ref) // never "", which is one
	}
	if d == backend.ESO {
		return l.viewESO(ref, s)
	}
	if l.bare {
		s.Payload = s.Fields[l.fields[0]]
		return s, nil
	}
	s.Payload, s.Fields, s.JSON = l.v1(s), nil, true
	return s, nil
}

// v1 is API v1's JSON of a secret.
func (l layout) v1(s backend.Secret) backend.Value {
	var b bytes.Buffer
	sep := byte('{')
	add := func(name string, v backend.Value, isJSON bool) {
		b.WriteByte(sep)
		sep = ','
		b.Write(quote([]byte(name)))
		b.WriteByte(':')
		if isJSON {
			b.Write(v.Reveal())
			return
		}
		b.Write(quote(v.Reveal()))
	}
	if s.Fields == nil {
		add(cmp.Or(l.kes, l.text, l.document), s.Payload, s.JSON)
	}
	for _, name := range l.fields {
		if v, ok := s.Fields[name]; ok {
			add(name, v, name == fieldChain)
		}
	}
	b.WriteByte('}')
	return backend.NewValue(b.Bytes())
}

// quote makes a JSON string. Text that is not UTF-8 cannot come out of the
// API, whose answers are JSON themselves.
func quote(text []byte) []byte {
	b, _ := json.Marshal(string(text)) // a string always marshals
	return b
}
