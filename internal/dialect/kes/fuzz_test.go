// SPDX-License-Identifier: Apache-2.0

package kes_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// FuzzSpec requires that no spec panics, that what is wrong with it is an issue
// with a place and a message, that every entry without one has its question,
// and that the same spec gives the same plan.
func FuzzSpec(f *testing.F) {
	for _, body := range []string{
		`{}`,
		`{"backendType": "vault", "data": []}`,
		`{"backendType": "ibmcloudSecretsManager", "keyByName": true, "data": [{"key": "k", "name": "n", "property": "a.b", "secretType": "kv", "isBinary": true}]}`,
		`{"backendType": "vault", "data": [{"key": "k", "name": "n", "version": 1}, {"path": "/p", "recursive": true}, {"key": "", "name": "", "version": "latest"}]}`,
		`{"backendType": "vault", "dataFrom": ["a", "", "a"], "dataFromWithOptions": [{"key": "b", "versionStage": "s", "versionId": "i", "isBinary": false}]}`,
		`{"backendType": "nope", "controllerId": "c", "type": "t", "roleArn": "r", "data": [{"key": "k"}]}`,
		`{"backendType": "vault", "data": [], "template": {"type": 1, "metadata": {"namespace": "x", "labels": {"a": null, "b": "<%= 1 %>"}, "ownerReferences": [1]}, "data": {"d": "!"}, "stringData": {"s": "${x}"}}}`,
		`{"backendType": "vault", "data": [], "template": null}`,
		`{"backendType": "vault", "data": [], "template": []}`,
		`{"backendType": "vault", "data": [{"key": "k", "name": "n", "version": null, "property": null}]}`,
	} {
		f.Add([]byte(body), "^a")
	}
	f.Fuzz(func(t *testing.T, body []byte, pattern string) {
		es := &v1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
		if json.Unmarshal(body, &es.Spec) != nil {
			return
		}
		set := settings()
		s := kes.Spec(es, set)
		if diff := cmp.Diff(s, kes.Spec(es.DeepCopy(), set)); diff != "" {
			t.Errorf("not the same twice:\n%s", diff)
		}
		if n := len(es.Spec.Data) + len(es.Spec.DataFrom) + len(es.Spec.DataFromWithOptions); len(s.Entries) != n {
			t.Errorf("%d entries of %d lines", len(s.Entries), n)
		}
		if len(pattern) <= 10 { // longer ones find slow expressions only, which are bounded
			_ = kes.Permit(es, spec.Namespace{Name: "ns", Annotations: named(pattern)}, set)
		}
		checkPlan(t, s, plan.Build(s, spec.Inputs{Stores: s.Stores}, set.Drivers))
	})
}

func checkPlan(t *testing.T, s spec.Spec, p plan.Plan) {
	t.Helper()
	for _, i := range p.Issues {
		if i.Where == "" || i.Message == "" || i.Code == "" {
			t.Errorf("an issue says too little: %+v", i)
		}
	}
	asked := map[plan.Key]bool{}
	for _, k := range p.Keys() {
		if asked[k] {
			t.Errorf("%v is asked twice", k)
		}
		asked[k] = true
	}
	if len(p.Entries) != len(s.Entries) {
		t.Fatalf("%d questions for %d entries", len(p.Entries), len(s.Entries))
	}
	for i, k := range p.Entries {
		if k != (plan.Key{}) && !asked[k] {
			t.Errorf("the question of %s is not asked", s.Entries[i].Where)
		}
		if k == (plan.Key{}) && len(p.Issues) == 0 {
			t.Errorf("%s has neither question nor issue", s.Entries[i].Where)
		}
	}
}

// FuzzStatus requires one line without runs of spaces, and a second look that
// changes nothing.
func FuzzStatus(f *testing.F) {
	for _, message := range []string{"", "no", "line1\nline2\r\n  a\tb   c", "\r\r\n\n", " \t ", "é\u2028x", "a \n b"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		es := &v1.ExternalSecret{}
		out := outcome.Outcome{Message: message}
		es.Status = kes.Status(es, out, time.Unix(0, 0))
		got := es.Status.Status
		if !strings.HasPrefix(got, "ERROR, ") || strings.ContainsAny(got, "\r\n\t") || strings.Contains(got, "  ") {
			t.Errorf("%q becomes %q", message, got)
		}
		if again := kes.Status(es, out, time.Unix(1, 0)); !kes.SameStatus(again, es.Status) {
			t.Errorf("the same problem moves the status from %v to %v", es.Status, again)
		}
	})
}
