// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestView(t *testing.T) {
	for name, c := range map[string]struct {
		reason  string
		dialect backend.Dialect
		doc     string
		payload string
		fields  map[string]string
	}{
		"KES":     {"its rules are JavaScript's, and made elsewhere", backend.KES, `{"b":1, "a":"<"}`, `{"b":1, "a":"<"}`, nil},
		"ESO":     {"as Go writes it", backend.ESO, `{"b": "x", "a": "<&>"}`, `{"a":"\u003c\u0026\u003e","b":"x"}`, map[string]string{"a": "<&>", "b": "x"}},
		"Numbers": {"no digit is lost", backend.ESO, `{"n":12345678901234567890,"f":1.50,"e":1e5}`, `{"e":1e5,"f":1.50,"n":12345678901234567890}`, map[string]string{"n": "12345678901234567890", "f": "1.50", "e": "1e5"}},
		"Others":  {"null is nothing, and the rest as it is written", backend.ESO, `{"z":null,"t":true,"o":{"b":1,"a":[2]},"l":["x"]}`, `{"l":["x"],"o":{"a":[2],"b":1},"t":true,"z":null}`, map[string]string{"z": "", "t": "true", "o": `{"a":[2],"b":1}`, "l": `["x"]`}},
		"Dotted":  {"a name with a dot is a field", backend.ESO, `{"tls.crt":"c"}`, `{"tls.crt":"c"}`, map[string]string{"tls.crt": "c"}},
		"Empty":   {"a secret without members is there", backend.ESO, `{}`, `{}`, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := view(c.dialect, backend.Ref{Path: "a"}, backend.Secret{Payload: textValue(c.doc), JSON: true})
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]string
			if got.Fields != nil {
				fields = map[string]string{}
			}
			for k, v := range got.Fields {
				fields[k] = string(v.Reveal())
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" || string(got.Payload.Reveal()) != c.payload {
				t.Errorf("%s: payload %s, want %s; fields (-want +got):\n%s", c.reason, got.Payload.Reveal(), c.payload, diff)
			}
		})
	}
	for _, doc := range []string{`["canary"]`, `"canary"`, `null`, `{"canary"`} {
		_, err := view(backend.ESO, backend.Ref{Path: "a"}, backend.Secret{Payload: textValue(doc), JSON: true})
		if backend.CodeOf(err) != backend.Unknown || err != nil && err.Error() != "a is not a JSON object" {
			t.Errorf("%s: %v", doc, err)
		}
	}
}
