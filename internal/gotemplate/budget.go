// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"fmt"
	"reflect"
)

// A unit of work stands for one byte that is allocated, or for some 20 ns, whichever is more. What a thing costs was measured
// (BenchmarkFunctions), and rounded up.
const (
	nodeWork = 96  // of a node of a template's tree, each time its body is run
	callWork = 256 // of calling a function
	itemWork = 16  // of an element of a list
	pairWork = 96  // of an entry of a map
	walkWork = 32  // of a value met on a walk
)

// charge takes work from the budget, or stops the template if there is not so much left. fn is the function it is for, or "".
func (e *Engine) charge(fn string, work int64) error {
	if work < 0 || work > e.left {
		return e.stop(&problem{kind: tooMuchWork, name: fn})
	}
	e.left -= work
	return nil
}

// stop records p, if it is the first, and returns it.
func (e *Engine) stop(p *problem) error {
	if e.problem == nil {
		e.problem = p
	}
	return e.problem
}

// tick pays for one run of a body.
func (e *Engine) tick(work int64) (string, error) { return "", e.charge("", work) }

// enter is at the beginning of each template, leave at its end.
func (e *Engine) enter(work int64) (string, error) {
	if e.depth++; e.depth > maxTemplates {
		return "", e.stop(&problem{kind: tooNested})
	}
	return e.tick(work)
}

func (e *Engine) leave() string {
	e.depth--
	return ""
}

// loop sees what a range goes over. certain is the least that an iteration costs: a loop that cannot be paid for to its end
// is not begun, so that an hour of iterations, or the generation of a thousand keys, ends before the first.
func (e *Engine) loop(certain int64, v any) (any, error) {
	val, n := reflect.ValueOf(v), int64(0)
	for val.Kind() == reflect.Pointer && !val.IsNil() {
		val = val.Elem()
	}
	switch {
	case val.CanInt():
		n = val.Int()
	case val.CanUint():
		n = min(int64(val.Uint()>>1), huge) // half is far more than can be paid for
	case val.Kind() == reflect.Map:
		n = int64(val.Len())
		if err := e.charge("", mul(n, pairWork)); err != nil { // its keys are sorted first
			return nil, err
		}
	case val.Kind() == reflect.Slice:
		n = int64(val.Len())
	}
	if mul(n, certain) > e.left {
		return nil, e.stop(&problem{kind: tooMuchWork})
	}
	return v, nil
}

// operand pays for a value that a comparison or an index looks at.
func (e *Engine) operand(v any) (any, error) {
	return v, e.charge("", callWork+shallow(reflect.ValueOf(v)))
}

// methodArg refuses large arguments to methods: what those make of them is not seen by the Engine.
func (e *Engine) methodArg(v any) (any, error) {
	size := shallow(reflect.ValueOf(v))
	if size > maxMethodArg {
		return nil, e.stop(&problem{kind: tooLarge})
	}
	return v, e.charge("", callWork+size)
}

// print makes v the text that text/template would print, after looking how long that will be.
func (e *Engine) print(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, e.charge("", callWork+int64(len(s)))
	}
	val := reflect.ValueOf(v)
	for val.Kind() == reflect.Pointer && !val.IsNil() {
		val = val.Elem()
	}
	if !val.IsValid() || val.Kind() == reflect.Pointer {
		return "<no value>", nil
	}
	m := measure(val)
	if err := e.admit("", bill{work: m.work(4), size: m.text()}); err != nil {
		return "", err
	}
	switch t := val.Type(); {
	case val.Kind() == reflect.Func || val.Kind() == reflect.Chan:
		return "", e.stop(&problem{kind: cannotPrint})
	case !t.Implements(stringer) && val.CanAddr() && reflect.PointerTo(t).Implements(stringer):
		val = val.Addr() // a *time.Location has a name, a time.Location has not
	}
	return fmt.Sprint(val.Interface()), nil
}

// bill is what a call will cost: work, and the size of what it returns.
type bill struct{ work, size int64 }

// admit charges for b, or stops the template if it is too large.
func (e *Engine) admit(fn string, b bill) error {
	if b.size > maxValue {
		return e.stop(&problem{kind: tooLarge, name: fn})
	}
	return e.charge(fn, min(b.work, huge)+b.size)
}

// mul is the product of two sizes, or huge.
func mul(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > huge/b {
		return huge
	}
	return a * b
}
