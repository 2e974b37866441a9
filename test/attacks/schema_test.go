// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"strings"
	"testing"
)

// schemaRules are what both CRDs refuse of an ExternalSecret, by the field that
// they name. External Secrets Operator has the same schema; that it is, word for
// word, is held in hack/crds.
var schemaRules = map[string]struct{ field, spec string }{
	"store name":         {"spec.secretStoreRef.name", "secretStoreRef: {name: 'no name'}, " + one},
	"store name, long":   {"spec.secretStoreRef.name", "secretStoreRef: {name: " + strings.Repeat("a", 254) + "}, " + one},
	"store kind":         {"spec.secretStoreRef.kind", "secretStoreRef: {name: s, kind: Store}, " + one},
	"store of an entry":  {"spec.data[0].sourceRef.storeRef.kind", "data: [{secretKey: a, remoteRef: {key: db}, sourceRef: {storeRef: {name: s, kind: Store}}}]"},
	"refresh policy":     {"spec.refreshPolicy", "refreshPolicy: Sometimes, " + one},
	"window kind":        {"spec.syncWindows.kind", `syncWindows: {kind: maybe, windows: [{schedule: "@daily", duration: 1h}]}, ` + one},
	"no windows":         {"spec.syncWindows.windows", "syncWindows: {kind: allow, windows: []}, " + one},
	"no schedule":        {"spec.syncWindows.windows[0].schedule", "syncWindows: {kind: allow, windows: [{duration: 1h}]}, " + one},
	"empty schedule":     {"spec.syncWindows.windows[0].schedule", `syncWindows: {kind: allow, windows: [{schedule: "", duration: 1h}]}, ` + one},
	"schedule":           {"spec.syncWindows.windows[0].schedule", `syncWindows: {kind: allow, windows: [{schedule: often, duration: 1h}]}, ` + one},
	"no duration":        {"spec.syncWindows.windows[0].duration", `syncWindows: {kind: allow, windows: [{schedule: "@daily"}]}, ` + one},
	"no secretKey":       {"spec.data[0].secretKey", "data: [{remoteRef: {key: db}}]"},
	"empty secretKey":    {"spec.data[0].secretKey", `data: [{secretKey: "", remoteRef: {key: db}}]`},
	"secretKey":          {"spec.data[1].secretKey", "data: [{secretKey: a, remoteRef: {key: db}}, {secretKey: 'a b', remoteRef: {key: db}}]"},
	"secretKey, long":    {"spec.data[0].secretKey", "data: [{secretKey: " + strings.Repeat("a", 254) + ", remoteRef: {key: db}}]"},
	"no remoteRef":       {"spec.data[0].remoteRef", "data: [{secretKey: a}]"},
	"no remote key":      {"spec.data[0].remoteRef.key", "data: [{secretKey: a, remoteRef: {property: p}}]"},
	"metadata policy":    {"spec.data[0].remoteRef.metadataPolicy", "data: [{secretKey: a, remoteRef: {key: db, metadataPolicy: Get}}]"},
	"conversion":         {"spec.data[0].remoteRef.conversionStrategy", "data: [{secretKey: a, remoteRef: {key: db, conversionStrategy: Latin}}]"},
	"decoding":           {"spec.data[0].remoteRef.decodingStrategy", "data: [{secretKey: a, remoteRef: {key: db, decodingStrategy: Hex}}]"},
	"null bytes":         {"spec.data[0].remoteRef.nullBytePolicy", "data: [{secretKey: a, remoteRef: {key: db, nullBytePolicy: Remove}}]"},
	"two sources":        {"spec.data[0].sourceRef", "data: [{secretKey: a, remoteRef: {key: db}, sourceRef: {storeRef: {name: s}, generatorRef: {kind: Password, name: g}}}]"},
	"extract key":        {"spec.dataFrom[0].extract.key", "dataFrom: [{extract: {property: p}}]"},
	"extract decoding":   {"spec.dataFrom[0].extract.decodingStrategy", "dataFrom: [{extract: {key: db, decodingStrategy: Hex}}]"},
	"find conversion":    {"spec.dataFrom[0].find.conversionStrategy", "dataFrom: [{find: {name: {regexp: .*}, conversionStrategy: Latin}}]"},
	"find decoding":      {"spec.dataFrom[0].find.decodingStrategy", "dataFrom: [{find: {name: {regexp: .*}, decodingStrategy: Hex}}]"},
	"find null bytes":    {"spec.dataFrom[0].find.nullBytePolicy", "dataFrom: [{find: {name: {regexp: .*}, nullBytePolicy: Remove}}]"},
	"find tags":          {"spec.dataFrom[0].find.tags.a", "dataFrom: [{find: {tags: {a: {b: c}}}}]"},
	"empty rewrite":      {"spec.dataFrom[0].rewrite[0]", "dataFrom: [{extract: {key: db}, rewrite: [{}]}]"},
	"rewrite source":     {"spec.dataFrom[0].rewrite[0].regexp.source", "dataFrom: [{extract: {key: db}, rewrite: [{regexp: {target: a}}]}]"},
	"rewrite target":     {"spec.dataFrom[0].rewrite[0].regexp.target", "dataFrom: [{extract: {key: db}, rewrite: [{regexp: {source: a}}]}]"},
	"rewrite template":   {"spec.dataFrom[0].rewrite[0].transform.template", "dataFrom: [{extract: {key: db}, rewrite: [{transform: {}}]}]"},
	"merge strategy":     {"spec.dataFrom[0].rewrite[0].merge.strategy", "dataFrom: [{extract: {key: db}, rewrite: [{merge: {strategy: Deep}}]}]"},
	"merge priority":     {"spec.dataFrom[0].rewrite[0].merge.priorityPolicy", "dataFrom: [{extract: {key: db}, rewrite: [{merge: {priorityPolicy: Loose}}]}]"},
	"merge conflict":     {"spec.dataFrom[0].rewrite[0].merge.conflictPolicy", "dataFrom: [{extract: {key: db}, rewrite: [{merge: {conflictPolicy: Last}}]}]"},
	"generator kind":     {"spec.dataFrom[0].sourceRef.generatorRef.kind", "dataFrom: [{sourceRef: {generatorRef: {kind: Dice, name: g}}}]"},
	"target name":        {"spec.target.name", "target: {name: " + strings.Repeat("a", 254) + "}, " + one},
	"creation policy":    {"spec.target.creationPolicy", "target: {creationPolicy: Adopt}, " + one},
	"deletion policy":    {"spec.target.deletionPolicy", "target: {deletionPolicy: Keep}, " + one},
	"immutable":          {"spec.target.immutable", "target: {immutable: 'yes'}, " + one},
	"engine":             {"spec.target.template.engineVersion", "target: {template: {engineVersion: v1}}, " + one},
	"merge policy":       {"spec.target.template.mergePolicy", "target: {template: {mergePolicy: Both}}, " + one},
	"template data":      {"spec.target.template.data.a", "target: {template: {data: {a: [b]}}}, " + one},
	"template source":    {"spec.target.template.templateFrom[0].configMap.items", "target: {template: {templateFrom: [{configMap: {name: c}}]}}, " + one},
	"template item":      {"spec.target.template.templateFrom[0].configMap.items[0].key", "target: {template: {templateFrom: [{configMap: {name: c, items: [{}]}}]}}, " + one},
	"template as":        {"spec.target.template.templateFrom[0].secret.items[0].templateAs", "target: {template: {templateFrom: [{secret: {name: c, items: [{key: k, templateAs: Both}]}}]}}, " + one},
	"values decoding":    {"spec.target.template.templateFrom[0].valuesDecodingStrategy", "target: {template: {templateFrom: [{literal: 'a: b', valuesDecodingStrategy: Hex}]}}, " + one},
	"manifest kind":      {"spec.target.manifest.kind", "target: {manifest: {apiVersion: v1}}, " + one},
	"manifest version":   {"spec.target.manifest.apiVersion", "target: {manifest: {kind: ConfigMap}}, " + one},
	"a field too many":   {"spec.refresh", "refresh: 1h, " + one},
	"a misspelled field": {"spec.data[0].remoteRef.propery", "data: [{secretKey: a, remoteRef: {key: db, propery: p}}]"},
}

// TestSchemaRules has manifests refused by the API server, whose answer names the
// field.
func TestSchemaRules(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			for name, tc := range schemaRules {
				t.Run(name, func(t *testing.T) {
					err := w.at(t).apply(w.atk, fmt.Sprintf("apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: %s}\nspec: {%s}\n", slug(name), tc.spec))
					if err == nil || !strings.Contains(err.Error(), tc.field) {
						t.Errorf("it should be refused for %s: %v", tc.field, err)
					}
				})
			}
		})
	}
}
