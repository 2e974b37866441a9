// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"crypto/rand"
	"math/big"
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
)

// fieldRule is one field of a request body.
type fieldRule struct {
	name                  string
	create, rotate, patch need
	// value marks secret data: kept per version and shown only where data is read. A value that rotation never takes
	// is carried over from the version before.
	value bool
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
	}
	return never
}

// secretType is what makes one type of secret different from another.
type secretType struct {
	name    string
	expires bool // takes expiration_date
	fields  []fieldRule
	// generate fills in values that the caller left to the service.
	generate func(meta, values fields)
	// derive computes metadata from the other metadata and the current version's age.
	derive func(meta fields, rotated time.Time) fields
	// dropData permits DELETE of one version's data; IBM has it for iam_credentials and custom_credentials only.
	dropData bool
}

// secretTypes is every type served. A new type is an entry here.
var secretTypes = map[string]secretType{
	"arbitrary": {
		name: "arbitrary", expires: true,
		fields: []fieldRule{
			{name: "payload", create: required, rotate: required, value: true, check: checkPayload},
		},
	},
	"username_password": {
		name: "username_password", expires: true,
		fields: []fieldRule{
			{name: "username", create: required, value: true, check: checkText(1, 256)},
			{name: "password", create: optional, rotate: optional, value: true, check: checkText(1, 256)},
			{name: "rotation", create: optional, patch: optional, preset: noRotation, check: checkRotation},
			{name: "password_generation_policy", create: optional, patch: optional, preset: passwordPolicy, check: checkPasswordPolicy},
		},
		generate: func(meta, values fields) {
			if values["password"] == nil {
				values["password"] = newPassword(meta["password_generation_policy"])
			}
		},
		derive: nextRotation,
	},
	"kv": {
		name: "kv",
		fields: []fieldRule{
			{name: "data", create: required, rotate: required, value: true, check: checkKV},
		},
	},
}

// unservedTypes are IBM's types that this server does not know yet.
var unservedTypes = map[string]bool{
	"iam_credentials": true, "service_credentials": true, "imported_cert": true, "public_cert": true,
	"private_cert": true, "custom_credentials": true,
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
	if t, ok := secretTypes[name]; ok {
		return t, nil
	}
	if unservedTypes[name] {
		return secretType{}, errUnserved("secrets of type " + name)
	}
	return secretType{}, errInvalid("/secret_type", "unknown secret type")
}

// rules is all that a body for this type may hold.
func (t secretType) rules() []fieldRule {
	out := append([]fieldRule{}, commonFields...)
	if t.expires {
		out = append(out, expirationField)
	}
	return append(out, t.fields...)
}

// values picks the secret data out of a body for a new version. Before is the data of the version it follows, or nil.
func (t secretType) values(body, before fields) fields {
	out := fields{}
	for _, r := range t.fields {
		if !r.value {
			continue
		}
		if v := body[r.name]; v != nil {
			out[r.name] = v
		}
		if r.rotate == never && before != nil {
			out[r.name] = before[r.name]
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

const (
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	uppers  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	symbols = "~!@#$%^&*()_+-={}[]|:;<>?,./"
)

// newPassword generates a password with at least one character of each class that the policy includes.
func newPassword(policy any) string {
	p, _ := policy.(fields)
	classes := []string{lowers}
	for _, c := range []struct{ flag, chars string }{
		{"include_uppercase", uppers}, {"include_digits", digits}, {"include_symbols", symbols},
	} {
		if on, _ := p[c.flag].(bool); on {
			classes = append(classes, c.chars)
		}
	}
	all := ""
	for _, c := range classes {
		all += c
	}
	length, _ := wholeNumber(p["length"])
	out := make([]byte, max(length, len(classes)))
	for i := range out {
		from := all
		if i < len(classes) {
			from = classes[i]
		}
		out[i] = from[randomBelow(len(from))]
	}
	for i := len(out) - 1; i > 0; i-- {
		j := randomBelow(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil { // crypto/rand.Reader never fails; the runtime aborts instead
		panic(err)
	}
	return int(v.Int64())
}
