// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// entries returns what brings data: dataFrom in its order, and data above it.
func (r *reader) entries() []spec.Entry {
	s := r.es.Spec
	if len(s.Data) == 0 && len(s.DataFrom) == 0 {
		r.wrong("spec", "either data or dataFrom must be given")
	}
	var out []spec.Entry
	for i, item := range s.DataFrom {
		if e, ok := r.dataFrom(fmt.Sprintf("spec.dataFrom[%d]", i), item); ok {
			out = append(out, e)
		}
	}
	seen := map[string]bool{}
	for i, item := range s.Data {
		where := fmt.Sprintf("spec.data[%d]", i)
		if seen[item.SecretKey] && (s.Target.DeletionPolicy == "" || s.Target.DeletionPolicy == "Retain") {
			r.wrong(where+".secretKey", "duplicate secretKey found: %s", item.SecretKey)
		}
		seen[item.SecretKey] = true
		out = append(out, r.data(where, item))
	}
	return out
}

// data reads one item of spec.data.
func (r *reader) data(where string, item v1.Data) spec.Entry {
	if errs := validation.IsConfigMapKey(item.SecretKey); len(errs) > 0 {
		r.wrong(where+".secretKey", "%q cannot be a key of a Secret: %s", item.SecretKey, strings.Join(errs, ", "))
	}
	if item.SourceRef != nil && item.SourceRef.GeneratorRef != nil {
		r.wrong(where+".sourceRef.generatorRef", "a generator cannot fill one key; use dataFrom")
	}
	e := spec.Entry{Where: where, Name: item.SecretKey, Store: r.store(where, item.SourceRef)}
	r.remote(&e, where+".remoteRef", item.RemoteRef)
	e.Convert = spec.ConvertNone // the name is the manifest's own
	return e
}

// dataFrom reads one item of spec.dataFrom.
func (r *reader) dataFrom(where string, item v1.DataFrom) (spec.Entry, bool) {
	generator := item.SourceRef != nil && item.SourceRef.GeneratorRef != nil
	n := 0
	for _, set := range []bool{item.Extract != nil, item.Find != nil, generator} {
		if set {
			n++
		}
	}
	switch {
	case n > 1:
		r.wrong(where, "extract, find and generatorRef cannot be set at the same time")
		return spec.Entry{}, false
	case generator:
		r.wrong(where+".sourceRef.generatorRef", "generators are not supported by this version of Lockstep")
		return spec.Entry{}, false
	case n == 0:
		r.wrong(where, "either extract or find must be set")
		return spec.Entry{}, false
	}
	e := spec.Entry{Where: where, Store: r.store(where, item.SourceRef)}
	if item.Extract != nil {
		r.remote(&e, where+".extract", *item.Extract)
	} else {
		r.find(&e, where+".find", *item.Find)
	}
	for i, rewrite := range item.Rewrite {
		e.Rewrite = append(e.Rewrite, r.rewrite(fmt.Sprintf("%s.rewrite[%d]", where, i), rewrite))
	}
	return e, true
}

// store returns the store of an entry: its own, or that of the object.
func (r *reader) store(where string, source *v1.SourceRef) spec.StoreKey {
	ref, at := r.es.Spec.SecretStoreRef, "spec.secretStoreRef"
	if source != nil && source.StoreRef != nil {
		ref, at = *source.StoreRef, where+".sourceRef.storeRef"
	}
	if ref.Name == "" {
		r.wrong(at+".name", "name the store: there is none in %s.sourceRef.storeRef and none in spec.secretStoreRef", where)
	}
	kind := oneOf(r, at+".kind", ref.Kind, []string{KindStore, KindClusterStore}, KindStore, KindClusterStore)
	if kind == KindClusterStore && r.scoped {
		r.wrong(at+".kind", "a ClusterSecretStore cannot be used here: this instance of Lockstep looks after some namespaces only, and may not read cluster-wide objects; use a SecretStore")
	}
	if kind == KindClusterStore {
		return spec.StoreKey{Kind: kind, Name: ref.Name}
	}
	return spec.StoreKey{Kind: kind, Namespace: r.es.Namespace, Name: ref.Name}
}

