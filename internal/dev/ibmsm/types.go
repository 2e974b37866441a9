// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"slices"
	"time"
)

// fields is a JSON object.
type fields = map[string]any

// need says whether an operation takes a field.
type need int

const (
	never need = iota
	optional
	required
)

// op is an operation whose body is checked against field rules.
type op int

const (
	opCreate op = iota
	opRotate
	opPatch
	opPut       // opCreate through the back door
	opPutRotate // opRotate through the back door
)

// fieldRule is one field of a request body.
type fieldRule struct {
	name                  string
	create, rotate, patch need
	// value marks secret data: kept per version and shown only where data is read. A value that rotation never takes
	// is carried over from the version before.
	value bool
	// made marks a value that the service makes itself. Only the back door may give it.
	made bool
	// hidden marks metadata that no answer shows.
	hidden bool
	// preset is the value of a metadata field that the caller left out.
	preset func() any
	// check returns what is wrong with a value, or "". It must not quote the value.
	check func(v any, now time.Time) string
}

func (r fieldRule) at(o op) need {
	switch o {
	case opCreate:
		return r.create
	case opRotate:
		return r.rotate
	case opPatch:
		return r.patch
	case opPut:
		if r.made {
			return optional
		}
		return r.create
	case opPutRotate:
		if r.made {
			return optional
		}
		return r.rotate
	}
	return never
}

// secretType is what makes one type of secret different from another.
type secretType struct {
	name    string
	expires bool // takes expiration_date
	fields  []fieldRule
	// arguments are fields of a request for a new version that are not kept.
	arguments []fieldRule
	// complete fills in what the service makes or reads out of the values. It may change the secret only when it returns nil.
	complete func(*build) *apiError
	// derive computes metadata from the other metadata and the current version's age.
	derive func(meta fields, rotated time.Time) fields
	// inVersion names what versions show of version.info; the secret shows all of its current version's.
	inVersion []string
	// drops are the aliases of the versions whose data can be deleted.
	drops []string
	// certificate marks what a lock does not keep from expiring.
	certificate bool
}

// build is a version in the making.
type build struct {
	st     *store
	sec    *secret
	body   fields
	before *version // the one it follows; nil for the first
	v      *version // its data is what the caller gave
	now    time.Time
}

// commonFields are the fields of every type.
var commonFields = []fieldRule{
	{name: "name", create: required, patch: optional, check: checkName},
	{name: "secret_type", create: required, check: checkText(1, 64)},
	{name: "secret_group_id", create: optional, check: checkText(1, 64)},
	{name: "description", create: optional, patch: optional, check: checkText(0, 1024)},
	{name: "labels", create: optional, patch: optional, check: checkLabels},
	{name: "custom_metadata", create: optional, rotate: optional, patch: optional, check: checkMetadata},
	{name: "version_custom_metadata", create: optional, rotate: optional, check: checkMetadata},
}

var expirationField = fieldRule{name: "expiration_date", create: optional, patch: optional, check: checkExpiration}

// typeOf finds the type that a prototype names.
func typeOf(body fields) (secretType, *apiError) {
	name, ok := body["secret_type"].(string)
	if !ok || name == "" {
		return secretType{}, errInvalid("/secret_type", "required")
	}
	t, ok := secretTypes[name]
	if !ok {
		return secretType{}, errInvalid("/secret_type", "unknown secret type")
	}
	return t, nil
}

// rules is all that a body for this type may hold.
func (t secretType) rules() []fieldRule {
	out := slices.Concat(commonFields, t.fields, t.arguments)
	if t.expires {
		out = append(out, expirationField)
	}
	return out
}

// values picks the secret data out of a body for a new version. Before is the version it follows, or nil.
func (t secretType) values(body fields, before *version) fields {
	out := fields{}
	for _, r := range t.fields {
		if !r.value {
			continue
		}
		if v := body[r.name]; v != nil {
			out[r.name] = v
		}
		if r.rotate == never && !r.made && before != nil && before.data[r.name] != nil {
			out[r.name] = before.data[r.name]
		}
	}
	return out
}

// metadata picks the type's own metadata out of a prototype, with presets for what is missing.
func (t secretType) metadata(body fields) fields {
	out := fields{}
	for _, r := range t.fields {
		if r.value {
			continue
		}
		v := body[r.name]
		if n, ok := v.(json.Number); ok { // a ttl may be a number; the service answers with a string
			v = n.String()
		}
		if r.preset != nil {
			v = mergePatch(r.preset(), v)
		}
		if v != nil {
			out[r.name] = v
		}
	}
	return out
}

func noRotation() any { return fields{"auto_rotate": false} }

func noCertRotation() any { return fields{"auto_rotate": false, "rotate_keys": false} }

func yes() any { return true }

func passwordPolicy() any {
	return fields{"length": 32, "include_digits": true, "include_symbols": true, "include_uppercase": true}
}

// nextRotation is the date IBM would rotate at. This server never rotates by itself.
func nextRotation(meta fields, rotated time.Time) fields {
	policy, _ := meta["rotation"].(fields)
	if on, _ := policy["auto_rotate"].(bool); !on {
		return nil
	}
	n, _ := wholeNumber(policy["interval"])
	next := rotated.AddDate(0, 0, n)
	if policy["unit"] == "month" {
		next = rotated.AddDate(0, n, 0)
	}
	return fields{"next_rotation_date": stamp(next)}
}
