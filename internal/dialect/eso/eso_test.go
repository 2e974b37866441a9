// SPDX-License-Identifier: Apache-2.0

package eso_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// object reads a manifest whose spec is given.
func object(t *testing.T, text string) *v1.ExternalSecret {
	t.Helper()
	es := &v1.ExternalSecret{}
	es.Namespace, es.Name, es.UID, es.Generation = "ns", "app", "uid", 3
	if err := yaml.UnmarshalStrict([]byte("spec:\n"+indent(text)), es); err != nil {
		t.Fatal(err)
	}
	return es
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimLeft(text, "\n")) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// synced says in the status that the manifest is in place.
func synced(es *v1.ExternalSecret) *v1.ExternalSecret {
	es.Status = eso.Status(es, outcome.Outcome{Ready: outcome.IsReady}, noon.Add(-time.Hour))
	return es
}

const data = `
secretStoreRef: {name: vault}
data:
- secretKey: k
  remoteRef: {key: app}
`

func TestIssues(t *testing.T) {
	cases := map[string]struct {
		reason, spec string
		where, want  string
	}{
		"Nothing":            {"E3: there is nothing to read", `secretStoreRef: {name: vault}`, "spec", "either data or dataFrom must be given"},
		"DeleteMerge":        {"E1", data + `target: {creationPolicy: Merge, deletionPolicy: Delete}`, "spec.target.deletionPolicy", "Delete must not be used with creationPolicy Merge"},
		"DeleteNone":         {"E1", data + `target: {creationPolicy: None, deletionPolicy: Delete}`, "spec.target.deletionPolicy", "Delete must not be used with creationPolicy None"},
		"DeleteCreateMerge":  {"E1", data + `target: {creationPolicy: CreateOrMerge, deletionPolicy: Delete}`, "spec.target.deletionPolicy", "Delete must not be used with creationPolicy CreateOrMerge"},
		"MergeNone":          {"E2", data + `target: {creationPolicy: None, deletionPolicy: Merge}`, "spec.target.deletionPolicy", "Merge must not be used with creationPolicy None"},
		"BootstrapToken":     {"E4", data + `target: {template: {type: bootstrap.kubernetes.io/token}}`, "spec.target.template.type", "is not allowed"},
		"ServiceAccount":     {"E5, E6, and without the annotation too", data + `target: {template: {type: kubernetes.io/service-account-token}}`, "spec.target.template.type", "is not allowed"},
		"HelmRelease":        {"row 13", data + `target: {template: {type: helm.sh/release.v1}}`, "spec.target.template.type", "is not allowed"},
		"TemplateTarget":     {"E7", data + `target: {template: {templateFrom: [{target: spec.data, literal: "a: b"}]}}`, "spec.target.template.templateFrom[0].target", `"spec.data" is not one of Data, Labels, Annotations`},
		"ExtractAndFind":     {"E8", `{secretStoreRef: {name: vault}, dataFrom: [{extract: {key: a}, find: {path: a}}]}`, "spec.dataFrom[0]", "cannot be set at the same time"},
		"EmptyItem":          {"E9", `{secretStoreRef: {name: vault}, dataFrom: [{}]}`, "spec.dataFrom[0]", "either extract or find must be set"},
		"StoreOnly":          {"E9 lets it pass; it would bring nothing", `{dataFrom: [{sourceRef: {storeRef: {name: vault}}}]}`, "spec.dataFrom[0]", "either extract or find must be set"},
		"Duplicate":          {"E11", data + "- secretKey: k\n  remoteRef: {key: other}\n", "spec.data[1].secretKey", "duplicate secretKey found: k"},
		"NoStore":            {"nobody says where to read", `data: [{secretKey: k, remoteRef: {key: app}}]`, "spec.secretStoreRef.name", "name the store"},
		"StoreKind":          {"not a kind of store", `{secretStoreRef: {name: v, kind: Vault}, data: [{secretKey: k, remoteRef: {key: a}}]}`, "spec.secretStoreRef.kind", `"Vault" is not one of SecretStore, ClusterSecretStore`},
		"Interval":           {"the lax schema takes it", data + `refreshInterval: soon`, "spec.refreshInterval", `"soon" is not a duration`},
		"IntervalDays":       {"Go has no days", data + `refreshInterval: 1d`, "spec.refreshInterval", `"1d" is not a duration`},
		"Policy":             {"not a policy", data + `refreshPolicy: Daily`, "spec.refreshPolicy", `"Daily" is not one of Periodic, CreatedOnce, OnChange`},
		"Schedule":           {"a freeze that cannot be read must not be no freeze", data + `syncWindows: {kind: deny, windows: [{schedule: nightly, duration: 1h}]}`, "spec.syncWindows", "windows[0].schedule"},
		"WindowDuration":     {"the lax schema takes it", data + `syncWindows: {kind: deny, windows: [{schedule: "@daily", duration: night}]}`, "spec.syncWindows.windows[0].duration", `"night" is not a duration`},
		"WindowKind":         {"neither", data + `syncWindows: {kind: maybe, windows: [{schedule: "@daily", duration: 1h}]}`, "spec.syncWindows.kind", `"maybe" is not one of allow, deny`},
		"SecretKey":          {"no key of a Secret", `{secretStoreRef: {name: v}, data: [{secretKey: "a b", remoteRef: {key: a}}]}`, "spec.data[0].secretKey", `"a b" cannot be a key of a Secret`},
		"NoKey":              {"no secret is named", `{secretStoreRef: {name: v}, data: [{secretKey: a, remoteRef: {property: p}}]}`, "spec.data[0].remoteRef.key", "name the secret"},
		"Decoding":           {"not a strategy", `{secretStoreRef: {name: v}, data: [{secretKey: a, remoteRef: {key: k, decodingStrategy: Hex}}]}`, "spec.data[0].remoteRef.decodingStrategy", `"Hex" is not one of`},
		"Metadata":           {"not a policy", `{secretStoreRef: {name: v}, data: [{secretKey: a, remoteRef: {key: k, metadataPolicy: Get}}]}`, "spec.data[0].remoteRef.metadataPolicy", `"Get" is not one of None, Fetch`},
		"Find":               {"it would find everything", `{secretStoreRef: {name: v}, dataFrom: [{find: {}}]}`, "spec.dataFrom[0].find", "give at least one of name, path and tags"},
		"FindExpression":     {"row 32", `{secretStoreRef: {name: v}, dataFrom: [{find: {name: {regexp: "a("}}}]}`, "spec.dataFrom[0].find.name.regexp", "is not a regular expression: missing closing )"},
		"FindExploding":      {"row 32", `{secretStoreRef: {name: v}, dataFrom: [{find: {name: {regexp: "(x{1000}){1000}"}}}]}`, "spec.dataFrom[0].find.name.regexp", "is not a regular expression"},
		"RewriteExpression":  {"row 32", `{secretStoreRef: {name: v}, dataFrom: [{extract: {key: k}, rewrite: [{regexp: {source: "[", target: a}}]}]}`, "spec.dataFrom[0].rewrite[0].regexp.source", "is not a regular expression"},
		"RewriteNothing":     {"no step", `{secretStoreRef: {name: v}, dataFrom: [{extract: {key: k}, rewrite: [{}]}]}`, "spec.dataFrom[0].rewrite[0]", "exactly one of regexp, transform and merge"},
		"MergeInto":          {"nowhere to put it", `{secretStoreRef: {name: v}, dataFrom: [{extract: {key: k}, rewrite: [{merge: {strategy: JSON}}]}]}`, "spec.dataFrom[0].rewrite[0].merge.into", "name the key"},
		"Generator":          {"a later version", `{dataFrom: [{sourceRef: {generatorRef: {kind: Password, name: p}}}]}`, "spec.dataFrom[0].sourceRef.generatorRef", "generators are not supported"},
		"GeneratorForOne":    {"ESO takes it and does nothing", `{secretStoreRef: {name: v}, data: [{secretKey: k, remoteRef: {key: k}, sourceRef: {generatorRef: {kind: Password, name: p}}}]}`, "spec.data[0].sourceRef.generatorRef", "a generator cannot fill one key"},
		"Manifest":           {"a later version", data + `target: {manifest: {apiVersion: v1, kind: ConfigMap}}`, "spec.target.manifest", "targets other than Secrets are not supported"},
		"Engine":             {"there is one", data + `target: {template: {engineVersion: v1}}`, "spec.target.template.engineVersion", `"v1" is not one of v2`},
		"TemplateSourceName": {"no ConfigMap is named", data + `target: {template: {templateFrom: [{configMap: {name: "", items: [{key: a}]}}]}}`, "spec.target.template.templateFrom[0].configMap.name", "name the ConfigMap"},
		"TemplateItems":      {"no key is named", data + `target: {template: {templateFrom: [{secret: {name: a, items: []}}]}}`, "spec.target.template.templateFrom[0].secret.items", "name at least one key"},
		"TemplateAs":         {"neither", data + `target: {template: {templateFrom: [{configMap: {name: a, items: [{key: k, templateAs: Keys}]}}]}}`, "spec.target.template.templateFrom[0].configMap.items[0].templateAs", `"Keys" is not one of Values, KeysAndValues`},
		"Creation":           {"not a policy", data + `target: {creationPolicy: Replace}`, "spec.target.creationPolicy", `"Replace" is not one of`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := eso.Spec(object(t, tc.spec), eso.Settings{}, noon).Issues
			if len(got) == 0 || got[0].Where != tc.where || !strings.Contains(got[0].Message, tc.want) || got[0].Code != backend.InvalidRef {
				t.Errorf("%s: got %v, want %s: …%s…", tc.reason, got, tc.where, tc.want)
			}
		})
	}
	for name, text := range map[string]string{"Nothing": `{}`, "Minimal": data, "DuplicateDelete": data + "- secretKey: k\n  remoteRef: {key: other}\ntarget: {deletionPolicy: Delete}\n"} {
		got := eso.Spec(object(t, text), eso.Settings{}, noon).Issues
		if wrong := name == "Nothing"; wrong != (len(got) > 0) {
			t.Errorf("%s: issues %v", name, got)
		}
	}
}

