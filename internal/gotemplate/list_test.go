// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed is every name that a template may call: ESO's, sprig's as ESO 2.9.0 has them, and text/template's.
const listed = `
pkcs12key pkcs12keyPass pkcs12cert pkcs12certPass pemToPkcs12 pemToPkcs12Pass fullPemToPkcs12 fullPemToPkcs12Pass
pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass filterPEM filterCertChain certSANs jwkPublicKeyPem jwkPrivateKeyPem toYaml
fromYaml rsaDecrypt

hello ago date date_in_zone dateInZone date_modify dateModify duration durationRound htmlDate htmlDateInZone must_date_modify
mustDateModify toDate mustToDate now unixEpoch abbrev abbrevboth trunc trim upper lower title untitle substr repeat trimall
trimAll trimSuffix trimPrefix nospace initials randAlphaNum randAlpha randAscii randNumeric swapcase shuffle snakecase camelcase
kebabcase wrap wrapWith contains hasPrefix hasSuffix quote squote cat indent nindent replace plural sha1sum sha256sum sha512sum
adler32sum toString atoi int64 int float64 seq toDecimal split splitList splitn toStrings until untilStep add1 add sub div mod
mul randInt add1f addf subf divf mulf biggest max min maxf minf ceil floor round join sortAlpha default empty coalesce all any
compact mustCompact fromJson toJson toPrettyJson toRawJson mustFromJson mustToJson mustToPrettyJson mustToRawJson ternary
deepCopy mustDeepCopy typeOf typeIs typeIsLike kindOf kindIs deepEqual base dir clean ext isAbs osBase osClean osDir osExt
osIsAbs b64enc b64dec b32enc b32dec hexdec tuple list dict get set unset hasKey pluck keys pick omit merge mergeOverwrite
mustMerge mustMergeOverwrite values append mustAppend push mustPush prepend mustPrepend first mustFirst rest mustRest last
mustLast initial mustInitial reverse mustReverse uniq mustUniq without mustWithout has mustHas slice mustSlice concat dig chunk
mustChunk bcrypt htpasswd genPrivateKey derivePassword buildCustomCert genCA genCAWithKey genSelfSignedCert
genSelfSignedCertWithKey genSignedCert genSignedCertWithKey encryptAES decryptAES randBytes uuidv4 semver semverCompare
regexMatch regexFindAll regexFind regexReplaceAll regexReplaceAllLiteral regexSplit mustRegexMatch mustRegexFindAll
mustRegexFind mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit regexQuoteMeta urlParse urlJoin fail

and or not call len index eq ne lt le gt ge print printf println html js urlquery
`

func TestFunctions(t *testing.T) {
	want := slices.Sorted(slices.Values(strings.Fields(listed)))
	got := slices.Sorted(maps.Keys(rules))
	got = slices.Sorted(slices.Values(append(got, slices.Collect(maps.Keys(builtins))...)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-listed +known):\n%s", diff)
	}
	e := New()
	e.prepare()
	for name := range rules {
		if fn := e.implementation(name); reflect.ValueOf(fn).Kind() != reflect.Func {
			t.Errorf("%s is listed and is no function", name)
		}
	}
}

// TestUnknownFunctions goes through what reaches out of a template elsewhere, and through what the Engine itself puts in.
func TestUnknownFunctions(t *testing.T) {
	names := strings.Fields(`getSecretKey env expandenv getHostByName required include lookup readFile tpl Files glob exec
		toToml fromJsonArray ` + strings.Join([]string{tickName, enterName, leaveName, rangeName, printName, operandName, methodName}, " "))
	e := New()
	e.prepare()
	for name := range e.library {
		if _, ok := rules[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		for _, text := range []string{"\n{{ " + name + " }}", "\n{{ if false }}{{ " + name + " \"a\" }}{{ end }}", "\n{{ \"a\" | upper | " + name + " }}", "\n{{ upper (" + name + " 1).x }}"} {
			_, err := New().Execute("k", text, nil)
			if want := `template "k", line 2: unknown function "` + name + `"`; err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
		}
	}
}

// A guard renders nothing as long as it does not apply, and says nothing of
// what it was given when it does.
func TestFail(t *testing.T) {
	const canary = "c4n4ry"
	const text = `{{ if eq .mode "bad" }}{{ fail .secret }}{{ end }}ok`
	if got, err := New().Execute("k", text, map[string]string{"mode": "good", "secret": canary}); err != nil || got != "ok" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := New().Execute("k", text, map[string]string{"mode": "bad", "secret": canary})
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}
