// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"errors"
	"io"
	"regexp"
	"regexp/syntax"
	"strings"
	"text/template"
	"unicode/utf8"
)

// Go's expressions take time in proportion to the text, but also to the size of the program they are compiled to, which a
// repetition multiplies; and going through all matches may read the rest of the text again for each. So the program is
// measured before it is compiled, and each search is first done on a reader that charges for every character that is read.
const (
	maxPattern = 4 << 10
	maxProgram = 8 << 10
	classWork  = 40 << 10  // of a named class of characters
	foldWork   = 800 << 10 // of a class that is matched in either case, which may go through all letters
)

var errPattern = errors.New("not a regular expression")

// pattern is a compiled expression.
type pattern struct {
	engine  *Engine
	re      *regexp.Regexp
	after   *regexp.Regexp // re from any place on, after one character that it may look back to
	perRune int64
	perFind int64
}

// compile returns the expression, which it keeps.
func (e *Engine) compile(expr string) (*pattern, error) {
	if p, ok := e.patterns[expr]; ok {
		return p, nil
	}
	if len(expr) > maxPattern {
		return nil, e.stop(&problem{kind: tooLarge})
	}
	if err := e.charge("", patternWork(expr)); err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, errPattern
	}
	size := programSize(tree)
	if size > maxProgram {
		return nil, e.stop(&problem{kind: tooLarge})
	}
	if err := e.charge("", 4096+size*512); err != nil {
		return nil, err
	}
	key := expr
	p := &pattern{engine: e, perRune: 4 + size/2, perFind: 128}
	if p.re, err = regexp.Compile(expr); err != nil {
		return nil, errPattern
	}
	if strings.Contains(expr, `\Q`) { // may be open to the end, and would take the parenthesis in
		expr = tree.String()
	}
	if p.after, err = regexp.Compile(`\A(?s:.)(?s:.*?)(` + expr + `)`); err != nil {
		return nil, errPattern
	}
	e.patterns[key] = p
	return p, nil
}

// patternWork is what it costs to parse expr.
func patternWork(expr string) int64 {
	work := 4096 + 128*int64(len(expr)) + classWork*int64(strings.Count(expr, `\p`)+strings.Count(expr, `\P`))
	if folds(expr) {
		work += foldWork * int64(strings.Count(expr, "["))
	}
	return work
}

// folds tells whether expr may have the flag i.
func folds(expr string) bool {
	for _, group := range strings.Split(expr, "(?")[1:] {
		flags := group[:len(group)-len(strings.TrimLeft(group, "imsU-"))]
		if strings.Contains(flags, "i") {
			return true
		}
	}
	return false
}

// programSize is about how many instructions tree compiles to.
func programSize(tree *syntax.Regexp) int64 {
	size := int64(2)
	if tree.Op == syntax.OpLiteral {
		size += int64(len(tree.Rune))
	}
	for _, sub := range tree.Sub {
		size += programSize(sub)
	}
	if tree.Op == syntax.OpRepeat {
		size = mul(size, int64(max(tree.Min, tree.Max, 1)+1))
	}
	return min(size, huge)
}

// search goes through up to n matches in s, all if n is negative, and charges for what that reads. visit is told of each.
func (p *pattern) search(s string, n int, visit func(length int) error) error {
	per := p.perFind + min(p.perRune*int64(len(s))/64, 256) // a short text is marked as visited, which is undone each time
	for pos := 0; pos <= len(s) && n != 0; n-- {
		if err := p.engine.charge("", per); err != nil {
			return err
		}
		start, end, err := p.next(s, pos)
		if err != nil || start < 0 {
			return err
		}
		if err := visit(end - start); err != nil {
			return err
		}
		pos = max(end, pos+width(s, pos))
	}
	return nil
}

// next finds the first match in s from pos on, or -1.
func (p *pattern) next(s string, pos int) (start, end int, err error) {
	re, skip := p.re, 0
	if pos > 0 {
		_, back := utf8.DecodeLastRuneInString(s[:pos])
		re, skip, pos = p.after, 2, pos-back
	}
	r := &meteredReader{Reader: strings.NewReader(s[pos:]), pattern: p}
	loc := re.FindReaderSubmatchIndex(r)
	if r.err != nil {
		return -1, -1, r.err
	}
	if loc == nil {
		return -1, -1, nil
	}
	return pos + loc[skip], pos + loc[skip+1], nil
}

