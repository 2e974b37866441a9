// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	maxPayload  = 1 << 20
	maxKV       = 512 << 10
	maxMetadata = 10 << 10
	maxLabels   = 30
)

// namePattern is IBM's grammar of secret names (apidocs, create-secret), 2 to 256 characters.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9]$`)

// validate checks a body against the rules of an operation and names the first field that is wrong. A null counts as
// absent. Unknown fields are refused: a stand-in that ignored them would hide a client's mistake.
func validate(body fields, rules []fieldRule, o op, now time.Time) *apiError {
	known := map[string]bool{}
	for _, r := range rules {
		n := r.at(o)
		if n == never {
			continue
		}
		known[r.name] = true
		v, given := body[r.name]
		if !given || v == nil {
			if n == required {
				return errInvalid("/"+r.name, "required")
			}
			continue
		}
		if why := r.check(v, now); why != "" {
			return errInvalid("/"+r.name, why)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !known[name] {
			return errInvalid("/"+name, "unknown or not permitted here")
		}
	}
	return nil
}

func checkText(least, most int) func(any, time.Time) string {
	return func(v any, _ time.Time) string {
		s, ok := v.(string)
		if !ok {
			return "must be a string"
		}
		if n := utf8.RuneCountInString(s); n < least || n > most {
			return fmt.Sprintf("must have %d to %d characters", least, most)
		}
		return ""
	}
}

func checkName(v any, now time.Time) string {
	if why := checkText(2, 256)(v, now); why != "" {
		return why
	}
	if s, _ := v.(string); !namePattern.MatchString(s) {
		return "must match " + namePattern.String()
	}
	return ""
}

func checkLabels(v any, now time.Time) string {
	list, ok := v.([]any)
	if !ok {
		return "must be an array"
	}
	if len(list) > maxLabels {
		return fmt.Sprintf("must have at most %d labels", maxLabels)
	}
	for _, l := range list {
		if why := checkText(2, 64)(l, now); why != "" {
			return "each label " + why
		}
	}
	return ""
}

func checkMetadata(v any, _ time.Time) string { return checkObject(v, maxMetadata) }

func checkKV(v any, _ time.Time) string { return checkObject(v, maxKV) }

func checkObject(v any, most int) string {
	if _, ok := v.(fields); !ok {
		return "must be an object"
	}
	if text, err := json.Marshal(v); err != nil || len(text) > most {
		return fmt.Sprintf("must be at most %d bytes of JSON", most)
	}
	return ""
}

func checkPayload(v any, _ time.Time) string {
	s, ok := v.(string)
	if !ok {
		return "must be a string"
	}
	if s == "" || len(s) > maxPayload {
		return fmt.Sprintf("must have 1 to %d bytes", maxPayload)
	}
	return ""
}

func checkExpiration(v any, now time.Time) string {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return "must be an RFC 3339 date"
	}
	if !t.After(now) {
		return "must be in the future"
	}
	return ""
}

func checkRotation(v any, _ time.Time) string {
	p, ok := v.(fields)
	if !ok {
		return "must be an object"
	}
	on, ok := p["auto_rotate"].(bool)
	if !ok {
		return "auto_rotate is required"
	}
	if !on {
		return ""
	}
	if n, ok := wholeNumber(p["interval"]); !ok || n < 1 {
		return "interval must be at least 1"
	}
	if p["unit"] != "day" && p["unit"] != "month" {
		return "unit must be day or month"
	}
	return ""
}

func checkPasswordPolicy(v any, _ time.Time) string {
	p, ok := v.(fields)
	if !ok {
		return "must be an object"
	}
	for name, x := range p {
		switch name {
		case "length":
			if n, ok := wholeNumber(x); !ok || n < 12 || n > 256 {
				return "length must be 12 to 256"
			}
		case "include_digits", "include_symbols", "include_uppercase":
			if _, ok := x.(bool); !ok {
				return name + " must be a boolean"
			}
		default:
			return "unknown property"
		}
	}
	return ""
}

// wholeNumber reads an integer from decoded JSON or from a preset.
func wholeNumber(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case json.Number:
		i, err := strconv.Atoi(n.String())
		return i, err == nil
	}
	return 0, false
}

// mergePatch applies RFC 7386: objects merge, null removes, anything else replaces. A nil patch changes nothing, because
// nulls inside objects are handled one level up. The target is not changed.
func mergePatch(target, patch any) any {
	if patch == nil {
		return target
	}
	p, ok := patch.(fields)
	if !ok {
		return patch
	}
	t, _ := target.(fields)
	out := fields{}
	maps.Copy(out, t)
	for k, v := range p {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = mergePatch(out[k], v)
	}
	return out
}

// stamp is how the service writes a date.
func stamp(t time.Time) string { return t.UTC().Format(stampFormat) }

const stampFormat = "2006-01-02T15:04:05.000Z"
