// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse requires that what Bytes writes is JSON, is read back, and is then written alike.
func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f) {
		if v.Base64 == nil {
			f.Add(v.doc(f))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := Parse(doc)
		if standard := json.Valid([]byte(decodeUTF8(string(doc)))); (err == nil) != standard {
			t.Fatalf("Parse says %v, encoding/json accepts = %t", err, standard)
		}
		if err != nil {
			return
		}
		once := Object(Entry{"v", v}).Bytes()
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("own output is rejected: %v", err)
		}
		if twice := again.Bytes(); !bytes.Equal(once, twice) {
			t.Errorf("first %q, then %q", once, twice)
		}
		for _, e := range v.Entries() {
			if !utf8.ValidString(e.Key) || !utf8.Valid(e.Value.Bytes()) {
				t.Errorf("entry %q is not UTF-8", e.Key)
			}
		}
	})
}

// FuzzGet requires that no path panics, that what is found came from the document, and that a key is found under its own
// name and under its quoted one.
func FuzzGet(f *testing.F) {
	for _, v := range readVectors(f) {
		if v.Path != nil {
			f.Add(v.doc(f), *v.Path)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, path string) {
		v, err := Parse(doc)
		if err != nil {
			return
		}
		if keys := split(path); len(keys) > len(path)+1 {
			t.Errorf("%q splits into %d keys", path, len(keys))
		}
		found, ok := v.Get(path)
		if ok == (found.Kind() == KindUndefined) {
			t.Errorf("there = %t, of kind %v", ok, found.Kind())
		}
		if limit := 6*len(v.Bytes()) + 20; len(found.Bytes()) > limit {
			t.Errorf("%d bytes found in a document of %d", len(found.Bytes()), len(v.Bytes()))
		}
		if v.Kind() != KindObject {
			return
		}
		n := v.node()
		for i, key := range n.list.keys {
			want := &n.list.values[i]
			if got, ok := n.own(key); !ok || got != want {
				t.Errorf("key %q is not found", key)
			}
			if strings.ContainsAny(key, "\n\r\u2028\u2029") || !utf8.ValidString(key) {
				continue
			}
			quotedKey := `["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"]`
			if _, literal := n.own(quotedKey); literal {
				continue
			}
			if got, ok := v.Get(quotedKey); !ok || got.node() != want {
				t.Errorf("%q does not find key %q", quotedKey, key)
			}
		}
	})
}

// FuzzDecodeBase64 requires that the size is what the input has room for, and that what Go encodes is decoded.
func FuzzDecodeBase64(f *testing.F) {
	for _, v := range readVectors(f) {
		if v.Base64 != nil {
			f.Add([]byte(*v.Base64))
		}
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		if n := len(DecodeBase64(s)); n > len(s)*3/4 {
			t.Errorf("%d bytes out of %d", n, len(s))
		}
		text, err := json.Marshal(s) // standard base64 in quotes, which are skipped
		if err != nil {
			t.Fatal(err)
		}
		if s != nil && !bytes.Equal(DecodeBase64(text), s) {
			t.Errorf("%q is not decoded to what it encodes", text)
		}
	})
}
