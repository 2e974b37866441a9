// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// number returns a JSON number in decimal as a double is written where that is
// the same number, and as it stands where a double would lose digits.
func number(raw string) string {
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		return raw
	}
	if s := strconv.FormatFloat(f, 'f', -1, 64); sameNumber(s, raw) {
		return s
	}
	return raw
}

// sameNumber reports whether two decimals are the same number.
func sameNumber(a, b string) bool {
	da, ea, oka := decimal(a)
	db, eb, okb := decimal(b)
	return oka && okb && da == db && ea == eb
}

// decimal splits a number into digits without zeros at either end, signed, and
// the exponent of the last of them. It takes no memory for large exponents.
func decimal(s string) (digits string, exponent int, ok bool) {
	sign := ""
	if rest, minus := strings.CutPrefix(s, "-"); minus {
		sign, s = "-", rest
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > 1<<20 || n < -1<<20 {
			return "", 0, false
		}
		s, exponent = s[:i], n
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return "", 0, true // zero, of either sign
	}
	return sign + trimmed, exponent + len(digits) - len(trimmed), true
}

// exact returns a JSON document as Go holds it, with the numbers of it as
// encoding/json writes doubles, and as they stand where a double would lose
// digits.
func exact(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return exactNumbers(v), nil
}

func exactNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v
		}
		if b, err := json.Marshal(f); err == nil && sameNumber(string(b), v.String()) {
			return json.Number(b)
		}
		return v
	case map[string]any:
		for name, member := range v {
			v[name] = exactNumbers(member)
		}
	case []any:
		for i, element := range v {
			v[i] = exactNumbers(element)
		}
	}
	return v
}
