// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// The JSON paths of External Secrets Operator are those of the module
// github.com/PaesslerAG/jsonpath:
//
//	$  .name  ['name']  [0]  [1,2]  [1:3:2]  .*  [*]  ..name  [?(@.name == 'x')]
//
// They are evaluated here because a path is a template, so that whoever writes
// a manifest may write a part of it, and because the module visits the members
// of objects in a random order, has no bound on its work ($[0,0][0,0]… doubles
// with each pair), and rounds numbers. Members are visited in the order of
// their names here. Otherwise a path gives the same, but for one without $ whose
// name is not there: that is an error here, and an empty value there.

// maxSteps bounds the work of one path, in values that are looked at.
const maxSteps = 4 * maxValues

// jsonPath is a path, which begins at the document or, in a filter, at the
// value that is looked at.
type jsonPath struct {
	current bool
	parts   []part
}

// part takes one value to others.
type part struct {
	kind partKind
	keys []operand // of child and union
	span [3]int    // of slice: from, to, step
	test *test     // of filter
}

type partKind int

const (
	child   partKind = iota // one member or element, which has to be there
	union                   // those that are there
	every                   // all of them
	deep                    // the value itself and all below it
	slice                   // elements of a list
	matches                 // those that pass a test
)

// operand is a constant or a path.
type operand struct {
	path  *jsonPath
	value any // string, bool or json.Number
}

// test compares two operands, or looks at the first alone where there is no
// operator.
type test struct {
	left, right operand
	operator    string // "", "==", "!="
}

// What goes wrong. None of it says anything about the document.
var (
	errNotThere = errors.New("there is no such member or element")
	errTooDeep  = errors.New("the path takes too much work")
)

// walk is one evaluation.
type walk struct {
	root any
	left int // steps
}

// find returns what the path leads to. A path that may lead to several values
// gives a list of them, which may be empty.
func (p jsonPath) find(doc any) (any, error) {
	w := &walk{root: doc, left: maxSteps}
	return w.follow(p, doc)
}

func (w *walk) follow(p jsonPath, current any) (any, error) {
	values, many := []any{w.root}, false
	if p.current {
		values[0] = current
	}
	for _, part := range p.parts {
		several := part.kind != child
		var next []any
		for _, v := range values {
			found, err := w.take(part, v)
			if errors.Is(err, errTooDeep) || err != nil && !many && !several {
				return nil, err
			}
			next = append(next, found...)
		}
		values, many = next, many || several
	}
	if !many {
		return values[0], nil
	}
	return slices.Concat([]any{}, values), nil
}

// spend counts values that are looked at.
func (w *walk) spend(n int) error {
	if w.left -= n; w.left < 0 {
		return errTooDeep
	}
	return nil
}

// take returns what one part makes of one value.
func (w *walk) take(p part, v any) ([]any, error) {
	if err := w.spend(1); err != nil {
		return nil, err
	}
	switch p.kind {
	case child, union:
		return w.pick(p.keys, v)
	case every:
		all := below(v)
		return all, w.spend(len(all))
	case deep:
		return w.all(v, nil)
	case slice:
		return w.cut(p.span, v)
	default:
		return w.filter(*p.test, v)
	}
}

// pick returns the members or elements with these keys. The error is that of
// the last one that is not there.
func (w *walk) pick(keys []operand, v any) (out []any, missing error) {
	for _, k := range keys {
		key, err := w.value(k, v)
		if err == nil {
			err = w.spend(1)
		}
		if errors.Is(err, errTooDeep) {
			return nil, err
		}
		one, there := member(v, key)
		if err != nil || !there {
			missing = errNotThere
			continue
		}
		out = append(out, one)
	}
	return out, missing
}

// member returns one member of an object, or one element of a list.
func member(v, key any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		one, ok := v[fmt.Sprint(key)]
		return one, ok
	case []any:
		f, err := strconv.ParseFloat(fmt.Sprint(key), 64)
		if i := int(f); err == nil && f >= 0 && f < float64(len(v)) {
			return v[i], true
		}
	}
	return nil, false
}

// below returns the members of an object by their names, or the elements of a
// list.
func below(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		out := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, v[name])
		}
		return out
	}
	return nil
}

// all appends a value and everything below it.
func (w *walk) all(v any, out []any) ([]any, error) {
	if err := w.spend(1); err != nil {
		return nil, err
	}
	out = append(out, v)
	for _, one := range below(v) {
		var err error
		if out, err = w.all(one, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cut returns a part of a list. Positions below zero count from its end; with a
// step below zero it comes backwards.
func (w *walk) cut(span [3]int, v any) (out []any, err error) {
	list, ok := v.([]any)
	from, to, step := span[0], span[1], span[2]
	if !ok || from > to {
		return nil, nil
	}
	from, to = within(from, len(list)), within(to, len(list))
	if step == 0 {
		step = 1
	}
	if step > 0 {
		for i := from; i < to; i += step {
			out = append(out, list[i])
		}
	} else {
		for i := to - 1; i >= from; i += step {
			out = append(out, list[i])
		}
	}
	return out, w.spend(len(out))
}

func within(i, size int) int {
	if i < 0 {
		i = max(0, size+i)
	}
	return min(i, size)
}

// filter returns what passes a test. What the test cannot be made on does not.
func (w *walk) filter(t test, v any) (out []any, err error) {
	for _, one := range below(v) {
		if err := w.spend(1); err != nil {
			return nil, err
		}
		ok, err := w.passes(t, one)
		if errors.Is(err, errTooDeep) {
			return nil, err
		}
		if err == nil && ok {
			out = append(out, one)
		}
	}
	return out, nil
}

func (w *walk) passes(t test, v any) (bool, error) {
	left, err := w.value(t.left, v)
	if err != nil {
		return false, err
	}
	if t.operator == "" {
		return truth(left), nil
	}
	right, err := w.value(t.right, v)
	if err != nil {
		return false, err
	}
	return w.equal(left, right) == (t.operator == "=="), w.spend(1)
}

func (w *walk) value(o operand, current any) (any, error) {
	if o.path == nil {
		return o.value, nil
	}
	return w.follow(*o.path, current)
}

// equal compares numbers by what they are worth, and other things as they are.
// Lists and objects cost what is in them.
func (w *walk) equal(a, b any) bool {
	x, isNumber := a.(json.Number)
	y, both := b.(json.Number)
	if !isNumber || !both {
		w.left -= size(a)
		return w.left >= 0 && reflect.DeepEqual(a, b)
	}
	f, err := x.Float64()
	g, wrong := y.Float64()
	return err == nil && wrong == nil && f == g
}

// size is the number of values in a value.
func size(v any) int {
	n := 1
	for _, one := range below(v) {
		n += size(one)
	}
	return n
}

// truth is what a filter without an operator goes by.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		yes, err := strconv.ParseFloat(v, 64)
		return v == "true" || v == "TRUE" || err == nil && yes != 0
	case json.Number:
		f, err := v.Float64()
		return err == nil && f != 0
	}
	return false
}
