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

// Compute returns the writes that turn the current Secret into the wanted one,
// in the order in which they must happen. None means that everything is as it
// should be. The Issue tells why nothing may be written.
//
//	current Secret                          result
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
func Compute(s spec.Spec, current *spec.Secret, want render.Desired, adopt Adopt) ([]Change, *spec.Issue) {
	if len(want.Problems) > 0 || s.Target.Creation == spec.None {
		return nil, nil
	}
	if ForbiddenType(want.Type) {
		return nil, &spec.Issue{Where: "type", Code: backend.InvalidRef, Message: forbiddenMessage(want.Type)}
	}
	next := wanted(s, want)
	if current == nil {
		return []Change{{Create, next}}, nil
	}
	if current.Deleting {
		return nil, conflict(fmt.Sprintf("Secret %q is being deleted", current.Name))
	}
	mine, issue := ownership(s, current)
	if issue != nil {
		return nil, issue
	}
	next = carry(s, current, next, keeps(current, next, mine, adopt))
	if current.Type != next.Type {
		return retype(current, want, next, mine)
	}
	if same(current, &next) {
		return nil, nil
	}
	if issue := frozen(current, want, next); issue != nil {
		return nil, issue
	}
	return []Change{{Update, next}}, nil
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
	if s.Target.Creation == spec.Owner {
		out.Owners = []spec.OwnerRef{spec.OwnerRefTo(s.Object)}
	}
	return out
}

// carry takes over from the current Secret what is not ours to change.
func carry(s spec.Spec, current *spec.Secret, next spec.Secret, kept Kept) spec.Secret {
	next.UID, next.ResourceVersion = current.UID, current.ResourceVersion
	next.Data = kept.data(current.Data, next.Data)
	next.Labels = kept.labels(current.Labels, next.Labels)
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
	own := next.Owners
	next.Owners = slices.DeleteFunc(slices.Clone(current.Owners), func(o spec.OwnerRef) bool {
		return sameObject(o, s.Object)
	})
	next.Owners = append(next.Owners, own...)
	return next
}

// retype replaces the Secret, because its type cannot be changed. What was
// kept in the old one is kept in the new one.
func retype(current *spec.Secret, want render.Desired, next spec.Secret, mine bool) ([]Change, *spec.Issue) {
	if !mine {
		return nil, conflict(fmt.Sprintf(
			"Secret %q exists with type %q, which cannot be changed to %q: delete it, or ask for its type", current.Name, current.Type, next.Type))
	}
	if isTrue(current.Immutable) {
		return nil, conflict(fmt.Sprintf(
			"Secret %q is immutable and has type %q: delete it to have it made with type %q", current.Name, current.Type, next.Type))
	}
	next.UID, next.ResourceVersion = "", ""
	next.Finalizers = want.Finalizers // those of others were for the old object
	return []Change{{Delete, *current}, {Create, next}}, nil
}

// same reports whether there is nothing to write.
func same(a, b *spec.Secret) bool {
	return maps.EqualFunc(a.Data, b.Data, backend.Value.Equal) &&
		maps.Equal(a.Labels, b.Labels) &&
		maps.Equal(a.Annotations, b.Annotations) &&
		isTrue(a.Immutable) == isTrue(b.Immutable) &&
		slices.Equal(a.Finalizers, b.Finalizers) &&
		sameOwners(a.Owners, b.Owners)
}

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
	changed := !maps.EqualFunc(current.Data, next.Data, backend.Value.Equal)
	switch {
	case changed && isTrue(want.Immutable):
		return conflict(fmt.Sprintf("Secret %q is invalid: data: Forbidden: %s", current.Name, field))
	case changed:
		return conflict(fmt.Sprintf("Secret %q is invalid: [immutable: Forbidden: %s, data: Forbidden: %s]", current.Name, field, field))
	case !isTrue(next.Immutable):
		return conflict(fmt.Sprintf("Secret %q is invalid: immutable: Forbidden: %s", current.Name, field))
	}
	return nil
}

func conflict(message string) *spec.Issue {
	return &spec.Issue{Where: "Secret", Code: backend.Conflict, Message: message}
}

func isTrue(b *bool) bool { return b != nil && *b }
