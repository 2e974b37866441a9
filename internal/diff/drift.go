// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Drifted reports whether a Secret that was in sync shows traces of somebody
// else, without knowing what was read: a key that another field manager wrote
// last, or one that the manifest names and that is not there. It overlooks a
// key that was removed and that only a store can name.
func Drifted(s spec.Spec, current *spec.Secret) bool {
	if current == nil || s.Target.Creation == spec.None {
		return false
	}
	if len(current.Fields) == 0 {
		return false // written by a predecessor with a name of its own
	}
	if s.Target.Creation == spec.Owner {
		kept := strings.Split(current.Annotations[KeptAnnotation], ",")
		for k := range current.Data {
			if !current.Fields[fieldData+k] && !slices.Contains(kept, keptData+k) {
				return true
			}
		}
	}
	for _, k := range named(s) {
		if !current.Data[k].IsSet() || s.Target.Creation != spec.Owner && !current.Fields[fieldData+k] {
			return true
		}
	}
	return false
}

// named are the keys that the manifest itself names.
func named(s spec.Spec) []string {
	var out []string
	p := s.Target.Program
	if p != nil {
		for k := range p.Data {
			out = append(out, k)
		}
	}
	if p == nil || p.Keep || len(p.Data)+len(p.From) == 0 {
		for _, e := range s.Entries {
			if e.Name != "" && s.Target.Deletion == spec.Retain {
				out = append(out, e.Name)
			}
		}
	}
	return out
}
