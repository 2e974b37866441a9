// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// encoded is JSON that is ready to be sent.
type encoded []byte

// writer writes one JSON object, member by member. A page of a thousand secrets is encoded in a few milliseconds, where
// maps take several times as long.
type writer struct{ buf []byte }

// name writes a member's name. An empty writer opens an object; one that ends in a brace has just been opened.
func (w *writer) name(s string) {
	switch n := len(w.buf); {
	case n == 0:
		w.buf = append(w.buf, '{')
	case w.buf[n-1] != '{':
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"', ':')
}

func (w *writer) text(name, s string) {
	w.name(name)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			w.json(s)
			return
		}
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"')
}

func (w *writer) number(name string, n int) {
	w.name(name)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
}

func (w *writer) flag(name string, b bool) {
	w.name(name)
	w.buf = strconv.AppendBool(w.buf, b)
}

func (w *writer) date(name string, t time.Time) {
	w.name(name)
	w.buf = append(w.buf, '"')
	w.buf = t.UTC().AppendFormat(w.buf, stampFormat)
	w.buf = append(w.buf, '"')
}

func (w *writer) value(name string, v any) {
	w.name(name)
	w.json(v)
}

func (w *writer) json(v any) {
	out, err := json.Marshal(v)
	if err != nil { // everything here came out of JSON, or is ours
		out = []byte("null")
	}
	w.buf = append(w.buf, out...)
}

// members writes the members of an object in order.
func (w *writer) members(f fields) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		w.value(name, f[name])
	}
}

// appendMetadata writes a secret as lists show it, without values; the object is left open.
func (st *store) appendMetadata(w *writer, sec *secret) {
	w.text("id", sec.id)
	w.text("name", sec.name)
	w.text("secret_type", sec.typ)
	w.text("secret_group_id", sec.group)
	w.text("description", sec.description)
	w.list("labels", sec.labels)
	w.object("custom_metadata", sec.custom)
	w.text("created_by", sec.createdBy)
	w.date("created_at", sec.created)
	w.date("updated_at", sec.updated)
	w.date("retrieved_at", sec.retrievedAt())
	w.flag("downloaded", sec.current().downloaded)
	w.text("crn", "crn:v1:bluemix:public:secrets-manager:us-south:a/"+st.account+":"+st.instance+":secret:"+sec.id)
	w.number("state", sec.state)
	w.text("state_description", stateNames[sec.state])
	w.number("locks_total", sec.lockCount())
	w.number("versions_total", sec.total)
	w.list("referenced_by", nil)
	if !sec.expires.IsZero() {
		w.date("expiration_date", sec.expires)
	}
	if len(sec.meta) > 0 || len(sec.current().info) > 0 {
		w.members(sec.own())
	}
}

func (w *writer) list(name string, l []any) {
	if len(l) == 0 {
		w.name(name)
		w.buf = append(w.buf, "[]"...)
		return
	}
	w.value(name, l)
}

func (w *writer) object(name string, f fields) {
	if len(f) == 0 {
		w.name(name)
		w.buf = append(w.buf, "{}"...)
		return
	}
	w.value(name, f)
}

// own is the metadata of the secret's type: what the caller gave, what the service made of it, and what follows.
func (sec *secret) own() fields {
	t, out := secretTypes[sec.typ], maps.Clone(sec.meta)
	for _, r := range t.fields {
		if r.hidden {
			delete(out, r.name)
		}
	}
	maps.Copy(out, sec.current().info)
	if sec.order != nil {
		out["issuance_info"] = sec.order.v.info["issuance_info"]
	}
	if t.derive != nil {
		maps.Copy(out, t.derive(sec.meta, sec.current().created))
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

// metadata is a secret without values.
func (st *store) metadata(sec *secret) encoded {
	var w writer
	st.appendMetadata(&w, sec)
	return append(w.buf, '}')
}

// withData is a secret with its current values, as far as they still exist.
func (st *store) withData(sec *secret) encoded {
	var w writer
	st.appendMetadata(&w, sec)
	w.members(sec.current().data)
	return append(w.buf, '}')
}

// page is a list of secrets in its envelope.
func (st *store) page(list []*secret, envelope fields) encoded {
	w := writer{buf: make([]byte, 0, 1024+len(list)*1024)}
	w.members(envelope)
	w.name("secrets")
	w.buf = append(w.buf, '[')
	for i, sec := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, '{')
		st.appendMetadata(&w, sec)
		w.buf = append(w.buf, '}')
	}
	return append(w.buf, "]}"...)
}

func versionMetadata(sec *secret, v *version) fields {
	out := fields{
		"id": v.id, "secret_id": sec.id, "secret_name": sec.name, "secret_type": sec.typ, "secret_group_id": sec.group,
		"created_by": v.createdBy, "created_at": stamp(v.created), "downloaded": v.downloaded, "auto_rotated": false,
		"payload_available": v.data != nil, "version_custom_metadata": orEmptyObject(v.custom),
	}
	for _, name := range secretTypes[sec.typ].inVersion {
		if x := v.info[name]; x != nil {
			out[name] = x
		}
	}
	if alias := sec.alias(v); alias != "" {
		out["alias"] = alias
	}
	expires := v.expires
	if secretTypes[sec.typ].expires {
		expires = sec.expires
	}
	if !expires.IsZero() {
		out["expiration_date"] = stamp(expires)
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
