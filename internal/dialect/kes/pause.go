// SPDX-License-Identifier: Apache-2.0

package kes

import (
	"strings"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
)

// A status of KES is one text. While an object is paused it says so, and what it
// said before, which counts still: with "SUCCESS", that the Secret is in place.
const (
	pausedMark = "PAUSED, "
	beforeMark = "; before: "
)

// Paused reports whether the status says that the object is paused.
func Paused(es *v1.ExternalSecret) bool { return strings.HasPrefix(es.Status.Status, pausedMark) }

// Pause returns the status that says what pauses the object, or with by empty the
// one of before.
func Pause(es *v1.ExternalSecret, by string) v1.ExternalSecretStatus {
	out := es.Status
	out.Status = before(es.Status.Status)
	if by == "" {
		return out
	}
	text := pausedMark + oneLine(by)
	if out.Status != "" {
		text += beforeMark + out.Status
	}
	out.Status = text
	return out
}

// before is what a status said before the object was paused.
func before(status string) string {
	if !strings.HasPrefix(status, pausedMark) {
		return status
	}
	_, old, _ := strings.Cut(status, beforeMark)
	return old
}
