// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-secrets/lockstep/internal/shadow"
)

// Paused says whether the whole controller is.
func Paused(paused bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lockstep_paused", Help: "1 while the controller was started with --pause.",
	}, func() float64 { return truth(paused) })
}

// Shadow counts the objects of a report. A series is there while an object is.
func Shadow(r *shadow.Report) prometheus.Collector { return counted{r} }

type counted struct{ report *shadow.Report }

var shadowObjects = prometheus.NewDesc("lockstep_shadow_objects",
	"Objects by what would become of their Secret, with --shadow.", []string{"dialect", "object_namespace", "result"}, nil)

// Describe implements prometheus.Collector.
func (c counted) Describe(ch chan<- *prometheus.Desc) { ch <- shadowObjects }

// Collect implements prometheus.Collector.
func (c counted) Collect(ch chan<- prometheus.Metric) {
	for of, n := range c.report.Counts() {
		ch <- prometheus.MustNewConstMetric(shadowObjects, prometheus.GaugeValue, float64(n), of.Dialect, of.Namespace, string(of.Result))
	}
}
