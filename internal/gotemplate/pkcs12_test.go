// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"bytes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // old files are encrypted so
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// attackData is what the attack text is over: of the data that take time to make, those that it names.
func attackData(tb testing.TB, text string) map[string]string {
	tb.Helper()
	aliases := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		name, last := string(rune('1'+i)), string(rune('0'+i))
		aliases += "a" + name + ": &a" + name + " [" + strings.TrimSuffix(strings.Repeat("*a"+last+",", 10), ",") + "]\n"
	}
	data := map[string]string{
		"a": strings.Repeat("a", 1<<20),
		"j": "[" + strings.Repeat(`{"a":1},`, 50000) + "1]",
		"y": aliases,
	}
	switch {
	case strings.Contains(text, "pkcs12key .p"):
		data["p"] = slow(tb, encoded(tb, pkcs12.Modern))
	case strings.Contains(text, "pkcs12key .h"):
		data["h"] = hidden(tb, 1<<31-1)
	case strings.Contains(text, "pkcs12key $.l"):
		data["l"] = string(encoded(tb, pkcs12.LegacyDES.WithIterations(20000)))
	case strings.Contains(text, ".k }}"):
		data["k"] = largeRSA(tb)
	}
	return data
}

func encoded(tb testing.TB, enc *pkcs12.Encoder) []byte {
	tb.Helper()
	c := newChain(tb)
	file, err := enc.Encode(c.key, c.leaf, nil, "")
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// slow is a file with 2^31-1 iterations of its check.
func slow(tb testing.TB, file []byte) string {
	tb.Helper()
	var p pfx
	if _, err := asn1.Unmarshal(file, &p); err != nil {
		tb.Fatal(err)
	}
	p.MAC.Iterations = 1<<31 - 1
	p.AuthSafe.Content = explicit(p.AuthSafe.Content.Bytes)
	out, err := asn1.Marshal(p)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// hidden is a file whose only part is encrypted and holds a key, which is encrypted once more, with so many
// iterations. Only who opens the part sees them.
func hidden(tb testing.TB, times int) string {
	tb.Helper()
	must := func(v any) []byte {
		tb.Helper()
		der, err := asn1.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
	type pbe struct {
		Salt       []byte
		Iterations int
	}
	oid3DES := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	shrouded := must(encryptedKey{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oid3DES, Parameters: asn1.RawValue{FullBytes: must(pbe{[]byte("saltsalt"), times})}},
		Data:      make([]byte, 64),
	})
	oidShrouded := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	bags := must([]bag{{ID: oidShrouded, Value: explicit(shrouded)}})
	var data encryptedData
	data.Content.Type = oidData
	data.Content.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oid3DES, Parameters: asn1.RawValue{FullBytes: must(pbe{[]byte("saltsalt"), 1})}}
	data.Content.Content = encrypt3DES(tb, bags, []byte("saltsalt"))
	safe := must([]content{{Type: oidEncrypted, Content: explicit(must(data))}})
	return string(must(pfx{
		Version: 3, AuthSafe: content{Type: oidData, Content: explicit(must(safe))},
		MAC: authenticate(safe, []byte{0, 0}),
	}))
}

// largeRSA has the form of an RSA key of some 60,000 bits.
func largeRSA(tb testing.TB) string {
	tb.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), 60000)
	n.Add(n, big.NewInt(1))
	half := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 30000), big.NewInt(1))
	der, err := asn1.Marshal(struct {
		Version             int
		N                   *big.Int
		E                   int
		D, P, Q, Dp, Dq, Qi *big.Int
	}{0, n, 65537, n, half, half, half, half, half})
	if err != nil {
		tb.Fatal(err)
	}
	return encodePEM("RSA PRIVATE KEY", der)
}

// chain is a root, an intermediate and a leaf.
type chain struct {
	key             *ecdsa.PrivateKey
	leaf            *x509.Certificate
	leafPEM, keyPEM string
	others          [2]string // intermediate and root
}

