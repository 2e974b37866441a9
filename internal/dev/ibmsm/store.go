// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"reflect"
	"time"

	"github.com/google/uuid"
)

// The states of a secret that this server uses (NIST SP 800-57).
const (
	stateActive    = 1
	stateDestroyed = 5
)

// keptVersions is how many versions of a secret are remembered; only the last two keep their data.
const keptVersions = 50

// defaultGroup is both the id and the name of the group that always exists.
const defaultGroup = "default"

// store is the instance's contents. Its methods expect the server's lock to be held.
type store struct {
	account, instance string
	seq               int
	groups            map[string]*group
	secrets           map[string]*secret
	names             map[nameKey]string // names are unique per type in the whole instance
}

type nameKey struct{ typ, name string }

type group struct {
	id, name, description, createdBy string
	created, updated                 time.Time
	seq                              int
}

type secret struct {
	id, name, typ, group, description, createdBy string
	labels                                       []any
	custom                                       fields
	meta                                         fields // the type's own metadata
	created, updated, retrieved, expires         time.Time
	destroyed                                    bool
	versions                                     []*version // oldest first; the last is current, the one before previous
	total                                        int        // versions ever
	seq                                          int
}

type version struct {
	id, createdBy string
	created       time.Time
	downloaded    bool
	data          fields // nil when it is gone
	custom        fields
	locks         []lock
}

func newStore(now time.Time) *store {
	st := &store{
		account: uuid.NewString(), instance: uuid.NewString(),
		groups: map[string]*group{}, secrets: map[string]*secret{}, names: map[nameKey]string{},
	}
	st.groups[defaultGroup] = &group{
		id: defaultGroup, name: defaultGroup, description: "The default secret group.", createdBy: "iam-ServiceId-" + st.instance,
		created: now, updated: now,
	}
	return st
}

func (st *store) next() int { st.seq++; return st.seq }

// get finds a secret and lets it expire if its time has come.
func (st *store) get(id string, now time.Time) (*secret, *apiError) {
	sec := st.secrets[id]
	if sec == nil {
		return nil, errNotFound("secret", id)
	}
	sec.settle(now)
	return sec, nil
}

// byName finds a secret by the name of its group, its type and its name; nil if there is none.
func (st *store) byName(group, typ, name string) *secret {
	sec := st.secrets[st.names[nameKey{typ, name}]]
	if sec == nil || st.groups[sec.group].name != group {
		return nil
	}
	return sec
}

// create makes a secret from a prototype.
func (st *store) create(body fields, user string, now time.Time) (*secret, *apiError) {
	t, apiErr := typeOf(body)
	if apiErr != nil {
		return nil, apiErr
	}
	if apiErr := validate(body, t.rules(), opCreate, now); apiErr != nil {
		return nil, apiErr
	}
	sec := &secret{
		id: uuid.NewString(), name: text(body["name"]), typ: t.name, group: text(body["secret_group_id"]),
		description: text(body["description"]), createdBy: user, custom: object(body["custom_metadata"]),
		meta: t.metadata(body), created: now, expires: date(body["expiration_date"]), seq: st.next(),
	}
	sec.labels, _ = body["labels"].([]any)
	if sec.group == "" {
		sec.group = defaultGroup
	}
	if st.groups[sec.group] == nil {
		return nil, errInvalid("/secret_group_id", "the secret group does not exist")
	}
	key := nameKey{sec.typ, sec.name}
	if _, taken := st.names[key]; taken {
		return nil, errExists("secret", sec.name)
	}
	sec.add(st.newVersion(t, sec, body, nil, user, now), now)
	st.secrets[sec.id], st.names[key] = sec, sec.id
	return sec, nil
}

// newVersion builds a version from a body; before is the data it follows, or nil.
func (st *store) newVersion(t secretType, sec *secret, body, before fields, user string, now time.Time) *version {
	values := t.values(body, before)
	if t.generate != nil {
		t.generate(sec.meta, values)
	}
	return &version{
		id: uuid.NewString(), createdBy: user, created: now, data: values, custom: object(body["version_custom_metadata"]),
	}
}

