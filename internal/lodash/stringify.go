// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"bytes"
	"math"
	"strconv"
)

// Bytes are the bytes that KES stored for v: of an object, array or null the compact text of JSON.stringify, of anything
// else that of String, in UTF-8. That makes undefined the text "undefined"; who does not want that asks for the Kind. A
// lone surrogate becomes U+FFFD, but inside JSON an escape.
//
// The slice is the caller's.
func (v Value) Bytes() []byte {
	switch n := v.node(); n.kind {
	case KindUndefined:
		return []byte("undefined")
	case KindString:
		return []byte(toUTF8(n.text))
	case KindNumber:
		return appendNumber(nil, n.number())
	default:
		return appendJSON(nil, n)
	}
}

// appendJSON is JSON.stringify.
func appendJSON(buf []byte, n *node) []byte {
	switch n.kind {
	case KindString:
		return appendQuoted(buf, n.text)
	case KindNumber:
		f := n.number()
		if math.IsInf(f, 0) {
			return append(buf, "null"...)
		}
		return appendNumber(buf, f)
	case KindArray:
		buf = append(buf, '[')
		for i := range n.list.values {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendJSON(buf, &n.list.values[i])
		}
		return append(buf, ']')
	case KindObject:
		return appendObject(buf, n.list)
	default:
		return append(buf, n.text...)
	}
}

// appendObject leaves out what is undefined, as JSON.stringify does.
func appendObject(buf []byte, l *list) []byte {
	buf = append(buf, '{')
	comma := false
	for i := range l.values {
		if l.values[i].kind == KindUndefined {
			continue
		}
		if comma {
			buf = append(buf, ',')
		}
		comma = true
		buf = appendQuoted(buf, l.keys[i])
		buf = append(buf, ':')
		buf = appendJSON(buf, &l.values[i])
	}
	return append(buf, '}')
}

// appendQuoted escapes what JSON.stringify escapes, which is less than Go's encoder does: no HTML, no U+2028.
func appendQuoted(buf []byte, s string) []byte {
	const digits = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != surrogateLead || c == surrogateLead && !startsSurrogate(s[i:]) {
			continue
		}
		buf = append(buf, s[start:i]...)
		start = i + 1
		if short := shortEscape(c); short != 0 {
			buf = append(buf, '\\', short)
			continue
		}
		r, size := nextUnit(s[i:])
		buf = append(buf, '\\', 'u', digits[r>>12&0xF], digits[r>>8&0xF], digits[r>>4&0xF], digits[r&0xF])
		i += size - 1
		start = i + 1
	}
	buf = append(buf, s[start:]...)
	return append(buf, '"')
}

// shortEscape returns the letter of c's two-character escape, or 0.
func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	default:
		return 0
	}
}

// number is the double nearest to n's literal.
func (n *node) number() float64 {
	f, _ := strconv.ParseFloat(n.text, 64) // the only possible error is ErrRange, which comes with the infinity we want
	return f
}

// appendNumber is Number.prototype.toString: the fewest digits that read back as f, with an exponent from 1e21 on and
// below 1e-6. Negative zero is "0".
func appendNumber(buf []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsInf(f, 1):
		return append(buf, "Infinity"...)
	case math.IsInf(f, -1):
		return append(buf, "-Infinity"...)
	case f == 0:
		return append(buf, '0')
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(buf, f, 'f', -1, 64)
	}
	text := strconv.AppendFloat(nil, f, 'e', -1, 64)
	// Go pads the exponent to two digits.
	mantissa, exponent, _ := bytes.Cut(text, []byte("e"))
	buf = append(append(buf, mantissa...), 'e', exponent[0])
	return append(buf, bytes.TrimLeft(exponent[1:], "0")...)
}