func TestScoped(t *testing.T) {
	es := object(t, `{secretStoreRef: {name: v, kind: ClusterSecretStore}, data: [{secretKey: k, remoteRef: {key: a}}]}`)
	if got := eso.Spec(es, eso.Settings{}, noon).Issues; len(got) > 0 {
		t.Errorf("an instance for everything refuses: %v", got)
	}
	got := eso.Spec(es, eso.Settings{Namespaces: []string{"ns"}}, noon).Issues
	if len(got) != 1 || got[0].Where != "spec.secretStoreRef.kind" || !strings.Contains(got[0].Message, "looks after some namespaces only") {
		t.Errorf("a scoped instance says %v", got)
	}
}

func TestRefresh(t *testing.T) {
	const window = `
syncWindows:
  kind: allow
  windows: [{schedule: "0 14 * * *", duration: 1h}]
`
	open := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason string
		spec   string
		synced bool
		want   spec.Refresh
	}{
		"Default":        {"an hour, as the CRD says", ``, true, spec.Refresh{Every: time.Hour}},
		"Interval":       {"its own", `refreshInterval: 2m`, true, spec.Refresh{Every: 2 * time.Minute}},
		"TooOften":       {"row 33: nothing follows a store more closely", `refreshInterval: 1ns`, true, spec.Refresh{Every: time.Second}},
		"Zero":           {"made once", `refreshInterval: "0"`, true, spec.Refresh{Mode: spec.Pinned, Once: true}},
		"Negative":       {"as zero", `refreshInterval: -1h`, true, spec.Refresh{Mode: spec.Pinned, Once: true}},
		"CreatedOnce":    {"made once", `refreshPolicy: CreatedOnce`, true, spec.Refresh{Mode: spec.Pinned, Once: true}},
		"OnChange":       {"follows the manifest", `refreshPolicy: OnChange`, true, spec.Refresh{Mode: spec.Pinned}},
		"First":          {"until it was in sync once, at least every 5 minutes", ``, false, spec.Refresh{Every: 5 * time.Minute}},
		"FirstOfOnce":    {"a first sync that fails is tried again", `refreshPolicy: CreatedOnce`, false, spec.Refresh{Every: 5 * time.Minute}},
		"FirstOfZero":    {"a first sync that fails is tried again", `refreshInterval: 0s`, false, spec.Refresh{Every: 5 * time.Minute}},
		"FirstOften":     {"or more often, where it asks for that", `refreshInterval: 2s`, false, spec.Refresh{Every: 2 * time.Second}},
		"Closed":         {"a freeze", window, true, spec.Refresh{Every: time.Hour, Mode: spec.Pinned, Change: open}},
		"ClosedFirst":    {"a window holds back refreshes, not the first sync", window, false, spec.Refresh{Every: 5 * time.Minute}},
		"ClosedOnChange": {"windows are for Periodic only", window + "refreshPolicy: OnChange", true, spec.Refresh{Mode: spec.Pinned}},
		"ClosedByDeny":   {"until it ends, both ends included", `syncWindows: {kind: deny, windows: [{schedule: "0 11 * * *", duration: 2h}]}`, true, spec.Refresh{Every: time.Hour, Mode: spec.Pinned, Change: time.Date(2026, 11, 22, 13, 0, 1, 0, time.UTC)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			es := object(t, data+tc.spec)
			if tc.synced {
				es = synced(es)
			}
			got := eso.Spec(es, eso.Settings{}, noon)
			if len(got.Issues) > 0 {
				t.Fatal(got.Issues)
			}
			if name == "ClosedByDeny" { // the window's end is its own package's matter
				got.Refresh.Change, tc.want.Change = got.Refresh.Change.Truncate(time.Minute), tc.want.Change.Truncate(time.Minute)
			}
			if diff := cmp.Diff(tc.want, got.Refresh); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// A window that is closed holds even when the last sync failed.
func TestClosedAfterFailure(t *testing.T) {
	es := synced(object(t, data+`syncWindows: {kind: allow, windows: [{schedule: "0 14 * * *", duration: 1h}]}`))
	es.Status = eso.Status(es, outcome.Outcome{Ready: outcome.NotReady, Code: backend.Unavailable}, noon)
	if got := eso.Spec(es, eso.Settings{}, noon).Refresh.Mode; got != spec.Pinned {
		t.Error("a failure opened the window")
	}
	es.Generation++
	if got := eso.Spec(es, eso.Settings{}, noon).Refresh.Mode; got != spec.Periodic {
		t.Error("a new manifest waits for the window")
	}
}

func TestSyncedVersion(t *testing.T) {
	es := object(t, data)
	// SHA3-224 of {annotations:map[] labels:map[]}.
	const want = "3-f47fe3c0b255b6dd8047cdffa772587bb829efe7a1cb70febeda2eb2"
	none := eso.SyncedVersion(es)
	if none != want {
		t.Errorf("got %s, want %s", none, want)
	}
	es.Labels = map[string]string{"a": "b"}
	if eso.SyncedVersion(es) == none {
		t.Error("a label changes nothing")
	}
}

func TestForced(t *testing.T) {
	es := synced(object(t, data))
	if got := eso.Forced(es); got != "" {
		t.Errorf("nobody asked: %q", got)
	}
	es.Annotations = map[string]string{"force-sync": "1"}
	first := eso.Forced(es)
	es.Annotations["force-sync"] = "2"
	if second := eso.Forced(es); first == "" || second == first {
		t.Errorf("two requests are %q and %q", first, second)
	}
	es.Generation++
	if got := eso.Forced(es); got != "" {
		t.Errorf("a new manifest is no request: %q", got)
	}
	zero := synced(object(t, data+`refreshInterval: "0"`))
	zero.Annotations = map[string]string{"force-sync": "1"}
	if got := eso.Forced(zero); got != "" {
		t.Errorf("an object that is made once is not made again: %q", got)
	}
}

func TestTarget(t *testing.T) {
	es := object(t, data)
	es.Labels = map[string]string{"team": "a"}
	es.Annotations = map[string]string{"note": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
	got := eso.Spec(es, eso.Settings{}, noon).Target
	want := spec.Target{
		Namespace: "ns", Name: "app", Manager: "externalsecrets.external-secrets.io/app", ByField: true,
		Marks:      map[string]string{"reconcile.external-secrets.io/managed": "true"},
		OwnerMarks: map[string]string{"reconcile.external-secrets.io/created-by": "167f89bed2a98a8e396edb2463d96fd47c9f917511cc1c2a3817e80e"},
		Template:   spec.Template{Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	es.Spec.Target.Template = &v1.Template{}
	if got := eso.Spec(es, eso.Settings{}, noon).Target.Template.Labels; got != nil {
		t.Errorf("with a template of its own, labels are copied: %v", got)
	}
	if got := eso.Manager(strings.Repeat("n", 64)); got == eso.Manager(strings.Repeat("n", 65)) || len(got) > 128 {
		t.Errorf("a long name's field manager is %q", got)
	}
}

func TestStatus(t *testing.T) {
	failed := outcome.Outcome{Code: backend.NotFound, Where: "spec.data[0]", Store: spec.StoreKey{Kind: "SecretStore", Name: "vault"}, Message: "app does not exist"}
	with := func(where, message string) outcome.Outcome {
		return outcome.Outcome{Code: backend.Conflict, Where: where, Message: message}
	}
	cases := map[string]struct {
		reason                 string
		out                    outcome.Outcome
		status, reasonWant, is string
		binding                string
	}{
		"Synced":    {"the operator's words", outcome.Outcome{Ready: outcome.IsReady, Bound: true}, "True", "SecretSynced", "secret synced", "app"},
		"None":      {"there is no Secret to bind to", outcome.Outcome{Ready: outcome.IsReady, State: diff.Ignored}, "True", "SecretSynced", "secret synced", ""},
		"Deleted":   {"the operator's words", outcome.Outcome{Ready: outcome.IsReady, State: diff.Deleted}, "True", "SecretDeleted", "secret deleted due to DeletionPolicy=Delete", ""},
		"Missing":   {"the operator's words", outcome.Outcome{Ready: outcome.IsReady, State: diff.Missing}, "True", "SecretMissing", "secret will not be created due to CreationPolicy=Merge", ""},
		"Retained":  {"the operator's words", outcome.Outcome{Ready: outcome.IsReady, State: diff.Retained}, "True", "SecretSynced", "secret retained due to DeletionPolicy=Retain", ""},
		"Reading":   {"entry, store, code", failed, "False", "SecretSyncedError", `could not get secret data from provider: spec.data[0], SecretStore "vault": NotFound: app does not exist`, ""},
		"Template":  {"the phrase for writing", with("spec.target.template.data.k", "no key x"), "False", "SecretSyncedError", "could not update secret: spec.target.template.data.k: Conflict: no key x", ""},
		"Immutable": {"its own phrase", with(diff.WhereImmutable, "m"), "False", "SecretSyncedError", "could not update secret, target is immutable: Secret.immutable: Conflict: m", ""},
		"Owned":     {"its own phrase", with(diff.WhereOwner, `Secret "x" belongs to ExternalSecret "y"`), "False", "SecretSyncedError", `target is owned by another ExternalSecret: Secret.metadata.ownerReferences: Conflict: Secret "x" belongs to ExternalSecret "y"`, ""},
		"Taken":     {"its own phrase", with(diff.WhereOwner, `Secret "x" belongs to Certificate "y"`), "False", "SecretSyncedError", `failed to take ownership of target secret: Secret.metadata.ownerReferences: Conflict: Secret "x" belongs to Certificate "y"`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			es := object(t, data)
			got := eso.Status(es, tc.out, noon)
			c := got.Conditions[0]
			if c.Type != "Ready" || c.Status != tc.status || c.Reason != tc.reasonWant || c.Message != tc.is || got.Binding.Name != tc.binding {
				t.Errorf("%s: got %v, binding %q", tc.reason, c, got.Binding.Name)
			}
			if ready := tc.status == "True"; ready != (got.SyncedResourceVersion == eso.SyncedVersion(es)) || ready == got.RefreshTime.IsZero() {
				t.Errorf("synced version %q at %v", got.SyncedResourceVersion, got.RefreshTime)
			}
			es.Status = got
			if again := eso.Status(es, tc.out, noon.Add(time.Hour)); !eso.SameStatus(again, got) {
				t.Errorf("saying it again changes the status:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func TestTransitions(t *testing.T) {
	es := synced(object(t, data))
	before := es.Status.Conditions[0].LastTransitionTime
	es.Status = eso.Status(es, outcome.Outcome{Ready: outcome.IsReady, Written: true}, noon)
	if got := es.Status.Conditions[0].LastTransitionTime; !got.Equal(&before) {
		t.Error("staying ready is a transition")
	}
	if !es.Status.RefreshTime.Time.Equal(noon) {
		t.Error("a write does not show in refreshTime")
	}
	synced := es.Status.SyncedResourceVersion
	es.Status = eso.Status(es, outcome.Outcome{Ready: outcome.NotReady, Code: backend.Unknown}, noon.Add(time.Minute))
	if got := es.Status.Conditions[0].LastTransitionTime; !got.Time.Equal(noon.Add(time.Minute)) {
		t.Error("failing is no transition")
	}
	if es.Status.SyncedResourceVersion != synced {
		t.Error("a failure forgets what was in sync")
	}
	kept := eso.Status(es, outcome.Outcome{Ready: outcome.Unchanged}, noon.Add(time.Hour))
	if !eso.SameStatus(kept, es.Status) {
		t.Error("an outage of the store changes the status")
	}
}

// An expression of nothing is found in every name, as in ESO.
func TestFindEveryName(t *testing.T) {
	for name, text := range map[string]string{
		"no expression": `{secretStoreRef: {name: v}, dataFrom: [{find: {name: {}}}]}`,
		"an empty one":  `{secretStoreRef: {name: v}, dataFrom: [{find: {name: {regexp: ""}}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := eso.Spec(object(t, text), eso.Settings{}, noon)
			if len(s.Issues) > 0 || len(s.Entries) != 1 || s.Entries[0].Find == nil || s.Entries[0].Find.Name != ".*" {
				t.Errorf("issues %v, entries %+v", s.Issues, s.Entries)
			}
		})
	}
}
