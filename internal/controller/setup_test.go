// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/metrics"
)

// TestMetricsAreServed: beside the library's, and for two controllers of one
// process each its own.
func TestMetricsAreServed(t *testing.T) {
	scrape := func(m *metrics.Metrics) string {
		t.Helper()
		filter, err := (&served{own: []prometheus.Collector{m}}).provide(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := filter(logr.Discard(), nil)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	one, two := metrics.New(func() []feed.StoreStats { return nil }), metrics.New(func() []feed.StoreStats { return nil })
	one.Waited(true, 0)
	for _, family := range []string{"lockstep_queue_wait_seconds_count", "go_goroutines"} {
		if !strings.Contains(scrape(one), family) {
			t.Errorf("%s is not served", family)
		}
	}
	if strings.Contains(scrape(two), "lockstep_queue_wait_seconds_count") {
		t.Error("one controller shows what another did")
	}
}
