// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"maps"
	"time"
)

const (
	publicLife  = 90 * day // as Let's Encrypt does
	privateLife = 90 * day // when neither the request nor a template says anything
)

// authority is the instance's own CA, made when it is first needed.
func (st *store) authority(now time.Time) (*authority, *apiError) {
	if st.ca != nil {
		return st.ca, nil
	}
	ca, err := newAuthority(now)
	if err != nil {
		return nil, errInternal("the certificate authority cannot be made")
	}
	st.ca = ca
	return ca, nil
}

// stored fills in what follows from a certificate that the caller brought, and checks that the parts belong together.
func (b *build) stored() *apiError {
	chain, err := parseCertificates(text(b.v.data["certificate"]))
	if err != nil {
		return errInvalid("/certificate", err.Error())
	}
	leaf := chain[0]
	if !leaf.NotAfter.After(b.now) {
		return errInvalid("/certificate", "the certificate has expired")
	}
	if s := text(b.v.data["private_key"]); s != "" {
		key, err := parseKey(s)
		if err != nil {
			return errInvalid("/private_key", err.Error())
		}
		if !sameKey(key, leaf) {
			return errInvalid("/private_key", "does not match the certificate")
		}
	}
	b.v.info, b.v.expires = certInfo(leaf), leaf.NotAfter
	return nil
}

// completeImported stores what the caller brought, or starts with a signing request when managed_csr asks for one.
func completeImported(b *build) *apiError {
	if b.v.data["certificate"] == nil {
		return b.startManaged()
	}
	if csr, key := b.managed(); b.v.data["private_key"] == nil && csr != "" {
		b.v.data["csr"], b.v.data["private_key"] = csr, key
	}
	if apiErr := b.stored(); apiErr != nil {
		return apiErr
	}
	b.v.info["intermediate_included"] = b.v.data["intermediate"] != nil
	b.v.info["private_key_included"] = b.v.data["private_key"] != nil
	if b.sec.csr != "" {
		b.v.info["managed_csr"] = b.managedInfo(b.sec.csr)
	}
	b.sec.state = stateActive
	return nil
}

// managed is the signing request of managed_csr and its key, if the certificate answers it.
func (b *build) managed() (csr, key string) {
	certs, err := parseCertificates(text(b.v.data["certificate"]))
	if err != nil || b.sec.csrKey == nil || !sameKey(b.sec.csrKey, certs[0]) {
		return "", ""
	}
	key, err = keyPEM(b.sec.csrKey, true)
	if err != nil {
		return "", ""
	}
	return b.sec.csr, key
}

// startManaged makes the key and the signing request of an imported certificate that is yet to come.
func (b *build) startManaged() *apiError {
	managed := object(b.sec.meta["managed_csr"])
	if managed == nil || b.before != nil {
		return errInvalid("/certificate", "required")
	}
	key, err := newKey("")
	if err != nil {
		return errInternal("the key cannot be made")
	}
	csr, err := newCSR(text(managed["common_name"]), key)
	if err != nil {
		return errInternal("the signing request cannot be made")
	}
	b.sec.csr, b.sec.csrKey, b.sec.state = csr, key, statePreActivation
	b.v.data = fields{"csr": csr}
	b.v.info = fields{
		"managed_csr": b.managedInfo(csr), "common_name": text(managed["common_name"]),
		"intermediate_included": false, "private_key_included": false,
	}
	return nil
}

// managedInfo is managed_csr as metadata shows it. The private key is not in it.
func (b *build) managedInfo(csr string) fields {
	out := fields{"csr": csr, "key_type": "ec", "key_bits": 256, "require_cn": true, "exclude_cn_from_sans": false}
	maps.Copy(out, object(b.sec.meta["managed_csr"]))
	return out
}

