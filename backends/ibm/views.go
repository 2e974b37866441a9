// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"bytes"
	"encoding/json"

	"github.com/lockstep-secrets/lockstep/backend"
)

// view lays a secret out as a dialect's manifests expect it.
//
//	type               API v2              what KES saw of API v1
//	arbitrary          payload             {"payload":"…"}
//	username_password  username, password  {"username":"…","password":"…"}
//	kv                 data                {"payload":{…}}
func view(d backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	if d != backend.KES {
		return s, nil
	}
	if s.Fields == nil && !s.Payload.IsSet() {
		return backend.Secret{}, backend.Errorf(backend.Unknown, "%s has no value", ref) // never "", which is one
	}
	var b bytes.Buffer
	switch {
	case s.Fields != nil:
		b.WriteString(`{"username":`)
		b.Write(quote(s.Fields["username"].Reveal()))
		b.WriteString(`,"password":`)
		b.Write(quote(s.Fields["password"].Reveal()))
	case s.JSON:
		b.WriteString(`{"payload":`)
		b.Write(s.Payload.Reveal())
	default:
		b.WriteString(`{"payload":`)
		b.Write(quote(s.Payload.Reveal()))
	}
	b.WriteByte('}')
	s.Fields, s.Payload, s.JSON = nil, backend.NewValue(b.Bytes()), true
	return s, nil
}

// quote makes a JSON string. Text that is not UTF-8 cannot come out of the
// API, whose answers are JSON themselves.
func quote(text []byte) []byte {
	b, _ := json.Marshal(string(text)) // a string always marshals
	return b
}
