// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"
)

func TestJWK(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := newChain(t).key
	data := map[string]string{"oct": `{"kty":"oct","k":"AQID"}`, "junk": "junk", "long": `{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 5000)) + `"}`}
	for name, keys := range map[string][2]any{"rsa": {rsaKey, rsaKey.Public()}, "ec": {ecKey, ecKey.Public()}, "ed": {edKey, edKey.Public()}} {
		for i, suffix := range []string{"", "Pub"} {
			doc, err := jose.JSONWebKey{Key: keys[i], KeyID: "a", Algorithm: "none", Use: "other"}.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			data[name+suffix] = string(doc)
		}
		private, err := x509.MarshalPKCS8PrivateKey(keys[0])
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(keys[1])
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]string{
			`{{ .` + name + ` | jwkPrivateKeyPem }}`:   encodePEM(privateKeyBlock, private),
			`{{ .` + name + `Pub | jwkPublicKeyPem }}`: encodePEM(publicKeyBlock, public),
		} {
			if got, err := New().Execute("k", text, data); err != nil || got != want {
				t.Errorf("%s: %q, %v", text, got, err)
			}
		}
	}
	for text, reason := range map[string]string{
		`{{ .ec | jwkPublicKeyPem }}`:      "fn-jwk-private-as-public",
		`{{ .rsa | jwkPublicKeyPem }}`:     "private as public",
		`{{ .rsaPub | jwkPrivateKeyPem }}`: "public as private",
		`{{ .oct | jwkPrivateKeyPem }}`:    "no key of a pair",
		`{{ .junk | jwkPrivateKeyPem }}`:   "no JSON",
		`{{ .long | jwkPublicKeyPem }}`:    "40,000 bits",
	} {
		if got, err := New().Execute("k", text, data); err == nil {
			t.Errorf("%s: %s: no error but %q", reason, text, got)
		}
	}
}

func TestRSADecrypt(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sealed256, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed512, err := rsa.EncryptOAEP(sha512.New(), rand.Reader, &key.PublicKey, []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := map[string]string{
		"in": string(sealed256), "in512": string(sealed512), "p8": encodePEM(privateKeyBlock, pkcs8),
		"p1": encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), "ec": newChain(t).keyPEM,
	}
	for text, want := range map[string]string{
		`{{ rsaDecrypt "RSA-OAEP" "SHA256" .in .p8 }}`:      "plain",
		`{{ rsaDecrypt "RSA-OAEP" "None" .in .p1 }}`:        "plain",
		`{{ .p1 | rsaDecrypt "RSA-OAEP" "SHA512" .in512 }}`: "plain",
		`{{ rsaDecrypt "None" "" "x" "" }}`:                 "x",
		`{{ rsaDecrypt "RSA-OAEP" "SHA1" .in .p8 }}`:        "error",
		`{{ rsaDecrypt "RSA-OAEP" "SHA256" .in .ec }}`:      "error",
		`{{ rsaDecrypt "RSA-OAEP" "SHA256" .in "x" }}`:      "error",
		`{{ rsaDecrypt "AES" "SHA256" .in .p8 }}`:           "error",
	} {
		got, err := New().Execute("k", text, data)
		if (err != nil) != (want == "error") || err == nil && got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// TestLargeKey sees that a key is measured before it is used.
func TestLargeKey(t *testing.T) {
	for _, call := range []string{`rsaDecrypt "RSA-OAEP" "SHA1" "x" .k`, `genCAWithKey "a" 1 .k`, `buildCustomCert "x" (b64enc .k)`, `pemToPkcs12 "x" .k`, `genSignedCertWithKey "a" nil nil 1 (genCA "a" 1) .k`} {
		name, _, _ := strings.Cut(call, " ")
		_, err := New().Execute("k", "{{ $x := "+call+" }}", map[string]string{"k": largeRSA(t)})
		if want := `template "k", line 1: function "` + name + `": too much work`; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", call, err, want)
		}
	}
}

// TestShapes is fn-genkey-shapes, and the form of what else is random.
func TestShapes(t *testing.T) {
	for text, want := range map[string]string{
		`{{ genPrivateKey "ecdsa" }}`:   `^-----BEGIN EC PRIVATE KEY-----\n`,
		`{{ genPrivateKey "ed25519" }}`: `^-----BEGIN PRIVATE KEY-----\n`,
		`{{ genPrivateKey "x" }}`:       `^Unknown type x$`,
		`{{ $ca := genCA "my-ca" 365 }}{{ $ca.Cert }}{{ (genSignedCert "a" (list "10.0.0.1") (list "a.example.com") 1 $ca).Key }}`: `^-----BEGIN CERTIFICATE-----(?s:.*)-----BEGIN RSA PRIVATE KEY-----`,
		`{{ (genSelfSignedCert "a" nil nil 1).Cert }}`:                                        `^-----BEGIN CERTIFICATE-----`,
		`{{ (genCAWithKey "a" 1 (genPrivateKey "ecdsa")).Cert }}`:                             `^-----BEGIN CERTIFICATE-----`,
		`{{ $c := genCA "a" 1 }}{{ (buildCustomCert (b64enc $c.Cert) (b64enc $c.Key)).Key }}`: `^-----BEGIN RSA PRIVATE KEY-----`,
		`{{ randAlphaNum 12 }}|{{ randNumeric 3 }}|{{ randBytes 3 | len }}|{{ uuidv4 }}`:      `^[A-Za-z0-9]{12}\|[0-9]{3}\|4\|[0-9a-f-]{36}$`,
		`{{ encryptAES "k" "secret" | decryptAES "k" }}`:                                      `^secret$`,
		`{{ htpasswd "u" "p" "bcrypt" }}`:                                                     `^u:\$2a\$10\$`,
	} {
		got, err := New().Execute("k", text, nil)
		if err != nil || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	hash, err := New().Execute("k", `{{ bcrypt "p" }}`, nil)
	if err != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte("p")) != nil {
		t.Errorf("bcrypt: %q, %v", hash, err)
	}
}
