// SPDX-License-Identifier: Apache-2.0

package lodash

import (
	"strconv"
	"strings"
)

// Get is lodash 4.17.21's hasIn and get in one: what stands at path, and whether it is there.
//
// A path that is a plain name, or that is a key of v as it is ("a.b" on {"a.b":1}), is that key. Any other is split: at
// dots, at brackets around a number, a quoted string or a bare name ("a[0].b", `a["b.c"]`, "a[b]"). A dot at the start,
// two in a row and one at the end stand for the empty key, as do brackets with nothing in them. In a quoted string a
// backslash keeps the next character from its meaning. What is malformed is no error; it is read as lodash's expressions
// happen to match it.
//
// Objects have their own keys; arrays and strings their indices and "length", strings counted in UTF-16 units. What a
// JavaScript object inherits (toString, constructor, ...) is missing, unlike in lodash: it is code, never data.
func (v Value) Get(path string) (Value, bool) {
	n, ok := v.node().get(decodeUTF8(path))
	if !ok {
		return Value{}, false
	}
	return wrap(n), true
}

func (n *node) get(path string) (*node, bool) {
	if found, ok := n.own(path); ok || isKey(path) {
		return found, ok
	}
	ok := false // a path may split into nothing
	for _, key := range split(path) {
		if n, ok = n.own(key); !ok {
			return nil, false
		}
	}
	return n, ok
}

// own returns an own property.
func (n *node) own(key string) (*node, bool) {
	switch n.kind {
	case KindObject:
		if i, ok := n.list.find(key); ok {
			return &n.list.values[i], true
		}
	case KindArray:
		if key == lengthKey {
			return number(len(n.list.values)), true
		}
		if i, ok := arrayIndex(key); ok && i < int64(len(n.list.values)) {
			return &n.list.values[i], true
		}
	case KindString:
		if key == lengthKey {
			return number(countUnits(n.text)), true
		}
		if i, ok := arrayIndex(key); ok && i < int64(len(n.text)) {
			unit, ok := unitAt(n.text, int(i))
			return &node{kind: KindString, text: unit}, ok
		}
	}
	return nil, false
}

const lengthKey = "length"

func number(i int) *node {
	return &node{kind: KindNumber, text: strconv.Itoa(i)}
}

// isKey says whether path is one key whatever it is applied to: it has no dot, no brackets around what has no brackets,
// and no brackets around a quoted string.
func isKey(path string) bool {
	if strings.Contains(path, ".") {
		return false
	}
	for i := range len(path) {
		if path[i] != '[' {
			continue
		}
		if _, _, ok := quoted(path[i:]); ok {
			return false
		}
		if end := strings.IndexAny(path[i+1:], "[]"); end >= 0 && path[i+1+end] == ']' {
			return false
		}
	}
	return true
}

// split splits path into keys as lodash's stringToPath does.
func split(path string) []string {
	var keys []string
	if strings.HasPrefix(path, ".") {
		keys = append(keys, "")
	}
	for i := 0; i < len(path); {
		rest := path[i:]
		if n := plain(rest); n > 0 {
			keys = append(keys, rest[:n])
			i += n
			continue
		}
		if n := bracketedNumber(rest); n > 0 {
			keys = append(keys, rest[1:n-1])
			i += n
			continue
		}
		if content, n, ok := quoted(rest); ok {
			keys = append(keys, unescape(content))
			i += n
			continue
		}
		if emptyKey(rest) {
			keys = append(keys, "")
		}
		i++
	}
	return keys
}

// plain returns how many bytes s has before the first dot or bracket.
func plain(s string) int {
	if n := strings.IndexAny(s, ".[]"); n >= 0 {
		return n
	}
	return len(s)
}

// bracketedNumber returns the length of the number in brackets that s begins with: digits, before them a minus, behind
// them a fraction.
func bracketedNumber(s string) int {
	p := parser{doc: s}
	if !p.accept('[') {
		return 0
	}
	p.accept('-')
	if !p.digits() || p.accept('.') && !p.digits() || !p.accept(']') {
		return 0
	}
	return p.pos
}

// quoted returns the content, still escaped, and the length of the quoted string in brackets that s begins with. A
// backslash takes the next character with it, except a line terminator, before which nothing matches.
func quoted(s string) (content string, n int, ok bool) {
	if len(s) < 2 || s[0] != '[' || s[1] != '"' && s[1] != '\'' {
		return "", 0, false
	}
	for i := 2; i < len(s); i++ {
		switch s[i] {
		case s[1]:
			return s[2:i], i + 2, strings.HasPrefix(s[i+1:], "]")
		case '\\':
			i++
			if startsLineTerminator(s[i:]) {
				return "", 0, false
			}
		}
	}
	return "", 0, false
}

func startsLineTerminator(s string) bool {
	for _, t := range [...]string{"\n", "\r", "\u2028", "\u2029"} {
		if strings.HasPrefix(s, t) {
			return true
		}
	}
	return false
}

// unescape drops each backslash, of two in a row the first.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) {
				break
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// emptyKey says whether s begins with a separator that has no name behind it: a dot or empty brackets, and then another
// such or the end.
func emptyKey(s string) bool {
	rest, ok := cutSeparator(s)
	if !ok || rest == "" {
		return ok
	}
	_, ok = cutSeparator(rest)
	return ok
}

func cutSeparator(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "."); ok {
		return rest, true
	}
	return strings.CutPrefix(s, "[]")
}