// rotate makes a new current version, of a body or of the previous version's data.
func (st *store) rotate(sec *secret, body fields, user string, now time.Time) (*version, *apiError) {
	if sec.destroyed {
		return nil, errInvalid("/", "the secret is in the Destroyed state")
	}
	t := secretTypes[sec.typ]
	var v *version
	if from, restore := body["restore_from_version"]; restore {
		data, apiErr := sec.restorable(body, from, now)
		if apiErr != nil {
			return nil, apiErr
		}
		v = &version{id: uuid.NewString(), createdBy: user, created: now, data: data, custom: object(body["version_custom_metadata"])}
	}
	if v == nil {
		if apiErr := validate(body, t.rules(), opRotate, now); apiErr != nil {
			return nil, apiErr
		}
		v = st.newVersion(t, sec, body, sec.current().data, user, now)
	}
	if p := sec.previous(); p != nil && len(p.locks) > 0 {
		return nil, errLocked()
	}
	if c, given := body["custom_metadata"]; given {
		sec.custom = object(c)
	}
	sec.add(v, now)
	return v, nil
}

// restorable is the data that restore_from_version asks for.
func (sec *secret) restorable(body fields, from any, now time.Time) (fields, *apiError) {
	rules := append([]fieldRule{{name: "restore_from_version", rotate: required, check: checkText(1, 64)}}, commonFields...)
	if apiErr := validate(body, rules, opRotate, now); apiErr != nil {
		return nil, apiErr
	}
	p := sec.previous()
	if p == nil || (from != "previous" && from != p.id) {
		return nil, errInvalid("/restore_from_version", "only the previous version can be restored")
	}
	if p.data == nil {
		return nil, errInvalid("/restore_from_version", "the data of the previous version is gone")
	}
	return p.data, nil
}

func (st *store) remove(sec *secret) *apiError {
	if sec.lockCount() > 0 {
		return errLocked()
	}
	delete(st.secrets, sec.id)
	delete(st.names, nameKey{sec.typ, sec.name})
	return nil
}

// add makes v current. Only current and previous keep their data.
func (sec *secret) add(v *version, now time.Time) {
	if p := sec.previous(); p != nil {
		p.data = nil
	}
	sec.versions = append(sec.versions, v)
	if n := len(sec.versions); n > keptVersions {
		sec.versions = sec.versions[n-keptVersions:]
	}
	sec.total++
	sec.updated = now
}

// settle destroys an expired secret: its data goes, for good.
func (sec *secret) settle(now time.Time) {
	if sec.destroyed || sec.expires.IsZero() || now.Before(sec.expires) {
		return
	}
	sec.destroyed = true
	sec.updated = sec.expires
	for _, v := range sec.versions {
		v.data = nil
	}
}

func (sec *secret) current() *version { return sec.versions[len(sec.versions)-1] }

func (sec *secret) previous() *version {
	if len(sec.versions) < 2 {
		return nil
	}
	return sec.versions[len(sec.versions)-2]
}

// version finds a version by id or alias.
func (sec *secret) version(id string) (*version, *apiError) {
	switch id {
	case "current":
		return sec.current(), nil
	case "previous":
		if p := sec.previous(); p != nil {
			return p, nil
		}
	}
	for _, v := range sec.versions {
		if v.id == id {
			return v, nil
		}
	}
	return nil, errNotFound("secret version", id)
}

// alias is "current", "previous" or "".
func (sec *secret) alias(v *version) string {
	switch v {
	case sec.current():
		return "current"
	case sec.previous():
		return "previous"
	}
	return ""
}

func (sec *secret) lockCount() int {
	n := 0
	for _, v := range sec.versions {
		n += len(v.locks)
	}
	return n
}

func sameData(a, b fields) bool { return reflect.DeepEqual(a, b) }

func text(v any) string { s, _ := v.(string); return s }

func object(v any) fields { f, _ := v.(fields); return f }

// date reads a date that was checked before; zero for none.
func date(v any) time.Time {
	t, err := time.Parse(time.RFC3339, text(v))
	if err != nil {
		return time.Time{}
	}
	return t
}
