// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/ecdsa"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The states of a secret (NIST SP 800-57). This server suspends none.
const (
	statePreActivation = 0
	stateActive        = 1
	stateDeactivated   = 3
	stateDestroyed     = 5
)

var stateNames = map[int]string{
	statePreActivation: "pre_activation", stateActive: "active", stateDeactivated: "deactivated", stateDestroyed: "destroyed",
}

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
	sorted            []*secret          // in the order of creation
	names             map[nameKey]string // names are unique per type in the whole instance
	configs           map[string]*config
	registration      fields     // of Event Notifications; nil when there is none
	ca                *authority // made when it is first needed
	iam               *issuer    // which knows the API keys of iam_credentials
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
	meta                                         fields // the type's own metadata, as the caller gave it
	created, updated, retrieved, expires         time.Time
	state                                        int
	order                                        *order            // of a public_cert that is not issued yet
	csr                                          string            // of an imported_cert with managed_csr
	csrKey                                       *ecdsa.PrivateKey // of csr
	versions                                     []*version        // oldest first; the last is current, the one before previous
	total                                        int               // versions ever
	seq                                          int
}

type version struct {
	id, createdBy string
	created       time.Time
	downloaded    bool
	data          fields    // nil when it is gone, or not there yet
	info          fields    // metadata that the service made or read out of the data
	expires       time.Time // when this version's data ends by itself; zero is never
	custom        fields
	locks         []lock
}

func newStore(now time.Time, iam *issuer) *store {
	st := &store{
		account: uuid.NewString(), instance: uuid.NewString(), iam: iam,
		groups: map[string]*group{}, secrets: map[string]*secret{}, names: map[nameKey]string{}, configs: map[string]*config{},
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
	st.settle(sec, now)
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

// create makes a secret from a prototype; o is opCreate or opPut.
func (st *store) create(body fields, o op, user string, now time.Time) (*secret, *apiError) {
	t, apiErr := typeOf(body)
	if apiErr != nil {
		return nil, apiErr
	}
	if apiErr := validate(body, t.rules(), o, now); apiErr != nil {
		return nil, apiErr
	}
	sec := &secret{
		id: uuid.NewString(), name: text(body["name"]), typ: t.name, group: text(body["secret_group_id"]),
		description: text(body["description"]), createdBy: user, custom: object(body["custom_metadata"]),
		meta: t.metadata(body), created: now, expires: date(body["expiration_date"]), state: stateActive,
	}
	sec.labels, _ = body["labels"].([]any)
	if sec.group == "" {
		sec.group = defaultGroup
	}
	if st.groups[sec.group] == nil {
		return nil, errInvalid("/secret_group_id", "the secret group does not exist")
	}
	if _, taken := st.names[nameKey{sec.typ, sec.name}]; taken {
		return nil, errExists("secret", sec.name)
	}
	v, apiErr := st.newVersion(t, sec, body, user, now)
	if apiErr != nil {
		return nil, apiErr
	}
	st.add(sec, v, now)
	st.insert(sec)
	return sec, nil
}

func (st *store) insert(sec *secret) {
	sec.seq = st.next()
	st.secrets[sec.id], st.names[nameKey{sec.typ, sec.name}] = sec, sec.id
	st.sorted = append(st.sorted, sec)
}

// newVersion builds a version from a body, without making it current.
func (st *store) newVersion(t secretType, sec *secret, body fields, user string, now time.Time) (*version, *apiError) {
	var before *version
	if len(sec.versions) > 0 {
		before = sec.current()
	}
	v := &version{
		id: uuid.NewString(), createdBy: user, created: now, data: t.values(body, before), custom: object(body["version_custom_metadata"]),
	}
	if t.complete == nil {
		return v, nil
	}
	return v, t.complete(&build{st: st, sec: sec, body: body, before: before, v: v, now: now})
}

// rotate makes a new current version, of a body or of the previous version's data; o is opRotate or opPutRotate. A public
// certificate is only ordered: the version becomes current when it is issued.
func (st *store) rotate(sec *secret, body fields, o op, user string, now time.Time) (*version, *apiError) {
	if sec.state == stateDestroyed {
		return nil, errInvalid("/", "the secret is in the Destroyed state")
	}
	if p := sec.previous(); p != nil && len(p.locks) > 0 {
		return nil, errLocked()
	}
	v, apiErr := st.successor(sec, body, o, user, now)
	if apiErr != nil {
		return nil, apiErr
	}
	if c, given := body["custom_metadata"]; given {
		sec.custom = object(c)
	}
	if sec.order == nil || sec.order.v != v {
		st.add(sec, v, now)
	}
	return v, nil
}

// successor builds the version that a rotation asks for.
func (st *store) successor(sec *secret, body fields, o op, user string, now time.Time) (*version, *apiError) {
	t := secretTypes[sec.typ]
	from, restore := body["restore_from_version"]
	if o == opPutRotate && sec.typ == "public_cert" && body["rotation"] == nil {
		body["rotation"] = fields{"rotate_keys": true}
	}
	if !restore {
		if apiErr := validate(body, t.rules(), o, now); apiErr != nil {
			return nil, apiErr
		}
		return st.newVersion(t, sec, body, user, now)
	}
	p, apiErr := sec.restorable(body, from, now)
	if apiErr != nil {
		return nil, apiErr
	}
	return &version{
		id: uuid.NewString(), createdBy: user, created: now, data: p.data, info: p.info, expires: p.expires,
		custom: object(body["version_custom_metadata"]),
	}, nil
}

// restorable is the version that restore_from_version asks for.
func (sec *secret) restorable(body fields, from any, now time.Time) (*version, *apiError) {
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
	return p, nil
}

func (st *store) remove(sec *secret) *apiError {
	if sec.lockCount() > 0 {
		return errLocked()
	}
	for _, v := range sec.versions {
		st.drop(v)
	}
	delete(st.secrets, sec.id)
	delete(st.names, nameKey{sec.typ, sec.name})
	if i, found := slices.BinarySearchFunc(st.sorted, sec.seq, func(s *secret, seq int) int { return s.seq - seq }); found {
		st.sorted = slices.Delete(st.sorted, i, i+1)
	}
	return nil
}

// add makes v current. Only current and previous keep their data.
func (st *store) add(sec *secret, v *version, now time.Time) {
	if p := sec.previous(); p != nil && !p.shares(v) {
		st.drop(p)
	} else if p != nil {
		p.data = nil
	}
	sec.versions = append(sec.versions, v)
	if n := len(sec.versions); n > keptVersions {
		sec.versions = sec.versions[n-keptVersions:]
	}
	sec.total++
	sec.updated = now
	if !secretTypes[sec.typ].expires {
		sec.expires = v.expires
	}
	if sec.state == stateDeactivated {
		sec.state = stateActive
	}
}

// shares says whether v has the very API key of p, because it restores it.
func (p *version) shares(v *version) bool {
	return p.data["api_key"] != nil && p.data["api_key"] == v.data["api_key"]
}

// settle destroys an expired secret: its data goes, for good. A lock keeps the data of all but certificates.
func (st *store) settle(sec *secret, now time.Time) {
	if sec.expires.IsZero() || now.Before(sec.expires) || sec.state == stateDestroyed {
		return
	}
	if sec.lockCount() > 0 && !secretTypes[sec.typ].certificate {
		return
	}
	sec.state, sec.order = stateDestroyed, nil
	sec.updated = sec.expires
	for _, v := range sec.versions {
		st.drop(v)
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
