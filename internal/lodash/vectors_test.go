// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// vector is one line of testdata/vectors.jsonl: what Node 20 and lodash 4.17.21 really did. See testdata/vectors.js.
type vector struct {
	Doc     string      `json:"doc"`
	DocHex  string      `json:"docHex"`
	Path    *string     `json:"path"`
	Want    *string     `json:"want"`
	Entries [][2]string `json:"entries"`
	Base64  *string     `json:"base64"`
	WantHex string      `json:"wantHex"`
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []vector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("line %d: %v", len(all)+1, err)
		}
		all = append(all, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (v vector) doc(t testing.TB) []byte {
	t.Helper()
	if v.DocHex == "" {
		return []byte(v.Doc)
	}
	doc, err := hex.DecodeString(v.DocHex)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestVectors(t *testing.T) {
	counts := map[string]int{}
	for i, v := range readVectors(t) {
		line := i + 1
		switch {
		case v.Base64 != nil:
			counts["base64"]++
			if got := hex.EncodeToString(DecodeBase64([]byte(*v.Base64))); got != v.WantHex {
				t.Errorf("line %d: DecodeBase64(%q) = %s, Node has %s", line, *v.Base64, got, v.WantHex)
			}
		case v.Path != nil:
			counts["get"]++
			checkGet(t, line, v)
		case v.Entries != nil:
			counts["entries"]++
			checkEntries(t, line, v)
		default:
			counts["parse"]++
			checkParse(t, line, v)
		}
	}
	for _, op := range []string{"base64", "get", "entries", "parse"} {
		if counts[op] < 90 {
			t.Errorf("%d vectors of %s, want 90 at least", counts[op], op)
		}
	}
}

func checkParse(t *testing.T, line int, v vector) {
	t.Helper()
	got, err := Parse(v.doc(t))
	switch {
	case v.Want == nil && !errors.Is(err, ErrSyntax):
		t.Errorf("line %d: Parse(%q) = %v, JSON.parse throws", line, v.doc(t), err)
	case v.Want != nil && err != nil:
		t.Errorf("line %d: Parse(%q) = %v, JSON.parse accepts it", line, v.doc(t), err)
	case v.Want != nil && string(got.Bytes()) != *v.Want:
		t.Errorf("line %d: Bytes of %q\n got %q\nwant %q", line, v.doc(t), got.Bytes(), *v.Want)
	}
}

func checkGet(t *testing.T, line int, v vector) {
	t.Helper()
	parsed, err := Parse(v.doc(t))
	if err != nil {
		t.Errorf("line %d: Parse(%q) = %v", line, v.doc(t), err)
		return
	}
	got, ok := parsed.Get(*v.Path)
	switch {
	case ok != (v.Want != nil):
		t.Errorf("line %d: Get(%q) of %q: there = %t, lodash has %t", line, *v.Path, v.doc(t), ok, v.Want != nil)
	case !ok && got.Kind() != KindUndefined:
		t.Errorf("line %d: Get(%q) of %q: missing, but of kind %v", line, *v.Path, v.doc(t), got.Kind())
	case ok && string(got.Bytes()) != *v.Want:
		t.Errorf("line %d: Get(%q) of %q\n got %q\nwant %q", line, *v.Path, v.doc(t), got.Bytes(), *v.Want)
	}
}

func checkEntries(t *testing.T, line int, v vector) {
	t.Helper()
	parsed, err := Parse(v.doc(t))
	if err != nil {
		t.Errorf("line %d: Parse(%q) = %v", line, v.doc(t), err)
		return
	}
	got := parsed.Entries()
	if len(got) != len(v.Entries) {
		t.Errorf("line %d: %q has %d entries, want %d", line, v.doc(t), len(got), len(v.Entries))
		return
	}
	for i, want := range v.Entries {
		if got[i].Key != want[0] || string(got[i].Value.Bytes()) != want[1] {
			t.Errorf("line %d: entry %d of %q is %q: %q, want %q", line, i, v.doc(t), got[i].Key, got[i].Value.Bytes(), want)
		}
	}
}
