// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the check of a file that lives for one call
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"reflect"
	"strings"
	"unicode/utf16"

	"software.sslmate.com/src/go-pkcs12"
)

// A PKCS #12 file says itself how often a password is hashed to open it. Two thousand million times is a few bytes of ASN.1,
// and minutes of work. The counts that stand outside of encrypted parts are read before (pkcs12Bill). Inside of an encrypted
// part there are certificates, and in the files of all known programs nothing else; a key in there, with a count of its own,
// is refused by opening the part with another key before it (probePKCS12): of two keys the library refuses the second unseen.

const (
	maxPKCS12     = 512 << 10
	iterationWork = 24 // of each time; 0.1 to 0.4 µs
)

var (
	oidData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncrypted = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidSHA1      = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidPlainKey  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}

	errHiddenKey = errors.New("a key in an encrypted part")
)

// The structures of RFC 7292, as far as they are looked at.
type (
	pfx struct {
		Version  int
		AuthSafe content
		MAC      macData `asn1:"optional"`
	}
	content struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	macData struct {
		MAC        digest
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	encryptedData struct {
		Version int
		Content struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Content   []byte `asn1:"tag:0,optional"`
		}
	}
	bag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue   `asn1:"tag:0,explicit"`
		Attributes []asn1.RawValue `asn1:"set,optional"`
	}
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	derivation struct { // of PBES2 and PBMAC1
		Function pkix.AlgorithmIdentifier
		Scheme   pkix.AlgorithmIdentifier
	}
	parameters struct { // of PBKDF2, and with a salt of bytes those of the older schemes
		Salt       asn1.RawValue
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		Function   pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

// pkcs12Bill: a file, after its password if there is one.
func pkcs12Bill(_ *Engine, in []reflect.Value) bill {
	file := in[len(in)-1].String()
	if len(file) > maxPKCS12 {
		return bill{size: huge}
	}
	work := int64(256 << 10)
	safe, parts, ok := open(file)
	if !ok {
		return bill{work: work}
	}
	forms := int64(1) // that the password is tried in
	if len(in) == 1 || in[0].Len() == 0 {
		forms = 2
	}
	times := mul(forms, macTimes(safe.MAC))
	for _, p := range parts {
		switch {
		case p.Type.Equal(oidEncrypted):
			var data encryptedData
			if _, err := asn1.Unmarshal(p.Content.Bytes, &data); err == nil {
				times = min(times+mul(forms+1, iterations(data.Content.Algorithm)), huge)
			}
		case p.Type.Equal(oidData):
			n, largest := keyTimes(p)
			times = min(times+n, huge)
			work = min(work+keyUse(largest), huge)
		}
	}
	return bill{work: min(work+mul(times, iterationWork), huge)}
}

// open reads the outer structures.
func open(file string) (pfx, []content, bool) {
	var p pfx
	if _, err := asn1.Unmarshal([]byte(file), &p); err != nil {
		return pfx{}, nil, false
	}
	var inner []byte
	if _, err := asn1.Unmarshal(p.AuthSafe.Content.Bytes, &inner); err != nil {
		return pfx{}, nil, false
	}
	var parts []content
	_, err := asn1.Unmarshal(inner, &parts)
	return p, parts, err == nil
}

func macTimes(m macData) int64 {
	return min(max(int64(m.Iterations), iterations(m.MAC.Algorithm)), huge)
}

// keyTimes looks at the keys of a part that is not encrypted: how often their passwords are hashed, and how large they are.
func keyTimes(p content) (times int64, largest int) {
	var raw []byte
	if _, err := asn1.Unmarshal(p.Content.Bytes, &raw); err != nil {
		return 0, 0
	}
	var bags []bag
	if _, err := asn1.Unmarshal(raw, &bags); err != nil {
		return 0, 0
	}
	for _, b := range bags {
		var key encryptedKey
		if _, err := asn1.Unmarshal(b.Value.Bytes, &key); err == nil && len(key.Algorithm.Algorithm) > 0 {
			times = min(times+iterations(key.Algorithm), huge)
			largest = max(largest, len(key.Data))
		}
		if b.ID.Equal(oidPlainKey) {
			largest = max(largest, len(b.Value.Bytes))
		}
	}
	return times, largest
}

// iterations is the count in the parameters of a password-based scheme, or 0. It is found in either form, whatever the name.
func iterations(a pkix.AlgorithmIdentifier) int64 {
	n := int64(0)
	var p parameters
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err == nil {
		n = int64(p.Iterations)
	}
	var d derivation
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &d); err == nil {
		if _, err := asn1.Unmarshal(d.Function.Parameters.FullBytes, &p); err == nil {
			n = max(n, int64(p.Iterations))
		}
	}
	return min(max(n, 0), huge)
}

// probePKCS12 opens each encrypted part on its own, after a key that is no secret, and refuses a second key.
func probePKCS12(password, file string) error {
	_, parts, ok := open(file)
	if !ok {
		return errPEM
	}
	for _, p := range parts {
		if !p.Type.Equal(oidEncrypted) {
			continue
		}
		for _, form := range passwordForms(password) {
			probe, err := probeFile(p, form)
			if err != nil {
				return err
			}
			_, _, _, err = pkcs12.DecodeChain(probe, password)
			if err != nil && strings.Contains(err.Error(), "exactly one key bag") {
				return errHiddenKey
			}
		}
	}
	return nil
}

// passwordForms are the bytes that a password is hashed as. For the empty one there are two customs.
func passwordForms(password string) [][]byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(password)) {
		out = append(out, byte(u>>8), byte(u&0xff))
	}
	out = append(out, 0, 0)
	if password == "" {
		return [][]byte{out, nil}
	}
	return [][]byte{out}
}

// ed25519Key is a key that anybody may have: its seed is zeros.
var ed25519Key = append([]byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20}, make([]byte, 32)...)

// probeFile is a file of ed25519Key and part, which opens with the password that has the given form.
func probeFile(part content, form []byte) ([]byte, error) {
	bags, err := asn1.Marshal([]bag{{ID: oidPlainKey, Value: explicit(ed25519Key)}})
	if err != nil {
		return nil, err
	}
	octets, err := asn1.Marshal(bags)
	if err != nil {
		return nil, err
	}
	part.Content = explicit(part.Content.Bytes)
	parts, err := asn1.Marshal([]content{{Type: oidData, Content: explicit(octets)}, part})
	if err != nil {
		return nil, err
	}
	octets, err = asn1.Marshal(parts)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pfx{
		Version:  3,
		AuthSafe: content{Type: oidData, Content: explicit(octets)},
		MAC:      authenticate(parts, form),
	})
}

func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// authenticate is RFC 7292's MAC with SHA-1 and one iteration, for which its appendix B comes down to one hash: of 64 bytes
// that are 3, and of salt and password, each repeated to whole blocks of 64.
func authenticate(message, password []byte) macData {
	salt := []byte("Lockstep")
	in := bytes.Repeat([]byte{3}, 64)
	for _, s := range [][]byte{salt, password} {
		if len(s) > 0 {
			whole := (len(s) + 63) / 64 * 64
			in = append(in, bytes.Repeat(s, whole/len(s)+1)[:whole]...)
		}
	}
	key := sha1.Sum(in) //nolint:gosec // see above
	mac := hmac.New(sha1.New, key[:])
	_, _ = mac.Write(message) // never fails
	return macData{
		MAC:        digest{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidSHA1, Parameters: asn1.NullRawValue}, Digest: mac.Sum(nil)},
		Salt:       salt,
		Iterations: 1,
	}
}
