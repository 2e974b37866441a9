// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// KeptAnnotation lists what was in a Secret when it was taken over and is not
// ours: sorted names such as "data:ca.crt,label:team". Without it the next
// sync could not tell it from what we wrote ourselves.
const KeptAnnotation = "lockstep-secrets.dev/kept"

// Kept is what stays in a Secret though nobody asks for it: kinds and names.
type Kept []string

const (
	keptData       = "data:"
	keptLabel      = "label:"
	keptAnnotation = "annotation:"
)

// keeps returns what of the current Secret has to stay.
func keeps(s spec.Spec, current *spec.Secret, next spec.Secret, mine bool, adopt Adopt) Kept {
	if adopt == AdoptReplace || s.Target.ByField && s.Target.Creation != spec.Owner {
		return nil
	}
	var out Kept
	out = append(out, foreign(keptData, current.Data, next.Data)...)
	if s.Target.ByField {
		if !mine {
			out = slices.DeleteFunc(out, func(entry string) bool { return current.Fields[fieldData+strings.TrimPrefix(entry, keptData)] })
		}
	} else {
		out = append(out, foreign(keptLabel, current.Labels, next.Labels)...)
		out = append(out, foreign(keptAnnotation, current.Annotations, next.Annotations)...)
	}
	slices.Sort(out)
	if !mine {
		return out
	}
	// What is asked for is ours from then on: off the list, so that it goes
	// when it is asked for no more.
	listed := strings.Split(current.Annotations[KeptAnnotation], ",")
	return slices.DeleteFunc(out, func(entry string) bool { return !slices.Contains(listed, entry) })
}

// foreign lists what is there and not asked for.
func foreign[V any](kind string, current, next map[string]V) Kept {
	var out Kept
	for k := range current {
		if _, ours := next[k]; !ours && k != KeptAnnotation {
			out = append(out, kind+k)
		}
	}
	return out
}

func (k Kept) data(current, next map[string]backend.Value) map[string]backend.Value {
	return keep(k, keptData, current, next)
}

func (k Kept) labels(current, next map[string]string) map[string]string {
	return keep(k, keptLabel, current, next)
}

func (k Kept) annotations(current, next map[string]string) map[string]string {
	out := keep(k, keptAnnotation, current, next)
	if len(k) == 0 {
		return out
	}
	out = maps.Clone(out)
	if out == nil {
		out = map[string]string{}
	}
	out[KeptAnnotation] = strings.Join(k, ",")
	return out
}

// What the field manager of our writes is noted for.
const (
	fieldData       = "data:"
	fieldLabel      = "label:"
	fieldAnnotation = "annotation:"
)

// beside adds to next what is there and was not written by us.
func beside[V any](kind string, current *spec.Secret, there, next map[string]V) map[string]V {
	out := maps.Clone(next)
	if out == nil {
		out = map[string]V{}
	}
	for k, v := range there {
		if _, ours := next[k]; !ours && !current.Fields[kind+k] {
			out[k] = v
		}
	}
	return out
}

// keep adds to next what is listed.
func keep[V any](k Kept, kind string, current, next map[string]V) map[string]V {
	out := maps.Clone(next)
	for _, entry := range k {
		name, ok := strings.CutPrefix(entry, kind)
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]V{}
		}
		out[name] = current[name]
	}
	return out
}
