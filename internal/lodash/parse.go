// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf16"
)

// maxDepth is how many arrays and objects may stand inside each other. V8 has no such limit; ours keeps the stack of
// Parse and of Bytes at a few megabytes.
const maxDepth = 10_000

// The errors of Parse. They are constants because the input is secret: no position, no excerpt.
var (
	ErrSyntax = errors.New("not JSON")
	ErrDepth  = errors.New("JSON nested deeper than 10000 levels")
)

// Parse is JSON.parse over the text that doc encodes. It accepts what JSON.parse accepts: any kind at the top, space, tab,
// line feed and carriage return around it (no byte order mark), repeated keys, numbers beyond a double, and escaped
// surrogates without their other half. Bytes that are not UTF-8 become U+FFFD first, as when Node decodes a buffer.
//
// It takes time and memory in proportion to doc, which is copied and stays in memory as long as a part of the Value does.
// Errors are ErrSyntax and ErrDepth.
func Parse(doc []byte) (Value, error) {
	p := parser{doc: decodeUTF8(string(doc))}
	p.space()
	n, err := p.value()
	if err != nil {
		return Value{}, err
	}
	p.space()
	if p.pos != len(p.doc) {
		return Value{}, ErrSyntax
	}
	return wrap(&n), nil
}

// parser reads doc from pos on. Members of lists that are still open wait on the two stacks, so that each list is
// allocated once and at its size.
type parser struct {
	doc    string
	pos    int
	depth  int
	keys   []string
	values []node
}

// peek returns the next byte, or 0 at the end. A real NUL is no part of any token, so the two need no telling apart.
func (p *parser) peek() byte {
	if p.pos == len(p.doc) {
		return 0
	}
	return p.doc[p.pos]
}

// accept steps over c if it is next.
func (p *parser) accept(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) space() {
	for p.pos < len(p.doc) {
		switch p.doc[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) value() (node, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.nested(KindObject, '}')
	case c == '[':
		return p.nested(KindArray, ']')
	case c == '"':
		s, err := p.text()
		return node{kind: KindString, text: s}, err
	case c == '-' || isDigit(c):
		return p.number()
	default:
		return p.word()
	}
}

// words are the values that are spelled as a word.
var words = [...]node{{kind: KindNull, text: "null"}, {kind: KindBool, text: "true"}, {kind: KindBool, text: "false"}}

func (p *parser) word() (node, error) {
	for _, n := range words {
		if strings.HasPrefix(p.doc[p.pos:], n.text) {
			p.pos += len(n.text)
			return n, nil
		}
	}
	return node{}, ErrSyntax
}

// nested reads an array or object that is closed by end.
func (p *parser) nested(kind Kind, end byte) (node, error) {
	if p.depth == maxDepth {
		return node{}, ErrDepth
	}
	p.depth++
	p.pos++
	keys, values := len(p.keys), len(p.values)
	p.space()
	for more := !p.accept(end); more; {
		if err := p.member(kind); err != nil {
			return node{}, err
		}
		p.space()
		more = p.accept(',')
		if !more && !p.accept(end) {
			return node{}, ErrSyntax
		}
		p.space()
	}
	p.depth--
	l := &list{values: slices.Clone(p.values[values:])}
	if kind == KindObject {
		l = newObject(slices.Clone(p.keys[keys:]), l.values)
	}
	p.keys, p.values = p.keys[:keys], p.values[:values]
	return node{kind: kind, list: l}, nil
}

// member puts the next element, or key and value, on the stacks.
func (p *parser) member(kind Kind) error {
	if kind == KindObject {
		if p.peek() != '"' {
			return ErrSyntax
		}
		key, err := p.text()
		if err != nil {
			return err
		}
		p.space()
		if !p.accept(':') {
			return ErrSyntax
		}
		p.space()
		p.keys = append(p.keys, key)
	}
	n, err := p.value()
	if len(p.values) == cap(p.values) {
		p.values = slices.Grow(p.values, max(8, len(p.values))) // doubled, where append would copy more often
	}
	p.values = append(p.values, n)
	return err
}

// number keeps the literal: most are written as they were read, or never.
func (p *parser) number() (node, error) {
	start := p.pos
	p.accept('-')
	ok := p.accept('0') || p.digits()
	if p.accept('.') {
		ok = p.digits() && ok
	}
	if p.accept('e') || p.accept('E') {
		_ = p.accept('+') || p.accept('-')
		ok = p.digits() && ok
	}
	if !ok {
		return node{}, ErrSyntax
	}
	return node{kind: KindNumber, text: p.doc[start:p.pos]}, nil
}

// digits steps over digits and says whether there was one.
func (p *parser) digits() bool {
	start := p.pos
	for isDigit(p.peek()) {
		p.pos++
	}
	return p.pos > start
}

// text reads the string whose opening quote is next. One without escapes stays a part of the document.
func (p *parser) text() (string, error) {
	p.pos++
	var unescaped []byte
	for start := p.pos; p.pos < len(p.doc); {
		switch c := p.doc[p.pos]; {
		case c == '"':
			raw := p.doc[start:p.pos]
			p.pos++
			if unescaped == nil {
				return raw, nil
			}
			return string(append(unescaped, raw...)), nil
		case c == '\\':
			unescaped = append(unescaped, p.doc[start:p.pos]...)
			unit, ok := p.escape()
			if !ok {
				return "", ErrSyntax
			}
			unescaped = appendUnit(unescaped, unit)
			start = p.pos
		case c < ' ':
			return "", ErrSyntax
		default:
			p.pos++
		}
	}
	return "", ErrSyntax
}

// escape reads the escape whose backslash is next: a code point, a surrogate if it stands alone.
func (p *parser) escape() (rune, bool) {
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		unit, ok := hexUnit(p.doc[p.pos:])
		if !ok {
			return 0, false
		}
		p.pos += 4
		return p.pair(unit), true
	default:
		return 0, false
	}
}

// pair joins a high surrogate with a low one that is escaped right behind it.
func (p *parser) pair(unit rune) rune {
	rest, ok := strings.CutPrefix(p.doc[p.pos:], `\u`)
	if !ok {
		return unit
	}
	low, ok := hexUnit(rest)
	if !ok {
		return unit
	}
	joined := utf16.DecodeRune(unit, low)
	if joined == replacement {
		return unit
	}
	p.pos += len(`\u`) + 4
	return joined
}

// hexUnit reads the four hexadecimal digits that s begins with.
func hexUnit(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var unit rune
	for _, c := range []byte(s[:4]) {
		switch {
		case isDigit(c):
			unit = unit<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			unit = unit<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			unit = unit<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
