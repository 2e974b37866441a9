// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"strings"
	"testing"
)

// accepted marks manifests that nobody refuses: they sync.
const accepted = "-"

// objectRules are the rules that the operator's webhook has for ExternalSecrets
// (E1 to E11), each with what breaks it.
var objectRules = map[string]struct {
	reason string
	target string // of spec, in flow style
	data   string // the rest of spec
	// refused begins what our CRD says of a field; "" is nothing, since the rule
	// costs too much there. schema says that the operator's CRD refuses it too.
	refused string
	schema  bool
	// told is what the Ready condition says where the CRD let it pass.
	told []string
}{
	"e1-merge": {
		reason: "a Secret that is merged into is not ours to delete",
		target: "{creationPolicy: Merge, deletionPolicy: Delete}", data: one,
		refused: "spec.target.deletionPolicy: Invalid value", told: []string{"spec.target.deletionPolicy", "creationPolicy Merge"},
	},
	"e1-none": {
		reason: "no Secret is ours",
		target: "{creationPolicy: None, deletionPolicy: Delete}", data: one,
		refused: "spec.target.deletionPolicy: Invalid value", told: []string{"spec.target.deletionPolicy", "creationPolicy None"},
	},
	"e1-create-or-merge": {
		reason: "the Secret may be somebody else's",
		target: "{creationPolicy: CreateOrMerge, deletionPolicy: Delete}", data: one,
		refused: "spec.target.deletionPolicy: Invalid value", told: []string{"spec.target.deletionPolicy", "creationPolicy CreateOrMerge"},
	},
	"e1-owner":  {reason: "the Secret is ours", target: "{creationPolicy: Owner, deletionPolicy: Delete}", data: one, refused: accepted},
	"e1-orphan": {reason: "the Secret was ours", target: "{creationPolicy: Orphan, deletionPolicy: Delete}", data: one, refused: accepted},
	"e2": {
		reason: "there is no Secret to take keys from",
		target: "{creationPolicy: None, deletionPolicy: Merge}", data: one,
		refused: "spec.target.deletionPolicy: Invalid value", told: []string{"spec.target.deletionPolicy", "creationPolicy None"},
	},
	"e3-none":  {reason: "nothing is asked for", data: "", refused: "spec: Required value", told: []string{"spec: InvalidRef", "data", "dataFrom"}},
	"e3-empty": {reason: "nothing is asked for", data: "data: [], dataFrom: []", refused: "spec: Required value", told: []string{"spec: InvalidRef", "data", "dataFrom"}},
	"e4": {
		reason: "it admits nodes to the cluster",
		target: "{template: {type: bootstrap.kubernetes.io/token}}", data: one,
		refused: "spec.target.template.type: Forbidden", told: []string{"spec.target.template.type", "bootstrap.kubernetes.io/token"},
	},
	"e5": {
		reason: "it is a token of any service account",
		target: "{template: {type: kubernetes.io/service-account-token, metadata: {annotations: {kubernetes.io/service-account.name: admin}}}}", data: one,
		refused: "spec.target.template.metadata.annotations: Forbidden", told: []string{"spec.target.template.type", "kubernetes.io/service-account-token"},
	},
	"e6": {
		reason: "the annotation may come out of a template",
		target: `{template: {type: kubernetes.io/service-account-token, templateFrom: [{target: Annotations, literal: "kubernetes.io/service-account.name: admin"}]}}`, data: one,
		refused: "spec.target.template.templateFrom: Forbidden", told: []string{"spec.target.template.type", "kubernetes.io/service-account-token"},
	},
	"e6-case": {
		reason: "the operator knows the target in any letter case",
		target: `{template: {type: kubernetes.io/service-account-token, templateFrom: [{target: aNNotations, literal: "kubernetes.io/service-account.name: admin"}]}}`, data: one,
		told: []string{"spec.target.template.type", "kubernetes.io/service-account-token"},
	},
	"e7-unknown": {
		reason: "a Secret has no such part",
		target: `{template: {templateFrom: [{target: Type, literal: "a: b"}]}}`, data: one,
		told: []string{"spec.target.template.templateFrom[0].target", `"Type"`, "Data, Labels, Annotations"},
	},
	"e7-path": {
		reason: "paths are for other objects than Secrets",
		target: `{template: {templateFrom: [{literal: "a: b"}, {target: metadata.annotations, literal: "a: b"}]}}`, data: one,
		told: []string{"spec.target.template.templateFrom[1].target", `"metadata.annotations"`},
	},
	"e7-case": {
		reason: "the operator knows the target in any letter case",
		target: `{template: {templateFrom: [{target: dATA, literal: "a: b"}]}}`, data: one, refused: accepted,
	},
	"e8-extract-find": {
		reason: "which of them is it?", data: "dataFrom: [{extract: {key: db}, find: {name: {regexp: .*}}}]",
		refused: "spec.dataFrom[0]: Invalid value", told: []string{"spec.dataFrom[0]", "extract, find and generatorRef"},
	},
	"e8-extract-generator": {
		reason: "which of them is it?", data: "dataFrom: [{extract: {key: db}}, {extract: {key: db}, sourceRef: {generatorRef: {kind: Password, name: g}}}]",
		refused: "spec.dataFrom[1]: Invalid value", told: []string{"spec.dataFrom[1]", "extract, find and generatorRef"},
	},
	"e8-find-generator": {
		reason: "which of them is it?", data: "dataFrom: [{find: {name: {regexp: .*}}, sourceRef: {generatorRef: {kind: Password, name: g}}}]",
		refused: "spec.dataFrom[0]: Invalid value", told: []string{"spec.dataFrom[0]", "extract, find and generatorRef"},
	},
	"e9": {
		reason: "nothing is asked for", data: "dataFrom: [{}]",
		refused: "spec.dataFrom[0]: Required value", told: []string{"spec.dataFrom[0]", "extract or find"},
	},
	"e9-rewrite": {
		reason: "there is nothing to rewrite", data: "dataFrom: [{rewrite: [{regexp: {source: a, target: b}}]}]",
		refused: "spec.dataFrom[0]: Required value", told: []string{"spec.dataFrom[0]", "extract or find"},
	},
	"e9-store": {
		reason: "the operator's webhook lets it pass, and nothing is asked for", data: "dataFrom: [{sourceRef: {storeRef: {name: good}}}]",
		told: []string{"spec.dataFrom[0]", "extract or find"},
	},
	"e10": {
		reason: "a source that is none", data: "dataFrom: [{extract: {key: db}, sourceRef: {}}]",
		refused: "spec.dataFrom[0].sourceRef: Invalid value", schema: true,
	},
	"e10-both": {
		reason: "a store or a generator",
		data:   "dataFrom: [{sourceRef: {storeRef: {name: good}, generatorRef: {kind: Password, name: g}}}]",
		// maxProperties words it in its own way.
		refused: "spec.dataFrom[0].sourceRef: Too many", schema: true,
	},
	"e11": {
		reason: "one of the two values would be lost in silence",
		data:   "data: [{secretKey: a, remoteRef: {key: db}}, {secretKey: a, remoteRef: {key: user}}]",
		told:   []string{"spec.data[1].secretKey", "duplicate secretKey found: a"},
	},
	"e11-delete": {
		reason: "the webhook lets it pass: one may be there while the other is not", target: "{deletionPolicy: Delete}",
		data: "data: [{secretKey: a, remoteRef: {key: db}}, {secretKey: a, remoteRef: {key: user}}]", refused: accepted,
	},
	"e11-merge": {
		reason: "the webhook lets it pass: one may be there while the other is not", target: "{deletionPolicy: Merge}",
		data: "data: [{secretKey: a, remoteRef: {key: db}}, {secretKey: a, remoteRef: {key: user}}]", refused: accepted,
	},
	// What comes later, and is said.
	"generator": {
		reason: "not there yet", data: "dataFrom: [{sourceRef: {generatorRef: {kind: Password, name: g}}}]",
		told: []string{"spec.dataFrom[0].sourceRef.generatorRef", "not supported"},
	},
	"generator-data": {
		reason: "the schema has it and nobody implements it", data: "data: [{secretKey: a, remoteRef: {key: db}, sourceRef: {generatorRef: {kind: Password, name: g}}}]",
		told: []string{"spec.data[0].sourceRef.generatorRef", "generator"},
	},
	"manifest": {
		reason: "not there yet", target: "{manifest: {apiVersion: v1, kind: ConfigMap}}", data: one,
		told: []string{"spec.target.manifest", "not supported"},
	},
	// What no webhook looks at.
	"interval-text":     {reason: "the CRD takes any text", data: "refreshInterval: soon, " + one, told: []string{"spec.refreshInterval", `"soon"`}},
	"interval-days":     {reason: "Go has no days", data: "refreshInterval: 1d, " + one, told: []string{"spec.refreshInterval", `"1d"`}},
	"window-duration":   {reason: "the CRD takes any text", data: `syncWindows: {kind: allow, windows: [{schedule: "@daily", duration: long}]}, ` + one, told: []string{"spec.syncWindows.windows[0].duration", `"long"`}},
	"window-schedule":   {reason: "it looks like one", data: `syncWindows: {kind: deny, windows: [{schedule: "99 99 * * *", duration: 1h}]}, ` + one, told: []string{"spec.syncWindows"}},
	"no-key":            {reason: "no secret is named", data: `data: [{secretKey: a, remoteRef: {key: ""}}]`, told: []string{"spec.data[0].remoteRef.key"}},
	"no-store":          {reason: "no store is named", data: "secretStoreRef: null, data: [{secretKey: a, remoteRef: {key: db}}]", told: []string{"spec.secretStoreRef.name"}},
	"store-missing":     {reason: "a store that comes later", data: "data: [{secretKey: a, remoteRef: {key: db}, sourceRef: {storeRef: {name: nowhere}}}]", told: []string{"spec.data[0]", "nowhere", "does not exist"}},
	"find-nothing":      {reason: "everything is not what is meant by nothing", data: "dataFrom: [{find: {}}]", told: []string{"spec.dataFrom[0].find", "name, path and tags"}},
	"rewrite-two":       {reason: "which of them is it?", data: "dataFrom: [{extract: {key: db}, rewrite: [{regexp: {source: a, target: b}, transform: {template: c}}]}]", refused: "spec.dataFrom[0].rewrite[0]: Too many", schema: true},
	"merge-into":        {reason: "where to?", data: "dataFrom: [{extract: {key: json}, rewrite: [{merge: {strategy: JSON}}]}]", told: []string{"spec.dataFrom[0].rewrite[0].merge.into"}},
	"template-source":   {reason: "no key is named", target: "{template: {templateFrom: [{configMap: {name: c, items: []}}]}}", data: one, told: []string{"spec.target.template.templateFrom[0].configMap.items"}},
	"template-cm-none":  {reason: "the ConfigMap comes later", target: "{template: {templateFrom: [{configMap: {name: later, items: [{key: k}]}}]}}", data: one, told: []string{"spec.target.template.templateFrom[0].configMap", `"later" does not exist`}},
	"template-sec-none": {reason: "the Secret comes later", target: "{template: {templateFrom: [{secret: {name: later, items: [{key: k}]}}]}}", data: one, told: []string{"spec.target.template.templateFrom[0].secret", `"later" does not exist`}},
}

