// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// What names may become on their way; a key of a Secret has 253 bytes at most.
const (
	maxName  = 4096
	maxNames = 16 << 20 // bytes of all names of one entry together
)

// names gives what an entry brings the names that it has in the Secret: by its
// rewrites or else its conversion. Names that end up empty are left out.
func (c *composer) names(e spec.Entry, data map[string][]byte) (map[string][]byte, error) {
	var err error
	if len(e.Rewrite) == 0 {
		if data, err = converted(e.Convert, data); err != nil {
			return nil, err
		}
	}
	for i, r := range e.Rewrite {
		where := fmt.Sprintf("rewrite[%d]", i)
		switch {
		case r.Regexp != nil:
			data, err = replaced(*r.Regexp, data, where+".regexp")
		case r.Transform != "":
			data, err = c.transformed(r.Transform, data, where+".transform")
		case r.Merge != nil:
			data, err = c.merged(*r.Merge, data, where+".merge")
		}
		if err != nil {
			return nil, err
		}
	}
	delete(data, "")
	for _, name := range sortedKeys(data) {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// checkName finds names that no Secret and no template could use. Letters of
// all scripts pass here, for a template may use them; what ends up in the
// Secret is checked again.
func checkName(name string) error {
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return backend.Errorf(backend.InvalidRef, "key %s is too long: at most %d bytes", quote(name), validation.DNS1123SubdomainMaxLength)
	}
	if i := strings.IndexFunc(name, illegal); i >= 0 {
		return backend.Errorf(backend.InvalidRef,
			"key %s has a character that a key of a Secret cannot have; use rewrite or conversionStrategy", quote(name))
	}
	return nil
}

func illegal(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '-' && r != '.' && r != '_'
}

// converted replaces the runes that a key cannot have. Two names that become
// one are an error: one of the values would be lost.
func converted(how spec.Convert, data map[string][]byte) (map[string][]byte, error) {
	if how == spec.ConvertNone {
		return data, nil
	}
	out := make(map[string][]byte, len(data))
	for _, name := range sortedKeys(data) {
		if len(name) > maxName {
			return nil, nameTooLong()
		}
		to := convert(how, name)
		if _, collides := out[to]; collides {
			return nil, backend.Errorf(backend.InvalidRef, "two keys are both called %s after conversion; use rewrite to tell them apart", quote(to))
		}
		out[to] = data[name]
	}
	return out, nil
}

func convert(how spec.Convert, name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case !illegal(r):
			b.WriteRune(r)
		case how == spec.ConvertUnicode:
			fmt.Fprintf(&b, "_U%04x_", r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// replaced rewrites names by a regular expression. Of two names that become
// one, the later in alphabetical order wins.
func replaced(r spec.Replace, data map[string][]byte, where string) (map[string][]byte, error) {
	re, err := regexp.Compile(r.Source)
	if err != nil {
		return nil, backend.Errorf(backend.InvalidRef, "%s.source is not a valid regular expression (RE2)", where)
	}
	refs := strings.Count(r.Target, "$")
	return renamed(data, func(name string) (string, error) {
		// Each of at most len+1 matches is replaced by the target with all its
		// groups.
		if worst := (len(name) + 1) * (len(r.Target) + refs*len(name) + 1); worst > maxNames {
			return "", backend.Errorf(backend.InvalidRef, "%s could make a name too long", where)
		}
		return re.ReplaceAllString(name, r.Target), nil
	})
}

// transformed rewrites names by a template.
func (c *composer) transformed(template string, data map[string][]byte, where string) (map[string][]byte, error) {
	return renamed(data, func(name string) (string, error) {
		return c.engine.Execute(where, template, map[string]string{"value": name})
	})
}

// renamed gives new names in alphabetical order of the old ones.
func renamed(data map[string][]byte, to func(string) (string, error)) (map[string][]byte, error) {
	out := make(map[string][]byte, len(data))
	total := 0
	for _, name := range sortedKeys(data) {
		if len(name) > maxName {
			return nil, nameTooLong()
		}
		renamed, err := to(name)
		if err != nil {
			return nil, err
		}
		if total += len(renamed); len(renamed) > maxName || total > maxNames {
			return nil, nameTooLong()
		}
		out[renamed] = data[name]
	}
	return out, nil
}

func nameTooLong() error {
	return backend.Errorf(backend.InvalidRef, "a name is too long to be rewritten: at most %d bytes", maxName)
}

// quote quotes a name for a message, shortened.
func quote(name string) string { return strconv.Quote(shorten(name)) }
