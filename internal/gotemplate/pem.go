// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
)

const (
	certificateBlock = "CERTIFICATE"
	privateKeyBlock  = "PRIVATE KEY"
	publicKeyBlock   = "PUBLIC KEY"
)

var (
	errPEM   = errors.New("not PEM")
	errChain = errors.New("not one chain of certificates")
)

// encodePEM is one block.
func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// fromBegin is text without what stands before the first block.
func fromBegin(text string) []byte {
	if i := strings.Index(text, "-----BEGIN"); i > 0 {
		text = text[i:]
	}
	return []byte(text)
}

// filterPEM keeps the blocks of one type, in any case of letters.
func filterPEM(kind, text string) (string, error) {
	var out bytes.Buffer
	rest := fromBegin(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !strings.EqualFold(block.Type, kind) {
			continue
		}
		if err := pem.Encode(&out, block); err != nil {
			return "", err
		}
	}
	if out.Len() == 0 && len(rest) != 0 {
		return "", errPEM
	}
	return out.String(), nil
}

// filterCertChain puts the certificates in order and returns the leaf, the intermediates or the root; any other part, and one
// that is not there, is "". No signature is verified.
func filterCertChain(part, text string) (string, error) {
	chain, err := order([]byte(text))
	if err != nil {
		return "", err
	}
	leaf, top := chain[0], chain[len(chain)-1]
	switch {
	case part == "leaf" && !root(leaf):
		return encodePEM(certificateBlock, leaf.Raw), nil
	case part == "root" && root(top):
		return encodePEM(certificateBlock, top.Raw), nil
	case part != "intermediate":
		return "", nil
	}
	out := ""
	for _, c := range chain[1:] {
		if root(c) {
			break
		}
		out += encodePEM(certificateBlock, c.Raw)
	}
	return out, nil
}

// root tells whether a certificate names no other issuer.
func root(c *x509.Certificate) bool {
	return c.AuthorityKeyId == nil || bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId)
}

// order returns the certificates from the leaf up, if each but one is the issuer of another one. An issuer is found by its
// key's identifier; the first that fits counts.
func order(text []byte) ([]*x509.Certificate, error) {
	certs, err := parseCerts(text)
	if err != nil {
		return nil, err
	}
	issuer := make([]int, len(certs))
	issues := make([]bool, len(certs))
	for i := range certs {
		issuer[i] = -1
		for j := range certs {
			if i != j && bytes.Equal(certs[i].AuthorityKeyId, certs[j].SubjectKeyId) {
				issuer[i], issues[j] = j, true
				break
			}
		}
	}
	at := -1
	for i := range certs {
		if issues[i] {
			continue
		}
		if at >= 0 {
			return nil, errChain
		}
		at = i
	}
	var out []*x509.Certificate
	for ; at >= 0; at = issuer[at] {
		if len(out) == len(certs) {
			return nil, errChain
		}
		out = append(out, certs[at])
	}
	if len(out) == 0 {
		return nil, errChain
	}
	return out, nil
}

// parseCerts reads blocks up to what is none. A block that is no certificate is an error.
func parseCerts(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
}

// chained: part and certificates, each of which is compared with each.
func chained(_ *Engine, in []reflect.Value) bill {
	n := int64(strings.Count(in[1].String(), "-----BEGIN"))
	return bill{work: mul(n, n*2+1024)}
}

// certSANs are the other names of the first certificate: of hosts, addresses, mail and URIs, in this order.
func certSANs(text string) ([]string, error) {
	block, _ := pem.Decode(fromBegin(text))
	if block == nil {
		return nil, errPEM
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	out := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	out = append(out, c.EmailAddresses...)
	for _, uri := range c.URIs {
		out = append(out, uri.String())
	}
	return out, nil
}
