// SPDX-License-Identifier: Apache-2.0

// Package diff decides what has to change in the cluster so that a Secret
// becomes what it should be. It is pure, and the only place that may ask for a
// deletion or refuse a write. Package cluster carries the changes out.
package diff

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Verb is what is done to a Secret.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update" // the whole object, if it still has the ResourceVersion
	Delete Verb = "delete" // if it still has the UID
)

// Change is one write.
type Change struct {
	Verb   Verb
	Secret spec.Secret // for Update and Delete with the UID and ResourceVersion that it must have
}

// Adopt says what becomes of foreign content when an existing Secret without
// an owner is taken over.
type Adopt string

// The ways to adopt.
const (
	AdoptMerge   Adopt = "merge"   // foreign keys, labels and annotations stay
	AdoptReplace Adopt = "replace" // the Secret becomes exactly what is asked for
)

// State is what becomes of the Secret, where nothing is refused.
type State uint8

// The states.
const (
	Synced   State = iota // it is, or is being made, as it should be
	Retained              // nothing was found, and it stays as it was
	Deleted               // nothing was found, and it is gone
	Missing               // it is not there, and not ours to make
	Ignored               // nobody wants one
)

// Decision is what to do.
type Decision struct {
	Changes []Change // in the order in which they must happen
	State   State
	Refused *spec.Issue // why nothing may be written
	// Filled says that the Secret holds the wanted data when the changes are
	// made. It does not where it is frozen, refused, or not ours to make.
	Filled bool
}

// The places that a refusal names.
const (
	WhereSecret    = "Secret"
	WhereOwner     = "Secret.metadata.ownerReferences"
	WhereImmutable = "Secret.immutable"
)

// Compute returns the writes that turn the current Secret into the wanted one.
// None means that everything is as it should be.
//
//	current Secret                          result for an owner
//	none                                    create
//	being deleted                           refused
//	controlled by anybody else              refused
//	a token or release                      refused
//	controlled by this object               update where it differs
//	  ... of another type                   delete, create (type cannot change)
//	  ... immutable and different           refused
//	no controller, another manager's label  refused
//	no controller, another type             refused
//	no controller                           taken over: update
//
// Orphans are the same without the owner. A Merge fills its own keys in
// whatever Secret there is, but for those of another object of the same kind.
func Compute(s spec.Spec, in spec.Inputs, want render.Desired, adopt Adopt) Decision {
	switch {
	case len(want.Problems) > 0:
		return Decision{}
	case s.Target.Creation == spec.None:
		return Decision{State: Ignored}
	case want.Empty && s.Target.Deletion != spec.DropMissing:
		return vanished(s, in.Current, want)
	case ForbiddenType(want.Type):
		return refuse(&spec.Issue{Where: "type", Code: backend.InvalidRef, Message: forbiddenMessage(want.Type)})
	case in.Current == nil && s.Target.Creation == spec.Merge:
		return Decision{State: Missing}
	}
	changes, filled, issue := write(s, in.Current, want, adopt)
	if issue != nil {
		return refuse(issue)
	}
	return Decision{Changes: append(changes, leftovers(s, in.Leftovers)...), Filled: filled}
}

func refuse(i *spec.Issue) Decision { return Decision{Refused: i} }

// vanished decides when no remote secret is left.
func vanished(s spec.Spec, current *spec.Secret, want render.Desired) Decision {
	if s.Target.Deletion == spec.Retain {
		if current == nil {
			return refuse(&spec.Issue{
				Where: "spec", Code: backend.NotFound, Message: "nothing was found in the store, so there is nothing to make a Secret of",
			})
		}
		return Decision{State: Retained}
	}
	switch {
	case want.Unproven:
		return refuse(&spec.Issue{
			Where: "spec.target.deletionPolicy", Code: backend.PermissionDenied,
			Message: "nothing was listed, but this store lists only what the login may read, so the Secret is not deleted",
		})
	case current == nil || current.Deleting:
		return Decision{State: Deleted}
	}
	if c, ok := current.Controller(); !ok || !sameObject(c, s.Object) {
		return refuse(conflict("spec.target.deletionPolicy", fmt.Sprintf("Secret %q is not deleted: it does not belong to this object", current.Name)))
	}
	return Decision{Changes: []Change{{Delete, *current}}, State: Deleted}
}

