// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	"github.com/lockstep-secrets/lockstep/backend"
)

// kind is what is wrong with a template.
type kind int

const (
	cannotRender kind = iota // none of the others
	badSyntax
	unknownFunction
	missingKey
	functionFailed
	wrongArgument
	noSuchTemplate
	cannotPrint
	tooMuchWork
	tooLarge
	tooNested
)

// problem is what stops a template.
type problem struct {
	kind kind
	name string // of the function or the key, from the text of the template
	line int    // or 0
}

// Error says nothing of the values at hand.
func (p *problem) Error() string {
	of := ""
	if p.name != "" && p.kind != unknownFunction && p.kind != missingKey {
		of = fmt.Sprintf("function %q: ", p.name)
	}
	switch p.kind {
	case badSyntax:
		return "not a valid template"
	case unknownFunction:
		return fmt.Sprintf("unknown function %q", p.name)
	case missingKey:
		return fmt.Sprintf("no key %q in the data", p.name)
	case functionFailed:
		return fmt.Sprintf("function %q failed", p.name)
	case wrongArgument:
		return "wrong number or type of arguments"
	case noSuchTemplate:
		return "uses a template that is not defined"
	case cannotPrint:
		return "a value that cannot be printed"
	case tooMuchWork:
		return of + "too much work"
	case tooLarge:
		return of + "too large"
	case tooNested:
		return of + "nested too deeply"
	}
	return "cannot be rendered"
}

// placeName stands for the name of the template in text/template's errors: a name of the user's may look like a place.
const placeName = "t"

var (
	place      = regexp.MustCompile(`^template: ` + placeName + `:([0-9]+):`)
	noKey      = regexp.MustCompile(`(?:map has no entry for|nil data; no entry for) key "([^"]*)"$`)
	calling    = regexp.MustCompile(`: error calling ([a-z]+): `)
	argument   = regexp.MustCompile(`>: (?:wrong number of args for |wrong type for value; |invalid value; |expected |cannot assign nil )`)
	notDefined = regexp.MustCompile(`>: template "[^"]*" not defined$`)
)

// report makes the *backend.Error for what went wrong. Of cause, which may quote secrets, it takes the line, and names that
// the text of the template has as well.
func (e *Engine) report(name string, seen *rewriter, cause error) error {
	p := e.problem
	if p == nil {
		p = &problem{}
	}
	text := ""
	if cause != nil {
		text = cause.Error()
	}
	if m := place.FindStringSubmatch(text); m != nil && p.line == 0 {
		p.line, _ = strconv.Atoi(m[1])
	}
	var exec template.ExecError
	if p.kind == cannotRender && errors.As(cause, &exec) {
		p.kind, p.name = classify(text, seen)
	}
	at := ""
	if p.line > 0 {
		at = fmt.Sprintf(", line %d", p.line)
	}
	return backend.Errorf(backend.InvalidRef, "template %s%s: %s", label(name), at, p.Error())
}

func classify(text string, seen *rewriter) (kind, string) {
	if m := noKey.FindStringSubmatch(text); m != nil && seen.fields[m[1]] {
		return missingKey, m[1]
	}
	if m := calling.FindStringSubmatch(text); m != nil && builtins[m[1]] {
		return functionFailed, m[1]
	}
	if argument.MatchString(text) {
		return wrongArgument, ""
	}
	if notDefined.MatchString(text) {
		return noSuchTemplate, ""
	}
	return cannotRender, ""
}

// label quotes the name of a template. A name that is none, such as a whole text, is left out.
func label(name string) string {
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '{' }) {
		return "without a name"
	}
	return strconv.Quote(name)
}

// lineOf is the line that a parser's error names, or 0.
func lineOf(err error, name string) int {
	rest, ok := strings.CutPrefix(err.Error(), "template: "+name+":")
	if !ok {
		return 0
	}
	digits, _, _ := strings.Cut(rest, ":")
	line, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return line
}
