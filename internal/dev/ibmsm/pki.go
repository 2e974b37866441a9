// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"
)

// These never quote what they could not read: it may be a private key.
var (
	errNoCertificate = errors.New("must be PEM-encoded certificates")
	errNoKey         = errors.New("must be a PEM-encoded private key")
	errNoCSR         = errors.New("must be a PEM-encoded certificate signing request")
)

// authority is a root and an intermediate CA, which signs.
type authority struct {
	root, inter *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newAuthority makes both. Keys are ECDSA P-256 wherever the caller has no wish: an RSA key takes thousands of times as long.
func newAuthority(now time.Time) (*authority, error) {
	ca := func(name string, pathLen int) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: newSerial(), Subject: pkix.Name{CommonName: name, Organization: []string{"ibmsm stand-in"}},
			NotBefore: now.Add(-day), NotAfter: now.AddDate(30, 0, 0), IsCA: true, BasicConstraintsValid: true,
			MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := ca("Stand-in Root CA", 1)
	root, err := signed(template, template, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	inter, err := signed(ca("Stand-in Intermediate CA", 0), root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	return &authority{root: root, inter: inter, key: key}, nil
}

func signed(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// subject is what a certificate is asked for.
type subject struct {
	commonName string
	dns        []string
	ips        []string
	uris       []string
	noCNInSANs bool
	from, to   time.Time
}

// issue signs a certificate of the intermediate CA.
func (a *authority) issue(s subject, pub crypto.PublicKey) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: s.commonName}, NotBefore: s.from, NotAfter: s.to,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if s.commonName != "" && !s.noCNInSANs {
		template.DNSNames = append(template.DNSNames, s.commonName)
	}
	for _, n := range s.dns {
		if n != s.commonName {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	for _, t := range s.ips {
		ip := net.ParseIP(t)
		if ip == nil {
			return nil, errors.New("ip_sans has no IP address")
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	for _, t := range s.uris {
		u, err := url.Parse(t)
		if err != nil {
			return nil, errors.New("uri_sans has no URI")
		}
		template.URIs = append(template.URIs, u)
	}
	return signed(template, a.inter, pub, a.key)
}

func newSerial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
	if err != nil { // crypto/rand.Reader never fails; the runtime aborts instead
		panic(err)
	}
	return n.Add(n, big.NewInt(1))
}

// newKey makes a key of one of IBM's algorithms. RSA keys are not made: they would take seconds under the server's lock.
func newKey(algorithm string) (*ecdsa.PrivateKey, error) {
	if algorithm == "ECDSA384" {
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func certPEM(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

// keyPEM encodes a key in PKCS #8, or in the elder form of its algorithm.
func keyPEM(key *ecdsa.PrivateKey, pkcs8 bool) (string, error) {
	block, marshal := "EC PRIVATE KEY", func() ([]byte, error) { return x509.MarshalECPrivateKey(key) }
	if pkcs8 {
		block, marshal = "PRIVATE KEY", func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }
	}
	der, err := marshal()
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})), nil
}

// parseCertificates reads one certificate or more and nothing else.
func parseCertificates(s string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(s); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errNoCertificate
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errNoCertificate
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errNoCertificate
	}
	return out, nil
}

func parseKey(s string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return nil, errNoKey
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errNoKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errNoKey
	}
	return signer, nil
}

func parseCSR(s string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return nil, errNoCSR
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil, errNoCSR
	}
	return csr, nil
}

// newCSR makes a signing request, as managed_csr asks for it.
func newCSR(commonName string, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// sameKey says whether a private key belongs to a certificate.
func sameKey(key crypto.Signer, cert *x509.Certificate) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(cert.PublicKey)
}

// certInfo is what the service reads out of a certificate.
func certInfo(c *x509.Certificate) fields {
	names := make([]string, 0, len(c.DNSNames))
	names = append(names, c.DNSNames...)
	return fields{
		"common_name": c.Subject.CommonName, "alt_names": names, "issuer": c.Issuer.CommonName,
		"serial_number": serialText(c.SerialNumber), "signing_algorithm": c.SignatureAlgorithm.String(),
		"key_algorithm": keyAlgorithm(c.PublicKey),
		"validity":      fields{"not_before": stamp(c.NotBefore), "not_after": stamp(c.NotAfter)},
	}
}

// serialText writes a serial number as IBM does: pairs of hexadecimal digits with colons.
func serialText(n *big.Int) string {
	pairs := make([]string, 0, 20)
	for _, b := range n.Bytes() {
		pairs = append(pairs, fmt.Sprintf("%02x", b))
	}
	return strings.Join(pairs, ":")
}

func keyAlgorithm(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA%d", k.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA%d", k.N.BitLen())
	}
	return "unknown"
}
