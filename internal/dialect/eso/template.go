// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"fmt"
	"strings"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// template reads spec.target.template.
func (r *reader) template(out *spec.Target, t *v1.Template) {
	const where = "spec.target.template"
	oneOf(r, where+".engineVersion", t.EngineVersion, []string{"v2"}, true)
	if diff.ForbiddenType(t.Type) {
		r.wrong(where+".type", "type %q is not allowed: such Secrets give power over the cluster to whoever fills them", t.Type)
	}
	out.Type = t.Type
	p := &spec.Program{
		Data: t.Data,
		Keep: oneOf(r, where+".mergePolicy", t.MergePolicy, []string{"Replace", "Merge"}, false, true),
	}
	if t.Metadata != nil {
		p.Labels, p.Annotations = t.Metadata.Labels, t.Metadata.Annotations
		out.Template.Finalizers = t.Metadata.Finalizers
	}
	for i, from := range t.TemplateFrom {
		p.From = append(p.From, r.templateFrom(fmt.Sprintf("%s.templateFrom[%d]", where, i), from)...)
	}
	out.Program = p
}

// templateFrom reads one source of templates. It may have several at once: of
// these the literal wins, and then the Secret.
func (r *reader) templateFrom(where string, from v1.TemplateFrom) []spec.TemplateFrom {
	base := spec.TemplateFrom{Where: where, Into: r.into(where+".target", from.Target)}
	base.Decode = r.decoding(where+".valuesDecodingStrategy", from.ValuesDecodingStrategy)
	var out []spec.TemplateFrom
	source := func(kind, name string, s *v1.TemplateSource) {
		if s == nil {
			return
		}
		if s.Name == "" {
			r.wrong(where+"."+name+".name", "name the %s", kind)
		}
		if len(s.Items) == 0 {
			r.wrong(where+"."+name+".items", "name at least one key of the %s", kind)
		}
		t := base
		t.Where, t.Source = where+"."+name, spec.Source{Kind: kind, Name: s.Name}
		for i, item := range s.Items {
			t.Items = append(t.Items, spec.TemplateItem{
				Key: item.Key,
				Pairs: oneOf(r, fmt.Sprintf("%s.%s.items[%d].templateAs", where, name, i), item.TemplateAs,
					[]string{"Values", "KeysAndValues"}, false, true),
			})
		}
		out = append(out, t)
	}
	source("ConfigMap", "configMap", from.ConfigMap)
	source("Secret", "secret", from.Secret)
	if from.Literal != nil {
		t := base
		t.Where, t.Literal = where+".literal", *from.Literal
		out = append(out, t)
	}
	if len(out) == 0 {
		out = append(out, base) // nothing to render, but not nothing asked for either
	}
	return out
}

// into reads what templates fill. The operator takes the names in any case.
func (r *reader) into(where, text string) spec.Into {
	switch strings.ToLower(text) {
	case "", "data":
		return spec.IntoData
	case "labels":
		return spec.IntoLabels
	case "annotations":
		return spec.IntoAnnotations
	}
	r.wrong(where, "%q is not one of Data, Labels, Annotations", text)
	return spec.IntoData
}
