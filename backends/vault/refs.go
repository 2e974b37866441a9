// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-secrets/lockstep/backend"
)

// The kinds of a Ref. External Secrets Operator's have none: what they mean is
// the store's to say.
const (
	kindV1 = "kv1" // what the path answers
	kindV2 = "kv2" // what is in data of what the path answers
	// kindPath is a path of the API as it stands, whatever the store's engine.
	kindPath = "path"
)

// The arguments of a Ref of Kubernetes External Secrets, as its manifests name
// them.
const (
	argMount   = "vaultMountPoint"
	argRole    = "vaultRole"
	argVersion = "kvVersion"
)

// maxPath is the longest path, in bytes.
const maxPath = 2048

// parseRef turns a key into a Ref whose Path is canonical: segments that are
// not empty, with one slash between them.
func parseRef(d backend.Dialect, k backend.Key) (backend.Ref, error) {
	switch d {
	case backend.KES:
		return parseKES(k)
	case backend.ESO:
		return parseESO(k)
	}
	return backend.Ref{}, backend.Errorf(backend.InvalidRef, "Vault is not served for %s manifests by this version of Lockstep", d)
}

// parseESO reads a key as External Secrets Operator did: a path, with or
// without the store's mount and data/ at its beginning, in which nothing is
// escaped. What it means is in paths.go.
func parseESO(k backend.Key) (backend.Ref, error) {
	path, err := cleanPath("the key", k.Key)
	if err != nil {
		return backend.Ref{}, err
	}
	version, err := parseVersion(k.Version)
	if err != nil {
		return backend.Ref{}, err
	}
	if k.Part == backend.Metadata && version != "" {
		version = "" // there is one for all versions
	}
	return backend.Ref{Path: path, Version: version, Part: k.Part}, nil
}

// parseKES reads a key as Kubernetes External Secrets did: what follows /v1/ in
// the URL of a GET, escapes and version included.
func parseKES(k backend.Key) (backend.Ref, error) {
	ref := backend.Ref{Part: k.Part, Kind: kindV2}
	switch v := k.Args[argVersion]; v {
	case "", "0", "2":
	case "1":
		ref.Kind = kindV1
	default:
		return ref, backend.Errorf(backend.InvalidRef, `Unknown "kvVersion" specified`)
	}
	raw, query, _ := strings.Cut(k.Key, "?")
	path, err := unescape(raw)
	if err != nil {
		return ref, err
	}
	if ref.Path, err = cleanPath("the key", path); err != nil {
		return ref, err
	}
	if ref.Version, err = parseQuery(query); err != nil {
		return ref, err
	}
	ref.Args, err = args(k.Args[argMount], k.Args[argRole])
	return ref, err
}

// unescape undoes the escapes of a path. They are for characters that need
// one: with others, a key would look like another one to the annotations that
// limit the keys of a namespace.
func unescape(raw string) (string, error) {
	if strings.Contains(raw, "#") {
		return "", backend.Errorf(backend.InvalidRef, "the key %q has a # in it: write %%23", raw)
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			continue
		}
		if i+2 >= len(raw) {
			return "", badEscape(raw)
		}
		c, err := strconv.ParseUint(raw[i+1:i+3], 16, 8)
		if err != nil || c == '/' || isPlain(byte(c)) {
			return "", badEscape(raw)
		}
		i += 2
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", badEscape(raw)
	}
	return path, nil
}

func badEscape(raw string) error {
	return backend.Errorf(backend.InvalidRef, "the key %q has a %% in it that escapes nothing, or what needs no escape: write a %% as %%25", raw)
}

// isPlain reports whether a character never needs an escape (RFC 3986, 2.3).
func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// parseQuery reads what follows the question mark of a key. It is more than a
// version only by mistake, or to get something else than what the key says.
func parseQuery(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) > 1 || len(values["version"]) > 1 || len(values) == 1 && !values.Has("version") {
		return "", backend.Errorf(backend.InvalidRef, "the key may end in ?version= and a number, and in nothing else after a question mark")
	}
	return parseVersion(values.Get("version"))
}

// parseVersion brings the number of a version to one form. 0 is Vault's for the
// current one.
func parseVersion(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return "", backend.Errorf(backend.InvalidRef, "%q is not a version of a secret in Vault: versions are numbers", text)
	}
	if n == 0 {
		return "", nil
	}
	return strconv.FormatUint(n, 10), nil
}

// args are the canonical Args for a login by a mount and a role, each of which
// may be left to the operator's defaults.
func args(mount, role string) (string, error) {
	values := url.Values{}
	if mount != "" {
		mount, err := cleanPath(argMount, mount)
		if err != nil {
			return "", err
		}
		values.Set(argMount, mount)
	}
	if role != "" {
		values.Set(argRole, role)
	}
	return values.Encode(), nil
}

// cleanPath brings a path to one form, and refuses what could lead out of the
// place that it belongs to, or could be taken for that on the way.
func cleanPath(what, path string) (string, error) {
	if len(path) > maxPath || !utf8.ValidString(path) {
		return "", backend.Errorf(backend.InvalidRef, "%s is not a path in Vault: it is too long, or no text", what)
	}
	var segments []string
	for s := range strings.SplitSeq(path, "/") {
		switch {
		case s == "":
		case isDots(s):
			return "", backend.Errorf(backend.InvalidRef, "%s %q is not a path in Vault: it leads up or stays where it is", what, path)
		case strings.ContainsFunc(s, isHidden):
			return "", backend.Errorf(backend.InvalidRef, "%s %q is not a path in Vault: it has a character in it that cannot be seen", what, path)
		default:
			segments = append(segments, s)
		}
	}
	if len(segments) == 0 {
		return "", backend.Errorf(backend.InvalidRef, "%s is empty: it is the path of a secret", what)
	}
	return strings.Join(segments, "/"), nil
}

// isDots reports whether a segment is one that programs take for a way up:
// escaped once more, with a backslash, or in other characters for dots.
func isDots(s string) bool {
	for range 3 {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == s {
			break
		}
		s = plain
	}
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		if strings.Trim(part, ".\u2024\u2025\uff0e") == "" && len([]rune(part)) <= 2 {
			return true
		}
	}
	return strings.Trim(s, `/\`) == ""
}

func isHidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
