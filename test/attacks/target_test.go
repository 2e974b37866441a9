// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestPowerfulTypes has templates make Secrets that the cluster believes, or
// fills with power (rows 11 to 13). Whether the CRD refuses them or the
// controller does, none is made. There is a controller that would put a token
// into it.
func TestPowerfulTypes(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			h := newHook(t, map[string]string{"db": "x", "name": "admin", "type": "kubernetes.io/service-account-token"})
			w.in(w.atk, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: admin}\n---"+h.store(ss, "s", "", "")+`
---
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data:
  annotations: "kubernetes.io/service-account.name: admin"
  type: kubernetes.io/service-account-token
`)
			const sat = "kubernetes.io/service-account-token"
			for name, tc := range map[string]struct{ reason, target string }{
				"token":              {"who fills it gets the token", "{template: {type: " + sat + "}}"},
				"token-annotated":    {"the cluster fills it", "{template: {type: " + sat + ", metadata: {annotations: {kubernetes.io/service-account.name: admin}}}}"},
				"token-templated":    {"the name comes from the store", "{template: {type: " + sat + `, metadata: {annotations: {kubernetes.io/service-account.name: "{{ .password }}"}}}}`},
				"token-configmap":    {"the annotation comes from a ConfigMap", "{template: {type: " + sat + ", templateFrom: [{target: annotations, configMap: {name: templates, items: [{key: annotations, templateAs: KeysAndValues}]}}]}}"},
				"token-literal":      {"the annotation comes from a template", "{template: {type: " + sat + `, templateFrom: [{target: ANNOTATIONS, literal: "kubernetes.io/service-account.name: admin"}]}}`},
				"token-orphan":       {"nobody owns it", "{creationPolicy: Orphan, template: {type: " + sat + ", metadata: {annotations: {kubernetes.io/service-account.name: admin}}}}"},
				"token-merge":        {"it may be there", "{creationPolicy: CreateOrMerge, template: {type: " + sat + "}}"},
				"type-target":        {"the type is no part that a template fills", "{template: {templateFrom: [{target: type, literal: " + sat + "}]}}"},
				"type-configmap":     {"the type is no part that a template fills", "{template: {templateFrom: [{target: Type, configMap: {name: templates, items: [{key: type}]}}]}}"},
				"metadata-target":    {"a path into the Secret", `{template: {templateFrom: [{target: metadata.annotations, literal: "kubernetes.io/service-account.name: admin"}]}}`},
				"annotation-target":  {"a path into the Secret", "{template: {templateFrom: [{target: Metadata.Annotations.kubernetes.io/service-account.name, literal: admin}]}}"},
				"bootstrap":          {"it admits nodes", "{template: {type: bootstrap.kubernetes.io/token}}"},
				"bootstrap-named":    {"it admits nodes", "{name: bootstrap-token-abcdef, template: {type: bootstrap.kubernetes.io/token, data: {token-id: abcdef, usage-bootstrap-authentication: 'true'}}}"},
				"release":            {"Helm does what it says", "{name: sh.helm.release.v1.app.v1, template: {type: helm.sh/release.v1}}"},
				"manifest-secret":    {"a Secret by another way", "{manifest: {apiVersion: v1, kind: Secret}, template: {type: " + sat + "}}"},
				"manifest-role":      {"power itself", "{manifest: {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding}}"},
				"manifest-configmap": {"not there yet", "{manifest: {apiVersion: v1, kind: ConfigMap}}"},
			} {
				t.Run(name, func(t *testing.T) {
					w := w.at(t)
					err := w.apply(w.atk, externalSecret(name, "s", "name", rarely, ", target: "+tc.target))
					switch {
					case err == nil:
						w.failed(w.atk, name, "spec.target.", "InvalidRef")
					case s.foreign || !strings.Contains(err.Error(), "spec.target.template"):
						t.Errorf("%s: %v", tc.reason, err)
					}
				})
			}
			for _, item := range w.all(w.kindOf("secrets"), w.atk) {
				t.Errorf("there is a Secret %s of type %v", item.GetName(), item.Object["type"])
			}
			for _, item := range w.all(w.kindOf("rolebindings"), w.atk) {
				t.Errorf("there is a RoleBinding %s", item.GetName())
			}
		})
	}
}

// TestForeignTargets aims at Secrets that are there already and are somebody's
// (row 14), under every policy. They stay as they are to the byte.
func TestForeignTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "mine"})
	w.in(w.atk, h.store(ss, "s", "", "")+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: admin}\n"+
		"---"+externalSecret("other", "s", "db", rarely, ", target: {name: of-other}"))
	w.synced(w.atk, "other")
	owner := w.get("ConfigMap", w.atk, "owner")
	all := []string{"Owner", "Orphan", "Merge", "CreateOrMerge"}
	for name, tc := range map[string]struct {
		reason   string
		secret   string // the rest of the manifest
		target   string // its name, where it is there already
		policies []string
		told     []string
	}{
		"controlled": {
			reason: "another controller looks after it",
			secret: fmt.Sprintf("metadata: {name: NAME, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %s, controller: true}]}", owner.GetUID()),
			// A Merge adds its keys beside those of the controller, as in ESO.
			policies: []string{"Owner", "Orphan"},
			told:     []string{"Secret.metadata.ownerReferences", "Conflict", "belongs to ConfigMap", "owner"},
		},
		"of another": {
			reason: "two of them would write it in turns", target: "of-other", policies: all,
			told: []string{"Secret.metadata.ownerReferences", "Conflict", "target is owned by another ExternalSecret", "other"},
		},
		"of Helm": {
			reason:   "a release would put it back",
			secret:   "metadata: {name: NAME, labels: {app.kubernetes.io/managed-by: Helm}}",
			policies: []string{"Owner", "Orphan"},
			told:     []string{"Conflict", "app.kubernetes.io/managed-by=Helm"},
		},
		"token": {
			reason:   "it is a service account",
			secret:   "metadata: {name: NAME, annotations: {kubernetes.io/service-account.name: admin}}\ntype: kubernetes.io/service-account-token",
			policies: all,
			told:     []string{"Conflict", "kubernetes.io/service-account-token", "never taken over"},
		},
		"bootstrap": {
			reason:   "it admits nodes",
			secret:   "metadata: {name: NAME}\ntype: bootstrap.kubernetes.io/token",
			policies: all,
			told:     []string{"Conflict", "bootstrap.kubernetes.io/token", "never taken over"},
		},
		"release": {
			reason:   "Helm does what it says",
			secret:   "metadata: {name: NAME}\ntype: helm.sh/release.v1",
			policies: all,
			told:     []string{"Conflict", "helm.sh/release.v1", "never taken over"},
		},
		"immutable": {
			reason:   "somebody wants it to stay",
			secret:   "metadata: {name: NAME}\nimmutable: true",
			policies: all,
			told:     []string{"immutable", "Conflict"},
		},
	} {
		for _, policy := range tc.policies {
			t.Run(name+" "+policy, func(t *testing.T) {
				w := w.at(t)
				object, target := slug(name+"-"+policy), tc.target
				if target == "" {
					target = object + "-target"
					w.in(w.atk, "apiVersion: v1\nkind: Secret\nstringData: {old: theirs}\n"+strings.ReplaceAll(tc.secret, "NAME", target))
				}
				if name == "token" {
					eventually(t, func() error { // the cluster fills it
						if w.data(w.atk, target)["token"] == "" {
							return fmt.Errorf("there is no token in %s", target)
						}
						return nil
					})
				}
				before := w.get("Secret", w.atk, target)
				w.in(w.atk, externalSecret(object, "s", "db", rarely, fmt.Sprintf(", target: {name: %s, creationPolicy: %s}", target, policy)))
				w.failed(w.atk, object, tc.told...)
				after := w.get("Secret", w.atk, target)
				if after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
					t.Errorf("%s, and it was touched", tc.reason)
				}
			})
		}
	}
}

// TestUnownedTarget takes over a Secret that nobody owns: an ingress' key, say.
// What is in it stays, and is listed.
func TestUnownedTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": "mine"})
	w.in(w.atk, h.store(ss, "s", "", "")+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {old: theirs}\n"+
		"---"+externalSecret("app", "s", "db", rarely, ""))
	w.secret(w.atk, "app", map[string]string{"password": "mine", "old": "theirs"})
	kept := w.get("Secret", w.atk, "app").GetAnnotations()["lockstep-secrets.dev/kept"]
	if kept != "data:old" {
		t.Errorf("what was kept is %q", kept)
	}
	w.in(w.atk, "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\ntype: kubernetes.io/tls\nstringData: {tls.crt: c, tls.key: k}\n"+
		"---"+externalSecret("tls", "s", "db", rarely, ", target: {template: {type: Opaque, data: {a: b}}}"))
	w.failed(w.atk, "tls", "Conflict", "kubernetes.io/tls")
	if got := w.data(w.atk, "tls"); !maps.Equal(got, map[string]string{"tls.crt": "c", "tls.key": "k"}) {
		t.Errorf("it was touched: it has the keys %v", slices.Sorted(maps.Keys(got)))
	}
}

// TestForgedMetadata has manifests and templates set what only a controller may
// set (row 15).
func TestForgedMetadata(t *testing.T) {
	for name, s := range map[string]*stage{"our CRDs": ours, "their CRDs": theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			h := newHook(t, map[string]string{"db": "x"})
			w.in(w.atk, h.store(ss, "s", "", "")+`
