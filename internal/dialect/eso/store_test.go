// SPDX-License-Identifier: Apache-2.0

package eso_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

var settings = eso.Settings{Class: "default", Drivers: spec.Drivers{
	"fake": {Names: map[backend.Dialect]string{backend.ESO: "fake"}},
	"old":  {Names: map[backend.Dialect]string{backend.KES: "old"}},
}}

func storeSpec(t *testing.T, text string) v1.SecretStoreSpec {
	t.Helper()
	var s v1.SecretStoreSpec
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "u", Generation: 4}
	cases := map[string]struct {
		reason, kind, spec string
		want               spec.Store
		issue              string
	}{
		"Tenant":        {"bound to its namespace", eso.KindStore, `provider: {fake: {data: []}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{"data":[]}`), Revision: "u/4"}, ""},
		"Cluster":       {"the operator's; credentials without a namespace are those of who uses it", eso.KindClusterStore, `provider: {fake: {}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{}`), Revision: "u/4", Shared: true}, ""},
		"Class":         {"another controller's", eso.KindStore, `{controller: other, provider: {fake: {}}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{}`), Revision: "u/4", Foreign: true}, ""},
		"OwnClass":      {"ours by name", eso.KindStore, `{controller: default, provider: {fake: {}}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{}`), Revision: "u/4"}, ""},
		"Retry":         {"as it says", eso.KindStore, `{provider: {fake: {}}, retrySettings: {maxRetries: 7, retryInterval: 20s}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{}`), Revision: "u/4", Retry: spec.Retry{Max: 7, Pause: 20 * time.Second}}, ""},
		"RetryDefaults": {"what it leaves out", eso.KindStore, `{provider: {fake: {}}, retrySettings: {}}`, spec.Store{Driver: "fake", Namespace: "ns", Raw: []byte(`{}`), Revision: "u/4", Retry: spec.Retry{Max: 3, Pause: time.Second}}, ""},
		"Unsupported":   {"says what is supported", eso.KindStore, `provider: {akeyless: {}}`, spec.Store{}, `spec.provider.akeyless: provider "akeyless" is not supported by this version of Lockstep; supported: fake`},
		"Nothing":       {"no provider", eso.KindStore, `provider: {}`, spec.Store{}, "spec.provider: exactly one provider must be set, not 0"},
		"Two":           {"two providers, which the schema refuses too", eso.KindStore, `provider: {fake: {}, vault: {}}`, spec.Store{}, "spec.provider: exactly one provider must be set, not 2"},
		"RetryInterval": {"the lax schema takes it", eso.KindStore, `{provider: {fake: {}}, retrySettings: {retryInterval: soon}}`, spec.Store{}, `spec.retrySettings.retryInterval: "soon" is not a duration`},
		"Every":         {"S2", eso.KindStore, `{provider: {fake: {}}, refreshInterval: often}`, spec.Store{}, `spec.refreshInterval: "often" is neither a number of seconds nor a duration`},
		"Regex":         {"S1", eso.KindClusterStore, `{provider: {fake: {}}, conditions: [{namespaceRegexes: ["a("]}]}`, spec.Store{}, `spec.conditions[0].namespaceRegexes[0]: "a(" is not a regular expression`},
		"Selector":      {"no operator", eso.KindClusterStore, `{provider: {fake: {}}, conditions: [{namespaceSelector: {matchExpressions: [{key: a, operator: Like}]}}]}`, spec.Store{}, "spec.conditions[0].namespaceSelector"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := eso.Store(tc.kind, meta, storeSpec(t, tc.spec), spec.Namespace{Name: "ns"}, settings)
			if tc.issue != "" {
				if got.Issue == nil || !strings.HasPrefix(got.Issue.Message, tc.issue) || got.Issue.Code != backend.InvalidRef {
					t.Errorf("%s: issue %v, want %s", tc.reason, got.Issue, tc.issue)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	ns := spec.Namespace{Name: "team-a", Labels: map[string]string{"team": "a", "env": "dev"}}
	cases := map[string]struct {
		reason, conditions string
		namespace          spec.Namespace
		allowed            bool
	}{
		"None":             {"without conditions everybody may", `[]`, ns, true},
		"Empty":            {"a condition that says nothing matches nothing", `[{}]`, ns, false},
		"Listed":           {"by name", `[{namespaces: [x, team-a]}]`, ns, true},
		"NotListed":        {"by name", `[{namespaces: [x, y]}]`, ns, false},
		"Second":           {"one condition is enough", `[{namespaces: [x]}, {namespaces: [team-a]}]`, ns, true},
		"NoneOfSeveral":    {"none is not", `[{namespaces: [x]}, {namespaceSelector: {matchLabels: {team: b}}}]`, ns, false},
		"Label":            {"by label", `[{namespaceSelector: {matchLabels: {team: a}}}]`, ns, true},
		"OtherLabel":       {"by label", `[{namespaceSelector: {matchLabels: {team: b}}}]`, ns, false},
		"PartialLabels":    {"all labels of a selector count", `[{namespaceSelector: {matchLabels: {team: a, env: prod}}}]`, ns, false},
		"SelectorOrName":   {"within a condition one part is enough", `[{namespaceSelector: {matchLabels: {team: b}}, namespaces: [team-a]}]`, ns, true},
		"EmptySelector":    {"an empty selector selects everything, as everywhere in Kubernetes", `[{namespaceSelector: {}}]`, ns, true},
		"Expression":       {"by expression", `[{namespaceSelector: {matchExpressions: [{key: env, operator: Exists}]}}]`, ns, true},
		"Regex":            {"by expression on the name", `[{namespaceRegexes: ["team-.*"]}]`, ns, true},
		"RegexAnchored":    {"row 5: the whole name", `[{namespaceRegexes: ["team-a"]}]`, spec.Namespace{Name: "team-a-evil"}, false},
		"RegexAnchored2":   {"row 5: the whole name", `[{namespaceRegexes: ["team-a"]}]`, spec.Namespace{Name: "xteam-a"}, false},
		"RegexAlternative": {"row 5: all alternatives", `[{namespaceRegexes: ["team-a|b"]}]`, spec.Namespace{Name: "xb"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := storeSpec(t, `{provider: {fake: {}}, conditions: `+tc.conditions+`}`)
			got := eso.Store(eso.KindClusterStore, metav1.ObjectMeta{}, s, tc.namespace, settings)
			if (got.Issue == nil) != tc.allowed {
				t.Errorf("%s: issue %v", tc.reason, got.Issue)
			}
			if got.Issue != nil && got.Issue.Code != backend.PermissionDenied {
				t.Errorf("denied with %s", got.Issue.Code)
			}
		})
	}
}

func TestCheckEvery(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{}`: 5 * time.Minute, `{refreshInterval: 0}`: 5 * time.Minute, `{refreshInterval: 90}`: 90 * time.Second,
		`{refreshInterval: "90"}`: 90 * time.Second, `{refreshInterval: 10m}`: 10 * time.Minute, `{refreshInterval: "1ms"}`: time.Second,
	} {
		if got, err := eso.CheckEvery(storeSpec(t, text)); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestStoreStatus(t *testing.T) {
	caps := []backend.Capability{backend.CanRead, backend.CanWrite}
	valid := eso.StoreStatus(v1.SecretStoreStatus{}, nil, caps, false, nil, noon)
	refused := backend.Errorf(backend.Unauthenticated, "the key is refused")
	down := backend.Errorf(backend.Unavailable, "no answer")
	cases := map[string]struct {
		reason               string
		old                  v1.SecretStoreStatus
		issue                *spec.Issue
		caps                 []backend.Capability
		held                 bool
		err                  error
		status, why, message string
		capabilities         string
	}{
		"Valid":     {reason: "the operator's words", caps: caps, status: "True", why: "Valid", message: "store validated", capabilities: "ReadWrite"},
		"ReadOnly":  {reason: "what it can do", caps: caps[:1], status: "True", why: "Valid", message: "store validated", capabilities: "ReadOnly"},
		"WriteOnly": {reason: "what it can do", caps: caps[1:], status: "True", why: "Valid", message: "store validated", capabilities: "WriteOnly"},
		"Refused":   {reason: "with the code and why", caps: caps, err: refused, status: "False", why: "InvalidProviderConfig", message: "unable to validate store: Unauthenticated: the key is refused"},
		"Config":    {reason: "with the code and why", issue: &spec.Issue{Code: backend.InvalidRef, Message: "spec.provider: none"}, status: "False", why: "InvalidProviderConfig", message: "unable to create client: InvalidRef: spec.provider: none"},
		"Unknown":   {reason: "ready, as the operator has it", caps: caps, err: backend.Errorf(backend.Unknown, "who knows"), status: "True", why: "ValidationUnknown", message: "could not determine validation status: who knows"},
		"DownFirst": {reason: "nobody knows whether it ever worked", caps: caps, err: down, status: "False", why: "InvalidProviderConfig", message: "unable to validate store: Unavailable: no answer"},
		"DownLater": {reason: "an outage changes nothing", old: valid, caps: caps, err: down, status: "True", why: "Valid", message: "store validated", capabilities: "ReadWrite"},
		"Held":      {reason: "somebody has to look", old: valid, caps: caps, held: true, status: "False", why: "RemovalsHeld", message: "so many of the secrets that were read through this store are missing at once that nothing is removed for that; if it is meant, set the annotation lockstep-secrets.dev/allow-removals: \"true\" on the store", capabilities: "ReadWrite"},
		"Turned":    {reason: "what it could do is kept", old: valid, caps: caps, err: refused, status: "False", why: "InvalidProviderConfig", message: "unable to validate store: Unauthenticated: the key is refused", capabilities: "ReadWrite"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := eso.StoreStatus(tc.old, tc.issue, tc.caps, tc.held, tc.err, noon)
			c := got.Conditions[0]
			if len(got.Conditions) != 1 || c.Status != tc.status || c.Reason != tc.why || c.Message != tc.message || got.Capabilities != tc.capabilities {
				t.Errorf("%s: got %v, %q", tc.reason, got.Conditions, got.Capabilities)
			}
			if again := eso.StoreStatus(got, tc.issue, tc.caps, tc.held, tc.err, noon.Add(time.Hour)); !eso.SameStoreStatus(again, got) {
				t.Error("saying it again changes the status")
			}
		})
	}
}

func TestRemovals(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "yes": false, "": false} {
		meta := metav1.ObjectMeta{Namespace: "ns", Name: "s", Annotations: map[string]string{eso.AllowRemovals: value}}
		if got := eso.Unbound(eso.KindStore, meta, v1.SecretStoreSpec{}, "ns", eso.Settings{}); got.Removals != want {
			t.Errorf("%q: %t", value, got.Removals)
		}
	}
}
