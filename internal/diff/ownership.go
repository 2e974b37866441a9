// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"strings"

	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// managers are the labels by which other programs say that a Secret is theirs.
var managers = []string{"app.kubernetes.io/managed-by", "reconcile.external-secrets.io/managed"}

// forbidden are the types that give power to whoever may write them: tokens
// that the control plane fills in or believes, and Helm's own state.
var forbidden = map[string]bool{
	"kubernetes.io/service-account-token": true,
	"bootstrap.kubernetes.io/token":       true,
	"helm.sh/release.v1":                  true,
}

// ForbiddenType reports whether Secrets of a type are never written or taken
// over.
func ForbiddenType(t string) bool { return forbidden[t] }

func forbiddenMessage(t string) string {
	return fmt.Sprintf("type %q is not allowed: such Secrets give power over the cluster to whoever fills them", t)
}

// ownership tells whether the Secret is ours already, or whether it may become
// so.
func ownership(s spec.Spec, current *spec.Secret) (mine bool, _ *spec.Issue) {
	c, controlled := current.Controller()
	theirs := controlled && !sameObject(c, s.Object)
	merges := s.Target.Creation == spec.Merge || s.Target.Creation == spec.CreateOrMerge
	if theirs && (!merges || sameKind(c, s.Object)) {
		return false, conflict(WhereOwner, fmt.Sprintf("Secret %q belongs to %s %q; choose another name, or delete one of the two", current.Name, c.Kind, c.Name))
	}
	// An owner reference is no proof that we wrote it: anybody who may patch
	// the Secret can set one.
	if ForbiddenType(current.Type) {
		return false, conflict(WhereSecret, fmt.Sprintf("Secret %q is of type %q, which is never taken over; choose another name", current.Name, current.Type))
	}
	if merges {
		return false, nil
	}
	if controlled {
		return true, nil
	}
	for _, label := range managers {
		if _, ours := s.Target.Marks[label]; ours || current.Fields[fieldLabel+label] {
			continue
		}
		if v := current.Labels[label]; v != "" {
			return false, conflict(WhereSecret, fmt.Sprintf(
				"Secret %q is managed by somebody else (label %s=%s); remove the label to hand it over, or choose another name", current.Name, label, v))
		}
	}
	return false, nil
}

// sameKind reports whether a Secret belongs to an object of the same kind, of
// any version.
func sameKind(o spec.OwnerRef, obj spec.Object) bool {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	ours, _, _ := strings.Cut(obj.APIVersion, "/")
	return o.Kind == obj.Kind && group == ours
}

// sameObject compares without the UID: a cluster restored from a backup has
// the same objects with new UIDs, and stale references to them.
func sameObject(o spec.OwnerRef, obj spec.Object) bool {
	return sameKind(o, obj) && o.Name == obj.Name
}
