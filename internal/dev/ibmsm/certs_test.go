// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

// made is a self-made certificate that is valid for a year.
func made(t *testing.T, name string) Certificate {
	t.Helper()
	c, err := NewCertificate(name, time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify checks that a leaf is for a name and leads to a root.
func verify(t *testing.T, leaf, intermediate, root, name string) {
	t.Helper()
	certs, err := parseCertificates(leaf)
	if err != nil {
		t.Fatal(err)
	}
	roots, inters := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(root)) || !inters.AppendCertsFromPEM([]byte(intermediate)) {
		t.Fatal("the chain is not in PEM")
	}
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: inters, DNSName: name}); err != nil {
		t.Error(err)
	}
}

func TestImportedCertificate(t *testing.T) {
	clock := newClock()
	s, hs := start(t, Options{Now: clock.Now, TokenTTL: 10000 * time.Hour})
	c := client(t, hs, managerKey)
	pem := made(t, "shop.example")
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.ImportedCertificatePrototype{
		SecretType: core.StringPtr("imported_cert"), Name: core.StringPtr("shop"),
		Certificate: &pem.Certificate, Intermediate: &pem.Intermediate, PrivateKey: &pem.PrivateKey,
	}})
	if err != nil {
		t.Fatal(err)
	}
	cert := got.(*sm.ImportedCertificate)
	if *cert.Certificate != pem.Certificate || *cert.Intermediate != pem.Intermediate || *cert.PrivateKey != pem.PrivateKey {
		t.Error("the values are not what was imported")
	}
	if *cert.CommonName != "shop.example" || *cert.Issuer != "Stand-in Intermediate CA" || *cert.KeyAlgorithm != "ECDSA256" ||
		*cert.SigningAlgorithm != "ECDSA-SHA256" || !strings.Contains(*cert.SerialNumber, ":") || !*cert.PrivateKeyIncluded ||
		!*cert.IntermediateIncluded || cert.ExpirationDate.String() != cert.Validity.NotAfter.String() {
		t.Error("the metadata is not that of the certificate")
	}
	verify(t, *cert.Certificate, *cert.Intermediate, pem.Root, "shop.example")

	next := made(t, "shop.example")
	v, _, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
		SecretID: cert.ID, SecretVersionPrototype: &sm.ImportedCertificateVersionPrototype{Certificate: &next.Certificate},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := v.(*sm.ImportedCertificateVersion); n.PrivateKey != nil || n.Intermediate != nil || *n.SerialNumber == *cert.SerialNumber {
		t.Error("a version has what was given with it and nothing of the version before")
	}
	m, _, err := c.UpdateSecretMetadata(&sm.UpdateSecretMetadataOptions{ID: cert.ID, SecretMetadataPatch: map[string]any{"description": "new"}})
	if err != nil || m.(*sm.ImportedCertificateMetadata).ExpirationDate == nil || *m.(*sm.ImportedCertificateMetadata).CommonName != "shop.example" {
		t.Errorf("an edit keeps what was read out of the certificate: %v", err)
	}
	if err := s.Lock(*cert.ID); err != nil {
		t.Fatal(err)
	}
	clock.advance(366 * day)
	after, _, err := c.GetSecret(&sm.GetSecretOptions{ID: cert.ID})
	if err != nil {
		t.Fatal(err)
	}
	if end := after.(*sm.ImportedCertificate); *end.State != 5 || end.Certificate != nil {
		t.Error("a lock does not keep a certificate from expiring")
	}
}

