// SPDX-License-Identifier: Apache-2.0

// Package metrics shows to Prometheus what the feed does and how it is. It holds
// no state of its own but counters: what can be asked for is asked for when
// somebody scrapes, so no series outlives what it is about.
//
// Labels name stores, products, operations and codes, and nothing of a secret.
// docs/metrics.md lists them all, from this package.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/feed"
)

// storeLabels name a store. They are not called namespace and name, which
// Prometheus uses for what it scrapes. A ClusterSecretStore has no namespace, and
// where manifests name a product and no store, the kind is backendType.
var storeLabels = []string{"store_kind", "store_namespace", "store", "backend"}

// Metrics are those of one feed. They implement feed.Meter, and
// prometheus.Collector.
type Metrics struct {
	feed func() []feed.StoreStats

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	shared   *prometheus.CounterVec
	waited   *prometheus.HistogramVec
}

// gauges are what a store is asked when somebody scrapes.
var gauges = []struct {
	name, help string
	value      func(feed.StoreStats) float64
}{
	{"lockstep_store_secrets", "Remote secrets that are followed in the store, listings among them.", func(s feed.StoreStats) float64 { return float64(s.Secrets) }},
	{"lockstep_store_secrets_due", "Of these, those that wait to be read or are being read.", func(s feed.StoreStats) float64 { return float64(s.Due) }},
	{"lockstep_store_secrets_late", "Of these, those without a good answer for two intervals.", func(s feed.StoreStats) float64 { return float64(s.Late) }},
	{
		"lockstep_store_data_age_seconds", "How long ago the oldest answer came of those secrets that are polled; since they are followed where there is none yet.",
		func(s feed.StoreStats) float64 { return s.Oldest.Seconds() },
	},
	{"lockstep_store_quiet_seconds", "For how long the store asked to be left alone.", func(s feed.StoreStats) float64 { return s.Quiet.Seconds() }},
	{"lockstep_store_secrets_missing", "Secrets that were there and are missing, which is believed when it is so for an interval.", func(s feed.StoreStats) float64 { return float64(s.Missing) }},
	{"lockstep_store_removals_held", "1 while so much is missing in the store that nothing is removed for that.", func(s feed.StoreStats) float64 { return truth(s.Held) }},
	{"lockstep_store_down", "1 while the store answers nobody, or nobody understands its answers, and is asked one question at a time.", func(s feed.StoreStats) float64 { return truth(s.Down) }},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// New makes the metrics of a feed that is asked for its state by stats.
func New(stats func() []feed.StoreStats) *Metrics {
	return &Metrics{
		feed: stats,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_backend_requests_total",
			Help: "Requests that left for a store, by what they were for and the HTTP status of the answer, or none.",
		}, append(storeLabels[:len(storeLabels):len(storeLabels)], "operation", "code")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lockstep_backend_request_duration_seconds",
			Help:    "How long the answers of stores took, up to their headers.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, append(storeLabels[:len(storeLabels):len(storeLabels)], "operation")),
		shared: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_reads_shared_total",
			Help: "Reads that were not made, because what was read for another object served.",
		}, storeLabels),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lockstep_queue_wait_seconds",
			Help:    "How long secrets that were due waited for their read to begin; urgent are those that an object waits for.",
			Buckets: []float64{.001, .01, .1, .5, 1, 5, 15, 60, 300},
		}, []string{"priority"}),
	}
}

func values(s feed.Label, more ...string) []string {
	return append([]string{s.Store.Kind, s.Store.Namespace, s.Store.Name, s.Driver}, more...)
}

// Request implements feed.Meter.
func (m *Metrics) Request(s feed.Label, o backend.Observation) {
	op := string(o.Operation)
	m.requests.WithLabelValues(values(s, op, o.Code)...).Inc()
	m.duration.WithLabelValues(values(s, op)...).Observe(o.Took.Seconds())
}

// Waited implements feed.Meter.
func (m *Metrics) Waited(urgent bool, d time.Duration) {
	priority := "routine"
	if urgent {
		priority = "urgent"
	}
	m.waited.WithLabelValues(priority).Observe(d.Seconds())
}

// Shared implements feed.Meter.
func (m *Metrics) Shared(s feed.Label, reads int) {
	m.shared.WithLabelValues(values(s)...).Add(float64(reads))
}

// Forget implements feed.Meter.
func (m *Metrics) Forget(s feed.Label) {
	labels := prometheus.Labels{}
	for i, v := range values(s) {
		labels[storeLabels[i]] = v
	}
	m.requests.DeletePartialMatch(labels)
	m.duration.DeletePartialMatch(labels)
	m.shared.DeletePartialMatch(labels)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.counters(func(c prometheus.Collector) { c.Describe(ch) })
	for _, g := range gauges {
		ch <- prometheus.NewDesc(g.name, g.help, storeLabels, nil)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.counters(func(c prometheus.Collector) { c.Collect(ch) })
	stores := m.feed()
	for _, g := range gauges {
		desc := prometheus.NewDesc(g.name, g.help, storeLabels, nil)
		for _, s := range stores {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, g.value(s), values(s.Label)...)
		}
	}
}

func (m *Metrics) counters(do func(prometheus.Collector)) {
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.shared, m.waited} {
		do(c)
	}
}
