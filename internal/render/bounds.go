// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// What one Secret may cost. A property is written by a tenant, its document by
// whoever fills the store, and GJSON has expressions whose result is many
// times their document: [@this,@this] doubles, and pipes into itself.
const (
	maxPath     = 4096     // bytes of a property
	maxExpanded = 16 << 20 // bytes that one expression may make of its document
	maxNesting  = 10000    // levels that the library may recurse into, as encoding/json
	maxWork     = 1 << 30  // bytes that all expressions of a Secret may go through
	parseCost   = 16       // times the size of a document, to parse it
	validCost   = 8        // times the size of a document, to see whether it is JSON
)

// The reasons to refuse; they follow on the name of what is refused.
var (
	errTooLarge  = errors.New("is too large to be read as JSON: at most 4194304 bytes")
	errTooDeep   = errors.New("is nested too deeply")
	errTooMuch   = errors.New("would take too much work")
	errTooLong   = errors.New("is too long: at most 4096 bytes")
	errExpansion = errors.New("would make too much of the value")
)

// budget is the work spent so far.
type budget float64

func (w *budget) spend(bytes float64) error {
	if *w += budget(bytes); *w > maxWork {
		return errTooMuch
	}
	return nil
}

// document spends what parsing doc takes.
func (w *budget) document(doc []byte) error {
	if len(doc) > maxDocument {
		return errTooLarge
	}
	return w.spend(float64(len(doc)) * parseCost)
}

// valid spends what seeing whether doc is JSON takes.
func (w *budget) valid(doc []byte) error { return w.spend(float64(len(doc)) * validCost) }

// path spends what looking path up in doc takes, or refuses.
func (w *budget) path(doc []byte, path string) error {
	if len(path) > maxPath {
		return errTooLong
	}
	if len(doc) > maxDocument {
		return errTooLarge
	}
	size := float64(len(doc) + len(path))
	if strings.ContainsAny(path, "@[{(|*?!") {
		times, err := expansion(doc, path)
		if err != nil {
			return err
		}
		if strings.ContainsAny(path, "[{!") && strings.Contains(path, "#") {
			size += float64(elements(doc, path) * len(path)) // names and literals for each
		}
		if size *= times; size > maxExpanded {
			return errExpansion
		}
		if err := w.valid(doc); err != nil {
			return err
		}
		size *= float64(1 + strings.Count(path, ".") + strings.Count(path, "|"))
		if strings.ContainsAny(path, "*?") {
			size *= 64
		}
	}
	return w.spend(size)
}

// expansion is an upper bound of how many times its document an expression
// makes. It counts and does not parse, so that no quoting can deceive it.
func expansion(doc []byte, path string) (float64, error) {
	groups := float64(strings.Count(path, "[") + strings.Count(path, "{"))
	times := 1.0
	if groups > 0 {
		// A group makes one result for each of its parts, and groups in or after
		// each other multiply: most with the parts spread evenly.
		times = math.Pow(1+float64(strings.Count(path, ","))/groups, groups)
	}
	if !strings.Contains(path, "@") {
		return times, nil
	}
	depth, longest := shape(doc)
	if strings.Contains(path, "@fromstr") || !json.Valid(doc) {
		// Brackets may be in texts, or come out of escapes.
		depth = bytes.Count(doc, []byte("[")) + bytes.Count(doc, []byte("{")) + bytes.Count(doc, []byte(`\u`))
		longest = len(doc)
	}
	if depth > maxNesting {
		return 0, errTooDeep
	}
	depth += int(groups)
	indent := 2
	if strings.Contains(path, "@pretty:") {
		indent = len(path) // which may be an argument
	}
	factors := map[string]float64{
		"@tostr":  6,
		"@pretty": float64(2 + indent*(1+depth)),
		"@dig":    float64(1 + depth),
		"@group":  float64(1 + longest + len(path)),
	}
	for modifier, factor := range factors {
		times *= math.Pow(factor, float64(strings.Count(path, modifier)))
	}
	return times, nil
}

// elements is an upper bound of the elements of all arrays of a document.
func elements(doc []byte, path string) int {
	if strings.Contains(path, "..") {
		return len(doc) // lines are elements too
	}
	return 1 + bytes.Count(doc, []byte(",")) + bytes.Count(doc, []byte(`\u`))
}

// shape returns how deep a document is nested, and the length of its longest
// text.
func shape(doc []byte) (depth, longest int) {
	level, start, quoted := 0, 0, false
	for i := 0; i < len(doc); i++ {
		switch b := doc[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			if quoted {
				longest = max(longest, i-start)
			}
			quoted, start = !quoted, i
		case quoted:
		case b == '[' || b == '{':
			level++
			depth = max(depth, level)
		case b == ']' || b == '}':
			level--
		}
	}
	return depth, longest
}
