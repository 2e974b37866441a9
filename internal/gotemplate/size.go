// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"fmt"
	"reflect"
)

// How far a walk goes before a value is called too large. A list may hold the same list twice, and that one another twice, so
// a few hundred bytes in memory may be more than all memory when they are written out; a dict may even hold itself.
const (
	maxNodes = 1 << 18
	maxBytes = 16 << 20
	maxDepth = 1000
)

var (
	stringer  = reflect.TypeFor[fmt.Stringer]()
	errorType = reflect.TypeFor[error]()
)

// extent is how large a value is when it is written out.
type extent struct {
	nodes   int64 // values met
	bytes   int64 // of strings, keys included
	wide    int64 // bytes among them that may take six when they are quoted
	deepest int64
	over    bool // not walked to its end
}

// measure walks all of the values, as a printer would.
func measure(values ...reflect.Value) extent {
	var x extent
	for _, v := range values {
		x.walk(v, 0)
	}
	return x
}

// work is what it costs to do something for each value and for each byte.
func (x extent) work(perByte int64) int64 {
	if x.over {
		return huge
	}
	return x.nodes*walkWork + x.bytes*perByte
}

// text is the least length that holds the value printed: a number takes up to 24 bytes, brackets included.
func (x extent) text() int64 {
	if x.over {
		return huge
	}
	return x.nodes*24 + x.bytes
}

// quoted is text with all that quoting and indenting may add.
func (x extent) quoted() int64 {
	if x.over {
		return huge
	}
	return x.text() + 5*x.wide + mul(x.nodes, 2*x.deepest)
}

func (x *extent) walk(v reflect.Value, depth int64) {
	x.nodes++
	x.deepest = max(x.deepest, depth)
	if x.nodes > maxNodes || x.bytes > maxBytes || depth > maxDepth {
		x.over = true
	}
	if x.over || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		x.text1(v.String())
		return
	case reflect.Interface:
		if !v.IsNil() {
			x.nodes--
			x.walk(v.Elem(), depth)
		}
		return
	}
	if v.Type().Implements(stringer) { // times, durations, versions: all are small
		x.bytes += 256
		return
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && !x.over; i++ {
			x.walk(v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next() && !x.over; {
			x.walk(it.Key(), depth+1)
			x.walk(it.Value(), depth+1)
		}
	case reflect.Struct:
		for i := 0; i < v.NumField() && !x.over; i++ {
			x.walk(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		x.walk(v.Elem(), depth+1)
	}
}

// text1 adds one string.
func (x *extent) text1(s string) {
	x.bytes += int64(len(s))
	if x.bytes > maxBytes {
		x.over = true
		return
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= 0x7f, c == '"', c == '\'', c == '\\', c == '<', c == '>', c == '&':
			x.wide++
		}
	}
}

// shallow is the size of v without what its elements hold.
func shallow(v reflect.Value) int64 {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Slice, reflect.Array:
		return mul(int64(v.Len()), itemWork)
	case reflect.Map:
		return mul(int64(v.Len()), pairWork)
	}
	return 1
}