// one asks for one key.
const one = "data: [{secretKey: a, remoteRef: {key: db}}]"

func TestObjectRules(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			w.holds = true
			h := newHook(t, map[string]string{"db": w.canary, "user": "admin", "json": "{}"})
			w.in(w.atk, h.store(ss, "good", "", ""))
			for name, tc := range objectRules {
				t.Run(name, func(t *testing.T) {
					w := w.at(t)
					manifest := fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: %s}\nspec: {secretStoreRef: {name: good}, target: %s, %s}\n",
						name, orEmpty(tc.target), tc.data)
					if strings.Contains(tc.data, "secretStoreRef: null, ") {
						manifest = strings.Replace(manifest, "secretStoreRef: {name: good}, ", "", 1)
						manifest = strings.Replace(manifest, "secretStoreRef: null, ", "", 1)
					}
					err := w.apply(w.atk, manifest)
					switch {
					case tc.refused == accepted:
						must(t, err)
						w.synced(w.atk, name)
						return
					case tc.refused != "" && (!s.foreign || tc.schema):
						if err == nil || !strings.Contains(err.Error(), tc.refused) {
							t.Errorf("%s: the CRD should say %q, and says %v", tc.reason, tc.refused, err)
						}
						return
					}
					must(t, err)
					c := w.failed(w.atk, name, tc.told...)
					if c.reason != "SecretSyncedError" {
						t.Errorf("%s: the reason is %q", tc.reason, c.reason)
					}
					w.none(w.atk, name)
				})
			}
		})
	}
}

