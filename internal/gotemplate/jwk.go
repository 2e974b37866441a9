// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxJWKNumber is how many characters a number of a key may have; one of 8192 bits has 1366.
const maxJWKNumber = 1400

var errJWK = errors.New("not a JSON Web Key")

// jwkBill: a key, with numbers of any size.
func jwkBill(_ *Engine, in []reflect.Value) bill {
	b := document(nil, in)
	b.work += keyUse(min(in[0].Len(), maxKey))
	return b
}

// jwkPublicKeyPEM is a public key in PEM. A private key is an error.
func jwkPublicKeyPEM(doc string) (string, error) {
	key, err := parseJWK(doc)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return encodePEM(publicKeyBlock, der), nil
}

// jwkPrivateKeyPEM is a private key in PEM, as PKCS #8.
func jwkPrivateKeyPEM(doc string) (string, error) {
	key, err := parseJWK(doc)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return encodePEM(privateKeyBlock, der), nil
}

// parseJWK reads the members that make the key. What the key is for, and by whom it was certified, changes nothing.
func parseJWK(doc string) (any, error) {
	var in map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &in); err != nil {
		return nil, err
	}
	material := map[string]string{}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "k"} {
		raw, ok := in[name]
		if !ok {
			continue
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil || len(s) > maxJWKNumber {
			return nil, errJWK
		}
		if name != "kty" && name != "crv" { // any form of Base64
			s = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(s)
		}
		material[name] = s
	}
	plain, err := json.Marshal(material)
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(plain); err != nil {
		return nil, err
	}
	return key.Key, nil
}
