// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what {SHA} in a password file means
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"hash"
	"reflect"
	"runtime"
	"text/template/parse"
)

// What cryptography costs, in units of work. They allow one RSA key of 4096 bits for each Secret, or several of 2048 bits.
// A time that chance decides, as that of an RSA key, is paid for with its mean.
const (
	rsa4096Work = 17 << 20 // 0.5 s, and up to three times that
	rsa2048Work = 5 << 20  // 40 ms
	curveWork   = 16 << 10
	bcryptWork  = 5 << 20  // 55 ms
	scryptWork  = 10 << 20 // 140 ms and 32 MiB
	encodeWork  = 256 << 10
	maxKey      = 6 << 10 // bytes of a private key; one of 8192 bits has 4.7 KiB, and takes 90 ms to sign
)

var errKey = errors.New("not a private key")

// keyBill: the kind of the key. DSA parameters take seconds to find, and nobody should make such keys.
func keyBill(_ *Engine, in []reflect.Value) bill {
	return bill{work: keyWork(in[0].String())}
}

func keyWork(kind string) int64 {
	switch kind {
	case "", "rsa":
		return rsa4096Work
	case "dsa":
		return huge
	}
	return curveWork
}

// certainWork is what a call in the text of a template will cost, whatever the data, as far as that is much.
func certainWork(name string, c *parse.CommandNode, before []*parse.CommandNode) int64 {
	switch name {
	case "genPrivateKey":
		arg := parse.Node(nil)
		if len(c.Args) == 2 {
			arg = c.Args[1]
		}
		if len(c.Args) == 1 && len(before) == 1 && len(before[0].Args) == 1 {
			arg = before[0].Args[0]
		}
		if kind, ok := arg.(*parse.StringNode); ok {
			return keyWork(kind.Text)
		}
	case "genCA", "genSelfSignedCert", "genSignedCert":
		return rsa2048Work
	case "bcrypt":
		return bcryptWork
	case "derivePassword":
		return scryptWork
	}
	return 0
}

func htpasswdBill(_ *Engine, in []reflect.Value) bill {
	if in[2].String() == "sha" {
		return bill{work: 4 * int64(in[1].Len())}
	}
	return bill{work: bcryptWork}
}

func scryptBill(_ *Engine, in []reflect.Value) bill {
	work := int64(0)
	for _, v := range in[1:] {
		work += 8 * int64(v.Len())
	}
	return bill{work: work + scryptWork}
}

// derivePassword is the library's, with the memory of one call gone before the next: each takes 32 MiB.
func (e *Engine) derivePassword() func(counter uint32, kind, password, user, site string) string {
	library, _ := e.library["derivePassword"].(func(uint32, string, string, string, string) string)
	return func(counter uint32, kind, password, user, site string) string {
		if e.derived {
			runtime.GC()
		}
		e.derived = true
		return library(counter, kind, password, user, site)
	}
}

// privateKeys: the arguments at these places are, or hold as Key, a private key that will be used. A key of a tenant's may be
// of any size. A certificate may be signed with it, and a new one generated: -1 is the key of buildCustomCert, in Base64.
func privateKeys(places ...int) guard {
	return func(_ *Engine, in []reflect.Value) bill {
		b := bill{work: encodeWork}
		for _, i := range places {
			var text string
			switch {
			case i < 0:
				raw, err := base64.StdEncoding.DecodeString(in[1].String())
				if err != nil {
					return b
				}
				text = string(raw)
			case in[i].Kind() == reflect.Struct:
				text = in[i].FieldByName("Key").String()
			default:
				text = in[i].String()
			}
			if block, _ := pem.Decode([]byte(text)); block != nil {
				b.work = min(b.work+keyUse(len(block.Bytes)), huge)
			}
		}
		if len(in) == 5 && len(places) == 1 && in[4].Kind() == reflect.Struct { // genSignedCert
			b.work = min(b.work+rsa2048Work, huge)
		}
		return b
	}
}

// keyUse is what signing with a key of so many bytes costs. It grows with the third power.
func keyUse(size int) int64 {
	if size > maxKey {
		return huge
	}
	s := int64(size)
	return s * s * s / (1 << 14)
}

// parseKey reads a private key in any of the three forms.
func parseKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errKey
}

// rsaDecrypt decrypts with RSA-OAEP, or returns what it got if scheme is None. An unknown hash is SHA-256.
func rsaDecrypt(scheme, hashName, in, key string) (string, error) {
	if scheme == "None" {
		return in, nil
	}
	block, _ := pem.Decode([]byte(key))
	if scheme != "RSA-OAEP" || block == nil {
		return "", errKey
	}
	parsed, err := parseKey(block.Bytes)
	if err != nil {
		return "", err
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return "", errKey
	}
	var h hash.Hash
	switch hashName {
	case "SHA1":
		h = sha1.New() //nolint:gosec // some stores encrypt so
	case "SHA512":
		h = sha512.New()
	default:
		h = sha256.New()
	}
	out, err := rsa.DecryptOAEP(h, nil, private, []byte(in), nil)
	return string(out), err
}

func sha1Base64(s string) string {
	sum := sha1.Sum([]byte(s)) //nolint:gosec // what {SHA} in a password file means
	return base64.StdEncoding.EncodeToString(sum[:])
}