// completePublic starts an order. Only what the back door brings is a certificate at once.
func completePublic(b *build) *apiError {
	if b.v.data["certificate"] != nil {
		if apiErr := b.stored(); apiErr != nil {
			return apiErr
		}
		b.sec.order, b.sec.state = nil, stateActive
		b.v.info["issuance_info"] = issuance(b.v, stateActive, "")
		return nil
	}
	names := domains(b.sec.meta)
	if len(names) == 0 {
		return errInvalid("/common_name", "required when there are no alt_names")
	}
	if b.sec.order != nil {
		return errInvalid("/", "an order of this certificate is under way")
	}
	b.sec.order = &order{v: b.v, from: b.before}
	if keep, given := object(b.body["rotation"])["rotate_keys"].(bool); b.before != nil && given && !keep {
		b.sec.order.sameKey = true
	}
	b.v.data = nil
	manual := ""
	if b.sec.meta["dns"] == "manual" {
		manual = names[0]
	}
	b.v.info = fields{"issuance_info": issuance(b.v, statePreActivation, manual)}
	if b.before == nil {
		b.sec.state = statePreActivation
	}
	return nil
}

// domains are the names that a public certificate is ordered for.
func domains(meta fields) []string {
	var out []string
	if cn := text(meta["common_name"]); cn != "" {
		out = append(out, cn)
	}
	return append(out, texts(meta["alt_names"])...)
}

// issuance is issuance_info; challenge is a domain to be proven by hand.
func issuance(v *version, state int, challenge string) fields {
	out := fields{
		"ordered_on": stamp(v.created), "auto_rotated": false, "state": state, "state_description": stateNames[state],
	}
	if challenge != "" {
		out["challenges"] = []fields{{
			"domain": challenge, "status": "pending", "expiration": stamp(v.created.Add(7 * day)),
			"txt_record_name": "_acme-challenge." + challenge, "txt_record_value": v.id,
		}}
	}
	return out
}

// order is a public certificate that is not issued yet.
type order struct {
	v       *version
	from    *version // the one it follows, or nil
	sameKey bool
}

// fulfil issues the certificate that is on order.
func (st *store) fulfil(sec *secret, now time.Time) *apiError {
	o := sec.order
	if o == nil {
		return errInvalid("/", "no order of this certificate is under way")
	}
	ca, apiErr := st.authority(now)
	if apiErr != nil {
		return apiErr
	}
	var key *ecdsa.PrivateKey
	if o.sameKey && o.from != nil {
		if former, err := parseKey(text(o.from.data["private_key"])); err == nil {
			key, _ = former.(*ecdsa.PrivateKey) // of another algorithm: a new key is made
		}
	}
	if key == nil {
		var err error
		if key, err = newKey(text(sec.meta["key_algorithm"])); err != nil {
			return errInternal("the key cannot be made")
		}
	}
	names := domains(sec.meta)
	cert, err := ca.issue(subject{commonName: names[0], dns: names, from: now.Add(-time.Hour), to: now.Add(publicLife)}, key.Public())
	if err != nil {
		return errInvalid("/common_name", "no certificate can be issued for it")
	}
	encoded, err := keyPEM(key, true)
	if err != nil {
		return errInternal("the key cannot be encoded")
	}
	o.v.data = fields{"certificate": certPEM(cert), "private_key": encoded}
	if bundle, _ := sec.meta["bundle_certs"].(bool); bundle {
		o.v.data["intermediate"] = certPEM(ca.inter)
	}
	o.v.info, o.v.expires = certInfo(cert), cert.NotAfter
	o.v.info["issuance_info"] = issuance(o.v, stateActive, "")
	sec.order, sec.state = nil, stateActive
	if o.from != nil {
		st.add(sec, o.v, now)
		return nil
	}
	sec.expires, sec.updated = o.v.expires, now
	return nil
}

// completePrivate issues a private certificate, with a key of the service's unless there is a signing request.
func completePrivate(b *build) *apiError {
	if b.v.data["certificate"] != nil {
		if apiErr := b.stored(); apiErr != nil {
			return apiErr
		}
	} else if apiErr := b.issuePrivate(); apiErr != nil {
		return apiErr
	}
	b.v.info["certificate_authority"] = b.st.caOf(text(b.sec.meta["certificate_template"]))
	b.sec.state = stateActive
	return nil
}

