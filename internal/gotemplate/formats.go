// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"reflect"
	"strings"
	"time"
)

// document: JSON. What it becomes depends on its structure far more than on its length.
func document(_ *Engine, in []reflect.Value) bill {
	doc := in[0].String()
	count := func(s string) int64 { return int64(strings.Count(doc, s)) }
	return bill{work: 4*int64(len(doc)) + 448*count("{") + 96*count("[") + 64*count(",")}
}

// formatted: the format of printf, and its arguments. Each directive may pad to a million characters, each element of a list
// is padded on its own, and %[1]v prints the same argument as often as it is written.
func formatted(_ *Engine, in []reflect.Value) bill {
	format, args := in[0].String(), in[1]
	x := measure(args)
	directives, pad := widths(format)
	if strings.Contains(format, "*") {
		for i := range args.Len() {
			if a := reflect.Indirect(args.Index(i).Elem()); a.CanInt() {
				pad = min(pad+mul(max(a.Int(), -a.Int()), int64(strings.Count(format, "*"))), huge)
			}
		}
	}
	size := x.text() + mul(pad, x.nodes)
	if strings.Contains(format, "[") {
		size = mul(size, directives)
	}
	if strings.ContainsAny(format, "fFbqxXUeEgG+#") { // long forms of numbers, and quoted text
		size = min(size+mul(x.nodes, 350), huge)
		return bill{work: int64(len(format)) + 3*max(size, x.quoted()), size: max(size, x.quoted()/2)}
	}
	return bill{work: int64(len(format)) + 2*size + x.work(2), size: int64(len(format)) + size}
}

// maxPadding is fmt's own bound; above it fmt prints a complaint, with which nobody is served.
const maxPadding = 1_000_000

// widths counts the directives of a format, and adds up the numbers in it, which are widths, precisions and indices.
func widths(format string) (directives, sum int64) {
	n := int64(0)
	inside := false
	for i := range len(format) {
		switch c := format[i]; {
		case c == '%':
			directives, inside, n = directives+1, true, 0
		case inside && c >= '0' && c <= '9':
			if n = n*10 + int64(c-'0'); n > maxPadding {
				return directives, huge
			}
		default:
			sum, n = sum+n, 0
			inside = inside && strings.IndexByte("+-# .[]*", c) >= 0
		}
	}
	return directives, sum + n
}

// zoned: a zone in the given argument. It is looked up in files, so that each one costs; a name that is not a zone's never
// gets there.
func zoned(arg int) guard {
	return func(_ *Engine, in []reflect.Value) bill {
		switch zone := in[arg].String(); {
		case zone == "" || zone == "UTC" || zone == "Local" || !zoneName(zone):
			return bill{}
		}
		return bill{work: 40 << 10}
	}
}

// zoneName tells whether name has the form of a zone's: "Europe/Berlin", "Etc/GMT+1".
func zoneName(name string) bool {
	if len(name) > 64 || strings.HasPrefix(name, "/") {
		return false
	}
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("_+-/", c) < 0 {
			return false
		}
	}
	return true
}

// dateInZone is the library's, but for names that are no zone's: they are UTC, as unknown zones are.
func (e *Engine) dateInZone() func(string, any, string) string {
	library, _ := e.library["dateInZone"].(func(string, any, string) string)
	return func(layout string, date any, zone string) string {
		if !zoneName(zone) {
			zone = time.UTC.String()
		}
		return library(layout, date, zone)
	}
}
