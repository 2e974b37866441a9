// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/rand"
	"maps"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// completeLogin generates the password that the caller left to the service.
func completeLogin(b *build) *apiError {
	if b.v.data["password"] == nil {
		b.v.data["password"] = newPassword(b.sec.meta["password_generation_policy"])
	}
	return nil
}

// completeIAM makes an API key, except for a secret whose every read makes one.
func completeIAM(b *build) *apiError {
	meta := b.sec.meta
	if meta["service_id"] != nil && meta["access_groups"] != nil {
		return errInvalid("/access_groups", "not permitted with service_id")
	}
	given := b.v.data["api_key"]
	if reuse, _ := meta["reuse_api_key"].(bool); !reuse {
		if b.before != nil {
			return errInvalid("/reuse_api_key", "rotating IAM credentials is not supported when reuse credentials is off")
		}
		if given != nil {
			return errInvalid("/api_key", "each read makes a new one")
		}
		b.v.info = fields{"service_id_is_static": meta["service_id"] != nil}
		return nil
	}
	b.st.mint(b.sec, b.v, text(given))
	b.v.expires = b.lease()
	return nil
}

// lease is when a version ends whose credentials live for the secret's ttl; zero is never.
func (b *build) lease() time.Time {
	ttl, _ := duration(b.sec.meta["ttl"])
	if ttl <= 0 {
		return time.Time{}
	}
	return b.now.Add(ttl)
}

// mint gives a version an API key that IAM knows, by default a new one, and a service ID if the caller brought none.
func (st *store) mint(sec *secret, v *version, key string) {
	if key == "" {
		key = "ApiKey-" + rand.Text() + rand.Text()
	}
	st.iam.mint(key)
	v.data = fields{"api_key": key}
	v.info = fields{
		"api_key_id": "ApiKey-" + uuid.NewString(), "service_id": "ServiceId-" + uuid.NewString(), "service_id_is_static": false,
	}
	if id := sec.meta["service_id"]; id != nil {
		v.info["service_id"], v.info["service_id_is_static"] = id, true
	}
}

// drop deletes a version's data, and its API key at IAM.
func (st *store) drop(v *version) {
	if v == nil {
		return
	}
	if key := text(v.data["api_key"]); key != "" {
		st.iam.unmint(key)
	}
	v.data = nil
}

// ephemeral says whether each read of the value makes a new one.
func (sec *secret) ephemeral() bool {
	reuse, iam := sec.meta["reuse_api_key"].(bool)
	return iam && !reuse
}

// reveal prepares a version for a read of its value. For IAM credentials without reuse that means a new API key, the end
// of the former one, and 412 while the secret is locked.
func (s *Server) reveal(sec *secret, v *version, now time.Time) *apiError {
	if sec.ephemeral() && v == sec.current() && sec.state == stateActive {
		if sec.lockCount() > 0 {
			return errLocked()
		}
		s.store.drop(v)
		s.store.mint(sec, v, "")
		s.traffic.minted(sec.id)
	}
	if v.data != nil {
		v.downloaded, sec.retrieved = true, now
	}
	return nil
}

// completeService makes the credentials of a service: those that every service has, and some of its own.
func completeService(b *build) *apiError {
	source := maps.Clone(object(b.sec.meta["source_service"]))
	crn := text(object(source["instance"])["crn"])
	role := text(object(source["role"])["crn"])
	if role == "" {
		role = "crn:v1:bluemix:public:iam::::serviceRole:Writer"
	}
	keyID, name := "ApiKey-"+uuid.NewString(), "auto-generated-"+b.sec.name
	account := "crn:v1:bluemix:public:iam-identity::a/" + b.st.account + "::serviceid:ServiceId-" + uuid.NewString()
	const description = "Auto-generated for key"
	if b.v.data["credentials"] == nil {
		b.v.data["credentials"] = fields{
			"apikey": rand.Text() + rand.Text(), "iam_apikey_description": description, "iam_apikey_id": keyID,
			"iam_apikey_name": name, "iam_role_crn": role, "iam_serviceid_crn": account,
			"resource_instance_id": crn, "endpoints": "https://control.cloud-object-storage.cloud.ibm.com/v2/endpoints",
			"cos_hmac_keys": fields{"access_key_id": rand.Text(), "secret_access_key": rand.Text() + rand.Text()},
		}
	}
	source["iam"] = fields{
		"apikey": fields{"id": keyID, "name": name, "description": description},
		"role":   fields{"crn": role}, "serviceid": fields{"crn": account},
	}
	source["resource_key"] = fields{"crn": crn + "resource-key:" + uuid.NewString(), "name": name}
	b.v.info = fields{"source_service": source}
	b.v.expires = b.lease()
	return nil
}

// completeCustom makes what a custom credentials engine would have returned. It has done so at once: there are no tasks.
func completeCustom(b *build) *apiError {
	if b.v.data["credentials_content"] == nil {
		b.v.data["credentials_content"] = fields{"id": uuid.NewString(), "token": rand.Text()}
	}
	b.v.info = fields{"credentials_id": uuid.NewString(), "task_count": 0, "queued_task_count": 0}
	b.v.expires = b.lease()
	return nil
}

func errInternal(what string) *apiError {
	return &apiError{Status: http.StatusInternalServerError, Code: "internal_error", Message: what}
}