// leftovers are the Secrets of the object's former names.
func leftovers(s spec.Spec, old []spec.Secret) []Change {
	var out []Change
	for _, l := range old {
		if c, ok := l.Controller(); ok && sameObject(c, s.Object) && l.Name != s.Target.Name && s.Target.Creation == spec.Owner && !l.Deleting {
			out = append(out, Change{Delete, l})
		}
	}
	return out
}

// write returns the writes to the target itself, and whether it holds the wanted
// data after them.
func write(s spec.Spec, current *spec.Secret, want render.Desired, adopt Adopt) (changes []Change, filled bool, _ *spec.Issue) {
	next := wanted(s, want)
	if current == nil {
		return []Change{{Create, next}}, true, nil
	}
	if current.Deleting {
		return nil, false, conflict(WhereSecret, fmt.Sprintf("Secret %q is being deleted", current.Name))
	}
	mine, issue := ownership(s, current)
	if issue != nil {
		return nil, false, issue
	}
	next = carry(s, current, next, keeps(s, current, next, mine, adopt))
	if s.Target.ByField && want.Type == "" {
		next.Type = current.Type
	}
	filled = true
	if s.Target.Freeze && (isTrue(current.Immutable) || mine || len(current.Fields) > 0) {
		filled = sameData(current.Data, next.Data)
		next.Data = current.Data // frozen as it is
	}
	if current.Type != next.Type {
		changes, issue := retype(s, current, want, next, mine)
		return changes, filled, issue
	}
	if same(current, &next) {
		return nil, filled, nil
	}
	if issue := frozen(current, want, next); issue != nil {
		return nil, false, issue
	}
	return []Change{{Update, next}}, filled, nil
}

// wanted is the Secret as it would be created.
func wanted(s spec.Spec, want render.Desired) spec.Secret {
	out := spec.Secret{
		Namespace:   s.Target.Namespace,
		Name:        s.Target.Name,
		Type:        want.Type,
		Data:        want.Data,
		Labels:      want.Labels,
		Annotations: want.Annotations,
		Finalizers:  want.Finalizers,
		Immutable:   want.Immutable,
	}
	if out.Type == "" {
		out.Type = "Opaque"
	}
	if s.Target.Freeze {
		out.Immutable = new(true)
	}
	out.Labels = with(out.Labels, s.Target.Marks)
	if s.Target.Creation == spec.Owner {
		out.Labels = with(out.Labels, s.Target.OwnerMarks)
		out.Owners = []spec.OwnerRef{spec.OwnerRefTo(s.Object)}
	}
	return out
}

// with adds labels to labels.
func with(labels, more map[string]string) map[string]string {
	if len(more) == 0 {
		return labels
	}
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}

// carry takes over from the current Secret what is not ours to change.
func carry(s spec.Spec, current *spec.Secret, next spec.Secret, kept Kept) spec.Secret {
	next.UID, next.ResourceVersion = current.UID, current.ResourceVersion
	next.Data = kept.data(current.Data, next.Data)
	if s.Target.Creation != spec.Owner && s.Target.ByField {
		next.Data = beside(fieldData, current, current.Data, next.Data)
	}
	if s.Target.ByField {
		next.Labels = beside(fieldLabel, current, current.Labels, next.Labels)
		next.Annotations = beside(fieldAnnotation, current, current.Annotations, next.Annotations)
		for k := range s.Target.OwnerMarks {
			if s.Target.Creation != spec.Owner {
				delete(next.Labels, k)
			}
		}
		if s.Target.Creation != spec.Owner || len(kept) == 0 {
			delete(next.Annotations, KeptAnnotation)
		}
	} else {
		next.Labels = kept.labels(current.Labels, next.Labels)
	}
	next.Annotations = kept.annotations(current.Annotations, next.Annotations)
	if next.Immutable == nil {
		next.Immutable = current.Immutable
	}
	asked := next.Finalizers
	next.Finalizers = slices.Clone(current.Finalizers)
	for _, f := range asked {
		if !slices.Contains(next.Finalizers, f) {
			next.Finalizers = append(next.Finalizers, f)
		}
	}
	next.Owners = owners(s, current.Owners, next.Owners)
	return next
}

