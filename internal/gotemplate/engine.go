// SPDX-License-Identifier: Apache-2.0

// Package gotemplate renders the Go templates of External Secrets Operator's engine v2: text/template over the keys of one
// Secret, with an allow-list of functions, and with bounds, for the author of a template is not trusted.
//
// It is a pure package: no goroutine, no context, no clock for its bounds. What ends an endless loop is a budget of work that
// all templates of a Secret share; the same template and data always spend the same. It does not choose which templates are
// rendered or what becomes of the result; that is package render's.
//
// The text is parsed, then its tree is rewritten (tree.go) so that each iteration, call, printed value and operand is paid for
// before it costs anything. rules.go is the list of functions with what each may cost; budget.go says what a unit of work is.
package gotemplate

import (
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/Masterminds/sprig/v3"
)

// What one Secret may cost. The work is spent in well under a second on a slow machine; no single bound is near what a
// Secret (1 MiB) can use.
const (
	budget         = 32 << 20       // units of work for all templates of an Engine; about as many bytes are allocated
	maxText        = 1 << 20        // bytes of a template
	maxOutput      = 1<<20 + 64<<10 // bytes that a template renders to
	maxValue       = 4 << 20        // bytes of any value in between
	maxTemplates   = 100            // templates that call each other
	maxNesting     = 500            // blocks and else-ifs inside each other
	maxParens      = 100            // parentheses inside each other
	maxMethodArg   = 4 << 10        // bytes of an argument to a method, which may be called without the Engine seeing it
	huge           = int64(1) << 60 // more than any budget
	leftDelimiter  = "{{"
	rightDelimiter = "}}"
)

// Engine renders the templates of one Secret, which share its budget. It is not for concurrent use, and not for a second
// Secret.
type Engine struct {
	left     int64            // units of work
	depth    int              // templates entered and not left
	derived  bool             // a password was derived, and 32 MiB may wait for the collector
	library  template.FuncMap // sprig's functions, of which rules picks
	ours     template.FuncMap // instead of sprig's, and ESO's own
	wrapped  template.FuncMap
	patterns map[string]*pattern
	problem  *problem // the first thing that went wrong in this template
}

// New returns an Engine with a full budget.
func New() *Engine {
	return &Engine{left: budget, wrapped: template.FuncMap{}, patterns: map[string]*pattern{}}
}

// prepare makes the functions, which most Secrets do without.
func (e *Engine) prepare() {
	if e.library != nil {
		return
	}
	e.library = sprig.TxtFuncMap()
	e.ours = e.own()
}

// Execute renders text with data as dot. name is what {{template}} can call it by, and what messages call it. A key that data
// does not have is an error.
//
// Errors are *backend.Error with code InvalidRef. Their messages hold names from the template and nothing else: no value, and
// no text of a parser or a function, for those quote what they were given.
func (e *Engine) Execute(name, text string, data map[string]string) (string, error) {
	return e.execute(name, text, data)
}

// ExecuteNested is Execute with data of two levels: {{ .group.name }}.
func (e *Engine) ExecuteNested(name, text string, data map[string]map[string]string) (string, error) {
	return e.execute(name, text, data)
}

func (e *Engine) execute(name, text string, data any) (rendered string, err error) {
	e.prepare()
	e.depth, e.problem = 0, nil
	seen := &rewriter{}
	defer func() {
		if r := recover(); r != nil {
			rendered, err = "", e.report(name, seen, nil)
		}
	}()
	trees, err := e.parse(name, text)
	if err != nil {
		return "", e.report(name, seen, err)
	}
	seen.rewrite(e, text, trees)
	if e.problem != nil {
		return "", e.report(name, seen, nil)
	}
	t := template.New(name).Option("missingkey=error").Funcs(e.functions(seen.called))
	for n, tree := range trees {
		tree.ParseName = placeName
		if _, err := t.AddParseTree(n, tree); err != nil {
			return "", e.report(name, seen, err)
		}
	}
	out := &output{engine: e}
	if err := t.Execute(out, data); err != nil || e.problem != nil {
		return "", e.report(name, seen, err)
	}
	return out.String(), nil
}

// parse returns the trees of text by name. Functions are looked for later, where their line is known.
func (e *Engine) parse(name, text string) (map[string]*parse.Tree, error) {
	if len(text) > maxText {
		return nil, e.stop(&problem{kind: tooLarge})
	}
	shape := scan(text)
	if shape.nesting > maxNesting || shape.parens > maxParens {
		return nil, e.stop(&problem{kind: tooNested})
	}
	if err := e.charge("", shape.cost()); err != nil {
		return nil, err
	}
	trees := map[string]*parse.Tree{}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, leftDelimiter, rightDelimiter, trees); err != nil {
		return nil, e.stop(&problem{kind: badSyntax, line: lineOf(err, name)})
	}
	return trees, nil
}

// functions are the called ones, each paid for, and the Engine's own.
func (e *Engine) functions(called map[string]bool) template.FuncMap {
	out := template.FuncMap{
		tickName: e.tick, enterName: e.enter, leaveName: e.leave, rangeName: e.loop,
		printName: e.print, operandName: e.operand, methodName: e.methodArg,
	}
	for name := range called {
		if builtins[name] {
			continue
		}
		if e.wrapped[name] == nil {
			e.wrapped[name] = e.wrap(name)
		}
		out[name] = e.wrapped[name]
	}
	return out
}

// output is where a template writes to.
type output struct {
	strings.Builder
	engine *Engine
}

// Write takes p, or stops the template.
func (o *output) Write(p []byte) (int, error) {
	if o.Len()+len(p) > maxOutput {
		return 0, o.engine.stop(&problem{kind: tooLarge})
	}
	if err := o.engine.charge("", 2*int64(len(p))); err != nil {
		return 0, err
	}
	return o.Builder.Write(p)
}