func width(s string, pos int) int {
	_, n := utf8.DecodeRuneInString(s[pos:])
	return max(n, 1)
}

// meteredReader ends when the budget does.
type meteredReader struct {
	*strings.Reader
	pattern *pattern
	err     error
}

// ReadRune reads a character and pays for matching it.
func (r *meteredReader) ReadRune() (ch rune, size int, err error) {
	if r.err == nil {
		r.err = r.pattern.engine.charge("", r.pattern.perRune)
	}
	if r.err != nil {
		return 0, 0, io.EOF
	}
	return r.Reader.ReadRune()
}

// found searches s for expr and returns the expression, for a call that will do the same once more.
func (e *Engine) found(expr, s string, n int, each func(length int) bill) (*regexp.Regexp, error) {
	p, err := e.compile(expr)
	if err != nil {
		return nil, err
	}
	size := int64(len(s))
	err = p.search(s, n, func(length int) error {
		b := each(length)
		if size = min(size+b.size, huge); size > maxValue {
			return e.stop(&problem{kind: tooLarge})
		}
		return e.charge("", b.work)
	})
	return p.re, err
}

// matched is the bill of a match that is returned as a part of the text.
func matched(int) bill { return bill{work: 4 * itemWork} }

func (e *Engine) regexMatch(expr, s string) (bool, error) {
	re, err := e.found(expr, s, 1, matched)
	if err != nil {
		return false, err
	}
	return re.MatchString(s), nil
}

func (e *Engine) regexFind(expr, s string) (string, error) {
	re, err := e.found(expr, s, 1, matched)
	if err != nil {
		return "", err
	}
	return re.FindString(s), nil
}

func (e *Engine) regexFindAll(expr, s string, n int) ([]string, error) {
	re, err := e.found(expr, s, n, matched)
	if err != nil {
		return nil, err
	}
	return re.FindAllString(s, n), nil
}

func (e *Engine) regexSplit(expr, s string, n int) ([]string, error) {
	re, err := e.found(expr, s, n, matched)
	if err != nil {
		return nil, err
	}
	return re.Split(s, n), nil
}

func (e *Engine) regexReplaceAll(expr, s, repl string) (string, error) {
	groups := int64(strings.Count(repl, "$"))
	re, err := e.found(expr, s, -1, func(length int) bill {
		size := int64(len(repl)) + mul(groups, int64(length))
		return bill{work: size, size: size}
	})
	if err != nil {
		return "", err
	}
	return re.ReplaceAllString(s, repl), nil
}

func (e *Engine) regexReplaceAllLiteral(expr, s, repl string) (string, error) {
	re, err := e.found(expr, s, -1, func(int) bill { return bill{work: int64(len(repl)), size: int64(len(repl))} })
	if err != nil {
		return "", err
	}
	return re.ReplaceAllLiteralString(s, repl), nil
}

// expressions are the functions over regular expressions. Those without must fail as well if there is no such expression, but
// for regexMatch, which does not match then.
func (e *Engine) expressions() template.FuncMap {
	match := func(expr, s string) bool {
		ok, _ := e.regexMatch(expr, s) // what the Engine stops at, it knows
		return ok
	}
	return template.FuncMap{
		"regexMatch": match, "mustRegexMatch": e.regexMatch,
		"regexFind": e.regexFind, "mustRegexFind": e.regexFind,
		"regexFindAll": e.regexFindAll, "mustRegexFindAll": e.regexFindAll,
		"regexSplit": e.regexSplit, "mustRegexSplit": e.regexSplit,
		"regexReplaceAll": e.regexReplaceAll, "mustRegexReplaceAll": e.regexReplaceAll,
		"regexReplaceAllLiteral": e.regexReplaceAllLiteral, "mustRegexReplaceAllLiteral": e.regexReplaceAllLiteral,
	}
}
