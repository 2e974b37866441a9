// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"strings"
	"unicode/utf8"
)

// A JavaScript string is a row of 16-bit units, and a surrogate in it need not have its other half. We keep strings as
// UTF-8 in which a lone surrogate takes the three bytes that its number would have (WTF-8): 0xED, a byte from 0xA0 on, one
// more. UTF-8 has no other use for these, and halves that meet are always joined, so equal strings have equal bytes.

const (
	replacement = utf8.RuneError

	surrogateMin = 0xD800
	surrogateMax = 0xDFFF
	lowMin       = 0xDC00
	astralMin    = 0x10000

	surrogateLead   = 0xED
	surrogateSecond = 0xA0
	surrogateLen    = 3
)

// startsSurrogate says whether s, not empty, begins with a lone surrogate.
func startsSurrogate(s string) bool {
	return s[0] == surrogateLead && len(s) >= surrogateLen && s[1] >= surrogateSecond
}

// appendUnit appends a code point, which may be a lone surrogate.
func appendUnit(buf []byte, r rune) []byte {
	if r < surrogateMin || r > surrogateMax {
		return utf8.AppendRune(buf, r)
	}
	return append(buf, surrogateLead, 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
}

// nextUnit returns the code point that s, not empty, begins with, and its length.
func nextUnit(s string) (rune, int) {
	if startsSurrogate(s) {
		return surrogateMin | rune(s[1]&0x1F)<<6 | rune(s[2]&0x3F), surrogateLen
	}
	return utf8.DecodeRuneInString(s)
}

// countUnits returns the length of s in UTF-16 units.
func countUnits(s string) int {
	n := 0
	for i := range len(s) {
		switch {
		case s[i] >= 0xF0: // leads four bytes, which are two units
			n += 2
		case s[i] < 0x80 || s[i] >= 0xC0:
			n++
		}
	}
	return n
}

// unitAt returns the UTF-16 unit at index as a string of its own.
func unitAt(s string, index int) (string, bool) {
	for i := 0; s != ""; {
		r, size := nextUnit(s)
		units := 1
		if r >= astralMin {
			units = 2
		}
		if index < i+units {
			return half(s[:size], r, index-i), true
		}
		i += units
		s = s[size:]
	}
	return "", false
}

// splitUnits are the strings of one UTF-16 unit that s consists of.
func splitUnits(s string) []node {
	units := make([]node, 0, countUnits(s))
	for s != "" {
		r, size := nextUnit(s)
		units = append(units, node{kind: KindString, text: half(s[:size], r, 0)})
		if r >= astralMin {
			units = append(units, node{kind: KindString, text: half(s[:size], r, 1)})
		}
		s = s[size:]
	}
	return units
}

// half returns the high (0) or low (1) surrogate of the code point r, which s spells; s itself if r is a single unit.
func half(s string, r rune, which int) string {
	if r < astralMin {
		return s
	}
	r -= astralMin
	if which == 0 {
		return string(appendUnit(nil, surrogateMin|r>>10))
	}
	return string(appendUnit(nil, lowMin|r&0x3FF))
}

// toUTF8 is s with U+FFFD for each lone surrogate.
func toUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s)) // U+FFFD takes three bytes too
	for s != "" {
		r, size := nextUnit(s)
		b.WriteRune(r) // which writes a surrogate as U+FFFD
		s = s[size:]
	}
	return b.String()
}

// decodeUTF8 is s with U+FFFD for what is not UTF-8, one for each longest beginning of a sequence, as the WHATWG encoding
// standard and so Node have it (Go's own decoder counts bytes).
func decodeUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == replacement && size == 1 {
			size = invalidLen(s)
		}
		b.WriteRune(r)
		s = s[size:]
	}
	return b.String()
}

// invalidLen returns how many bytes of s, which does not begin with a UTF-8 sequence, make one U+FFFD: those that some
// sequence begins with, at least one.
func invalidLen(s string) int {
	lead := s[0]
	if lead < 0xC2 || lead > 0xF4 || len(s) == 1 {
		return 1
	}
	low, high := byte(0x80), byte(0xBF)
	switch lead { // no overlong forms, no surrogates, nothing above U+10FFFF
	case 0xE0:
		low = 0xA0
	case 0xED:
		high = 0x9F
	case 0xF0:
		low = 0x90
	case 0xF4:
		high = 0x8F
	}
	if s[1] < low || s[1] > high {
		return 1
	}
	if lead >= 0xF0 && len(s) > 2 && s[2]&0xC0 == 0x80 {
		return 3
	}
	return 2
}
