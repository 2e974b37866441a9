// SPDX-License-Identifier: Apache-2.0

// Package eso reads the manifests of External Secrets Operator
// (external-secrets.io/v1) and words what happened the way its users know. It
// is pure. Everything that is peculiar to these manifests is here; what is
// peculiar to a secret manager is in its folder under backends/.
//
// A manifest comes from a CRD of ours or from the operator's own, whose schema
// takes any text for a duration. So nothing here trusts that a schema looked at
// it: what is wrong becomes an Issue of this one object.
package eso

import (
	"cmp"
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Settings are what the operator chose for all ESO objects.
type Settings struct {
	Class string // of the stores to look after, where they name one
	// Namespaces are those the instance looks after; empty is all.
	Namespaces []string
	Drivers    spec.Drivers
}

// The kinds.
const (
	kindObject       = "ExternalSecret"
	KindStore        = "SecretStore"
	KindClusterStore = "ClusterSecretStore"
)

// Labels on Secrets, with which External Secrets Operator finds those it wrote
// and those it owns. They are kept, so that a team can go back.
const (
	labelManaged = "reconcile.external-secrets.io/managed"
	LabelOwner   = "reconcile.external-secrets.io/created-by"
)

// fieldManager is the beginning of the field manager of our writes, which is
// how keys are told from those of others, by us and by the operator.
const fieldManager = "externalsecrets.external-secrets.io/"

// unwanted is not copied: it is what kubectl last applied to the manifest, and
// not to the Secret.
const unwanted = "kubectl.kubernetes.io/last-applied-configuration"

// Object identifies a manifest.
func Object(es *v1.ExternalSecret) spec.Object {
	return spec.Object{
		Dialect:    backend.ESO,
		APIVersion: v1.GroupVersion.String(),
		Kind:       kindObject,
		Namespace:  es.Namespace,
		Name:       es.Name,
		UID:        string(es.UID),
		Generation: es.Generation,
	}
}

// Spec reads a manifest. now decides whether a sync window is open.
func Spec(es *v1.ExternalSecret, set Settings, now time.Time) spec.Spec {
	r := &reader{es: es, scoped: len(set.Namespaces) > 0}
	out := spec.Spec{Object: Object(es), Syntax: spec.GJSON}
	out.Target = r.target()
	out.Entries = r.entries()
	out.Refresh = r.refresh(now)
	out.Issues = r.issues
	return out
}

// reader collects what is wrong with a manifest while it is read.
type reader struct {
	es     *v1.ExternalSecret
	scoped bool
	issues []spec.Issue
}

// wrong notes what cannot work as it is written.
func (r *reader) wrong(where, format string, args ...any) {
	r.issues = append(r.issues, spec.Issue{Where: where, Code: backend.InvalidRef, Message: fmt.Sprintf(format, args...)})
}

// oneOf returns the choice that a text names, which is the first when there is
// no text.
func oneOf[T any](r *reader, where, text string, names []string, values ...T) T {
	for i, name := range names {
		if text == name || text == "" && i == 0 {
			return values[i]
		}
	}
	r.wrong(where, "%q is not one of %s", text, strings.Join(names, ", "))
	return values[0]
}

// target reads spec.target.
func (r *reader) target() spec.Target {
	t := r.es.Spec.Target
	out := spec.Target{
		Namespace:  r.es.Namespace,
		Name:       cmp.Or(t.Name, r.es.Name),
		Manager:    Manager(r.es.Name),
		ByField:    true,
		Freeze:     t.Immutable,
		Marks:      map[string]string{labelManaged: "true"},
		OwnerMarks: map[string]string{LabelOwner: hash(r.es.Namespace + "/" + r.es.Name)},
	}
	out.Creation = oneOf(r, "spec.target.creationPolicy", t.CreationPolicy,
		[]string{"Owner", "Orphan", "Merge", "CreateOrMerge", "None"}, spec.Owner, spec.Orphan, spec.Merge, spec.CreateOrMerge, spec.None)
	out.Deletion = oneOf(r, "spec.target.deletionPolicy", t.DeletionPolicy,
		[]string{"Retain", "Delete", "Merge"}, spec.Retain, spec.DeleteSecret, spec.DropMissing)
	switch {
	case out.Deletion == spec.DeleteSecret && out.Creation != spec.Owner && out.Creation != spec.Orphan:
		r.wrong("spec.target.deletionPolicy", "Delete must not be used with creationPolicy %s: the Secret is not ours to delete; use creationPolicy Owner", t.CreationPolicy)
	case out.Deletion == spec.DropMissing && out.Creation == spec.None:
		r.wrong("spec.target.deletionPolicy", "Merge must not be used with creationPolicy None: there is no Secret to merge with")
	}
	if t.Manifest != nil {
		r.wrong("spec.target.manifest", "targets other than Secrets are not supported by this version of Lockstep; remove spec.target.manifest")
	}
	if t.Template == nil {
		out.Template = spec.Template{Labels: copied(r.es.Labels), Annotations: copied(r.es.Annotations)}
		return out
	}
	r.template(&out, t.Template)
	return out
}

// copied are the labels or annotations that a Secret takes over from its
// object.
func copied(m map[string]string) map[string]string {
	out := maps.Clone(m)
	delete(out, unwanted)
	delete(out, spec.PauseAnnotation) // it pauses the manifest, and nothing is paused by a Secret
	return out
}

// Manager is the field manager of an object's writes, in the operator's
// grammar.
func Manager(name string) string {
	if len(name) > 63 {
		return fieldManager + "sha3/" + hash(name)
	}
	return fieldManager + name
}

// hash is how the operator makes a name of fixed length.
func hash(text string) string {
	sum := sha3.Sum224([]byte(text))
	return hex.EncodeToString(sum[:])
}

// SyncedVersion is what the status calls syncedResourceVersion: generation,
// labels and annotations, since the operator looks again when any of these
// change. It is the same text that the operator makes, so that changing from
// one to the other reads nothing.
func SyncedVersion(es *v1.ExternalSecret) string {
	return fmt.Sprintf("%d-%s", es.Generation, hash(fmt.Sprintf("{annotations:%v labels:%v}", es.Annotations, es.Labels)))
}

// Synced reports whether the status says that the manifest as it is now is in
// place. Objects that are made once are, whatever they say now.
func Synced(es *v1.ExternalSecret) bool {
	s := es.Status
	if s.SyncedResourceVersion == "" || s.RefreshTime.IsZero() {
		return false
	}
	if ready := condition(s.Conditions, conditionReady); ready == nil || ready.Status != statusTrue {
		return false
	}
	return once(es) || s.SyncedResourceVersion == SyncedVersion(es)
}

// Forced returns a text that changes whenever a person asks for a sync by
// changing a label or an annotation, and "" while nobody does.
func Forced(es *v1.ExternalSecret) string {
	generation, meta, ok := strings.Cut(es.Status.SyncedResourceVersion, "-")
	now := SyncedVersion(es)
	thisGeneration, thisMeta, _ := strings.Cut(now, "-")
	if !ok || generation != thisGeneration || meta == thisMeta || once(es) {
		return ""
	}
	return now
}

// finalizers are those that the operator leaves on its objects. Nothing needs
// them here, and nobody else would remove them.
var finalizers = map[string]bool{
	"externalsecrets.external-secrets.io/externalsecret-cleanup": true,
	"secretstore.externalsecrets.io/finalizer":                   true,
}

// Released returns the finalizers that an object keeps when it goes, and
// whether it loses any.
func Released(list []string) ([]string, bool) {
	out := slices.DeleteFunc(slices.Clone(list), func(f string) bool { return finalizers[f] })
	return out, len(out) != len(list)
}