---
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data: {marks: "reconcile.external-secrets.io/created-by: forged\nlockstep-secrets.dev/kept: data:password\ngood: yes2"}
`)
			const (
				labels      = `{reconcile.external-secrets.io/created-by: forged, reconcile.external-secrets.io/managed: "false", lockstep-secrets.dev/x: forged, good: yes2}`
				annotations = `{reconcile.external-secrets.io/data-hash: forged, lockstep-secrets.dev/kept: "data:password", good: yes2}`
			)
			for name, tc := range map[string]struct{ reason, manifest string }{
				"metadata": {
					"a template for labels and annotations",
					externalSecret("metadata", "s", "db", rarely, ", target: {template: {metadata: {labels: "+labels+", annotations: "+annotations+
						", ownerReferences: [{apiVersion: v1, kind: Namespace, name: default, uid: a}], managedFields: [], generateName: a, namespace: "+w.vic+"}}}"),
				},
				"literal": {
					"a template that makes the names",
					externalSecret("literal", "s", "db", rarely, `, target: {template: {templateFrom: [{target: Labels, literal: "`+forged+`"}, {target: Annotations, literal: "`+forged+`"}]}}`),
				},
				"source": {
					"a template that makes the names, in a ConfigMap",
					externalSecret("source", "s", "db", rarely, `, target: {template: {templateFrom: [{target: Labels, configMap: {name: templates, items: [{key: marks2, templateAs: KeysAndValues}]}}, `+
						`{target: Annotations, configMap: {name: templates, items: [{key: marks, templateAs: KeysAndValues}]}}]}}`),
				},
				"copied": {
					"what the object carries itself",
					strings.Replace(externalSecret("copied", "s", "db", rarely, ""), "{name: copied}", "{name: copied, labels: "+labels+", annotations: "+annotations+"}", 1),
				},
			} {
				t.Run(name, func(t *testing.T) {
					w := w.at(t)
					if name == "source" {
						w.patch("ConfigMap", w.atk, "templates", `{"data":{"marks2":"reconcile.external-secrets.io/created-by: forged\ngood: yes2"}}`)
					}
					must(t, w.loosely(w.atk, tc.manifest))
					w.synced(w.atk, name)
					s := w.get("Secret", w.atk, name)
					marks := maps.Clone(s.GetLabels())
					maps.Copy(marks, s.GetAnnotations())
					for k, v := range marks {
						if strings.Contains(v, "forged") || k == "lockstep-secrets.dev/kept" || k == "reconcile.external-secrets.io/managed" && v != "true" {
							t.Errorf("%s: the Secret has %s=%s", tc.reason, k, v)
						}
					}
					if s.GetLabels()["good"] != "yes2" || s.GetAnnotations()["good"] != "yes2" {
						t.Errorf("%s: the others are missing: %v", tc.reason, marks)
					}
					owners := s.GetOwnerReferences()
					if len(owners) != 1 || owners[0].Kind != es || owners[0].Name != name {
						t.Errorf("%s: the owners are %v", tc.reason, owners)
					}
				})
			}
			if len(w.all(w.kindOf("secrets"), w.vic)) > 0 {
				t.Error("there is a Secret in the victim's namespace")
			}
		})
	}
}

const forged = `reconcile.external-secrets.io/created-by: forged\nlockstep-secrets.dev/kept: forged\ngood: yes2`

// loosely applies a manifest with fields that its schema does not have, as kubectl
// does with --validate=false.
func (w *world) loosely(namespace, manifest string) error {
	docs, err := documents(manifest)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		doc.SetNamespace(namespace)
		if err := w.user.Create(w.t.Context(), doc); err != nil {
			return err
		}
	}
	return nil
}

// TestLastApplied has the object carry what kubectl applied last, which may hold
// anything that was ever written into a manifest (row 38). It goes nowhere.
func TestLastApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ours)
	h := newHook(t, map[string]string{"db": w.canary})
	w.holds = true
	w.in(w.atk, h.store(ss, "s", "", ""))
	manifest := strings.Replace(externalSecret("app", "s", "db", rarely, ""), "{name: app}",
		`{name: app, annotations: {team: a, kubectl.kubernetes.io/last-applied-configuration: "{\"old\":\"secret\"}"}}`, 1)
	must(t, w.loosely(w.atk, manifest))
	w.synced(w.atk, "app")
	s := w.get("Secret", w.atk, "app")
	if v, ok := s.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"]; ok {
		t.Errorf("the Secret says %q", v)
	}
	if s.GetAnnotations()["team"] != "a" {
		t.Errorf("the other annotation is missing: %v", s.GetAnnotations())
	}
	fields := s.GetManagedFields()
	if len(fields) == 0 {
		t.Error("nobody manages the Secret")
	}
	hashed, _, _ := unstructured.NestedString(s.Object, "metadata", "annotations", "reconcile.external-secrets.io/data-hash")
	if hashed != "" {
		t.Errorf("the Secret carries a hash of its data: %s", hashed)
	}
}
