// SPDX-License-Identifier: Apache-2.0

package gotemplate

import "reflect"

// wrap returns the function of the list as templates call it: paid for, bounded, and with an error as its second result.
func (e *Engine) wrap(name string) any {
	r := rules[name]
	fn := reflect.ValueOf(e.implementation(name))
	t := fn.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	outer := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(outer, func(args []reflect.Value) []reflect.Value {
		out, err := e.invoke(name, fn, r, args)
		if err != nil {
			return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		return []reflect.Value{out, reflect.Zero(errorType)}
	}).Interface()
}

// implementation is the function itself: ours, or the library's.
func (e *Engine) implementation(name string) any {
	if fn, ok := e.ours[name]; ok {
		return fn
	}
	return e.library[name]
}

// invoke pays for a call, makes it, and looks at the result. A panic is a failure like any other; its text is dropped.
func (e *Engine) invoke(name string, fn reflect.Value, r rule, args []reflect.Value) (out reflect.Value, err error) {
	defer func() {
		if recover() != nil {
			out, err = reflect.Value{}, e.stop(&problem{kind: functionFailed, name: name})
		}
	}()
	if err := e.before(name, r, args); err != nil {
		return reflect.Value{}, err
	}
	call := fn.Call
	if fn.Type().IsVariadic() {
		call = fn.CallSlice
	}
	results := call(args)
	if len(results) > 1 && !results[1].IsNil() {
		return reflect.Value{}, e.stop(&problem{kind: functionFailed, name: name})
	}
	if e.problem != nil { // met inside, by a function that has no error to return
		return reflect.Value{}, e.problem
	}
	if r.passes {
		return results[0], nil
	}
	size := shallow(results[0])
	if size > maxValue {
		return reflect.Value{}, e.stop(&problem{kind: tooLarge, name: name})
	}
	return results[0], e.charge(name, size)
}

// before pays for the arguments, and for what the function is known to make of them.
func (e *Engine) before(name string, r rule, args []reflect.Value) error {
	work := int64(callWork)
	if r.deep {
		x := measure(args...)
		if x.deepest > maxDepth {
			return e.stop(&problem{kind: tooNested, name: name})
		}
		work += x.work(max(r.weight, 1))
	}
	for _, a := range args {
		switch {
		case r.deep:
		case a.Kind() == reflect.Slice && a.Type().Elem().Kind() == reflect.Interface: // the variadic ones
			work += shallow(a)
			for i := 0; i < a.Len() && !r.holds; i++ {
				work += mul(shallow(a.Index(i)), max(r.weight, 1))
			}
		case !r.holds || a.Kind() == reflect.String:
			work += mul(shallow(a), max(r.weight, 1))
		}
	}
	if err := e.charge(name, work); err != nil {
		return err
	}
	if r.guard == nil {
		return nil
	}
	return e.admit(name, r.guard(e, args))
}
