// SPDX-License-Identifier: Apache-2.0

package lodash

import "unicode/utf16"

// DecodeBase64 is Node's Buffer.from(s, "base64"), which cannot fail: both alphabets are accepted and may be mixed, what is
// in neither is skipped, the first '=' ends the data, and bits that make no whole byte are dropped.
//
// Node looks at the low byte only of each UTF-16 unit above U+00FF, so that U+0141 counts as 'A' and an emoji, whose first
// unit ends in 3D, often as the end. That is kept: what was stored so far is what will be stored.
func DecodeBase64(s []byte) []byte {
	d := base64Decoder{out: make([]byte, 0, len(s)/4*3+3)}
	var units []uint16
	for _, r := range decodeUTF8(string(s)) {
		units = utf16.AppendRune(units[:0], r)
		for _, u := range units {
			if !d.take(byte(u & 0xFF)) {
				return d.out
			}
		}
	}
	return d.out
}

// base64Decoder collects six bits at a time.
type base64Decoder struct {
	out  []byte
	bits uint32
	n    int // how many bits are waiting
}

// take takes the low byte of a unit, and says whether more may follow.
func (d *base64Decoder) take(c byte) bool {
	var six byte
	switch {
	case 'A' <= c && c <= 'Z':
		six = c - 'A'
	case 'a' <= c && c <= 'z':
		six = c - 'a' + 26
	case isDigit(c):
		six = c - '0' + 52
	case c == '+' || c == '-':
		six = 62
	case c == '/' || c == '_':
		six = 63
	default:
		return c != '='
	}
	d.bits = d.bits<<6 | uint32(six)
	if d.n += 6; d.n >= 8 {
		d.n -= 8
		d.out = append(d.out, byte(d.bits>>d.n)) //nolint:gosec // the low byte is what is wanted
	}
	return true
}
