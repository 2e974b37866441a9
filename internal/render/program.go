// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// maxAnnotations is how many bytes the annotations of an object may have
// together (TotalAnnotationSizeLimitB in k8s.io/apimachinery/pkg/api/validation).
const maxAnnotations = 256 << 10

// program runs the templates over what was read. From low to high: what was
// read, the sources in order, the templates of single keys.
func (c *composer) program(read map[string]backend.Value) {
	p := c.spec.Target.Program
	if p.Keep || len(p.Data) == 0 && len(p.From) == 0 {
		maps.Copy(c.d.Data, read)
	}
	dot := make(map[string]string, len(read))
	for name, v := range read {
		dot[name] = string(v.Reveal())
	}
	run := &templates{engine: c.engine, sources: c.in.Sources, dot: dot, d: c.d}
	for _, from := range p.From {
		run.from(from)
	}
	run.each("spec.target.template.data", p.Data, spec.IntoData)
	run.each("spec.target.template.metadata.labels", p.Labels, spec.IntoLabels)
	run.each("spec.target.template.metadata.annotations", p.Annotations, spec.IntoAnnotations)
	size := 0
	for name, text := range c.d.Annotations {
		size += len(name) + len(text)
	}
	if size > maxAnnotations {
		run.problem("spec.target.template.metadata.annotations",
			backend.Errorf(backend.InvalidRef, "the annotations are too large: at most %d bytes together", maxAnnotations))
	}
}

// templates runs the templates of one Secret.
type templates struct {
	engine  engine
	sources map[spec.Source]map[string]backend.Value
	dot     map[string]string
	d       *Desired
}

func (t *templates) problem(where string, err error) {
	t.d.Problems = append(t.d.Problems, Problem{Issue: issue(where, err)})
}

// each runs the templates of single values.
func (t *templates) each(where string, texts map[string]string, into spec.Into) {
	for _, name := range sortedKeys(texts) {
		where := fmt.Sprintf("%s[%s]", where, name)
		out, err := t.engine.Execute(where, texts[name], t.dot)
		if err == nil {
			err = t.set(into, name, []byte(out), quote(name))
		}
		if err != nil {
			t.problem(where, err)
		}
	}
}

// from runs the templates of a source.
func (t *templates) from(f spec.TemplateFrom) {
	if f.Literal != "" {
		if err := t.pairs(f, f.Where, f.Literal); err != nil {
			t.problem(f.Where, err)
		}
	}
	if f.Source == (spec.Source{}) {
		return
	}
	// Not NotFound, which would remove what was written: the source is part of
	// the manifest and not of the store.
	source, ok := t.sources[f.Source]
	if !ok {
		t.problem(f.Where, backend.Errorf(backend.InvalidRef, "%s %q does not exist", f.Source.Kind, f.Source.Name))
		return
	}
	for _, item := range f.Items {
		if err := t.item(f, source, item); err != nil {
			t.problem(f.Where, err)
		}
	}
}

// item runs one template of a source.
func (t *templates) item(f spec.TemplateFrom, source map[string]backend.Value, item spec.TemplateItem) error {
	text, ok := source[item.Key]
	if !ok {
		return backend.Errorf(backend.InvalidRef, "%s %q has no key %q", f.Source.Kind, f.Source.Name, item.Key)
	}
	name := fmt.Sprintf("key %q of %s %q", item.Key, f.Source.Kind, f.Source.Name)
	if item.Pairs {
		return t.pairs(f, name, string(text.Reveal()))
	}
	out, err := t.engine.Execute(name, string(text.Reveal()), t.dot)
	if err != nil {
		return err
	}
	b, err := decodeAs(f.Decode, []byte(out), "what "+name+" renders to")
	if err != nil {
		return err
	}
	return t.set(f.Into, item.Key, b, quote(item.Key))
}

// pairs runs a template that makes keys and values. A key may be made of what
// was read, so no message shows one.
func (t *templates) pairs(f spec.TemplateFrom, name, text string) error {
	out, err := t.engine.Execute(name, text, t.dot)
	if err != nil {
		return err
	}
	var pairs map[string]string
	if yaml.Unmarshal([]byte(out), &pairs) != nil { // whose text would quote values
		return backend.Errorf(backend.InvalidRef, "what %s renders to is not a YAML map of keys to plain values", name)
	}
	for _, key := range sortedKeys(pairs) {
		b, err := decodeAs(f.Decode, []byte(pairs[key]), "a value that "+name+" renders to")
		if err != nil {
			return err
		}
		if err := t.set(f.Into, key, b, "that "+name+" renders"); err != nil {
			return err
		}
	}
	return nil
}

// set puts a rendered value where it belongs. shown is what a message may say
// of its name.
func (t *templates) set(into spec.Into, name string, b []byte, shown string) error {
	switch into {
	case spec.IntoLabels:
		if errs := validation.IsQualifiedName(name); len(errs) > 0 {
			return backend.Errorf(backend.InvalidRef, "label %s is not a valid name of a label", shown)
		}
		if errs := validation.IsValidLabelValue(string(b)); len(errs) > 0 {
			return backend.Errorf(backend.InvalidRef,
				"label %s renders to what is not a valid value: at most 63 letters, digits, -, _ and ., which begins and ends with a letter or digit", shown)
		}
		t.d.Labels = with(t.d.Labels, name, string(b))
	case spec.IntoAnnotations:
		if errs := validation.IsQualifiedName(strings.ToLower(name)); len(errs) > 0 {
			return backend.Errorf(backend.InvalidRef, "annotation %s is not a valid name of an annotation", shown)
		}
		t.d.Annotations = with(t.d.Annotations, name, string(b))
	default:
		if errs := validation.IsConfigMapKey(name); len(errs) > 0 {
			return backend.Errorf(backend.InvalidRef, "data key %s is not a valid key of a Secret: %s", shown, keyRule)
		}
		t.d.Data[name] = backend.NewValue(b)
	}
	return nil
}

// with sets a label or annotation, unless it is the controllers' own.
func with(m map[string]string, name, text string) map[string]string {
	if isReserved(name) {
		return m
	}
	if m == nil {
		m = map[string]string{}
	}
	m[name] = text
	return m
}

const keyRule = "at most 253 letters, digits, -, _ and ., and not . or .."

// checkData finds what the API server would refuse, before it is asked.
func checkData(data map[string]backend.Value) []Problem {
	var out []Problem
	problem := func(format string, args ...any) {
		out = append(out, Problem{Issue: issue("data", backend.Errorf(backend.InvalidRef, format, args...))})
	}
	size := 0
	for _, name := range sortedKeys(data) {
		size += data[name].Len()
		if len(validation.IsConfigMapKey(name)) > 0 {
			problem("data key %s is not a valid key of a Secret: %s", quote(name), keyRule)
		}
	}
	if size > MaxSize {
		problem("the data is too large: the values of a Secret may have %d bytes together; take fewer or smaller entries", MaxSize)
	}
	return out
}