// owners puts our own reference among those of others. One that says the same
// and blocks the deletion besides stays as it is.
func owners(s spec.Spec, current, own []spec.OwnerRef) []spec.OwnerRef {
	var out []spec.OwnerRef
	for _, o := range current {
		if !sameObject(o, s.Object) {
			out = append(out, o)
			continue
		}
		for i, ours := range own {
			if ours.Block = o.Block; ours == o {
				own = slices.Concat(own[:i], []spec.OwnerRef{o}, own[i+1:])
			}
		}
	}
	return append(out, own...)
}

// retype replaces the Secret, because its type cannot be changed. What was
// kept in the old one is kept in the new one.
func retype(s spec.Spec, current *spec.Secret, want render.Desired, next spec.Secret, mine bool) ([]Change, *spec.Issue) {
	if !mine || s.Target.Creation != spec.Owner {
		return nil, conflict(WhereSecret, fmt.Sprintf(
			"Secret %q exists with type %q, which cannot be changed to %q: delete it, or ask for its type", current.Name, current.Type, next.Type))
	}
	if isTrue(current.Immutable) {
		return nil, conflict(WhereImmutable, fmt.Sprintf(
			"Secret %q is immutable and has type %q: delete it to have it made with type %q", current.Name, current.Type, next.Type))
	}
	next.UID, next.ResourceVersion = "", ""
	next.Finalizers = want.Finalizers // those of others were for the old object
	return []Change{{Delete, *current}, {Create, next}}, nil
}

// same reports whether there is nothing to write.
func same(a, b *spec.Secret) bool {
	return sameData(a.Data, b.Data) &&
		maps.Equal(a.Labels, b.Labels) &&
		maps.Equal(a.Annotations, b.Annotations) &&
		isTrue(a.Immutable) == isTrue(b.Immutable) &&
		slices.Equal(a.Finalizers, b.Finalizers) &&
		sameOwners(a.Owners, b.Owners)
}

func sameData(a, b map[string]backend.Value) bool { return maps.EqualFunc(a, b, backend.Value.Equal) }

func sameOwners(a, b []spec.OwnerRef) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(o spec.OwnerRef) bool { return !slices.Contains(b, o) })
}

// frozen refuses to change the data of an immutable Secret or to make it
// mutable, in the API server's words. Someone asked for it to stay as it is.
func frozen(current *spec.Secret, want render.Desired, next spec.Secret) *spec.Issue {
	if !isTrue(current.Immutable) {
		return nil
	}
	const field = "field is immutable when `immutable` is set"
	changed := !sameData(current.Data, next.Data)
	switch {
	case changed && isTrue(want.Immutable):
		return conflict(WhereImmutable, fmt.Sprintf("Secret %q is invalid: data: Forbidden: %s", current.Name, field))
	case changed:
		return conflict(WhereImmutable, fmt.Sprintf("Secret %q is invalid: [immutable: Forbidden: %s, data: Forbidden: %s]", current.Name, field, field))
	case !isTrue(next.Immutable):
		return conflict(WhereImmutable, fmt.Sprintf("Secret %q is invalid: immutable: Forbidden: %s", current.Name, field))
	}
	return nil
}

func conflict(where, message string) *spec.Issue {
	return &spec.Issue{Where: where, Code: backend.Conflict, Message: message}
}

func isTrue(b *bool) bool { return b != nil && *b }