func orEmpty(target string) string {
	if target == "" {
		return "{}"
	}
	return target
}

// storeRules are the rules for stores: S1 to S4, and those of the providers fake
// and kubernetes.
var storeRules = map[string]struct {
	reason  string
	cluster bool
	spec    string
	refused string
	schema  bool // the operator's CRD refuses it too
	told    []string
}{
	"s1":        {reason: "no namespace can be told from it", cluster: true, spec: "provider: " + fakes + ", conditions: [{namespaces: [a]}, {namespaceRegexes: [a, '(']}]", told: []string{"spec.conditions[1].namespaceRegexes[1]", `"("`}},
	"s1-lookup": {reason: "RE2 looks neither ahead nor back", cluster: true, spec: "provider: " + fakes + ", conditions: [{namespaceRegexes: ['(?!kube-).*']}]", told: []string{"spec.conditions[0].namespaceRegexes[0]"}},
	"s1-selector": {
		reason: "an operator that is none", cluster: true,
		spec: "provider: " + fakes + ", conditions: [{namespaceSelector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}}]", told: []string{"spec.conditions[0].namespaceSelector"},
	},
	"s2":          {reason: "the CRD takes any text", spec: "provider: " + fakes + ", refreshInterval: soon", told: []string{"spec.refreshInterval", `"soon"`}},
	"s2-days":     {reason: "Go has no days", spec: "provider: " + fakes + ", refreshInterval: 1d", told: []string{"spec.refreshInterval", `"1d"`}},
	"s2-negative": {reason: "time does not run backwards", spec: "provider: " + fakes + ", refreshInterval: -5", told: []string{"spec.refreshInterval"}},
	"s2-number":   {reason: "seconds", spec: "provider: " + fakes + ", refreshInterval: 5", refused: accepted},
	"retry":       {reason: "the CRD takes any text", spec: "provider: " + fakes + ", retrySettings: {retryInterval: soon}", told: []string{"spec.retrySettings.retryInterval", `"soon"`}},
	"retry-less":  {reason: "fewer than none", spec: "provider: " + fakes + ", retrySettings: {maxRetries: -1}", told: []string{"spec.retrySettings.maxRetries"}},
	"s3-other":    {reason: "a product that is not served here", spec: "provider: {akeyless: {akeylessGWApiURL: 'https://akeyless', authSecretRef: {}}}", told: []string{"spec.provider.akeyless", "supported: fake, ibm"}},
	"s3-none":     {reason: "no product at all", spec: "provider: {}", refused: "spec.provider", schema: true},
	"s3-two":      {reason: "which of them is it?", spec: "provider: {fake: {data: []}, webhook: {url: 'https://x'}}", refused: "spec.provider", schema: true},
	"fake-key":    {reason: "it cannot be asked for", spec: "provider: {fake: {data: [{key: '', value: a}]}}", told: []string{"spec.provider.fake.data[0].key"}},
	"fake-value":  {reason: "without the webhook, which everybody may leave out, the operator serves it", spec: "provider: {fake: {data: [{key: a, value: ''}]}}", refused: accepted},
	"k8s-token-name": {
		reason: "no Secret is named", spec: "provider: {kubernetes: {auth: {token: {bearerToken: {key: token}}}}}", told: []string{"spec.provider.kubernetes.auth.token.bearerToken", "name"},
	},
	"k8s-token-key": {
		reason: "no key is named", spec: "provider: {kubernetes: {auth: {token: {bearerToken: {name: login}}}}}", told: []string{"spec.provider.kubernetes.auth.token.bearerToken", "key"},
	},
	"k8s-cert-name": {
		reason: "no Secret is named", spec: "provider: {kubernetes: {auth: {cert: {clientCert: {key: a}, clientKey: {name: login, key: b}}}}}", told: []string{"spec.provider.kubernetes.auth.cert.clientCert", "name"},
	},
	"k8s-cert-key": {
		reason: "no key is named", spec: "provider: {kubernetes: {auth: {cert: {clientCert: {name: login}, clientKey: {name: login, key: b}}}}}", told: []string{"spec.provider.kubernetes.auth.cert.clientCert", "key"},
	},
	"k8s-no-login": {reason: "nobody asks", spec: "provider: {kubernetes: {}}", told: []string{"spec.provider.kubernetes", "authRef"}},
	"k8s-two-logins": {
		reason: "who asks?",
		spec:   "provider: {kubernetes: {authRef: {name: a, key: b}, auth: {token: {bearerToken: {name: login, key: token}}}}}", told: []string{"spec.provider.kubernetes", "exactly one"},
	},
	"k8s-http": {
		reason: "the token would be readable on the way",
		spec:   "provider: {kubernetes: {server: {url: 'http://api'}, auth: {token: {bearerToken: {name: login, key: token}}}}}", told: []string{"spec.provider.kubernetes.server.url", "https"},
	},
}

// fakes is the provider of a store that works.
const fakes = "{fake: {data: [{key: db, value: x}]}}"

func TestStoreRules(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			for name, tc := range storeRules {
				t.Run(name, func(t *testing.T) {
					w := w.at(t)
					kind, namespace, unique := ss, w.atk, name
					if tc.cluster {
						kind, namespace, unique = css, "", name+"-"+w.id
					}
					err := w.apply(namespace, fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, unique, tc.spec))
					switch {
					case tc.refused == accepted:
						must(t, err)
						w.becomes(kind, namespace, unique, "True", "Valid: store validated")
						return
					case tc.refused != "" && (!s.foreign || tc.schema):
						if err == nil || !strings.Contains(err.Error(), tc.refused) {
							t.Errorf("%s: the CRD should say %q, and says %v", tc.reason, tc.refused, err)
						}
						return
					}
					must(t, err)
					w.becomes(kind, namespace, unique, "False", append(tc.told, "InvalidProviderConfig: ")...)
					// Who uses it is told the same.
					w.in(w.atk, externalSecretOf(kind, name, unique, "db", rarely, ""))
					w.failed(w.atk, name, append(tc.told, "spec.data[0], "+kind)...)
					w.none(w.atk, name)
				})
			}
		})
	}
}
