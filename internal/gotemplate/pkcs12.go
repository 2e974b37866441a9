// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"

	"software.sslmate.com/src/go-pkcs12"
)

// pkcs12Key is the private key in a file, in PEM as PKCS #8.
func pkcs12Key(password, file string) (string, error) {
	key, _, _, err := decodePKCS12(password, file)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return encodePEM(privateKeyBlock, der), nil
}

// pkcs12Cert are the certificates in a file, from the leaf up if they are one chain, else as they come.
func pkcs12Cert(password, file string) (string, error) {
	_, cert, others, err := decodePKCS12(password, file)
	if err != nil {
		return "", err
	}
	all := encodePEM(certificateBlock, cert.Raw)
	for _, c := range others {
		all += encodePEM(certificateBlock, c.Raw)
	}
	chain, err := order([]byte(all))
	if err != nil {
		return all, nil //nolint:nilerr // it is no chain then, which is no mistake
	}
	ordered := ""
	for _, c := range chain {
		ordered += encodePEM(certificateBlock, c.Raw)
	}
	return ordered, nil
}

func decodePKCS12(password, file string) (any, *x509.Certificate, []*x509.Certificate, error) {
	if err := probePKCS12(password, file); err != nil {
		return nil, nil, nil, err
	}
	return pkcs12.DecodeChain([]byte(file), password)
}

// pemToPKCS12 is a file, in Base64, of the first certificate in cert and the first key in key.
func pemToPKCS12(cert, key, password string) (string, error) {
	block, _ := pem.Decode([]byte(cert))
	if block == nil {
		return "", errPEM
	}
	return encodePKCS12(block, nil, key, password)
}

// fullPEMToPKCS12 takes the other certificates in as well.
func fullPEMToPKCS12(certs, key, password string) (string, error) {
	block, rest := pem.Decode([]byte(certs))
	if block == nil {
		return "", errPEM
	}
	others, err := allCerts(rest)
	if err != nil {
		return "", err
	}
	return encodePKCS12(block, others, key, password)
}

func encodePKCS12(cert *pem.Block, others []*x509.Certificate, key, password string) (string, error) {
	leaf, err := x509.ParseCertificate(cert.Bytes)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return "", errPEM
	}
	private, err := parseKey(block.Bytes)
	if err != nil {
		return "", err
	}
	file, err := pkcs12.Modern.Encode(private, leaf, others, password)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(file), nil
}

// trustStoreToPKCS12 is a file, in Base64, of certificates that Java will trust.
func trustStoreToPKCS12(certs, password string) (string, error) {
	all, err := allCerts([]byte(certs))
	if err != nil {
		return "", err
	}
	file, err := pkcs12.Modern.EncodeTrustStore(all, password)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(file), nil
}

// allCerts reads text to its end: what is no block is an error.
func allCerts(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errPEM
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out, text = append(out, c), rest
	}
	return out, nil
}