func TestImportedCertificateErrors(t *testing.T) {
	s := New(Options{Keys: allKeys})
	a, b := made(t, "a.example"), made(t, "b.example")
	old, err := NewCertificate("old.example", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		fields map[string]any
		wrong  string
	}{
		"nothing":   {"a certificate or managed_csr", map[string]any{}, "/certificate"},
		"no pem":    {"PEM", map[string]any{"certificate": "canary"}, "/certificate"},
		"a key":     {"a key is no certificate", map[string]any{"certificate": a.PrivateKey}, "/certificate"},
		"other key": {"the key must match", map[string]any{"certificate": a.Certificate, "private_key": b.PrivateKey}, "/private_key"},
		"key text":  {"the key must be one", map[string]any{"certificate": a.Certificate, "private_key": "canary"}, "/private_key"},
		"expired":   {"an expired one is refused", map[string]any{"certificate": old.Certificate}, "/certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Put(Seed{Name: "bad", Type: "imported_cert", Fields: tc.fields})
			if err == nil || !strings.Contains(err.Error(), tc.wrong) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func TestManagedCSR(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.ImportedCertificatePrototype{
		SecretType: core.StringPtr("imported_cert"), Name: core.StringPtr("managed"),
		ManagedCsr: &sm.ImportedCertificateManagedCsr{CommonName: core.StringPtr("managed.example")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cert := got.(*sm.ImportedCertificate)
	if *cert.State != 0 || cert.Certificate != nil || cert.Csr == nil || *cert.ManagedCsr.Csr != *cert.Csr {
		t.Fatal("the secret waits for its certificate, with a signing request")
	}
	ca, apiErr := s.store.authority(time.Now())
	if apiErr != nil {
		t.Fatal(apiErr)
	}
	request, err := parseCSR(*cert.Csr)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ca.issue(subject{commonName: request.Subject.CommonName, from: time.Now().Add(-time.Minute), to: time.Now().Add(day)}, request.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rotate(*cert.ID, map[string]any{"certificate": certPEM(answer)}); err != nil {
		t.Fatal(err)
	}
	after, _, err := c.GetSecret(&sm.GetSecretOptions{ID: cert.ID})
	if err != nil {
		t.Fatal(err)
	}
	end := after.(*sm.ImportedCertificate)
	if *end.State != 1 || end.PrivateKey == nil {
		t.Fatal("the certificate came and the service's key does not go with it")
	}
	if _, err := tls.X509KeyPair([]byte(*end.Certificate), []byte(*end.PrivateKey)); err != nil {
		t.Error(err)
	}
}

func publicCert(t *testing.T, c *sm.SecretsManagerV2, dns string, bundle bool) *sm.PublicCertificate {
	t.Helper()
	got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: &sm.PublicCertificatePrototype{
		SecretType: core.StringPtr("public_cert"), Name: core.StringPtr("public-" + dns), Ca: core.StringPtr("lets-encrypt"), Dns: &dns,
		CommonName: core.StringPtr("www.example"), AltNames: []string{"alt.example"}, BundleCerts: &bundle,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got.(*sm.PublicCertificate)
}

func readPublic(t *testing.T, c *sm.SecretsManagerV2, id *string) *sm.PublicCertificate {
	t.Helper()
	got, _, err := c.GetSecret(&sm.GetSecretOptions{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return got.(*sm.PublicCertificate)
}

func TestPublicCertificate(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	ordered := publicCert(t, c, "cis", true)
	if got := readPublic(t, c, ordered.ID); *got.State != 0 || *got.StateDescription != "pre_activation" || got.Certificate != nil ||
		got.PrivateKey != nil || got.SerialNumber != nil || *got.IssuanceInfo.State != 0 {
		t.Error("an ordered certificate has no values")
	}
	if err := s.Issue(*ordered.ID); err != nil {
		t.Fatal(err)
	}
	first := readPublic(t, c, ordered.ID)
	if *first.State != 1 || *first.VersionsTotal != 1 || *first.IssuanceInfo.State != 1 || first.ExpirationDate == nil {
		t.Error("the issued certificate is not the first version")
	}
	verify(t, *first.Certificate, *first.Intermediate, certPEM(s.store.ca.root), "alt.example")
	if s.Issue(*ordered.ID) == nil {
		t.Error("there is nothing more to issue")
	}
	for _, keys := range []bool{false, true} {
		before := readPublic(t, c, ordered.ID)
		v, _, err := c.CreateSecretVersion(&sm.CreateSecretVersionOptions{
			SecretID: ordered.ID, SecretVersionPrototype: &sm.PublicCertificateVersionPrototype{Rotation: &sm.PublicCertificateRotationObject{RotateKeys: &keys}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := readPublic(t, c, ordered.ID); *got.SerialNumber != *before.SerialNumber || *got.State != 1 || *got.IssuanceInfo.State != 0 {
			t.Error("until the new one is issued the old one stays")
		}
		if err := s.Issue(*ordered.ID); err != nil {
			t.Fatal(err)
		}
		got := readPublic(t, c, ordered.ID)
		if *got.SerialNumber == *before.SerialNumber || (*got.PrivateKey == *before.PrivateKey) == keys {
			t.Errorf("rotate_keys %v: the key, or the certificate, is wrong", keys)
		}
		if s.store.secrets[*ordered.ID].current().id != *v.(*sm.PublicCertificateVersion).ID {
			t.Error("the issued version is not the one that was ordered")
		}
	}
}

func TestPublicCertificateByHand(t *testing.T) {
	_, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	ordered := publicCert(t, c, "manual", false)
	if ch := ordered.IssuanceInfo.Challenges; len(ch) != 1 || *ch[0].TxtRecordName != "_acme-challenge.www.example" {
		t.Error("there is no challenge")
	}
	_, _, err := c.CreateSecretAction(&sm.CreateSecretActionOptions{
		ID: ordered.ID, SecretActionPrototype: &sm.PublicCertificateActionValidateManualDNSPrototype{ActionType: core.StringPtr(validateAction)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := readPublic(t, c, ordered.ID)
	if *got.State != 1 || got.Intermediate != nil {
		t.Error("the validated certificate is issued, without an intermediate when it is not bundled")
	}
	if _, err := tls.X509KeyPair([]byte(*got.Certificate), []byte(*got.PrivateKey)); err != nil {
		t.Error(err)
	}
}

func TestPrivateCertificate(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	create := func(p *sm.PrivateCertificatePrototype) *sm.PrivateCertificate {
		t.Helper()
		p.SecretType, p.CertificateTemplate, p.CommonName = core.StringPtr("private_cert"), core.StringPtr("template"), core.StringPtr("in.example")
		got, _, err := c.CreateSecret(&sm.CreateSecretOptions{SecretPrototype: p})
		if err != nil {
			t.Fatal(err)
		}
		return got.(*sm.PrivateCertificate)
	}
	cert := create(&sm.PrivateCertificatePrototype{
		Name: core.StringPtr("own-key"), TTL: core.StringPtr("12h"), AltNames: []string{"also.example"}, IpSans: core.StringPtr("10.0.0.1"),
	})
	if len(cert.CaChain) != 2 || *cert.IssuingCa != cert.CaChain[0] || *cert.CertificateAuthority == "" {
		t.Error("the chain is incomplete")
	}
	verify(t, *cert.Certificate, *cert.IssuingCa, cert.CaChain[1], "also.example")
	verify(t, *cert.Certificate, *cert.IssuingCa, cert.CaChain[1], "10.0.0.1")
	if _, err := tls.X509KeyPair([]byte(*cert.Certificate), []byte(*cert.PrivateKey)); err != nil {
		t.Error(err)
	}
	if life := time.Time(*cert.ExpirationDate).Sub(time.Time(*cert.CreatedAt)); life < 11*time.Hour || life > 13*time.Hour {
		t.Errorf("it lives %s", life)
	}

	key, err := newKey("")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := newCSR("in.example", key)
	if err != nil {
		t.Fatal(err)
	}
	signedCert := create(&sm.PrivateCertificatePrototype{Name: core.StringPtr("own-csr"), Csr: &csr})
	if signedCert.PrivateKey != nil {
		t.Error("with a signing request there is no private key")
	}
	if certs, err := parseCertificates(*signedCert.Certificate); err != nil || !sameKey(key, certs[0]) {
		t.Errorf("the certificate is not for the request's key: %v", err)
	}

	_, _, err = c.CreateSecretAction(&sm.CreateSecretActionOptions{
		ID: cert.ID, SecretActionPrototype: &sm.PrivateCertificateActionRevokePrototype{ActionType: core.StringPtr(revokeAction)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.GetSecret(&sm.GetSecretOptions{ID: cert.ID})
	if err != nil {
		t.Fatal(err)
	}
	if r := got.(*sm.PrivateCertificate); *r.State != 3 || *r.StateDescription != "deactivated" || r.RevocationTimeSeconds == nil || r.Certificate == nil {
		t.Error("a revoked certificate is deactivated and keeps its data")
	}
	if _, err := s.Rotate(*cert.ID, nil); err != nil || s.store.secrets[*cert.ID].state != stateActive {
		t.Errorf("the next version is active: %v", err)
	}
}

func TestPrivateCertificateBundle(t *testing.T) {
	s := New(Options{Keys: allKeys})
	id, err := s.Put(Seed{Name: "bundle", Type: "private_cert", Fields: map[string]any{
		"certificate_template": "t1", "common_name": "b.example", "format": "pem_bundle", "private_key_format": "pkcs8",
	}})
	if err != nil {
		t.Fatal(err)
	}
	data := s.store.secrets[id].current().data
	bundle := text(data["certificate"])
	if !strings.HasPrefix(bundle, "-----BEGIN PRIVATE KEY-----") || strings.Count(bundle, "BEGIN CERTIFICATE") != 2 {
		t.Error("a bundle is the key, the certificate and its issuer")
	}
	if body := call(t, s, "GET", "/api/v2/secrets/"+id+"/metadata").Body.String(); strings.Contains(body, "pem_bundle") || strings.Contains(body, "PRIVATE") {
		t.Error("metadata shows what the request said about the format, or the key")
	}
}

// TestCertificatesThroughBackDoor gives every type its values.
func TestCertificatesThroughBackDoor(t *testing.T) {
	s := New(Options{Keys: allKeys})
	pem := made(t, "given.example")
	for typ, own := range map[string]map[string]any{
		"public_cert":  {"ca": "lets-encrypt", "dns": "cis", "common_name": "given.example"},
		"private_cert": {"certificate_template": "t1", "common_name": "given.example"},
	} {
		t.Run(typ, func(t *testing.T) {
			own["certificate"], own["private_key"] = pem.Certificate, pem.PrivateKey
			id, err := s.Put(Seed{Name: "given", Type: typ, Fields: own})
			if err != nil {
				t.Fatal(err)
			}
			sec := s.store.secrets[id]
			if sec.state != stateActive || sec.current().data["certificate"] != pem.Certificate || sec.order != nil {
				t.Error("the certificate is not the one given")
			}
			next := made(t, "given.example")
			own["certificate"], own["private_key"] = next.Certificate, next.PrivateKey
			if _, err := s.Put(Seed{Name: "given", Type: typ, Fields: own}); err != nil || sec.total != 2 || sec.current().data["certificate"] != next.Certificate {
				t.Errorf("another certificate makes a version: %v", err)
			}
		})
	}
}
