// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Mend returns the change that gives a Secret's references to the object its UID,
// and false when they have it. In a cluster that was restored from a backup they
// have the UID of before, and the garbage collector takes such a Secret for one
// whose owner is gone. Nothing else changes, so what was read last is not needed
// for it, and an immutable Secret is mended too.
//
// An object of the same kind and name with another UID cannot exist beside the
// object. Who carries the change out makes sure that the object is the one that
// exists now.
func Mend(s spec.Spec, current *spec.Secret) (Change, bool) {
	if current == nil || current.Deleting || ForbiddenType(current.Type) || s.Target.Creation == spec.None {
		return Change{}, false
	}
	stale := func(o spec.OwnerRef) bool { return sameObject(o, s.Object) && o.UID != s.Object.UID }
	if !slices.ContainsFunc(current.Owners, stale) {
		return Change{}, false
	}
	next := *current
	next.Owners = nil
	place := -1
	for _, o := range current.Owners {
		switch {
		case !sameObject(o, s.Object):
			next.Owners = append(next.Owners, o)
		case place < 0:
			o.UID = s.Object.UID
			place = len(next.Owners)
			next.Owners = append(next.Owners, o)
		default: // a second one of the same object
			one := &next.Owners[place]
			one.Controller, one.Block = one.Controller || o.Controller, one.Block || o.Block
		}
	}
	return Change{Update, next}, true
}
