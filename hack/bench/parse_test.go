// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	const line = "4242 (a (strange) name) S 1 4242 4242 0 -1 4194304 100 0 0 0 321 79 0 0 20 0 9 0 12345 1 2 3\n"
	got, err := parseStat(line)
	if err != nil || got != 4*time.Second {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b 1 1 1"} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	got, err := parseStatus("Name:\tlockstep\nVmHWM:\t   60000 kB\nVmRSS:\t   50000 kB\nRssAnon:\t   10000 kB\nRssFile:\t   40000 kB\n")
	want := memory{all: 50000 * 1024, anon: 10000 * 1024, peak: 60000 * 1024}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "VmRSS: 1 kB\n", "VmHWM: x kB\n"} {
		if got, err := parseStatus(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

// Lines as kube-apiserver 1.36 writes them, without what is not read.
const (
	lineCreate = `{"kind":"Event","level":"Metadata","stage":"ResponseComplete","verb":"create","objectRef":{"resource":"secrets","namespace":"bench",` +
		`"name":"app-00001","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"stageTimestamp":"2026-01-02T03:04:05.000001Z"}` + "\n"
	linePatch = `{"verb":"patch","objectRef":{"resource":"externalsecrets","namespace":"bench","name":"app-00001","apiGroup":"external-secrets.io",` +
		`"apiVersion":"v1","subresource":"status"},"responseStatus":{"code":200},"stageTimestamp":"2026-01-02T03:04:06.5Z"}` + "\n"
	lineLease = `{"verb":"update","objectRef":{"resource":"leases","namespace":"lockstep-system","name":"lockstep-controller"},` +
		`"responseStatus":{"code":200},"stageTimestamp":"2026-01-02T03:04:07Z"}` + "\n"
	lineRefused = `{"verb":"create","objectRef":{"resource":"secrets","namespace":"bench","name":"app-00002"},` +
		`"responseStatus":{"code":409},"stageTimestamp":"2026-01-02T03:04:08Z"}` + "\n"
)

func TestAuditLog(t *testing.T) {
	a := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	if n, err := a.read(); n != 0 || err != nil {
		t.Fatalf("%d, %v before there is a log", n, err)
	}
	f, err := os.Create(a.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	total := 0
	for _, step := range []struct {
		text string
		want int
	}{{lineCreate + linePatch[:40], 1}, {linePatch[40:], 2}, {"", 2}, {lineLease + lineRefused, 4}} {
		if _, err := f.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		if total, err = a.read(); err != nil || total != step.want {
			t.Fatalf("%d writes after %q, %v; want %d", total, step.text, err, step.want)
		}
	}
	all, err := a.since(0)
	if err != nil {
		t.Fatal(err)
	}
	list := work(all)
	got := tallyOf(list, func(c change) string { return c.what })
	if diff := cmp.Diff(tally{createSecret: 2, patchStatus: 1}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if first := firsts(list, createSecret, lookedAfter); len(first) != 1 || first["app-00001"].IsZero() {
		t.Errorf("what was refused counts as done: %v", first)
	}
	if first := firsts(list, createSecret, rawOnly); len(first) != 0 {
		t.Errorf("what is in another namespace counts: %v", first)
	}
	if want := time.Date(2026, 1, 2, 3, 4, 8, 0, time.UTC); !latest(list).Equal(want) {
		t.Errorf("the last one was at %s, want %s", latest(list), want)
	}
	if list, err := a.since(2); err != nil || len(work(list)) != 1 {
		t.Errorf("%v, %v after the second one", list, err)
	}
	if _, err := parseChange([]byte("{")); err == nil {
		t.Error("half a line is read")
	}
}

func TestReadiness(t *testing.T) {
	ready := func(status string) map[string]any {
		return map[string]any{"status": map[string]any{"conditions": []any{
			map[string]any{"type": "Other", "status": "True"},
			map[string]any{"type": "Ready", "status": status, "message": "why"},
		}}}
	}
	if ok, _ := readiness(ready("True")); !ok {
		t.Error("Ready=True is not ready")
	}
	if ok, why := readiness(ready("False")); ok || why != "why" {
		t.Errorf("Ready=False is %v, %q", ok, why)
	}
	if ok, _ := readiness(map[string]any{}); ok {
		t.Error("no status is ready")
	}
}

func TestFlags(t *testing.T) {
	o, err := parse([]string{"-sizes", "1000, 5"}, os.Stderr)
	if err != nil || !cmp.Equal(o.sizes, []int{5, 1000}) || o.rest != 2*time.Minute {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-sizes", "1"}, {"-sizes", "many"}, {"-interval", "1s"}, {"-prober", "-1"}, {"-rest", "1ms"}, {"-sizes", "100000"}} {
		if _, err := parse(bad, os.Stderr); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseReads(t *testing.T) {
	const metrics = `# HELP apiserver_request_total [STABLE] Counter
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 1.2e+03
apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 34
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="cluster",subresource="",verb="LIST",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="namespaces",scope="resource",subresource="",verb="GET",version="v1"} 6
apiserver_request_sli_duration_seconds_count{resource="secrets",verb="GET"} 7
`
	got, err := parseReads(metrics)
	if diff := cmp.Diff(tally{"secrets": 1234, "namespaces": 6}, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if diff := cmp.Diff(tally{"secrets": 4}, got.less(tally{"secrets": 1230, "namespaces": 6})); diff != "" {
		t.Errorf("what was added, -want +got:\n%s", diff)
	}
	if _, err := parseReads(`apiserver_request_total{resource="secrets",verb="GET"} many` + "\n"); err == nil {
		t.Error("a word is a number")
	}
}
