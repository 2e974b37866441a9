// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"fmt"
	"strings"
	"testing"
)

// shapes are documents of about size bytes, each hard on another part. Ten times the size must take ten times as long.
func shapes(size int) map[string]string {
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	var keys, same strings.Builder
	for i := 0; keys.Len() < size; i++ {
		fmt.Fprintf(&keys, `"key-%d":"v%d",`, i, i)
		fmt.Fprintf(&same, `"%d":%d,`, (size-i)%1000, i)
	}
	return map[string]string{
		"secret":   `{"username":"ada","password":"` + repeat("x") + `"}`,
		"escapes":  `"` + repeat(`\u00e9\n`) + `"`,
		"numbers":  "[" + repeat("12.5,") + "0]",
		"keys":     "{" + keys.String() + `"z":0}`,
		"repeated": "{" + same.String() + `"z":0}`,
		"objects":  "[" + repeat(`{"a":{"b":[1]}},`) + "{}]",
		"invalid":  `"` + repeat("\xe2\x82") + `"`,
	}
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1000 << 10} {
		for name, doc := range shapes(size) {
			b.Run(fmt.Sprintf("%s/%dK", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Parse([]byte(doc)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	wide, err := Parse([]byte(shapes(100 << 10)["keys"]))
	if err != nil {
		b.Fatal(err)
	}
	small, err := Parse([]byte(`{"a":{"b.c":[1,{"d":"é"}]},"e":"f"}`))
	if err != nil {
		b.Fatal(err)
	}
	for name, bm := range map[string]struct {
		doc  Value
		path string
	}{
		"key":       {small, "e"},
		"path":      {small, `a["b.c"][1].d`},
		"character": {small, `a["b.c"][1].d[0]`},
		"wide":      {wide, "key-777"},
		"hostile":   {small, strings.Repeat(`["'.\`, 10_000)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.doc.Get(bm.path)
			}
		})
	}
}

func BenchmarkBytes(b *testing.B) {
	for name, doc := range shapes(100 << 10) {
		v, err := Parse([]byte(doc))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.Bytes()
			}
		})
	}
}
