// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// iam asks for the API key of IAM credentials.
const iam = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: %s}
spec:
  backendType: ibmcloudSecretsManager
  data:
    - {key: %s, name: apikey, property: api_key, secretType: iam_credentials}
`

// TestIAMCredentials counts the reads of a secret whose API key IBM replaces at
// each of them.
func TestIAMCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.put("iam_credentials", "iam-"+random(t), map[string]any{"ttl": "1h", "reuse_api_key": false, "access_groups": []string{"AccessGroupId-1"}})
	reads := func() int { return w.ibm.Stats().Reads[id] }

	w.apply(iam, "one", id)
	w.status("one", success)
	w.apply(iam, "two", id)
	w.status("two", success)
	w.agree("one", "two")
	w.polls(3)
	if got := reads(); got != 1 {
		t.Errorf("%d reads for two users and three intervals, want 1", got)
	}

	must(t, w.user.Delete(t.Context(), w.secret("two")))
	w.agree("one", "two")
	if got := reads(); got != 1 {
		t.Errorf("%d reads after a Secret was deleted, want 1: the other user has the same key", got)
	}

	w.stop()
	w.start(config.Controller{Namespaces: []string{w.ns}})
	w.polls(3)
	if got := reads(); got != 1 {
		t.Errorf("%d reads after a restart, want 1", got)
	}

	must(t, w.ibm.Touch(id))
	w.polls(3)
	if got := reads(); got != 1 {
		t.Errorf("%d reads after a change of metadata, want 1", got)
	}
	if got := w.ibm.Stats().KeysMade[id]; got != 1 {
		t.Errorf("%d API keys were made, want 1", got)
	}
}

// agree waits until two Secrets hold the same API key.
func (w *world) agree(a, b string) {
	w.t.Helper()
	w.eventually(func() error {
		one, two := w.secret(a), w.secret(b)
		if one == nil || two == nil || len(one.Data["apikey"]) == 0 || string(one.Data["apikey"]) != string(two.Data["apikey"]) {
			return fmt.Errorf("the Secrets do not hold the same key")
		}
		return nil
	})
}

// TestMetadataIsNoNews touches a secret without giving it a new version.
func TestMetadataIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.login()
	w.apply(single, id)
	w.status("app", success)
	s := w.secret("app")
	es, err := w.object("app")
	must(t, err)
	w.ibm.ResetStats()
	must(t, w.ibm.Touch(id))
	w.polls(3)
	now, err := w.object("app")
	must(t, err)
	if now.ResourceVersion != es.ResourceVersion || w.secret("app").ResourceVersion != s.ResourceVersion {
		t.Error("a change of metadata was written to the cluster")
	}
}

// TestBestPractices is the example of the tutorial's best practices: many
// secrets by name, and a limit of 20 requests a second that must never be
// felt.
func TestBestPractices(t *testing.T) {
	t.Parallel()
	const objects, entries, interval = 200, 5, 10 * time.Second
	w := quietWorld(t, with("POLLER_INTERVAL_MILLISECONDS", fmt.Sprint(interval.Milliseconds())), limited(20), patient(15*time.Minute))
	must(t, shared.ApplyShipped(t.Context(), "rbac/namespace.yaml", w.ns))
	for i := range objects * entries {
		w.put("arbitrary", fmt.Sprintf("app-%d", i), map[string]any{"payload": fmt.Sprintf("%s-%d", w.canary, i)})
	}
	for o := range objects {
		es := &v1.ExternalSecret{ObjectMeta: w.meta(fmt.Sprintf("app-%d", o)), Spec: v1.ExternalSecretSpec{
			BackendType: v1.IBMCloudSecretsManager, KeyByName: true,
		}}
		for e := range entries {
			es.Spec.Data = append(es.Spec.Data, v1.DataItem{
				Key: fmt.Sprintf("app-%d", o*entries+e), Name: fmt.Sprintf("k%d", e), Property: new("payload"), SecretType: new("arbitrary"),
			})
		}
		must(t, w.user.Create(t.Context(), es))
	}
	started := time.Now()
	w.start(config.Controller{Namespaces: []string{w.ns}})
	w.eventually(func() error {
		list := &v1.ExternalSecretList{}
		must(t, w.user.List(t.Context(), list, client.InNamespace(w.ns)))
		good := 0
		for _, es := range list.Items {
			if es.Status.Status == success {
				good++
			}
		}
		if good < objects {
			return fmt.Errorf("%d of %d are synced", good, objects)
		}
		return nil
	})
	first := w.ibm.Stats()
	t.Logf("first sync of %d secrets: %s, %d requests, %d of them for tokens, at most %d in a second",
		objects*entries, time.Since(started).Round(time.Second), first.Total, first.Kinds[ibmsm.KindToken], first.Peak)

	id, ok := w.ibm.Lookup("default", "arbitrary", "app-123")
	if !ok {
		t.Fatal("the secret is not there")
	}
	_, err := w.ibm.Rotate(id, map[string]any{"payload": "rotated-" + w.canary})
	must(t, err)
	rotated := time.Now()
	w.eventually(func() error {
		if string(w.secret("app-24").Data["k3"]) != "rotated-"+w.canary {
			return fmt.Errorf("the change did not arrive")
		}
		return nil
	})
	t.Logf("a change arrived after %s", time.Since(rotated).Round(100*time.Millisecond))

	w.ibm.ResetStats()
	w.polls(6)
	rest := w.ibm.Stats()
	t.Logf("six intervals of %s at rest: %d requests", interval, rest.Total)
	if first.Limited+rest.Limited > 0 || first.Peak > 20 || rest.Peak > 20 {
		t.Errorf("the limit was felt: %d and %d times 429, peaks of %d and %d", first.Limited, rest.Limited, first.Peak, rest.Peak)
	}
	if first.Kinds[ibmsm.KindToken] != 1 {
		t.Errorf("%d tokens, want 1", first.Kinds[ibmsm.KindToken])
	}
	// One read each, and what a slow machine adds by asking what changed before
	// all is read.
	if most := objects*entries + 60; first.Total > most {
		t.Errorf("%d requests for the first sync, want at most %d", first.Total, most)
	}
	if rest.Total > 12 {
		t.Errorf("%d requests in six intervals at rest, want at most 12", rest.Total)
	}
}

// TestFailover lets the manager be away as long as IBM says that it may.
func TestFailover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.login()
	w.apply(single, id)
	w.status("app", success)
	s := w.holds("app", map[string]string{"password": w.canary})
	w.ibm.Fail(ibmsm.Match{}, ibmsm.Fault{Status: http.StatusServiceUnavailable, Body: w.canary})
	w.status("app", "ERROR, IBM Cloud Secrets Manager is out of order (503)")
	if now := w.secret("app"); now == nil || now.ResourceVersion != s.ResourceVersion {
		t.Error("the Secret was touched")
	}
	_, err := w.ibm.Rotate(id, map[string]any{"password": "after-" + w.canary})
	must(t, err)
	w.ibm.ClearFaults()
	w.holds("app", map[string]string{"password": "after-" + w.canary})
	w.status("app", success)
	if got := strings.Count(logs.String(), w.canary); got > 0 {
		t.Errorf("the log holds the answer of the manager %d times", got)
	}
}
