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
		noType   = "Missing required parameters: secretType"
		later    = " is not supported by this version of Lockstep; supported: arbitrary, username_password, kv"
		notIBMs  = " is not one that IBM Cloud Secrets Manager has; use one of arbitrary, username_password, kv"
		noNames  = "keyByName is not supported by this version of Lockstep; use the id of the secret"
		isNoID   = " is not the id of a secret in IBM Cloud Secrets Manager"
		theirEnv = "IBM Cloud Secrets Manager is not served for eso manifests by this version of Lockstep"
	)
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
		"IAMCredentials":     {reason: "later", key: backend.Key{Key: someID, Kind: "iam_credentials"}, err: `secretType "iam_credentials"` + later},
		"ServiceCredentials": {reason: "later", key: backend.Key{Key: someID, Kind: "service_credentials"}, err: `secretType "service_credentials"` + later},
		"ImportedCert":       {reason: "later", key: backend.Key{Key: someID, Kind: "imported_cert"}, err: `secretType "imported_cert"` + later},
		"PublicCert":         {reason: "later", key: backend.Key{Key: someID, Kind: "public_cert"}, err: `secretType "public_cert"` + later},
		"PrivateCert":        {reason: "later", key: backend.Key{Key: someID, Kind: "private_cert"}, err: `secretType "private_cert"` + later},
		"CustomCredentials":  {reason: "later", key: backend.Key{Key: someID, Kind: "custom_credentials"}, err: `secretType "custom_credentials"` + later},
		"KeyByName": {
			reason: "a name must not be taken for an id",
			key:    backend.Key{Key: "my-secret", Kind: "arbitrary", Args: map[string]string{"keyByName": "true"}}, err: noNames,
		},
		"AnotherDialect": {reason: "ESO's grammar is another one", dialect: backend.ESO, key: backend.Key{Key: someID, Kind: "kv"}, err: theirEnv},
		"Empty":          {reason: "would list all secrets", key: backend.Key{Kind: "kv"}, err: `""` + isNoID},
		"Dot":            {reason: "would be cleaned away", key: backend.Key{Key: ".", Kind: "kv"}, err: `"."` + isNoID},
		"DotDot":         {reason: "would be another endpoint", key: backend.Key{Key: "..", Kind: "kv"}, err: `".."` + isNoID},
		"Parent":         {reason: "would be another endpoint", key: backend.Key{Key: "../x", Kind: "kv"}, err: `"../x"` + isNoID},
		"Encoded":        {reason: "a proxy may decode it", key: backend.Key{Key: "%2e%2e", Kind: "kv"}, err: `"%2e%2e"` + isNoID},
		"Slash":          {reason: "two segments are no id", key: backend.Key{Key: "a/b", Kind: "kv"}, err: `"a/b"` + isNoID},
		"Backslash":      {reason: "some servers take it for a slash", key: backend.Key{Key: `a\b`, Kind: "kv"}, err: `"a\\b"` + isNoID},
		"Query":          {reason: "would be a query", key: backend.Key{Key: "a?x", Kind: "kv"}, err: `"a?x"` + isNoID},
		"Fragment":       {reason: "would be cut off", key: backend.Key{Key: "a#x", Kind: "kv"}, err: `"a#x"` + isNoID},
		"Parameter":      {reason: "would be cut off by some servers", key: backend.Key{Key: "a;x", Kind: "kv"}, err: `"a;x"` + isNoID},
		"Template":       {reason: "the SDK fills braces in paths", key: backend.Key{Key: "{id}", Kind: "kv"}, err: `"{id}"` + isNoID},
		"NUL":            {reason: "no byte of an id", key: backend.Key{Key: "a\x00", Kind: "kv"}, err: `"a\x00"` + isNoID},
		"LineEnd":        {reason: "no second line in a request or a status", key: backend.Key{Key: "a\r\nb", Kind: "kv"}, err: `"a\r\nb"` + isNoID},
		"LineEndAtEnd":   {reason: "the end of an expression is not the end of a line", key: backend.Key{Key: someID + "\n", Kind: "kv"}, err: `"` + someID + `\n"` + isNoID},
		"Space":          {reason: "no byte of an id", key: backend.Key{Key: " " + someID, Kind: "kv"}, err: `" ` + someID + `"` + isNoID},
		"Letters":        {reason: "ids are ASCII", key: backend.Key{Key: "ａ", Kind: "kv"}, err: `"ａ"` + isNoID},
		"NoUTF8":         {reason: "a status is UTF-8", key: backend.Key{Key: "a\xff", Kind: "kv"}, err: `"a\xff"` + isNoID},
		"TooLong":        {reason: "no id is as long", key: backend.Key{Key: strings.Repeat("a", 129), Kind: "kv"}, err: `"` + strings.Repeat("a", 129) + `"` + isNoID},
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
			backend.Ref{Path: someID, Kind: "iam_credentials"},
			`secrets of type "iam_credentials" are not supported by this version of Lockstep`,
		},
		"Metadata": {
			"metadata is not the value",
			backend.Ref{Path: someID, Kind: "kv", Part: backend.Metadata},
			"the metadata of secrets is not supported by this version of Lockstep",
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
