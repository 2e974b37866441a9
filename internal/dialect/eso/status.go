// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const (
	conditionReady = "Ready"
	statusTrue     = "True"
	statusFalse    = "False"
)

// The reasons of the Ready condition.
const (
	reasonSynced  = "SecretSynced"
	reasonError   = "SecretSyncedError"
	reasonDeleted = "SecretDeleted"
	reasonMissing = "SecretMissing"
)

// The operator's phrases. People and alerts search for them, so they begin our
// messages; what is behind the colon is ours.
const (
	sayReading   = "could not get secret data from provider"
	sayWriting   = "could not update secret"
	sayImmutable = "could not update secret, target is immutable"
	sayOwner     = "failed to take ownership of target secret"
	sayOwned     = "target is owned by another ExternalSecret"
	sayDeleting  = "could not delete secret"
)

// states are what the operator says of a Secret that is as it should be.
var states = map[diff.State]struct{ reason, message string }{
	diff.Synced:   {reasonSynced, "secret synced"},
	diff.Ignored:  {reasonSynced, "secret synced"},
	diff.Retained: {reasonSynced, "secret retained due to DeletionPolicy=Retain"},
	diff.Deleted:  {reasonDeleted, "secret deleted due to DeletionPolicy=Delete"},
	diff.Missing:  {reasonMissing, "secret will not be created due to CreationPolicy=Merge"},
}

// Status returns the status to show for an outcome. It differs from the one
// there is only when there is something to tell: another outcome, another
// manifest, or a Secret that was written.
func Status(es *v1.ExternalSecret, o outcome.Outcome, now time.Time) v1.ExternalSecretStatus {
	out := *es.Status.DeepCopy()
	if o.Ready == outcome.Unchanged {
		return out
	}
	if o.Bound {
		out.Binding.Name = cmp.Or(es.Spec.Target.Name, es.Name)
	}
	if o.Ready == outcome.NotReady {
		out.Conditions = with(out.Conditions, statusFalse, reasonError, message(o), now)
		return out
	}
	state := states[o.State]
	out.Conditions = with(out.Conditions, statusTrue, state.reason, state.message, now)
	out.Versions = o.Versions
	out.SyncedResourceVersion = SyncedVersion(es)
	if o.Written || !SameStatus(out, es.Status) || out.RefreshTime.IsZero() {
		out.RefreshTime = &metav1.Time{Time: now.Truncate(time.Second)}
	}
	return out
}

// with sets the Ready condition, whose time of transition is that of the last
// change of its status.
func with(list []v1.Condition, status, reason, message string, now time.Time) []v1.Condition {
	next := v1.Condition{
		Type: conditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	out := slices.Clone(list)
	for i, c := range out {
		if c.Type != conditionReady {
			continue
		}
		if c.Status == status {
			next.LastTransitionTime = c.LastTransitionTime
		}
		out[i] = next
		return out
	}
	return append(out, next)
}

func condition(list []v1.Condition, kind string) *v1.Condition {
	i := slices.IndexFunc(list, func(c v1.Condition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// message is the operator's phrase, and which entry, which store and which code
// are behind it.
func message(o outcome.Outcome) string {
	parts := []string{phrase(o)}
	where := o.Where
	if o.Store != (spec.StoreKey{}) {
		where += ", " + o.Store.String()
	}
	for _, p := range []string{where, string(o.Code), o.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// phrase is what the operator says of a failure at this place.
func phrase(o outcome.Outcome) string {
	switch {
	case o.Where == diff.WhereImmutable:
		return sayImmutable
	case o.Where == diff.WhereOwner && strings.Contains(o.Message, " belongs to "+kindObject+" "):
		return sayOwned
	case o.Where == diff.WhereOwner:
		return sayOwner
	case o.Where == "spec.target.deletionPolicy":
		return sayDeleting
	case strings.HasPrefix(o.Where, "spec.target"), !strings.HasPrefix(o.Where, "spec"):
		return sayWriting
	}
	return sayReading
}

// SameStatus reports whether two statuses say the same.
func SameStatus(a, b v1.ExternalSecretStatus) bool {
	return a.SyncedResourceVersion == b.SyncedResourceVersion && a.Binding == b.Binding &&
		a.RefreshTime.Equal(b.RefreshTime) && slices.EqualFunc(a.Conditions, b.Conditions, sameCondition) &&
		sameVersions(a.Versions, b.Versions)
}

func sameCondition(a, b v1.Condition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
}

func sameVersions(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}
