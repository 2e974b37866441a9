// SPDX-License-Identifier: Apache-2.0

package ibm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

const someID = "b49ad24d-81d4-5ebc-b9b9-b0937d1c84d5"

func TestRef(t *testing.T) {
	const (
		noType  = "Missing required parameters: secretType"
		notIBMs = " is not one that IBM Cloud Secrets Manager has; use one of arbitrary, username_password, kv, iam_credentials, " +
			"service_credentials, imported_cert, public_cert, private_cert, custom_credentials"
		isNoID = " is not the id of a secret in IBM Cloud Secrets Manager"
	)
	byName := map[string]string{"keyByName": "true"}
	cases := map[string]struct {
		reason  string
		dialect backend.Dialect // KES when empty
		key     backend.Key
		want    backend.Ref
		err     string
	}{
		"Arbitrary": {
			reason: "an id and a type are a ref",
			key:    backend.Key{Key: someID, Kind: "arbitrary"}, want: backend.Ref{Path: someID, Kind: "arbitrary"},
		},
		"UsernamePassword": {
			reason: "the tutorial's type",
			key:    backend.Key{Key: someID, Kind: "username_password"}, want: backend.Ref{Path: someID, Kind: "username_password"},
		},
		"KV": {reason: "key and value", key: backend.Key{Key: someID, Kind: "kv"}, want: backend.Ref{Path: someID, Kind: "kv"}},
		"Versions": {
			reason: "KES ignored versions for this product, and the manifests live on",
			key:    backend.Key{Key: someID, Kind: "kv", Version: "2", Args: map[string]string{"versionId": "x", "versionStage": "y"}},
			want:   backend.Ref{Path: someID, Kind: "kv"},
		},
		"KeyByNameFalse": {
			reason: "what is switched off is not asked for",
			key:    backend.Key{Key: someID, Kind: "kv", Args: map[string]string{"keyByName": "false"}},
			want:   backend.Ref{Path: someID, Kind: "kv"},
		},
		"NoType":      {reason: "the words of IBM's client, as KES showed them", key: backend.Key{Key: someID}, err: noType},
		"NoTypeBadID": {reason: "dataFrom has no secretType, whatever the key is", key: backend.Key{Key: "../x"}, err: noType},
		"UnknownType": {reason: "a typing error", key: backend.Key{Key: someID, Kind: "arbitrarily"}, err: `secretType "arbitrarily"` + notIBMs},
		"TypeInCapitals": {
			reason: "IBM's types are lower case",
			key:    backend.Key{Key: someID, Kind: "KV"}, err: `secretType "KV"` + notIBMs,
		},
		"IAMCredentials":     {reason: "IBM's", key: backend.Key{Key: someID, Kind: "iam_credentials"}, want: backend.Ref{Path: someID, Kind: "iam_credentials"}},
		"ServiceCredentials": {reason: "IBM's", key: backend.Key{Key: someID, Kind: "service_credentials"}, want: backend.Ref{Path: someID, Kind: "service_credentials"}},
		"ImportedCert":       {reason: "IBM's", key: backend.Key{Key: someID, Kind: "imported_cert"}, want: backend.Ref{Path: someID, Kind: "imported_cert"}},
		"PublicCert":         {reason: "IBM's", key: backend.Key{Key: someID, Kind: "public_cert"}, want: backend.Ref{Path: someID, Kind: "public_cert"}},
		"PrivateCert":        {reason: "IBM's", key: backend.Key{Key: someID, Kind: "private_cert"}, want: backend.Ref{Path: someID, Kind: "private_cert"}},
		"CustomCredentials":  {reason: "IBM's", key: backend.Key{Key: someID, Kind: "custom_credentials"}, want: backend.Ref{Path: someID, Kind: "custom_credentials"}},
		"Name": {
			reason: "a name must not be taken for an id",
			key:    backend.Key{Key: "My_secret.2-x", Kind: "arbitrary", Version: "2", Args: byName}, want: backend.Ref{Path: "My_secret.2-x", Kind: "arbitrary", Args: "name"},
		},
		"NameLikeID": {
			reason: "with keyByName it is a name, whatever it looks like",
			key:    backend.Key{Key: someID, Kind: "kv", Args: byName}, want: backend.Ref{Path: someID, Kind: "kv", Args: "name"},
		},
		"NameLongest": {
			reason: "IBM's limit", key: backend.Key{Key: strings.Repeat("a", 256), Kind: "kv", Args: byName},
			want: backend.Ref{Path: strings.Repeat("a", 256), Kind: "kv", Args: "name"},
		},
		"NameNoType":   {reason: "the words of KES", key: backend.Key{Key: "x1", Args: byName}, err: "No undefined secret named x1"},
		"NameBadType":  {reason: "the words of KES, which searched for it", key: backend.Key{Key: "x1", Kind: "arbitrari", Args: byName}, err: "No arbitrari secret named x1"},
		"NameEmpty":    {reason: "no secret has it", key: backend.Key{Kind: "kv", Args: byName}, err: "No kv secret named "},
		"NameShort":    {reason: "no secret has it", key: backend.Key{Key: "x", Kind: "kv", Args: byName}, err: "No kv secret named x"},
		"NameTooLong":  {reason: "no secret has it", key: backend.Key{Key: strings.Repeat("a", 257), Kind: "kv", Args: byName}, err: "No kv secret named " + strings.Repeat("a", 257)},
		"NameSpace":    {reason: "no secret has it", key: backend.Key{Key: "my secret", Kind: "kv", Args: byName}, err: "No kv secret named my secret"},
		"NameDotDot":   {reason: "would be another endpoint", key: backend.Key{Key: "..", Kind: "kv", Args: byName}, err: "No kv secret named .."},
		"NameSlash":    {reason: "no secret has it", key: backend.Key{Key: "group/name", Kind: "kv", Args: byName}, err: "No kv secret named group/name"},
		"CSI":          {reason: "not yet", dialect: backend.CSI, key: backend.Key{Key: someID, Kind: "kv"}, err: "IBM Cloud Secrets Manager is not served for csi manifests by this version of Lockstep"},
		"Empty":        {reason: "would list all secrets", key: backend.Key{Kind: "kv"}, err: `""` + isNoID},
		"Dot":          {reason: "would be cleaned away", key: backend.Key{Key: ".", Kind: "kv"}, err: `"."` + isNoID},
		"DotDot":       {reason: "would be another endpoint", key: backend.Key{Key: "..", Kind: "kv"}, err: `".."` + isNoID},
		"Parent":       {reason: "would be another endpoint", key: backend.Key{Key: "../x", Kind: "kv"}, err: `"../x"` + isNoID},
		"Encoded":      {reason: "a proxy may decode it", key: backend.Key{Key: "%2e%2e", Kind: "kv"}, err: `"%2e%2e"` + isNoID},
		"Slash":        {reason: "two segments are no id", key: backend.Key{Key: "a/b", Kind: "kv"}, err: `"a/b"` + isNoID},
		"Backslash":    {reason: "some servers take it for a slash", key: backend.Key{Key: `a\b`, Kind: "kv"}, err: `"a\\b"` + isNoID},
		"Query":        {reason: "would be a query", key: backend.Key{Key: "a?x", Kind: "kv"}, err: `"a?x"` + isNoID},
		"Fragment":     {reason: "would be cut off", key: backend.Key{Key: "a#x", Kind: "kv"}, err: `"a#x"` + isNoID},
		"Parameter":    {reason: "would be cut off by some servers", key: backend.Key{Key: "a;x", Kind: "kv"}, err: `"a;x"` + isNoID},
		"Template":     {reason: "the SDK fills braces in paths", key: backend.Key{Key: "{id}", Kind: "kv"}, err: `"{id}"` + isNoID},
		"NUL":          {reason: "no byte of an id", key: backend.Key{Key: "a\x00", Kind: "kv"}, err: `"a\x00"` + isNoID},
		"LineEnd":      {reason: "no second line in a request or a status", key: backend.Key{Key: "a\r\nb", Kind: "kv"}, err: `"a\r\nb"` + isNoID},
		"LineEndAtEnd": {reason: "the end of an expression is not the end of a line", key: backend.Key{Key: someID + "\n", Kind: "kv"}, err: `"` + someID + `\n"` + isNoID},
		"Space":        {reason: "no byte of an id", key: backend.Key{Key: " " + someID, Kind: "kv"}, err: `" ` + someID + `"` + isNoID},
		"Letters":      {reason: "ids are ASCII", key: backend.Key{Key: "ａ", Kind: "kv"}, err: `"ａ"` + isNoID},
		"NoUTF8":       {reason: "a status is UTF-8", key: backend.Key{Key: "a\xff", Kind: "kv"}, err: `"a\xff"` + isNoID},
		"TooLong":      {reason: "no id is as long", key: backend.Key{Key: strings.Repeat("a", 129), Kind: "kv"}, err: `"` + strings.Repeat("a", 129) + `"` + isNoID},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := c.dialect
			if d == "" {
				d = backend.KES
			}
			got, err := Driver().Ref(d, c.key)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if c.err == "" {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			failed(t, err, backend.InvalidRef, c.err)
		})
	}
}