func (b *build) issuePrivate() *apiError {
	meta := b.sec.meta
	ca, apiErr := b.st.authority(b.now)
	if apiErr != nil {
		return apiErr
	}
	pub, key, apiErr := b.privateKey()
	if apiErr != nil {
		return apiErr
	}
	life := privateLife
	if ttl, ok := duration(meta["ttl"]); ok {
		life = ttl
	}
	noCN, _ := meta["exclude_cn_from_sans"].(bool)
	cert, err := ca.issue(subject{
		commonName: text(meta["common_name"]), dns: texts(meta["alt_names"]), ips: commaList(text(meta["ip_sans"])),
		uris: commaList(text(meta["uri_sans"])), noCNInSANs: noCN, from: b.now.Add(-time.Minute), to: b.now.Add(life),
	}, pub)
	if err != nil {
		return errInvalid("/", fmt.Sprintf("no certificate can be issued: %v", err))
	}
	leaf := certPEM(cert)
	if meta["format"] == "pem_bundle" {
		leaf = key + leaf + certPEM(ca.inter)
	}
	b.v.data = fields{
		"certificate": leaf, "issuing_ca": certPEM(ca.inter), "ca_chain": []any{certPEM(ca.inter), certPEM(ca.root)},
	}
	if key != "" {
		b.v.data["private_key"] = key
	}
	b.v.info, b.v.expires = certInfo(cert), cert.NotAfter
	return nil
}

// privateKey is the public key to certify, and the private key in PEM unless a signing request brought the public one.
func (b *build) privateKey() (pub crypto.PublicKey, encoded string, apiErr *apiError) {
	csr := text(b.body["csr"])
	if csr == "" {
		csr = text(b.sec.meta["csr"])
	}
	if csr != "" {
		r, err := parseCSR(csr)
		if err != nil {
			return nil, "", errInvalid("/csr", err.Error())
		}
		return r.PublicKey, "", nil
	}
	key, err := newKey("")
	if err != nil {
		return nil, "", errInternal("the key cannot be made")
	}
	encoded, err = keyPEM(key, b.sec.meta["private_key_format"] == "pkcs8")
	if err != nil {
		return nil, "", errInternal("the key cannot be encoded")
	}
	return key.Public(), encoded, nil
}

// caOf is the certificate authority that a template names. Templates need not exist: one that does not has a CA of its name.
func (st *store) caOf(template string) string {
	if c := st.configs[template]; c != nil {
		if ca := text(c.doc["certificate_authority"]); ca != "" {
			return ca
		}
	}
	return template + "-ca"
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, text(e))
	}
	return out
}

// Certificate is a self-made certificate in PEM, for tests that import one.
type Certificate struct {
	Certificate, Intermediate, Root, PrivateKey string
}

// NewCertificate makes a certificate for a name, valid between two instants, with an ECDSA key and a chain of its own.
func NewCertificate(commonName string, from, to time.Time) (Certificate, error) {
	ca, err := newAuthority(from)
	if err != nil {
		return Certificate{}, err
	}
	key, err := newKey("")
	if err != nil {
		return Certificate{}, err
	}
	leaf, err := ca.issue(subject{commonName: commonName, from: from, to: to}, key.Public())
	if err != nil {
		return Certificate{}, err
	}
	encoded, err := keyPEM(key, true)
	if err != nil {
		return Certificate{}, err
	}
	return Certificate{Certificate: certPEM(leaf), Intermediate: certPEM(ca.inter), Root: certPEM(ca.root), PrivateKey: encoded}, nil
}

// revoke marks a private certificate as revoked: Deactivated, with its data.
func (sec *secret) revoke(v *version, now time.Time) fields {
	v.info["revocation_time_seconds"], v.info["revocation_time_rfc3339"] = now.Unix(), stamp(now)
	sec.updated = now
	if v == sec.current() {
		sec.state = stateDeactivated
	}
	return fields{"action_type": revokeAction, "revocation_time_seconds": now.Unix()}
}
