// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"crypto/rsa"
	"crypto/tls"
)

const (
	// longestKey is the most that a private key in PEM may have, in bytes: one of
	// 8,192 bits has 6,400.
	longestKey = 12 << 10
	// widestKey is the most bits of an RSA key. A signature takes eight times as
	// long with twice as many, no context ends it, and tenants give the keys.
	widestKey = 8192
)

// KeyPair makes the certificate that a client shows out of PEM. Its errors quote
// nothing of either; field names where they are from.
func KeyPair(field string, cert, key Value) (tls.Certificate, error) {
	if key.Len() > longestKey {
		return tls.Certificate{}, Errorf(Unauthenticated, "%s: the key is longer than %d bytes", field, longestKey)
	}
	pair, err := tls.X509KeyPair(cert.Reveal(), key.Reveal())
	if err != nil { // its text may quote the key
		return tls.Certificate{}, Errorf(Unauthenticated, "%s: the certificate and the key are no pair in PEM", field)
	}
	if k, ok := pair.PrivateKey.(*rsa.PrivateKey); ok && k.N.BitLen() > widestKey {
		return tls.Certificate{}, Errorf(Unauthenticated, "%s: the key has more than %d bits", field, widestKey)
	}
	return pair, nil
}