// TestRefESO reads keys as External Secrets Operator's manifests write them.
func TestRefESO(t *testing.T) {
	const (
		noGroup     = "secret group name is missing: \"db\" is not the id of a secret, and names are written group/type/name"
		noGroupName = " is not the name of a secret group in IBM Cloud Secrets Manager"
		noKey       = " is not a key of IBM Cloud Secrets Manager: use group/type/name or type/id"
	)
	cases := map[string]struct {
		reason string
		key    backend.Key
		want   backend.Ref
		err    string
	}{
		"ID":           {reason: "without a type it is arbitrary", key: backend.Key{Key: someID}, want: backend.Ref{Path: someID, Kind: "arbitrary"}},
		"IDCapitals":   {reason: "a UUID as well", key: backend.Key{Key: strings.ToUpper(someID)}, want: backend.Ref{Path: strings.ToUpper(someID), Kind: "arbitrary"}},
		"TypeID":       {reason: "a type", key: backend.Key{Key: "private_cert/" + someID}, want: backend.Ref{Path: someID, Kind: "private_cert"}},
		"GroupTypeID":  {reason: "an id needs no group", key: backend.Key{Key: "team/kv/" + someID}, want: backend.Ref{Path: someID, Kind: "kv"}},
		"Name":         {reason: "a group, a type and a name", key: backend.Key{Key: "team/kv/db"}, want: backend.Ref{Path: "db", Kind: "kv", Args: "name:team"}},
		"GroupOfWords": {reason: "groups have other names than secrets", key: backend.Key{Key: "my team/kv/db"}, want: backend.Ref{Path: "db", Kind: "kv", Args: "name:my team"}},
		"Metadata":     {reason: "which part is asked for", key: backend.Key{Key: someID, Part: backend.Metadata}, want: backend.Ref{Path: someID, Kind: "arbitrary", Part: backend.Metadata}},
		"Version":      {reason: "ESO ignored it, and we do not", key: backend.Key{Key: "t/kv/db", Version: "previous"}, want: backend.Ref{Path: "db", Kind: "kv", Version: "previous", Args: "name:t"}},
		"VersionID":    {reason: "an id", key: backend.Key{Key: someID, Version: someID}, want: backend.Ref{Path: someID, Kind: "arbitrary", Version: someID}},
		"Current":      {reason: "the same read as without", key: backend.Key{Key: someID, Version: "current"}, want: backend.Ref{Path: someID, Kind: "arbitrary"}},
		"MutatingMeta": {reason: "a second read would make the first one's key useless", key: backend.Key{Key: "iam_credentials/" + someID, Part: backend.Metadata}, want: backend.Ref{Path: someID, Kind: "iam_credentials"}},
		"BadVersion":   {reason: "it is not missing, which may delete", key: backend.Key{Key: someID, Version: "v1"}, err: `"v1" is not a version of a secret in IBM Cloud Secrets Manager: use current, previous or an id`},
		"VersionUp":    {reason: "would be another endpoint", key: backend.Key{Key: someID, Version: ".."}, err: `".." is not a version of a secret in IBM Cloud Secrets Manager: use current, previous or an id`},

		"BareName":     {reason: "the words of ESO", key: backend.Key{Key: "db"}, err: noGroup},
		"TypeName":     {reason: "the words of ESO", key: backend.Key{Key: "kv/db"}, err: noGroup},
		"BadType":      {reason: "a typing error", key: backend.Key{Key: "arbitrari/" + someID}, err: "secret type \"arbitrari\" is not one that IBM Cloud Secrets Manager has; use one of " + strings.Join(served, ", ")},
		"BadName":      {reason: "no secret has it", key: backend.Key{Key: "team/kv/a b"}, err: "No kv secret named a b"},
		"GroupDotDot":  {reason: "would be another endpoint", key: backend.Key{Key: "../kv/db"}, err: `".."` + noGroupName},
		"GroupEncoded": {reason: "a proxy may decode it", key: backend.Key{Key: "%2e%2e/kv/db"}, err: `"%2e%2e"` + noGroupName},
		"Empty":        {reason: "no key", key: backend.Key{}, err: `""` + noKey},
		"NoGroup":      {reason: "no group", key: backend.Key{Key: "/kv/db"}, err: `"/kv/db"` + noKey},
		"NoType":       {reason: "no type", key: backend.Key{Key: "team//db"}, err: `"team//db"` + noKey},
		"NoName":       {reason: "no name", key: backend.Key{Key: "team/kv/"}, err: `"team/kv/"` + noKey},
		"FourParts":    {reason: "nothing has four", key: backend.Key{Key: "a/team/kv/db"}, err: `"a/team/kv/db"` + noKey},
		"DotDot":       {reason: "would be another endpoint", key: backend.Key{Key: "../kv"}, err: "secret type \"..\" is not one that IBM Cloud Secrets Manager has; use one of " + strings.Join(served, ", ")},
		"AlmostUUID":   {reason: "a name then", key: backend.Key{Key: "t/kv/" + someID + "0"}, want: backend.Ref{Path: someID + "0", Kind: "kv", Args: "name:t"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Driver().Ref(backend.ESO, c.key)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if c.err == "" {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			failed(t, err, backend.InvalidRef, c.err)
		})
	}
}

// TestReadable looks at refs that no dialect's key makes today.
func TestReadable(t *testing.T) {
	cases := map[string]struct {
		reason string
		ref    backend.Ref
		err    string
	}{
		"Version": {"the previous version can be read", backend.Ref{Path: someID, Kind: "kv", Version: "previous"}, ""},
		"VersionDotDot": {
			"would be another endpoint",
			backend.Ref{Path: someID, Kind: "kv", Version: ".."},
			`".." is not a version of a secret in IBM Cloud Secrets Manager`,
		},
		"NoKind": {
			"a secret that reading changes must not be read by accident",
			backend.Ref{Path: someID},
			`secrets of type "" are not supported by this version of Lockstep`,
		},
		"OtherKind": {
			"as above",
			backend.Ref{Path: someID, Kind: "iam"},
			`secrets of type "iam" are not supported by this version of Lockstep`,
		},
		"Name":           {"a name can be read", backend.Ref{Path: "db.x", Kind: "kv", Args: "name"}, ""},
		"GroupName":      {"and one in a group", backend.Ref{Path: "db.x", Kind: "kv", Args: "name:team"}, ""},
		"NameDotDot":     {"would be a name", backend.Ref{Path: "../x", Kind: "kv", Args: "name"}, "No kv secret named ../x"},
		"NoName":         {"a name is no id", backend.Ref{Path: "db.x", Kind: "kv"}, `"db.x" is not the id of a secret in IBM Cloud Secrets Manager`},
		"GroupDotDot":    {"would be another endpoint", backend.Ref{Path: "db", Kind: "kv", Args: "name:.."}, `".." is not the name of a secret group in IBM Cloud Secrets Manager`},
		"GroupOf":        {"it becomes one segment", backend.Ref{Path: "db", Kind: "kv", Args: "name:a/b.c d"}, ""},
		"GroupBackslash": {"some servers take it for a slash", backend.Ref{Path: "db", Kind: "kv", Args: `name:..\x`}, `"..\\x" is not the name of a secret group in IBM Cloud Secrets Manager`},
		"GroupSlash":     {"would be another endpoint", backend.Ref{Path: "db", Kind: "kv", Args: "name:a/../b"}, `"a/../b" is not the name of a secret group in IBM Cloud Secrets Manager`},
		"Args":           {"nobody makes them", backend.Ref{Path: someID, Kind: "kv", Args: "names"}, `"names" says nothing about a secret in IBM Cloud Secrets Manager`},
		"Metadata": {
			"it comes with the value, which reading may change",
			backend.Ref{Path: someID, Kind: "iam_credentials", Part: backend.Metadata},
			"the metadata of iam_credentials " + someID + " is not read, for that would read its value once more",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := readable(c.ref)
			if c.err == "" {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			failed(t, err, backend.InvalidRef, c.err)
		})
	}
}
