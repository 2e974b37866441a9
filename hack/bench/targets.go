// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// What is wanted.
const (
	ofRaw       = 1.5  // first sync, to the raw ceiling
	ofPaths     = 1.05 // requests of a first sync and of an interval, to the paths
	perSync     = 2.1  // writes of a first sync, to the objects
	overdue     = 5 * time.Second
	starting    = time.Second // for a process to start, beside the interval
	bytesEach   = 8000.0      // memory for each object above the base
	probes      = 5.0         // requests a minute of a product that can be probed
	mostCPU     = 0.6         // seconds a minute, with 1,000 objects
	mostMemory  = 70e6        // bytes, with 1,000 objects
	comparedFor = 1000        // objects, for which these two are wanted
)

// incumbent is what External Secrets Operator 2.9.0 needs, by rows and number of
// objects: by default, and with --concurrent 10. It was measured once, apart
// from this program, with another stand-in of the same delay on a machine with 2
// cores.
var incumbent = map[int]map[string]string{
	1000: {
		rowSync: "148 s / 41 s", rowSyncRequests: "5,020 / 5,002", rowSyncWrites: "4,008 / 4,018",
		rowRequests: "2,270 / 5,037", rowWrites: "454 / 1,011", rowCPU: "6.7 s / 7.6 s", rowMemory: "138 MB / 187 MB",
		rowChange: "221 s / 66 s",
	},
	10000: {
		rowSync: "– / 466 s", rowSyncRequests: "– / 50,688", rowSyncWrites: "– / 40,151", rowRequests: "– / 6,752, of 50,000 that it needs",
		rowCPU: "– / 42 s", rowMemory: "– / 420 MB",
	},
}

// The rows.
const (
	rowSync         = "first sync of all"
	rowSyncSecrets  = "all Secrets of it are right"
	rowSyncCPU      = "CPU for all of it"
	rowSyncRequests = "backend requests until then"
	rowSyncWrites   = "API server writes for all of it"
	rowRequests     = "backend requests per minute at rest"
	rowWrites       = "API server writes per minute at rest, leases apart"
	rowCPU          = "CPU per minute at rest"
	rowMemory       = "resident memory at rest"
	rowPeak         = "resident memory at most"
	rowEach         = "resident memory for each object, above the base"
	rowChange       = "a change of everything is in all Secrets, by polling"
	rowChangeCost   = "requests and writes for it, with those of the wait"
	rowNotice       = "the same with notices"
	rowNoticeCost   = "requests and writes for that"
	rowArrived      = "a change while nobody ran is in its Secrets after a restart"
	rowAfter        = "backend requests in the interval after a restart"
	rowBurst        = "of them in the busiest second (at rest: %d)"
	rowNeedless     = "API server writes in it but for the change"
)

// judge holds the figures of a size against what is wanted.
func judge(f figures) []row {
	interval := f.interval.Seconds()
	reads := ofPaths * float64(f.paths)
	out := []row{
		f.againstRaw(),
		told(rowSyncSecrets, seconds(f.sync.secrets.last)),
		f.asked(reads),
		bound(rowSyncWrites, float64(f.sync.writes.total()), perSync*float64(f.objects), asCount),
		told(rowSyncCPU, seconds(f.sync.cpu)),
		bound(rowRequests, f.rest.perMinute(f.rest.requests.total()), reads*60/interval, asCount),
		bound(rowWrites, f.rest.perMinute(f.rest.writes.total()), 0, asCount),
	}
	out = append(out, f.size()...)
	out = append(out,
		bound(rowEach, perObject(f.rest.memory.all, f.base.all, f.objects), bytesEach, asKilobytes),
		bound(rowChange, f.polled.last.Seconds(), (f.interval+overdue).Seconds(), asSeconds),
		told(rowChangeCost, f.polled.counted()),
		bound(rowNotice, f.noticed.last.Seconds(), overdue.Seconds(), asSeconds),
		told(rowNoticeCost, f.noticed.counted()),
	)
	return beside(f.objects, append(out, f.afterRestart(reads)...))
}

// beside adds what the incumbent needs.
func beside(objects int, list []row) []row {
	for i := range list {
		list[i].eso = incumbent[objects][list[i].what]
	}
	return list
}

// againstRaw is the first sync, beside what the API server takes for it alone.
func (f figures) againstRaw() row {
	most := ofRaw * f.raw.Seconds()
	return row{
		what: rowSync, ours: seconds(f.sync.last),
		against: fmt.Sprintf("≤ %s (%.1f × raw %s)", asSeconds(most), ofRaw, seconds(f.raw)),
		ratio:   fmt.Sprintf("%.2f × raw", f.sync.last.Seconds()/f.raw.Seconds()),
		met:     verdict(f.sync.last.Seconds() <= most),
	}
}

// asked are the requests of a first sync. With many objects it lasts so long that
// secrets come due while it does.
func (f figures) asked(reads float64) row {
	if f.objects != comparedFor {
		return told(rowSyncRequests, asCount(float64(f.sync.asked)))
	}
	return bound(rowSyncRequests, float64(f.sync.asked), reads, asCount)
}

// size is what the process needs at rest. Both are wanted for one number of
// objects only.
func (f figures) size() []row {
	if f.objects != comparedFor {
		return []row{
			told(rowCPU, asCPU(f.rest.computed().Seconds())),
			told(rowMemory, megabytes(f.rest.memory.all)), told(rowPeak, megabytes(f.rest.memory.peak)),
		}
	}
	return []row{
		bound(rowCPU, f.rest.computed().Seconds(), mostCPU, asCPU),
		bound(rowMemory, float64(f.rest.memory.all), mostMemory, asMegabytes),
		told(rowPeak, megabytes(f.rest.memory.peak)),
	}
}

func (f figures) afterRestart(reads float64) []row {
	return []row{
		bound(rowArrived, f.restart.arrived.Seconds(), (f.interval + starting).Seconds(), asSeconds),
		bound(rowAfter, float64(f.restart.requests.total()), reads, asCount),
		told(fmt.Sprintf(rowBurst, f.rest.burst), asCount(float64(f.restart.burst))),
		bound(rowNeedless, float64(f.restart.needless()), 0, asCount),
	}
}

// judgeProber holds the figures of a product that can be probed against what is
// wanted.
func judgeProber(f figures) []row {
	return append([]row{
		told(rowSync, seconds(f.sync.last)),
		told(rowSyncRequests, asCount(float64(f.sync.requests.total()))),
		bound(rowRequests, f.rest.perMinute(f.rest.requests.total()), probes*time.Minute.Seconds()/f.interval.Seconds(), asCount),
		bound(rowWrites, f.rest.perMinute(f.rest.writes.total()), 0, asCount),
	}, append(f.size(),
		told(rowChange, seconds(f.polled.last)),
		told(rowChangeCost, f.polled.counted()),
	)...)
}

// counted is what a change cost.
func (c changed) counted() string {
	return fmt.Sprintf("%d and %d", c.requests.total(), c.writes.total())
}
