// SPDX-License-Identifier: Apache-2.0

// Package certutil holds the one function that Vault 1.14.1 calls and the sdk
// that its go.mod names does not have; its release was built with another one.
// Package build puts this file into a copy of the sdk's package of this name.
//
// It uses the standard library only, so that it compiles here as it does
// there. Nothing else belongs here.
package certutil

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// ParseBasicConstraintExtension says whether the extension claims to be an
// authority, and how many authorities may be below it: -1 when it names no
// limit. It refuses another extension than X.509's basic constraints, and
// bytes after it (RFC 5280, 4.2.1.9).
func ParseBasicConstraintExtension(ext pkix.Extension) (authority bool, below int, err error) {
	var is struct {
		Authority bool `asn1:"optional"`
		Below     int  `asn1:"optional,default:-1"`
	}
	if !ext.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}) {
		return false, -1, errors.New("not a basic constraints extension")
	}
	rest, err := asn1.Unmarshal(ext.Value, &is)
	if err != nil {
		return false, -1, err
	}
	if len(rest) > 0 {
		return false, -1, errors.New("bytes after the basic constraints")
	}
	return is.Authority, is.Below, nil
}
