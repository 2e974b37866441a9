// SPDX-License-Identifier: Apache-2.0

package gotemplate

import "strings"

// shape is what a template's text will demand of the parser, which recurses and keeps a node for every few bytes.
type shape struct {
	actions int // how many
	inside  int // bytes between delimiters
	nesting int // blocks inside each other; an "else if" is one inside the one before
	parens  int // parentheses inside each other
}

// What a byte of an action and an action may become in the tree, and again when it is rewritten.
const (
	insideWork = 48
	actionWork = 768
)

func (s shape) cost() int64 { return int64(s.actions)*actionWork + int64(s.inside)*insideWork }

// scan measures text without a tree. On text that the parser will refuse, it may be wrong after the place of the mistake.
func scan(text string) shape {
	var s shape
	var open []int // for each open block, how deep its chain of else-ifs is
	nesting := 0
	for {
		i := strings.Index(text, leftDelimiter)
		if i < 0 {
			return s
		}
		text = text[i+len(leftDelimiter):]
		n, parens := action(text)
		s.actions++
		s.inside += n
		s.parens = max(s.parens, parens)
		switch first, second := words(text[:n]); first {
		case "if", "with", "range", "block", "define":
			open = append(open, 1)
			nesting++
		case "else":
			if len(open) > 0 && (second == "if" || second == "with") {
				open[len(open)-1]++
				nesting++
			}
		case "end":
			if len(open) > 0 {
				nesting -= open[len(open)-1]
				open = open[:len(open)-1]
			}
		}
		s.nesting = max(s.nesting, nesting)
		text = text[n:]
	}
}

// action returns how long the action is that text begins with, without its end, and how deep its parentheses are. Quotes are
// looked into as the lexer does: a delimiter between them is none.
func action(text string) (length, deepest int) {
	body := text
	if len(text) > 1 && text[0] == '-' && strings.IndexByte(" \t\r\n", text[1]) >= 0 {
		body = text[2:]
	}
	if strings.HasPrefix(body, "/*") {
		if end := strings.Index(body, "*/"); end >= 0 {
			return len(text) - len(body) + end + 2, 0
		}
		return len(text), 0
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '}':
			if strings.HasPrefix(text[i:], rightDelimiter) {
				return i, deepest
			}
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			depth--
		case '`':
			end := strings.IndexByte(text[i+1:], '`')
			if end < 0 {
				return len(text), deepest
			}
			i += end + 1
		case '"', '\'':
			i += quoted(text[i:])
		}
	}
	return len(text), deepest
}

// quoted returns where the closing quote of text is, which begins with the opening one.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i
		}
	}
	return len(text)
}

// words returns the first two words of an action.
func words(action string) (first, second string) {
	rest := strings.TrimLeft(action, "- \t\r\n")
	first, rest = word(rest)
	second, _ = word(strings.TrimLeft(rest, " \t\r\n"))
	return first, second
}

func word(s string) (w, rest string) {
	i := 0
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z') {
		i++
	}
	return s[:i], s[i:]
}
