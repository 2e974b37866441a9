// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Who has a certificate NAME.pem and a key NAME-key.pem in the folder. The
// authority's key lies there so that tests can sign more clients.
const (
	caName     = "ca"
	serverName = "server"
	clientName = "client"
)

// valid is long enough for a test and too short for anything else.
const valid = 30 * 24 * time.Hour

// certificates are those of a folder, and what is served now.
type certificates struct {
	dir string
	now atomic.Pointer[tls.Config]
}

// openCertificates takes those that are in the folder, or makes them.
func openCertificates(dir string) (*certificates, error) {
	c := &certificates{dir: dir}
	err := c.load()
	if errors.Is(err, fs.ErrNotExist) {
		return c, c.renew()
	}
	return c, err
}

func (c *certificates) path(name string) string    { return filepath.Join(c.dir, name+".pem") }
func (c *certificates) keyPath(name string) string { return filepath.Join(c.dir, name+"-key.pem") }

// config serves what is valid when a client comes. A client's certificate is
// asked for and, unless it is required, left to Vault to judge.
func (c *certificates) config(required bool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := c.now.Load().Clone()
		if required {
			now.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return now, nil
	}}
}

func (c *certificates) load() error {
	own, err := tls.LoadX509KeyPair(c.path(serverName), c.keyPath(serverName))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.path(caName))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("there is no certificate in %s", c.path(caName))
	}
	c.now.Store(&tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.RequestClientCert, ClientCAs: pool,
	})
	return nil
}

// renew makes a new authority and new certificates, and serves them.
func (c *certificates) renew() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	ca, err := issue(&x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, "Vault for tests "+rand.Text()[:6], nil)
	if err != nil {
		return err
	}
	own, err := issue(&x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, serverName, ca)
	if err != nil {
		return err
	}
	client, err := issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, clientName, ca)
	if err != nil {
		return err
	}
	for name, p := range map[string]*pair{caName: ca, serverName: own, clientName: client} {
		if err := c.save(name, p); err != nil {
			return err
		}
	}
	return c.load()
}

func (c *certificates) save(name string, p *pair) error {
	key, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
	if err := os.WriteFile(c.path(name), text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.keyPath(name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

// A pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue signs a certificate by an authority, or by itself without one.
func issue(what *x509.Certificate, name string, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	what.SerialNumber, what.Subject = serial, pkix.Name{CommonName: name}
	what.NotBefore, what.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(valid)
	what.KeyUsage |= x509.KeyUsageDigitalSignature
	if by == nil {
		by = &pair{cert: what, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, what, by.cert, &key.PublicKey, by.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &pair{cert: cert, key: key}, err
}
