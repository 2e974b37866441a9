// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/shadow"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

func label(name string) feed.Label {
	return feed.Label{Store: spec.StoreKey{Kind: "SecretStore", Namespace: "ns", Name: name}, Driver: "vault"}
}

// busy are metrics that were told of everything.
func busy() *Metrics {
	m := New(func() []feed.StoreStats {
		return []feed.StoreStats{{Label: label("a"), Secrets: 5, Due: 2, Late: 1, Oldest: 90 * time.Second, Quiet: 3 * time.Second, Down: true}}
	})
	for _, name := range []string{"a", "b"} {
		m.Request(label(name), backend.Observation{Operation: backend.OpRead, Code: "200", Took: 20 * time.Millisecond})
		m.Request(label(name), backend.Observation{Operation: backend.OpLogin, Code: "none", Took: time.Second})
		m.Shared(label(name), 9)
	}
	m.Waited(true, time.Millisecond)
	m.Waited(false, time.Second)
	return m
}

func TestMetrics(t *testing.T) {
	m := busy()
	m.Forget(label("b"))
	want := `
# HELP lockstep_backend_requests_total Requests that left for a store, by what they were for and the HTTP status of the answer, or none.
# TYPE lockstep_backend_requests_total counter
lockstep_backend_requests_total{backend="vault",code="200",operation="read",store="a",store_kind="SecretStore",store_namespace="ns"} 1
lockstep_backend_requests_total{backend="vault",code="none",operation="login",store="a",store_kind="SecretStore",store_namespace="ns"} 1
# HELP lockstep_reads_shared_total Reads that were not made, because what was read for another object served.
# TYPE lockstep_reads_shared_total counter
lockstep_reads_shared_total{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 9
# HELP lockstep_store_data_age_seconds How long ago the oldest answer came of those secrets that are polled; since they are followed where there is none yet.
# TYPE lockstep_store_data_age_seconds gauge
lockstep_store_data_age_seconds{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 90
# HELP lockstep_store_down 1 while the store answers nobody, or nobody understands its answers, and is asked one question at a time.
# TYPE lockstep_store_down gauge
lockstep_store_down{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 1
# HELP lockstep_store_quiet_seconds For how long the store asked to be left alone.
# TYPE lockstep_store_quiet_seconds gauge
lockstep_store_quiet_seconds{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 3
# HELP lockstep_store_secrets Remote secrets that are followed in the store, listings among them.
# TYPE lockstep_store_secrets gauge
lockstep_store_secrets{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 5
# HELP lockstep_store_secrets_due Of these, those that wait to be read or are being read.
# TYPE lockstep_store_secrets_due gauge
lockstep_store_secrets_due{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 2
# HELP lockstep_store_secrets_late Of these, those without a good answer for two intervals.
# TYPE lockstep_store_secrets_late gauge
lockstep_store_secrets_late{backend="vault",store="a",store_kind="SecretStore",store_namespace="ns"} 1
`
	err := testutil.CollectAndCompare(m, strings.NewReader(want),
		"lockstep_backend_requests_total", "lockstep_reads_shared_total", "lockstep_store_data_age_seconds", "lockstep_store_down",
		"lockstep_store_quiet_seconds", "lockstep_store_secrets", "lockstep_store_secrets_due", "lockstep_store_secrets_late")
	if err != nil {
		t.Error(err)
	}
	for name, want := range map[string]int{"lockstep_backend_request_duration_seconds": 2, "lockstep_queue_wait_seconds": 2} {
		if got := testutil.CollectAndCount(m, name); got != want {
			t.Errorf("%d series of %s, want %d", got, name, want)
		}
	}
}

// seen is a report of one object.
func seen() *shadow.Report {
	r := shadow.NewReport()
	r.Begin(spec.Spec{Object: spec.Object{Dialect: backend.KES, Namespace: "ns", Name: "es"}})
	return r
}

// TestShadow: a series tells of a namespace, and ends with its last object.
func TestShadow(t *testing.T) {
	r := seen()
	const want = `
# HELP lockstep_shadow_objects Objects by what would become of their Secret, with --shadow.
# TYPE lockstep_shadow_objects gauge
lockstep_shadow_objects{dialect="kes",object_namespace="ns",result="pending"} 1
`
	if err := testutil.CollectAndCompare(Shadow(r), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	r.Drop(spec.ID{Dialect: backend.KES, Namespace: "ns", Name: "es"})
	if n := testutil.CollectAndCount(Shadow(r)); n != 0 {
		t.Errorf("%d series of objects that are gone", n)
	}
}

// TestNames holds the names to the conventions of Prometheus.
func TestNames(t *testing.T) {
	problems, err := testutil.CollectAndLint(busy())
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestDocument: docs/metrics.md names each metric, and no other.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("(?m)^\\| `(lockstep_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		named[name[1]] = true
	}
	ours := prometheus.NewRegistry()
	ours.MustRegister(busy(), Paused(true), Shadow(seen()))
	families, err := ours.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, f := range families {
		there = append(there, f.GetName())
		if !named[f.GetName()] {
			t.Errorf("docs/metrics.md does not name %s", f.GetName())
		}
	}
	for name := range named {
		if !slices.Contains(there, name) {
			t.Errorf("docs/metrics.md names %s, which is not there", name)
		}
	}
}
