// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"maps"
	"net/http"
	"time"
)

const (
	revokeAction   = "private_cert_action_revoke_certificate"
	validateAction = "public_cert_action_validate_dns_challenge"

	configAction = "private_cert_configuration_action_"
)

// actionOf reads a request for an action.
func (r *request) actionOf() (body fields, action string, apiErr *apiError) {
	body, apiErr = r.object()
	if apiErr != nil {
		return nil, "", apiErr
	}
	if action = text(body["action_type"]); action == "" {
		return nil, "", errInvalid("/action_type", "required")
	}
	return body, action, nil
}

func (s *Server) secretAction(r *request) (answer, *apiError) {
	sec, apiErr := s.store.get(r.path("id"), r.now)
	if apiErr != nil {
		return answer{}, apiErr
	}
	_, action, apiErr := r.actionOf()
	if apiErr != nil {
		return answer{}, apiErr
	}
	switch {
	case action == revokeAction && sec.typ == "private_cert":
		return answer{http.StatusCreated, sec.revoke(sec.current(), r.now)}, nil
	case action == validateAction && sec.typ == "public_cert":
		return answer{http.StatusCreated, fields{"action_type": action}}, s.store.fulfil(sec, r.now)
	}
	return answer{}, errInvalid("/action_type", "not an action of this secret type")
}

func (s *Server) versionAction(r *request) (answer, *apiError) {
	sec, v, apiErr := s.versionOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	_, action, apiErr := r.actionOf()
	if apiErr != nil {
		return answer{}, apiErr
	}
	if action != revokeAction || sec.typ != "private_cert" {
		return answer{}, errInvalid("/action_type", "not an action of this secret type")
	}
	return answer{http.StatusCreated, sec.revoke(v, r.now)}, nil
}

// configAction answers with what the caller sent and what the action is known by. Only sign_csr and sign_intermediate have
// an effect: a certificate, and the status of the intermediate CA.
func (s *Server) configAction(r *request) (answer, *apiError) {
	if _, apiErr := s.configOf(r); apiErr != nil {
		return answer{}, apiErr
	}
	body, action, apiErr := r.actionOf()
	if apiErr != nil {
		return answer{}, apiErr
	}
	out := maps.Clone(body)
	switch action {
	case configAction + "rotate_crl":
		out["success"] = true
	case configAction + "revoke_ca_certificate":
		out["revocation_time_seconds"] = r.now.Unix()
	case configAction + "set_signed":
	case configAction + "sign_intermediate":
		inter := s.store.configs[text(body["intermediate_certificate_authority"])]
		if inter == nil {
			return answer{}, errNotFound("configuration", text(body["intermediate_certificate_authority"]))
		}
		inter.doc["status"], inter.updated = "configured", r.now
	case configAction + "sign_csr":
		data, apiErr := s.store.signCSR(text(body["csr"]), r.now)
		if apiErr != nil {
			return answer{}, apiErr
		}
		out["data"] = data
	default:
		return answer{}, errUnserved("the configuration action")
	}
	return answer{http.StatusCreated, out}, nil
}

// signCSR signs with the instance's own CA, whatever the configuration is.
func (st *store) signCSR(csr string, now time.Time) (fields, *apiError) {
	asked, err := parseCSR(csr)
	if err != nil {
		return nil, errInvalid("/csr", err.Error())
	}
	ca, apiErr := st.authority(now)
	if apiErr != nil {
		return nil, apiErr
	}
	cert, err := ca.issue(subject{
		commonName: asked.Subject.CommonName, dns: asked.DNSNames, from: now.Add(-time.Minute), to: now.Add(privateLife),
	}, asked.PublicKey)
	if err != nil {
		return nil, errInvalid("/csr", "no certificate can be issued for it")
	}
	return fields{
		"certificate": certPEM(cert), "issuing_ca": certPEM(ca.inter), "ca_chain": []string{certPEM(ca.inter), certPEM(ca.root)},
		"expiration": cert.NotAfter.Unix(),
	}, nil
}
