// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Guards say what a call will cost before it is made. They are needed where a result is larger than the arguments, or the work
// is more than in proportion to them. An argument of another type than expected is text/template's to refuse; it did before.

// fixed is a cost that does not depend on the arguments.
func fixed(work int64) guard {
	return func(*Engine, []reflect.Value) bill { return bill{work: work} }
}

// repeated: count and text.
func repeated(_ *Engine, in []reflect.Value) bill {
	return bill{size: mul(in[0].Int(), int64(in[1].Len()))}
}

// indented: spaces and text.
func indented(_ *Engine, in []reflect.Value) bill {
	lines := 1 + int64(strings.Count(in[1].String(), "\n"))
	size := mul(in[0].Int(), lines) + int64(in[1].Len())
	return bill{work: size, size: size}
}

// replaced: old, new and text.
func replaced(_ *Engine, in []reflect.Value) bill {
	n := int64(strings.Count(in[2].String(), in[0].String()))
	return bill{work: n * 4, size: mul(n, int64(in[1].Len()))}
}

// trimmed: characters and text. Each end of the text is looked for among the characters, which is quick for ASCII only.
func trimmed(_ *Engine, in []reflect.Value) bill {
	set := in[0].String()
	for i := range len(set) {
		if set[i] >= utf8.RuneSelf {
			return bill{work: mul(int64(len(set)), int64(in[1].Len()))}
		}
	}
	return bill{}
}

// wrapped: width, then the text between lines for wrapWith, and text.
func wrapped(_ *Engine, in []reflect.Value) bill {
	text, width, between := in[len(in)-1], max(in[0].Int(), 1), int64(1)
	if len(in) == 3 {
		between = max(int64(in[1].Len()), 1)
	}
	lines := min(2*int64(text.Len())/width+2, int64(text.Len()))
	size := int64(text.Len()) + mul(lines, between)
	return bill{work: 2*size + lines*16, size: size}
}

// random: count. Each character is drawn from the system's source until it fits.
func random(_ *Engine, in []reflect.Value) bill {
	return bill{work: mul(in[0].Int(), 96), size: max(in[0].Int(), 0)}
}

// randomDigits draws nine times as often.
func randomDigits(_ *Engine, in []reflect.Value) bill {
	return bill{work: mul(in[0].Int(), 640), size: max(in[0].Int(), 0)}
}

// appended: a list, which is copied, and copied again to make room.
func appended(_ *Engine, in []reflect.Value) bill { return bill{work: 2 * shallow(in[0])} }

func randomBytes(_ *Engine, in []reflect.Value) bill {
	n := max(in[0].Int(), 0)
	return bill{work: 2 * min(n, huge), size: min(n, huge) / 3 * 4}
}

// texts is for what prints its arguments.
func texts(_ *Engine, in []reflect.Value) bill {
	x := measure(in...)
	return bill{work: x.text(), size: x.text()}
}

// quotes is for what quotes or escapes them as well. Its size is the worst, which text in any alphabet but ours nearly
// reaches in some of the functions; so twice a value's bound is let pass, and the result is looked at.
func quotes(_ *Engine, in []reflect.Value) bill {
	size := measure(in...).quoted()
	return bill{work: 3 * size, size: size / 2}
}

// keyed: keys and values in turn. A key that is no string is printed.
func keyed(_ *Engine, in []reflect.Value) bill {
	var b bill
	for i := 0; i < in[0].Len(); i += 2 {
		x := measure(in[0].Index(i))
		b.work += x.text() + pairWork
	}
	return b
}

// joined: text between, and a list.
func joined(_ *Engine, in []reflect.Value) bill {
	x := measure(in[1])
	size := x.text() + mul(x.nodes, int64(in[0].Len()))
	return bill{work: size, size: size - 23*x.nodes}
}

func sorted(_ *Engine, in []reflect.Value) bill {
	x := measure(in[0])
	return bill{work: x.text() + mul(x.nodes+x.bytes/16, int64(math.Log2(float64(x.nodes)))*4)}
}

// copied is for what copies values by reflection.
func copied(_ *Engine, in []reflect.Value) bill {
	return bill{work: mul(measure(in...).nodes, 1024)}
}

// pairs is for what compares each element with each other.
func pairs(_ *Engine, in []reflect.Value) bill {
	x := measure(in...)
	n := int64(1)
	for _, v := range in {
		for v.Kind() == reflect.Interface && !v.IsNil() {
			v = v.Elem()
		}
		if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
			n += int64(v.Len())
		}
	}
	return bill{work: mul(n, x.nodes*3+x.bytes/32)}
}

// parts: separator, then a number for splitn, and text.
func parts(each int64) guard {
	return func(_ *Engine, in []reflect.Value) bill {
		text := in[len(in)-1].String()
		n := int64(strings.Count(text, in[0].String())) + 1
		if len(in) == 3 && in[1].Int() >= 0 {
			n = min(n, in[1].Int())
		}
		return bill{work: n * 48, size: n * each}
	}
}

// decimals: numbers. The digits of a product are all kept until its end.
func decimals(_ *Engine, in []reflect.Value) bill {
	n := int64(1)
	if last := in[len(in)-1]; last.Kind() == reflect.Slice {
		n += int64(last.Len())
	}
	return bill{work: mul(n, n*512) + 2048}
}

// sequence: the numbers of seq, until and untilStep. A step over the end of the integers would begin at the other end again.
func sequence(_ *Engine, in []reflect.Value) bill {
	var nums []int64
	if in[0].Kind() == reflect.Slice {
		for i := range in[0].Len() {
			nums = append(nums, in[0].Index(i).Int())
		}
	} else {
		for _, v := range in {
			nums = append(nums, v.Int())
		}
	}
	start, stop, step := int64(0), int64(0), int64(1)
	switch {
	case len(nums) == 1:
		stop = nums[0]
	case len(nums) == 2:
		start, stop = nums[0], nums[1]
	case len(nums) == 3 && in[0].Kind() == reflect.Slice: // seq has its step in the middle
		start, step, stop = nums[0], nums[1], nums[2]
	case len(nums) == 3:
		start, stop, step = nums[0], nums[1], nums[2]
	}
	const edge = int64(1) << 61
	for _, n := range nums {
		if n > edge || n < -edge {
			return bill{size: huge}
		}
	}
	distance := max(stop-start, start-stop)
	count := distance/max(step, -step, 1) + 2
	each := int64(32)
	if in[0].Kind() == reflect.Slice { // seq prints them
		each = 128
	}
	return bill{work: mul(count, each), size: mul(count, 8)}
}

// versions: for semverCompare constraints come first. Both are read with regular expressions.
func versions(_ *Engine, in []reflect.Value) bill {
	b := bill{}
	for _, v := range in {
		if v.Len() > maxVersion {
			return bill{size: huge}
		}
		b.work += 2048 + 256*int64(v.Len())
	}
	return b
}

// maxVersion is the length of a version or of a list of constraints.
const maxVersion = 1024
