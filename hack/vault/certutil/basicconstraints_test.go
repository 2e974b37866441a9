// SPDX-License-Identifier: Apache-2.0

package certutil

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

func TestParseBasicConstraintExtension(t *testing.T) {
	constraints := asn1.ObjectIdentifier{2, 5, 29, 19}
	cases := map[string]struct {
		reason    string
		id        asn1.ObjectIdentifier
		value     []byte
		authority bool
		below     int
		fails     bool
	}{
		"empty":     {"a leaf writes an empty sequence", constraints, []byte{0x30, 0}, false, -1, false},
		"authority": {"without a limit", constraints, []byte{0x30, 3, 1, 1, 0xff}, true, -1, false},
		"limit":     {"an authority that signs leaves only", constraints, []byte{0x30, 6, 1, 1, 0xff, 2, 1, 0}, true, 0, false},
		"trailing":  {"a second value would go unread", constraints, []byte{0x30, 0, 5, 0}, false, -1, true},
		"no DER":    {"a request comes from anybody", constraints, []byte{0xff}, false, -1, true},
		"key usage": {"the caller mixed them up", asn1.ObjectIdentifier{2, 5, 29, 15}, []byte{0x30, 0}, false, -1, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			authority, below, err := ParseBasicConstraintExtension(pkix.Extension{Id: c.id, Value: c.value})
			if authority != c.authority || below != c.below || (err != nil) != c.fails {
				t.Errorf("%s: got %v, %d, %v", c.reason, authority, below, err)
			}
		})
	}
}