func newChain(tb testing.TB) chain {
	tb.Helper()
	var parent *x509.Certificate
	var signer *ecdsa.PrivateKey
	var out chain
	for i, name := range []string{"root", "intermediate", "leaf"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		id := sha256.Sum256([]byte(name))
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, SubjectKeyId: id[:20],
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: i < 2, BasicConstraintsValid: true,
		}
		if i == 2 {
			c.DNSNames, c.EmailAddresses = []string{"leaf.example.com", "alt.example.com"}, []string{"ops@example.com"}
		}
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
		if err != nil {
			tb.Fatal(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			tb.Fatal(err)
		}
		signer = key
		switch i {
		case 2:
			out.key, out.leaf, out.leafPEM = key, parent, encodePEM(certificateBlock, der)
		default:
			out.others[1-i] = encodePEM(certificateBlock, der)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(out.key)
	if err != nil {
		tb.Fatal(err)
	}
	out.keyPEM = encodePEM(privateKeyBlock, der)
	return out
}

func TestPKCS12(t *testing.T) {
	c := newChain(t)
	_, rest := pem.Decode([]byte(c.others[0] + c.others[1]))
	root, _ := pem.Decode(rest)
	others, err := x509.ParseCertificate(root.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, enc := range map[string]*pkcs12.Encoder{"Modern2023": pkcs12.Modern2023, "Modern2026": pkcs12.Modern2026, "LegacyDES": pkcs12.LegacyDES, "LegacyRC2": pkcs12.LegacyRC2, "Passwordless": pkcs12.Passwordless} {
		for _, password := range []string{"", "pässword"} {
			if name == "Passwordless" && password != "" {
				continue
			}
			file, err := enc.Encode(c.key, c.leaf, []*x509.Certificate{others}, password)
			if err != nil {
				t.Fatal(err)
			}
			data := map[string]string{"f": string(file), "p": password}
			got, err := New().Execute("k", `{{ .f | pkcs12keyPass .p }}{{ .f | pkcs12certPass .p }}`, data)
			if err != nil || got != c.keyPEM+c.leafPEM+c.others[1] {
				t.Errorf("%s with %q: %v", name, password, err)
			}
			if _, err := New().Execute("k", `{{ .f | pkcs12keyPass "no" }}`, data); err == nil {
				t.Errorf("%s: fn-pkcs12-wrong-pass: no error", name)
			}
		}
	}
	got, err := New().Execute("k", `{{ $f := pemToPkcs12Pass .leaf .key "x" | b64dec }}{{ pkcs12keyPass "x" $f }}{{ fullPemToPkcs12 .all .key | b64dec | pkcs12cert }}`,
		map[string]string{"leaf": c.leafPEM, "key": c.keyPEM, "all": c.leafPEM + c.others[1] + c.others[0]})
	if err != nil || got != c.keyPEM+c.leafPEM+c.others[0]+c.others[1] {
		t.Errorf("written and read again: %v", err)
	}
	got, err = New().Execute("k", `{{ pemTruststoreToPKCS12Pass .root "x" }}`, map[string]string{"root": c.others[1]})
	if err != nil {
		t.Fatal(err)
	}
	file, err := base64.StdEncoding.DecodeString(got)
	if err != nil {
		t.Fatal(err)
	}
	if certs, err := pkcs12.DecodeTrustStore(file, "x"); err != nil || len(certs) != 1 {
		t.Errorf("trust store: %d certificates, %v", len(certs), err)
	}
}

// TestHiddenKey sees that the file of the attack is what it claims to be: with few iterations the library itself gets as far
// as decrypting the key, and it is the probe that keeps it from that.
func TestHiddenKey(t *testing.T) {
	file := hidden(t, 1)
	_, _, _, err := pkcs12.DecodeChain([]byte(file), "")
	if err == nil || !strings.Contains(err.Error(), "shrouded") {
		t.Fatalf("the library did not come to the key: %v", err)
	}
	if err := probePKCS12("", file); err == nil || err.Error() != errHiddenKey.Error() {
		t.Errorf("the probe: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	c := newChain(t)
	data := map[string]string{
		"key": c.keyPEM, "leaf": c.leafPEM, "int": c.others[0], "root": c.others[1], "shuffled": c.others[1] + c.leafPEM + c.others[0],
		"mix": c.keyPEM + c.leafPEM + c.others[0], "junk": "junk\n" + c.leafPEM, "two": c.leafPEM + newChain(t).leafPEM,
	}
	for text, want := range map[string]string{
		`{{ .shuffled | filterCertChain "leaf" }}`:         c.leafPEM,
		`{{ .shuffled | filterCertChain "intermediate" }}`: c.others[0],
		`{{ .shuffled | filterCertChain "root" }}`:         c.others[1],
		`{{ .shuffled | filterCertChain "other" }}`:        "",
		`{{ .root | filterCertChain "leaf" }}`:             "",
		`{{ .mix | filterPEM "CERTIFICATE" }}`:             c.leafPEM + c.others[0],
		`{{ .mix | filterPEM "private key" }}`:             c.keyPEM,
		`{{ .junk | filterPEM "CERTIFICATE" }}`:            c.leafPEM,
		`{{ .leaf | filterPEM "X" }}`:                      "",
		`{{ .leaf | certSANs | join "," }}`:                "leaf.example.com,alt.example.com,ops@example.com",
	} {
		if got, err := New().Execute("k", text, data); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, reason := range map[string]string{
		`{{ .mix | filterCertChain "leaf" }}`: "fn-filtercertchain-with-key",
		`{{ .two | filterCertChain "leaf" }}`: "two chains",
		`{{ "junk" | filterPEM "X" }}`:        "no block at all",
		`{{ "" | filterCertChain "leaf" }}`:   "nothing",
		`{{ certSANs .key }}`:                 "a key",
		`{{ pemToPkcs12 "" .key }}`:           "no certificate",
		`{{ pemToPkcs12 .leaf "" }}`:          "no key",
		`{{ fullPemToPkcs12 .mix .key }}`:     "a key first",
		`{{ pemTruststoreToPKCS12 .mix }}`:    "a key among them",
		`{{ pemTruststoreToPKCS12 "junk" }}`:  "no block",
	} {
		if got, err := New().Execute("k", text, data); err == nil {
			t.Errorf("%s: %s: no error but %q", reason, text, got)
		}
	}
}

// encrypt3DES encrypts as the password-based scheme with SHA-1 and triple DES does, with one iteration and an empty password.
func encrypt3DES(tb testing.TB, plain, salt []byte) []byte {
	tb.Helper()
	block, err := des.NewTripleDESCipher(derive(1, 24, salt)) //nolint:gosec // the scheme's
	if err != nil {
		tb.Fatal(err)
	}
	pad := 8 - len(plain)%8
	out := append(append([]byte{}, plain...), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, derive(2, 8, salt)).CryptBlocks(out, out)
	return out
}

// derive is RFC 7292's appendix B for the empty password and one iteration.
func derive(id byte, size int, salt []byte) []byte {
	in := append(bytes.Repeat(salt, 64/len(salt)), bytes.Repeat([]byte{0, 0}, 32)...)
	var out []byte
	for len(out) < size {
		sum := sha1.Sum(append(bytes.Repeat([]byte{id}, 64), in...)) //nolint:gosec // the scheme's
		out = append(out, sum[:]...)
		b := bytes.Repeat(sum[:], 4)[:64]
		for at := 0; at < len(in); at += 64 {
			carry := 1
			for i := 63; i >= 0; i-- {
				carry += int(in[at+i]) + int(b[i])
				in[at+i] = byte(carry & 0xff)
				carry >>= 8
			}
		}
	}
	return out[:size]
}
