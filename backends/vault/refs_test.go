// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestParseRef(t *testing.T) {
	for name, c := range map[string]struct {
		reason  string
		dialect backend.Dialect
		key     backend.Key
		want    backend.Ref
	}{
		"ESO":            {"a path", backend.ESO, backend.Key{Key: "team/app"}, backend.Ref{Path: "team/app"}},
		"ESOSlashes":     {"the library joined paths, so these are the same", backend.ESO, backend.Key{Key: "/team//app/"}, backend.Ref{Path: "team/app"}},
		"ESOVersion":     {"a number", backend.ESO, backend.Key{Key: "a", Version: "007"}, backend.Ref{Path: "a", Version: "7"}},
		"ESOLatest":      {"0 is the current one", backend.ESO, backend.Key{Key: "a", Version: "0"}, backend.Ref{Path: "a"}},
		"ESOMetadata":    {"it has no versions", backend.ESO, backend.Key{Key: "a", Version: "3", Part: backend.Metadata}, backend.Ref{Path: "a", Part: backend.Metadata}},
		"ESOQuestion":    {"part of a name: it is escaped in the request", backend.ESO, backend.Key{Key: "a?version=1#b"}, backend.Ref{Path: "a?version=1#b"}},
		"ESOPercent":     {"part of a name, too", backend.ESO, backend.Key{Key: "100%/a%20b"}, backend.Ref{Path: "100%/a%20b"}},
		"ESODots":        {"three dots are a name", backend.ESO, backend.Key{Key: ".../..a/.b"}, backend.Ref{Path: ".../..a/.b"}},
		"KES":            {"what follows /v1/", backend.KES, backend.Key{Key: "secret/data/app"}, backend.Ref{Path: "secret/data/app", Kind: kindV2}},
		"KESLeading":     {"Vault redirected there", backend.KES, backend.Key{Key: "/secret/data/app"}, backend.Ref{Path: "secret/data/app", Kind: kindV2}},
		"KESPinned":      {"the version of a secret", backend.KES, backend.Key{Key: "secret/data/app?version=3"}, backend.Ref{Path: "secret/data/app", Kind: kindV2, Version: "3"}},
		"KESEscaped":     {"the key is a part of a URL", backend.KES, backend.Key{Key: "secret/data/my%20app%3F"}, backend.Ref{Path: "secret/data/my app?", Kind: kindV2}},
		"KESV1":          {"an engine of version 1", backend.KES, backend.Key{Key: "kv/app", Args: map[string]string{argVersion: "1"}}, backend.Ref{Path: "kv/app", Kind: kindV1}},
		"KESV2":          {"said aloud", backend.KES, backend.Key{Key: "kv/app", Args: map[string]string{argVersion: "2"}}, backend.Ref{Path: "kv/app", Kind: kindV2}},
		"KESRole":        {"each role reads for itself", backend.KES, backend.Key{Key: "a", Args: map[string]string{argRole: "r&s", argMount: "/team/k8s/"}}, backend.Ref{Path: "a", Kind: kindV2, Args: "vaultMountPoint=team%2Fk8s&vaultRole=r%26s"}},
		"KESVersionLost": {"KES has no versions for Vault but in the key", backend.KES, backend.Key{Key: "a", Version: "9"}, backend.Ref{Path: "a", Kind: kindV2}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRef(c.dialect, c.key)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", c.reason, err, diff)
			}
		})
	}
}

