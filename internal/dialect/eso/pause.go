// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
)

// The operator's CRDs allow no condition of another type than its own. So a pause
// is the reason of Ready, whose status stays as it was, since a pause is no
// failure and alerts go by the status. What Ready said before is in the message,
// and comes back.
const (
	reasonPaused  = "Paused"
	statusUnknown = "Unknown" // of what was never looked at
	beforeMark    = "; before: "
)

// Paused reports whether conditions say that their object is paused.
func Paused(list []v1.Condition) bool {
	ready := condition(list, conditionReady)
	return ready != nil && ready.Reason == reasonPaused
}

// Pause returns conditions that say what pauses their object, or with by empty
// that nothing does any more.
func Pause(list []v1.Condition, by string, now time.Time) []v1.Condition {
	out := slices.Clone(list)
	ready := condition(out, conditionReady)
	if ready != nil && ready.Reason == reasonPaused {
		_, before, _ := strings.Cut(ready.Message, beforeMark)
		ready.Reason, ready.Message, _ = strings.Cut(before, ": ")
	}
	switch {
	case ready == nil && by == "":
		return out
	case ready == nil:
		return append(out, v1.Condition{
			Type: conditionReady, Status: statusUnknown, Reason: reasonPaused, Message: by,
			LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	case by != "" && ready.Reason == "":
		ready.Reason, ready.Message = reasonPaused, by
	case by != "":
		ready.Reason, ready.Message = reasonPaused, by+beforeMark+ready.Reason+": "+ready.Message
	case ready.Reason == "":
		return slices.DeleteFunc(out, func(c v1.Condition) bool { return c.Type == conditionReady })
	}
	return out
}

// SameConditions reports whether two lists say the same.
func SameConditions(a, b []v1.Condition) bool { return slices.EqualFunc(a, b, sameCondition) }
