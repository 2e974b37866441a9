// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The secret types. The names are IBM's.
const (
	typeArbitrary          = "arbitrary"
	typeUsernamePassword   = "username_password"
	typeKV                 = "kv"
	typeIAMCredentials     = "iam_credentials"
	typeServiceCredentials = "service_credentials"
	typeImportedCert       = "imported_cert"
	typePublicCert         = "public_cert"
	typePrivateCert        = "private_cert"
	typeCustomCredentials  = "custom_credentials" //nolint:gosec // a name of a type
)

// layout says where an answer of the API holds the data of a type, and what
// KES's manifests call it. Exactly one of text, document and fields is set.
type layout struct {
	text     string   // one field with text
	document string   // one field with a JSON object, whose order and digits are kept
	fields   []string // several, in the order of API v1; the required ones first
	required int      // how many of fields have to be there
	blank    bool     // an empty field is a value; of other types it is none
	ordered  bool     // it is made some time after it was asked for
	kes      string   // the name of text or document in API v1, where it was another one
	bare     bool     // without a property, KES's manifests mean the first of fields
	eso      string   // the key that ESO's manifests get for text, document or the only one of fields; empty for members
	complete bool     // what is absent of fields is empty to ESO's manifests
	extract  int      // how many of fields ESO's manifests get as keys, where not all
}

var layouts = map[string]layout{
	typeArbitrary:          {text: "payload", eso: "arbitrary"},
	typeUsernamePassword:   {fields: []string{"username", "password"}, required: 2, blank: true},
	typeKV:                 {document: "data", kes: "payload"},
	typeIAMCredentials:     {fields: []string{"api_key"}, required: 1, bare: true, eso: "apikey"},
	typeServiceCredentials: {document: "credentials", eso: "credentials"},
	typeImportedCert:       {fields: []string{"certificate", "intermediate", "private_key"}, required: 1, ordered: true, complete: true},
	typePublicCert:         {fields: []string{"certificate", "intermediate", "private_key"}, required: 1, ordered: true},
	typePrivateCert:        {fields: []string{"certificate", "private_key", "issuing_ca", fieldChain}, required: 1, ordered: true, extract: 2},
	typeCustomCredentials:  {document: "credentials_content"},
}

// fieldChain is the one field that is a list. Its value is kept as JSON.
const fieldChain = "ca_chain"

// served are the types in the order in which messages name them.
var served = []string{
	typeArbitrary, typeUsernamePassword, typeKV, typeIAMCredentials, typeServiceCredentials,
	typeImportedCert, typePublicCert, typePrivateCert, typeCustomCredentials,
}

// fill takes the data of a secret out of an answer. It returns false when
// there is none, and an error when it is not what the type has.
func (l layout) fill(s *backend.Secret, data map[string]json.RawMessage) (bool, error) {
	switch {
	case l.text != "":
		v, ok, err := textOf(data[l.text])
		s.Payload = v
		return ok, err
	case l.document != "":
		raw := data[l.document]
		if absent(raw) {
			return false, nil
		}
		if !strings.HasPrefix(string(raw), "{") {
			return false, errShape
		}
		s.Payload, s.JSON = backend.NewValue(raw), true
		return true, nil
	}
	fields := map[string]backend.Value{}
	for i, name := range l.fields {
		v, ok, err := field(name, data[name])
		if err != nil {
			return false, err
		}
		switch ok = ok && (v.Len() > 0 || l.blank); {
		case ok:
			fields[name] = v
		case i < l.required:
			return false, nil
		}
	}
	s.Fields = fields
	return true, nil
}

// errShape is what data of another JSON type comes to. It says nothing about
// the data.
var errShape = backend.Errorf(backend.Unavailable, "another JSON type")

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func field(name string, raw json.RawMessage) (backend.Value, bool, error) {
	if name != fieldChain {
		return textOf(raw)
	}
	if absent(raw) {
		return backend.Value{}, false, nil
	}
	var chain []string
	if json.Unmarshal(raw, &chain) != nil {
		return backend.Value{}, false, errShape
	}
	return backend.NewValue(slices.Clone(raw)), len(chain) > 0, nil
}

func textOf(raw json.RawMessage) (backend.Value, bool, error) {
	if absent(raw) {
		return backend.Value{}, false, nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil { // whose error quotes numbers
		return backend.Value{}, false, errShape
	}
	return backend.NewValue([]byte(s)), true, nil
}