// TestParseRefRefuses has the ways out of a path that somebody may try.
func TestParseRefRefuses(t *testing.T) {
	both := []string{
		"", "/", "//", "..", ".", "../vic/x", "a/../b", "a/..", "./a", "a/./b", "a\x00b", "a\nb", "a\r\nX-Vault-Token: t",
		"a/\u2025/b", "a\u202eb", "a/\uff0e\uff0e/b", "\u2024\u2024/b", `a\..\b`, `..\b`, `\`, "a\u200bb", "a\xffb", strings.Repeat("a/", 2000),
	}
	for dialect, keys := range map[backend.Dialect][]string{
		backend.ESO: append([]string{"%2e%2e%2fvic", "%2e%2e/vic", "a/%252e%252e/b", "%2E./b"}, both...),
		backend.KES: append([]string{
			"%2e%2e%2fvic", "a%2Fb", "a%2fb", "%73ecret/data/x", "a%", "a%2", "a%zz", "a%00b", "a%0ab", "a#b", "%252e%252e/a",
			"a?x=1", "a?version=1&version=2", "a?version=1&list=true", "a?version=x", "a?version=-1", "a?%zz", "a?version=99999999999",
		}, both...),
		backend.CSI: {"a"},
	} {
		for _, key := range keys {
			got, err := parseRef(dialect, backend.Key{Key: key})
			if backend.CodeOf(err) != backend.InvalidRef {
				t.Errorf("%s %q: %+v, code %q, want InvalidRef", dialect, key, got, backend.CodeOf(err))
			}
		}
	}
	for name, args := range map[string]map[string]string{
		"version": {argVersion: "3"}, "mount": {argMount: "../x"}, "blank mount": {argMount: "a\nb"},
	} {
		if _, err := parseRef(backend.KES, backend.Key{Key: "a", Args: args}); backend.CodeOf(err) != backend.InvalidRef {
			t.Errorf("%s: code %q, want InvalidRef", name, backend.CodeOf(err))
		}
	}
	for _, version := range []string{"latest", "-1", "1.0", "0x1", " 1"} {
		if _, err := parseRef(backend.ESO, backend.Key{Key: "a", Version: version}); backend.CodeOf(err) != backend.InvalidRef {
			t.Errorf("version %q: code %q, want InvalidRef", version, backend.CodeOf(err))
		}
	}
}

func TestLocate(t *testing.T) {
	two, bare := engine{mount: "kv", versioned: true}, engine{versioned: true}
	one, bareOne := engine{mount: "kv"}, engine{}
	for name, c := range map[string]struct {
		reason string
		engine engine
		ref    backend.Ref
		want   place
		code   backend.Code
	}{
		"Two":          {"below the mount", two, backend.Ref{Path: "a/b"}, place{"kv/data/a/b", "kv/metadata/a/b", true}, ""},
		"TwoMount":     {"with the mount", two, backend.Ref{Path: "kv/a/b"}, place{"kv/data/a/b", "kv/metadata/a/b", true}, ""},
		"TwoData":      {"with mount and data", two, backend.Ref{Path: "kv/data/a/b"}, place{"kv/data/a/b", "kv/metadata/a/b", true}, ""},
		"TwoOnlyData":  {"data alone is a folder", two, backend.Ref{Path: "data/a"}, place{"kv/data/data/a", "kv/metadata/data/a", true}, ""},
		"TwoOther":     {"another mount is a folder", two, backend.Ref{Path: "sys/x"}, place{"kv/data/sys/x", "kv/metadata/sys/x", true}, ""},
		"TwoLike":      {"a mount that begins alike", two, backend.Ref{Path: "kv2/a"}, place{"kv/data/kv2/a", "kv/metadata/kv2/a", true}, ""},
		"Bare":         {"the mount is in the key", bare, backend.Ref{Path: "kv/a/b"}, place{"kv/data/a/b", "kv/metadata/a/b", true}, ""},
		"BareData":     {"and data shows where it ends", bare, backend.Ref{Path: "team/kv/data/a"}, place{"team/kv/data/a", "team/kv/metadata/a", true}, ""},
		"BareNothing":  {"the mount alone is no secret", bare, backend.Ref{Path: "kv"}, place{}, backend.InvalidRef},
		"TwoNothing":   {"the mount alone is a name below it", two, backend.Ref{Path: "kv"}, place{"kv/data/kv", "kv/metadata/kv", true}, ""},
		"One":          {"below the mount", one, backend.Ref{Path: "a"}, place{data: "kv/a"}, ""},
		"OneMount":     {"with the mount", one, backend.Ref{Path: "kv/a"}, place{data: "kv/a"}, ""},
		"OneData":      {"data means nothing", one, backend.Ref{Path: "kv/data/a"}, place{data: "kv/data/a"}, ""},
		"BareOne":      {"as it is", bareOne, backend.Ref{Path: "kv/a"}, place{data: "kv/a"}, ""},
		"KES":          {"as it is, whatever the store", two, backend.Ref{Path: "s/data/a", Kind: kindV2}, place{"s/data/a", "s/metadata/a", true}, ""},
		"KESV1":        {"as it is, whatever the store", two, backend.Ref{Path: "kv/data/a", Kind: kindV1}, place{data: "kv/data/a"}, ""},
		"KESNoData":    {"nobody knows where its metadata is", two, backend.Ref{Path: "s/a", Kind: kindV2}, place{data: "s/a", versioned: true}, ""},
		"Whole":        {"OpenBao's keys never have the mount", engine{mount: "kv", versioned: true, whole: true}, backend.Ref{Path: "kv/a"}, place{"kv/data/kv/a", "kv/metadata/kv/a", true}, ""},
		"OwnToken":     {"the store's own token is not a secret of its users", bareOne, backend.Ref{Path: "auth/token/lookup-self"}, place{}, backend.InvalidRef},
		"OwnTokenIn":   {"nor through a namespace in the path", bareOne, backend.Ref{Path: "team/auth/token/lookup-self"}, place{}, backend.InvalidRef},
		"OwnTokenKES":  {"nor for KES", two, backend.Ref{Path: "auth/token/lookup-self", Kind: kindV1}, place{}, backend.InvalidRef},
		"System":       {"nor is the system", bareOne, backend.Ref{Path: "sys/policies/acl/x"}, place{}, backend.InvalidRef},
		"Up":           {"a ref that nobody parsed", two, backend.Ref{Path: "../x"}, place{}, backend.InvalidRef},
		"Empty":        {"a ref that nobody parsed", two, backend.Ref{}, place{}, backend.InvalidRef},
		"Version":      {"versions are numbers", two, backend.Ref{Path: "a", Version: "1&list=true"}, place{}, backend.InvalidRef},
		"OneVersion":   {"it keeps none", one, backend.Ref{Path: "a", Version: "1"}, place{}, backend.InvalidRef},
		"OneMetadata":  {"it keeps none", one, backend.Ref{Path: "a", Part: backend.Metadata}, place{}, backend.InvalidRef},
		"LostMetadata": {"nobody knows where it is", two, backend.Ref{Path: "s/a", Kind: kindV2, Part: backend.Metadata}, place{}, backend.InvalidRef},
		"Kind":         {"no such kind", two, backend.Ref{Path: "a", Kind: "x"}, place{}, backend.InvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.engine.locate(c.ref)
			if got != c.want || backend.CodeOf(err) != c.code {
				t.Errorf("%s: %+v, %v; want %+v, %q", c.reason, got, err, c.want, c.code)
			}
		})
	}
}

// TestSpellings: whatever a notice or a listing calls a secret leads back to it.
func TestSpellings(t *testing.T) {
	for name, e := range map[string]engine{
		"two": {mount: "kv", versioned: true}, "bare": {versioned: true}, "one": {mount: "kv"}, "bare one": {}, "folder": {mount: "kv/team"},
		"whole": {mount: "kv", versioned: true, whole: true},
	} {
		for _, below := range []string{"team/a", "team/kv/a", "team/data/a"} {
			path := below
			if e.versioned {
				path = "data/" + below
			}
			list := e.spellings("kv", path)
			if len(list) == 0 {
				t.Errorf("%s: nobody can ask for %s", name, path)
			}
			for _, s := range list {
				if p, err := e.locate(backend.Ref{Path: s}); err != nil || p.data != "kv/"+path {
					t.Errorf("%s: %s leads to %+v, %v; want kv/%s", name, s, p, err, path)
				}
			}
		}
		for _, below := range []string{"kv/a", "kv/data/a", "data/a", "a"} {
			if e.mount != "kv" {
				continue
			}
			want := "kv/" + below
			if e.versioned {
				want = "kv/data/" + below
			}
			if p, err := e.locate(backend.Ref{Path: e.spelled(below)}); err != nil || p.data != want {
				t.Errorf("%s: %s leads to %+v, %v; want %s", name, e.spelled(below), p, err, want)
			}
		}
		if list := e.spellings("other", "data/a"); e.mount != "" && len(list) > 0 {
			t.Errorf("%s: a secret of another mount is called %q", name, list)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "%2e%2e/x", "a?version=1", "kv/data/a", "/a//b/", "a%20b"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, key string, kes bool) {
		d := backend.ESO
		if kes {
			d = backend.KES
		}
		ref, err := parseRef(d, backend.Key{Key: key})
		if err != nil {
			if backend.CodeOf(err) != backend.InvalidRef {
				t.Errorf("%q: code %q", key, backend.CodeOf(err))
			}
			return
		}
		p, err := engine{mount: "kv", versioned: true}.locate(ref)
		if err != nil {
			return // sys/ and the like
		}
		for s := range strings.SplitSeq(p.data, "/") {
			if s == "" || s == "." || s == ".." {
				t.Errorf("%q leads to %q", key, p.data)
			}
		}
		if !kes && !strings.HasPrefix(p.data, "kv/data/") {
			t.Errorf("%q leads out of the mount, to %q", key, p.data)
		}
	})
}
