// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"fmt"
	"maps"
	"time"
)

// metadata is a secret as lists show it: without values.
func (st *store) metadata(sec *secret) fields {
	out := fields{
		"id": sec.id, "name": sec.name, "secret_type": sec.typ, "secret_group_id": sec.group,
		"description": sec.description, "labels": orEmpty(sec.labels), "custom_metadata": orEmptyObject(sec.custom),
		"created_by": sec.createdBy, "created_at": stamp(sec.created), "updated_at": stamp(sec.updated),
		"retrieved_at": stamp(sec.retrievedAt()), "downloaded": sec.current().downloaded,
		"crn":   fmt.Sprintf("crn:v1:bluemix:public:secrets-manager:us-south:a/%s:%s:secret:%s", st.account, st.instance, sec.id),
		"state": stateActive, "state_description": "active",
		"locks_total": sec.lockCount(), "versions_total": sec.total, "referenced_by": []string{},
	}
	maps.Copy(out, sec.meta)
	if derive := secretTypes[sec.typ].derive; derive != nil {
		maps.Copy(out, derive(sec.meta, sec.current().created))
	}
	if sec.destroyed {
		out["state"], out["state_description"] = stateDestroyed, "destroyed"
	}
	if !sec.expires.IsZero() {
		out["expiration_date"] = stamp(sec.expires)
	}
	return out
}

// retrievedAt is the epoch when the data was never read.
func (sec *secret) retrievedAt() time.Time {
	if sec.retrieved.IsZero() {
		return time.Unix(0, 0)
	}
	return sec.retrieved
}

// withData is a secret with its current values, as far as they still exist.
func (st *store) withData(sec *secret) fields {
	out := st.metadata(sec)
	maps.Copy(out, sec.current().data)
	return out
}

func versionMetadata(sec *secret, v *version) fields {
	out := fields{
		"id": v.id, "secret_id": sec.id, "secret_name": sec.name, "secret_type": sec.typ, "secret_group_id": sec.group,
		"created_by": v.createdBy, "created_at": stamp(v.created), "downloaded": v.downloaded, "auto_rotated": false,
		"payload_available": v.data != nil, "version_custom_metadata": orEmptyObject(v.custom),
	}
	if alias := sec.alias(v); alias != "" {
		out["alias"] = alias
	}
	if !sec.expires.IsZero() {
		out["expiration_date"] = stamp(sec.expires)
	}
	return out
}

func versionWithData(sec *secret, v *version) fields {
	out := versionMetadata(sec, v)
	maps.Copy(out, v.data)
	return out
}

func (g *group) render() fields {
	return fields{
		"id": g.id, "name": g.name, "description": g.description, "created_by": g.createdBy,
		"created_at": stamp(g.created), "updated_at": stamp(g.updated),
	}
}

func orEmpty(list []any) []any {
	if list == nil {
		return []any{}
	}
	return list
}

func orEmptyObject(f fields) fields {
	if f == nil {
		return fields{}
	}
	return f
}
