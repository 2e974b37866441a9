// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lockstep-secrets/lockstep/internal/config"
)

// badObjects are what the operator's CRDs take in, and what its controller, or
// every client with its types, stops at: each with what its condition says.
var badObjects = map[string]struct {
	reason   string
	kind     string
	manifest string
	told     []string
}{
	"soon":          {"no duration", es, "spec: {refreshInterval: soon, secretStoreRef: {name: s}, " + one + "}", []string{"spec.refreshInterval", `"soon"`}},
	"days":          {"no duration", es, "spec: {refreshInterval: 1d, secretStoreRef: {name: s}, " + one + "}", []string{"spec.refreshInterval", `"1d"`}},
	"empty-text":    {"no duration", es, `spec: {refreshInterval: "", secretStoreRef: {name: s}, ` + one + "}", []string{"spec.refreshInterval", `""`}},
	"overflow":      {"longer than three hundred years", es, `spec: {refreshInterval: 99999999999h, secretStoreRef: {name: s}, ` + one + "}", []string{"spec.refreshInterval"}},
	"no-spec":       {"the operator panics", es, "", []string{"spec", "data", "dataFrom"}},
	"empty-spec":    {"nothing is asked for", es, "spec: {}", []string{"spec", "data", "dataFrom"}},
	"window":        {"no duration", es, `spec: {syncWindows: {kind: allow, windows: [{schedule: "@daily", duration: 1d}]}, secretStoreRef: {name: s}, ` + one + "}", []string{"spec.syncWindows.windows[0].duration", `"1d"`}},
	"every":         {"no duration", es, `spec: {syncWindows: {kind: deny, windows: [{schedule: "@every never", duration: 1h}]}, secretStoreRef: {name: s}, ` + one + "}", []string{"spec.syncWindows"}},
	"store-no-spec": {"no provider", ss, "", []string{"spec.provider", "exactly one provider"}},
	"store-every":   {"no duration", ss, "spec: {refreshInterval: soon, provider: {fake: {data: []}}}", []string{"spec.refreshInterval", `"soon"`}},
	"store-huge":    {"more seconds than an int has", ss, "spec: {refreshInterval: 99999999999, provider: {fake: {data: []}}}", []string{"spec.refreshInterval"}},
	"store-retry":   {"no duration", ss, "spec: {retrySettings: {retryInterval: 1d}, provider: {fake: {data: []}}}", []string{"spec.retrySettings.retryInterval"}},
}

// oddTimes are date-times to the schema of a CRD that Go's parser refuses.
var oddTimes = []string{
	"2026-08-08t10:00:00z", "2026-08-08T10:00:00x5Z", "2026-08-08T10:00:00+99:99", "2026-08-08T10:00:00ztomorrow",
}

// TestOneBadObject has bad objects stored beside a good one, which is not
// disturbed: neither one that was there before, nor one that comes later, nor one
// that a controller finds when it starts.
func TestOneBadObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, theirs)
	class := "late-" + w.id
	w.in(w.atk, fakeStore(ss, "s", "db", "x")+"---"+externalSecret("before", "s", "db", rarely, ""))
	w.secret(w.atk, "before", map[string]string{"password": "x"})
	for name, tc := range badObjects {
		w.in(w.atk, fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: %s\nmetadata: {name: %s}\n%s\n", tc.kind, name, tc.manifest))
	}
	for i, odd := range oddTimes {
		name := fmt.Sprintf("time-%d", i)
		w.in(w.atk, externalSecret(name, "s", "db", rarely, "")+"---"+fakeStore(ss, name, "db", "x"))
		conditions := fmt.Sprintf(`[{"type":"Ready","status":"False","reason":"R","lastTransitionTime":%q}]`, odd)
		w.status(es, name, fmt.Sprintf(`{"status":{"refreshTime":%q,"conditions":%s}}`, odd, conditions))
		w.status(ss, name, fmt.Sprintf(`{"status":{"conditions":%s}}`, conditions))
	}
	end := control(t.Context(), w.lockstep(), &audit{}, config.Controller{Class: class, Namespaces: []string{w.atk}})
	t.Cleanup(func() { noError(t, end()) })
	w.in(w.atk, fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: late}\nspec: {controller: %s, provider: {fake: {data: [{key: db, value: z}]}}}\n---", class)+
		externalSecret("found-at-start", "late", "db", rarely, "")+"---"+externalSecret("after", "s", "db", rarely, ""))
	w.secret(w.atk, "after", map[string]string{"password": "x"})
	w.secret(w.atk, "found-at-start", map[string]string{"password": "z"})
	for name, tc := range badObjects {
		t.Run(name, func(t *testing.T) {
			w := w.at(t)
			w.becomes(tc.kind, w.atk, name, "False", tc.told...)
		})
	}
	for i := range oddTimes {
		// A touch is enough: what the status says is no obstacle.
		w.patch(es, w.atk, fmt.Sprintf("time-%d", i), `{"metadata":{"annotations":{"force-sync":"1"}}}`)
		w.patch(ss, w.atk, fmt.Sprintf("time-%d", i), `{"spec":{"provider":{"fake":{"data":[{"key":"db","value":"new"}]}}}}`)
		w.secret(w.atk, fmt.Sprintf("time-%d", i), map[string]string{"password": "x"})
		w.synced(w.atk, fmt.Sprintf("time-%d", i))
		w.becomes(ss, w.atk, fmt.Sprintf("time-%d", i), "True", "Valid")
	}
	w.in(w.atk, fakeStore(ss, "s", "db", "y"))
	for _, name := range []string{"before", "after"} {
		w.secret(w.atk, name, map[string]string{"password": "y"})
	}
}

// status writes a status as a controller would.
func (w *world) status(kind, name, patch string) {
	w.t.Helper()
	p := client.RawPatch(types.MergePatchType, []byte(patch))
	must(w.t, w.user.Status().Patch(w.t.Context(), object(kind, w.atk, name), p))
}
