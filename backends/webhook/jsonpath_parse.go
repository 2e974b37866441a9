// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a path as it is written.
const (
	maxPath    = 4096 // bytes
	maxNesting = 8    // filters in filters
)

// pathParser reads a path. Its errors say where it stopped and not what is
// there: a template may have put a secret there.
type pathParser struct {
	text  string
	at    int
	depth int
}

// parsePath reads a path. As in the predecessor, one that begins with a name
// begins at the document.
func parsePath(text string) (jsonPath, error) {
	if len(text) > maxPath {
		return jsonPath{}, fmt.Errorf("it is longer than %d bytes", maxPath)
	}
	p := &pathParser{text: text}
	var path jsonPath
	var err error
	if p.skip(); p.accept("$") {
		path.parts, err = p.parts()
	} else {
		var first part
		if first, err = p.name(); err == nil {
			path.parts, err = p.parts()
			path.parts = append([]part{first}, path.parts...)
		}
	}
	if p.skip(); err == nil && p.at < len(p.text) {
		err = p.fail()
	}
	return path, err
}

func (p *pathParser) fail() error {
	return fmt.Errorf("it cannot be understood from its character %d on", utf8.RuneCountInString(p.text[:p.at])+1)
}

func (p *pathParser) skip() {
	p.at = len(p.text) - len(strings.TrimLeft(p.text[p.at:], " \t\r\n"))
}

// accept goes on behind a text that comes next.
func (p *pathParser) accept(text string) bool {
	p.skip()
	if !strings.HasPrefix(p.text[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

// parts reads what follows $ or @.
func (p *pathParser) parts() (out []part, err error) {
	for {
		var one []part
		switch {
		case p.accept(".."):
			one, err = p.below()
		case p.accept("."):
			one, err = p.dotted()
		case p.accept("["):
			one, err = p.bracket()
		default:
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one...)
	}
}

func (p *pathParser) dotted() ([]part, error) {
	if p.accept("*") {
		return []part{{kind: every}}, nil
	}
	one, err := p.name()
	return []part{one}, err
}

// below reads what follows two dots.
func (p *pathParser) below() ([]part, error) {
	var (
		rest []part
		err  error
	)
	if p.accept("[") {
		rest, err = p.bracket()
		if err == nil && rest[0].kind == slice {
			return nil, errors.New("a slice cannot follow two dots")
		}
	} else {
		rest, err = p.dotted()
	}
	if err != nil {
		return nil, err
	}
	return append([]part{{kind: deep}}, rest...), nil
}

// name reads the name of a member. There may be hyphens in it here.
func (p *pathParser) name() (part, error) {
	p.skip()
	rest := p.text[p.at:]
	end := strings.IndexFunc(rest, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-'
	})
	if end < 0 {
		end = len(rest)
	}
	if end == 0 || rest[0] == '-' {
		return part{}, p.fail()
	}
	p.at += end
	return part{keys: []operand{{value: rest[:end]}}}, nil
}

// bracket reads what follows an opening bracket.
func (p *pathParser) bracket() ([]part, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("it is nested too deep")
	}
	defer func() { p.depth-- }()
	var (
		one part
		err error
	)
	switch {
	case p.accept("*"):
		one.kind = every
	case p.accept("?"):
		one.kind = matches
		one.test, err = p.test()
	default:
		one, err = p.keysOrSlice()
	}
	if err == nil && !p.accept("]") {
		err = p.fail()
	}
	return []part{one}, err
}

func (p *pathParser) keysOrSlice() (part, error) {
	if p.accept(":") {
		return p.slice(0)
	}
	var one part
	for {
		k, err := p.operand()
		if err != nil {
			return part{}, err
		}
		one.keys = append(one.keys, k)
		if len(one.keys) == 1 && p.accept(":") {
			n, isNumber := k.value.(json.Number)
			from, err := strconv.ParseInt(string(n), 10, 32)
			if !isNumber || err != nil {
				return part{}, p.fail()
			}
			return p.slice(int(from))
		}
		if !p.accept(",") {
			break
		}
		one.kind = union
	}
	return one, nil
}

// slice reads what follows the first colon of a slice.
func (p *pathParser) slice(from int) (part, error) {
	one := part{kind: slice, span: [3]int{from, math.MaxInt32, 1}}
	for i := 1; i <= 2; i++ {
		p.skip()
		if text := p.number(); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return part{}, p.fail()
			}
			one.span[i] = int(n)
		}
		if i == 1 && !p.accept(":") {
			break
		}
	}
	return one, nil
}

// test reads a filter, with or without parentheses.
func (p *pathParser) test() (*test, error) {
	parens := 0
	for p.accept("(") {
		parens++
	}
	var (
		t   test
		err error
	)
	if t.left, err = p.operand(); err != nil {
		return nil, err
	}
	for _, op := range []string{"==", "!="} {
		if t.operator == "" && p.accept(op) {
			t.operator = op
			if t.right, err = p.operand(); err != nil {
				return nil, err
			}
		}
	}
	for ; parens > 0; parens-- {
		if !p.accept(")") {
			return nil, p.fail()
		}
	}
	return &t, nil
}

// operand reads a path, or a constant.
func (p *pathParser) operand() (operand, error) {
	p.skip()
	rest := p.text[p.at:]
	switch {
	case rest == "":
		return operand{}, p.fail()
	case rest[0] == '$' || rest[0] == '@':
		p.at++
		parts, err := p.parts()
		return operand{path: &jsonPath{current: rest[0] == '@', parts: parts}}, err
	case rest[0] == '"' || rest[0] == '\'' || rest[0] == '`':
		return p.quoted()
	case p.accept("true"):
		return operand{value: true}, nil
	case p.accept("false"):
		return operand{value: false}, nil
	}
	if text := p.number(); text != "" {
		return operand{value: json.Number(text)}, nil
	}
	return operand{}, p.fail()
}

// number reads the digits that come next, or nothing.
func (p *pathParser) number() string {
	rest := p.text[p.at:]
	end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '.' })
	if end < 0 {
		end = len(rest)
	}
	if _, err := strconv.ParseFloat(rest[:end], 64); err != nil {
		return ""
	}
	p.at += end
	return rest[:end]
}

// quoted reads a text in quotes, with the escapes of Go.
func (p *pathParser) quoted() (operand, error) {
	quote := p.text[p.at]
	rest := p.text[p.at+1:]
	var b strings.Builder
	for rest != "" {
		if rest[0] == quote {
			p.at = len(p.text) - len(rest) + 1
			return operand{value: b.String()}, nil
		}
		if quote == '`' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			break
		}
		if multibyte || r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r)) //nolint:gosec // a byte by an escape such as \xff
		}
		rest = tail
	}
	return operand{}, p.fail()
}
