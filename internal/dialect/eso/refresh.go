// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"fmt"
	"time"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/spec"
	"github.com/lockstep-secrets/lockstep/internal/window"
)

const (
	// defaultEvery is the CRD's default, for objects that were stored without.
	defaultEvery = time.Hour
	// shortest is the interval that shorter ones are taken for: nothing follows
	// a store more closely.
	shortest = time.Second
	// hopeful is the longest pause before an object that was never in sync is
	// tried again.
	hopeful = 5 * time.Minute
)

// The values of refreshPolicy.
const (
	periodic    = "Periodic"
	createdOnce = "CreatedOnce"
	onChange    = "OnChange"
)

// once reports whether the object is made once and then stays, whatever becomes
// of the manifest.
func once(es *v1.ExternalSecret) bool {
	switch es.Spec.RefreshPolicy {
	case createdOnce:
		return true
	case onChange:
		return false
	}
	d, err := interval(es)
	return err == nil && d <= 0
}

// interval is spec.refreshInterval.
func interval(es *v1.ExternalSecret) (time.Duration, error) {
	if es.Spec.RefreshInterval == nil {
		return defaultEvery, nil
	}
	return time.ParseDuration(*es.Spec.RefreshInterval)
}

// refresh reads when the remote secrets are looked at again.
//
//	policy       interval  in sync  follows
//	Periodic     positive           each interval, while its windows are open
//	Periodic     zero      yes      nothing, nor the manifest
//	CreatedOnce            yes      nothing, nor the manifest
//	OnChange               yes      the manifest
//	any                    no       each interval, and at least every 5 minutes
//
// While a window is closed, an object that was in sync with its manifest once
// follows nothing, even if it failed since: a freeze is a safety control.
func (r *reader) refresh(now time.Time) spec.Refresh {
	policy := oneOf(r, "spec.refreshPolicy", r.es.Spec.RefreshPolicy,
		[]string{periodic, createdOnce, onChange}, periodic, createdOnce, onChange)
	every, err := interval(r.es)
	if err != nil {
		r.wrong("spec.refreshInterval", "%q is not a duration; write it as 1h30m or 45s, in hours, minutes and seconds", *r.es.Spec.RefreshInterval)
	}
	windows, ok := r.windows()
	closed := ok && policy == periodic && !windows.Open(now)
	switch {
	case closed && r.es.Status.SyncedResourceVersion == SyncedVersion(r.es):
		return spec.Refresh{Every: max(every, shortest), Mode: spec.Pinned, Change: windows.Change(now)}
	case !Synced(r.es):
		if every <= 0 || every > hopeful {
			every = hopeful
		}
		return spec.Refresh{Every: max(every, shortest)}
	case policy != periodic || every <= 0:
		return spec.Refresh{Mode: spec.Pinned, Once: once(r.es)}
	}
	out := spec.Refresh{Every: max(every, shortest)}
	if ok {
		out.Change = windows.Change(now)
	}
	return out
}

// windows reads spec.syncWindows.
func (r *reader) windows() (window.Set, bool) {
	w := r.es.Spec.SyncWindows
	if w == nil {
		return window.Set{}, false
	}
	allow := oneOf(r, "spec.syncWindows.kind", w.Kind, []string{"allow", "deny"}, true, false)
	list := make([]window.Window, 0, len(w.Windows))
	for i, item := range w.Windows {
		d, err := time.ParseDuration(item.Duration)
		if err != nil {
			r.wrong(fmt.Sprintf("spec.syncWindows.windows[%d].duration", i), "%q is not a duration; write it as 1h30m", item.Duration)
			return window.Set{}, false
		}
		list = append(list, window.Window{Schedule: item.Schedule, Duration: d})
	}
	set, err := window.Parse(allow, list)
	if err != nil {
		r.wrong("spec.syncWindows", "%s", err)
		return window.Set{}, false
	}
	return set, true
}
