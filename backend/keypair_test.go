// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

// selfSigned is a certificate for a key, which another key signed.
func selfSigned(t *testing.T, public crypto.PublicKey, key crypto.Signer) backend.Value {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}}
	der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}}, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return backend.NewValue(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func inPEM(kind string, der []byte) backend.Value {
	return backend.NewValue(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// wide is an RSA key of more bits than are allowed, which is no key but looks
// like one: its primes are not, which would take long to find.
func wide(t *testing.T) (public *rsa.PublicKey, key backend.Value) {
	t.Helper()
	one := big.NewInt(1)
	for {
		p, q := odd(t, 4352), odd(t, 4352)
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		d, coefficient := new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(p1, q1)), new(big.Int).ModInverse(q, p)
		if d == nil || coefficient == nil {
			continue
		}
		n := new(big.Int).Mul(p, q)
		der, err := asn1.Marshal(struct {
			Version            int
			N                  *big.Int
			E                  int
			D, P, Q, Dp, Dq, C *big.Int
		}{0, n, 65537, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), coefficient})
		if err != nil {
			t.Fatal(err)
		}
		return &rsa.PublicKey{N: n, E: 65537}, inPEM("RSA PRIVATE KEY", der)
	}
}

func odd(t *testing.T, bits uint) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits))
	if err != nil {
		t.Fatal(err)
	}
	return n.SetBit(n, int(bits)-1, 1).SetBit(n, int(bits)-2, 1).SetBit(n, 0, 1)
}

func TestKeyPair(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	good, key := selfSigned(t, ec.Public(), ec), inPEM("EC PRIVATE KEY", der)
	public, huge := wide(t)
	for name, c := range map[string]struct {
		reason    string
		cert, key backend.Value
		want      string
	}{
		"pair":   {"they belong together", good, key, ""},
		"text":   {"no PEM, and nothing of it is said", good, backend.NewValue([]byte("canary")), "tls: the certificate and the key are no pair in PEM"},
		"absent": {"nothing", good, backend.Value{}, "tls: the certificate and the key are no pair in PEM"},
		"wide":   {"a signature takes long", selfSigned(t, public, ec), huge, "tls: the key has more than 8192 bits"},
		"long":   {"already reading it takes long", good, backend.NewValue(bytes.Repeat([]byte("canary"), 3000)), "tls: the key is longer than 12288 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := backend.KeyPair("tls", c.cert, c.key)
			switch {
			case c.want == "":
				if err != nil || pair.PrivateKey == nil {
					t.Errorf("%s: %v", c.reason, err)
				}
			case err == nil || !strings.HasSuffix(err.Error(), c.want) || backend.CodeOf(err) != backend.Unauthenticated:
				t.Errorf("%s: %v, want %s", c.reason, err, c.want)
			}
		})
	}
}
