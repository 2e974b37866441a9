// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// lookedUp are the kinds of which single objects are counted when they are read.
// The API server reads a few namespaces itself.
var lookedUp = []string{"secrets", "namespaces", "configmaps", "externalsecrets", "secretstores"}

// reads is how many single objects were read since the API server was started,
// by kind. But for namespaces, only Lockstep does that here.
func (r *rig) reads(ctx context.Context) (tally, error) {
	text, err := r.sets.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	return parseReads(string(text))
}

// parseReads sums apiserver_request_total for single objects that were asked
// for, whatever the answer was.
func parseReads(metrics string) (tally, error) {
	out := tally{}
	for line := range strings.Lines(metrics) {
		labels, rest, ok := strings.Cut(line, "} ")
		if !ok || !strings.HasPrefix(labels, "apiserver_request_total{") || !strings.Contains(labels, `verb="GET"`) {
			continue
		}
		for _, kind := range lookedUp {
			if !strings.Contains(labels, `resource="`+kind+`"`) {
				continue
			}
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				return nil, fmt.Errorf("metrics of the API server: %w", err)
			}
			out[kind] += int(n)
		}
	}
	return out, nil
}

// less is what was added to another tally.
func (t tally) less(before tally) tally {
	out := tally{}
	for kind, n := range t {
		if n > before[kind] {
			out[kind] = n - before[kind]
		}
	}
	return out
}
