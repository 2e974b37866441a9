// SPDX-License-Identifier: Apache-2.0

package kes

import (
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
)

// success is the status of an object whose Secret is as it should be.
const success = "SUCCESS"

// lastSync is how KES wrote a time: ISO 8601 in UTC, with milliseconds.
const lastSync = "2006-01-02T15:04:05.000Z"

var (
	newlines = strings.NewReplacer("\r\n", "", "\n", "", "\r", "", "\t", " ")
	spaces   = regexp.MustCompile(" +")
)

// Status returns the status to show for an outcome. It differs from the one
// there is only when there is something to tell: another outcome, another
// generation, or a Secret that was written.
func Status(es *v1.ExternalSecret, o outcome.Outcome, now time.Time) v1.ExternalSecretStatus {
	out := es.Status
	if o.Ready == outcome.Unchanged {
		return out
	}
	out.ObservedGeneration = es.Generation
	if o.Ready == outcome.NotReady {
		out.Status = oneLine("ERROR, " + o.Message)
	} else {
		out.Status, out.Versions = success, o.Versions
	}
	if !SameStatus(out, es.Status) || o.Written {
		out.LastSync = now.UTC().Format(lastSync)
	}
	return out
}

// SyncedAt is the time that the status shows, or zero.
func SyncedAt(es *v1.ExternalSecret) time.Time {
	t, err := time.Parse(lastSync, es.Status.LastSync)
	if err != nil {
		return time.Time{}
	}
	return t
}

// SameStatus reports whether two statuses say the same.
func SameStatus(a, b v1.ExternalSecretStatus) bool {
	return a.LastSync == b.LastSync && a.Status == b.Status && a.ObservedGeneration == b.ObservedGeneration &&
		maps.Equal(a.Versions, b.Versions)
}

// oneLine brings a message to the form that KES statuses have.
func oneLine(s string) string {
	return spaces.ReplaceAllString(newlines.Replace(s), " ")
}