// remote reads a remoteRef or an extract.
func (r *reader) remote(e *spec.Entry, where string, ref v1.RemoteRef) {
	if ref.Key == "" {
		r.wrong(where+".key", "name the secret in the store")
	}
	e.Key = backend.Key{Key: ref.Key, Version: ref.Version}
	e.Property, e.HasProperty = ref.Property, ref.Property != ""
	e.Key.Part = oneOf(r, where+".metadataPolicy", ref.MetadataPolicy, []string{"None", "Fetch"}, backend.Data, backend.Metadata)
	r.values(e, where, ref.ConversionStrategy, ref.DecodingStrategy, ref.NullBytePolicy)
}

// values reads what happens to names and values on their way into the Secret.
func (r *reader) values(e *spec.Entry, where, conversion, decoding, null string) {
	e.Convert = oneOf(r, where+".conversionStrategy", conversion,
		[]string{"Default", "Unicode", "None"}, spec.ConvertDefault, spec.ConvertUnicode, spec.ConvertNone)
	e.Decode = r.decoding(where+".decodingStrategy", decoding)
	e.NoNull = oneOf(r, where+".nullBytePolicy", null, []string{"Ignore", "Fail"}, false, true)
}

func (r *reader) decoding(where, text string) spec.Decode {
	return oneOf(r, where, text,
		[]string{"None", "Base64", "Base64URL", "Auto"}, spec.DecodeNone, spec.DecodeBase64, spec.DecodeBase64URL, spec.DecodeAuto)
}

// find reads a search.
func (r *reader) find(e *spec.Entry, where string, f v1.Find) {
	q := backend.Query{Tags: tags(f.Tags)}
	if f.Path != nil {
		q.Path = *f.Path
	}
	if f.Name != nil {
		q.Name = cmp.Or(f.Name.RegExp, ".*") // it is found in every name
		r.expression(where+".name.regexp", q.Name)
	}
	if q == (backend.Query{}) {
		r.wrong(where, "give at least one of name, path and tags; for everything use name.regexp .*")
	}
	for k, v := range f.Tags {
		if strings.ContainsAny(k, ",=") || strings.Contains(v, ",") {
			r.wrong(where+".tags", "the tag %q cannot be asked for: commas, and = in its name, are not supported", k)
		}
	}
	e.Find = &q
	r.values(e, where, f.ConversionStrategy, f.DecodingStrategy, f.NullBytePolicy)
}

// tags writes tags as a Query has them.
func tags(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}

// expression refuses what is no RE2 expression.
func (r *reader) expression(where, text string) {
	if len(text) > maxExpression {
		r.wrong(where, "the expression is too long: at most %d bytes", maxExpression)
		return
	}
	if _, err := regexp.Compile(text); err != nil {
		r.wrong(where, "%q is not a regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

// maxExpression bounds expressions, in bytes, for they are compiled.
const maxExpression = 4096

// rewrite reads one step of dataFrom.rewrite.
func (r *reader) rewrite(where string, w v1.Rewrite) spec.Rewrite {
	n := 0
	for _, set := range []bool{w.Regexp != nil, w.Transform != nil, w.Merge != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		r.wrong(where, "exactly one of regexp, transform and merge must be set")
		return spec.Rewrite{}
	}
	switch {
	case w.Regexp != nil:
		r.expression(where+".regexp.source", w.Regexp.Source)
		return spec.Rewrite{Regexp: &spec.Replace{Source: w.Regexp.Source, Target: w.Regexp.Target}}
	case w.Transform != nil:
		return spec.Rewrite{Transform: w.Transform.Template}
	}
	m := w.Merge
	out := spec.Collect{Into: m.Into, Priority: m.Priority}
	out.JSON = oneOf(r, where+".merge.strategy", m.Strategy, []string{"Extract", "JSON"}, false, true)
	out.IgnoreMissing = oneOf(r, where+".merge.priorityPolicy", m.PriorityPolicy, []string{"Strict", "IgnoreNotFound"}, false, true)
	out.IgnoreConflicts = oneOf(r, where+".merge.conflictPolicy", m.ConflictPolicy, []string{"Error", "Ignore"}, false, true)
	if out.JSON && out.Into == "" {
		r.wrong(where+".merge.into", "name the key that gets the merged object")
	}
	return spec.Rewrite{Merge: &out}
}
