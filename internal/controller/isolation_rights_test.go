// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// What is right is decided here, without the code under test.

// note takes down what each namespace may read now. What it may not use any more
// is forgotten.
func (r *realm) note() {
	for _, ns := range tenantNames {
		for _, store := range storeNames {
			for _, key := range []spec.StoreKey{{Kind: eso.KindStore, Namespace: ns, Name: store}, {Kind: eso.KindClusterStore, Name: store}} {
				may := right{key, ns}
				s, ok := r.now(may)
				if !ok {
					delete(r.rights, may)
					continue
				}
				if r.rights[may] == nil {
					r.rights[may] = map[string]bool{}
				}
				r.rights[may][s] = true
			}
		}
	}
}

// now is the signature by which a namespace reads through a store, if it may use
// it; "" when there are no credentials.
func (r *realm) now(may right) (string, bool) {
	o := r.api.objects[name{may.store.Kind, types.NamespacedName{Namespace: may.store.Namespace, Name: may.store.Name}}]
	if o == nil {
		return "", false
	}
	s := parts(o).spec
	if may.store.Namespace == "" && !r.permits(s.Conditions, may.namespace) {
		return "", false
	}
	var all map[string]account
	_ = json.Unmarshal(s.Provider.Raw, &all)
	a := all["bank"]
	from := a.Secret.Namespace
	switch {
	case from == "":
		from = may.namespace
	case may.store.Namespace != "" && from != may.namespace:
		return "", true // a tenant has no credentials of others
	}
	creds, ok := r.api.objects[name{"Secret", types.NamespacedName{Namespace: from, Name: a.Secret.Name}}].(*corev1.Secret)
	if !ok {
		return "", true
	}
	return signature(may.store.Namespace == "", a.Endpoint, string(creds.Data[tokenKey])), true
}

func (r *realm) permits(list []esv1.StoreCondition, ns string) bool {
	has := r.api.objects[name{"Namespace", types.NamespacedName{Name: ns}}].GetLabels()
	return len(list) == 0 || slices.ContainsFunc(list, func(c esv1.StoreCondition) bool {
		for _, re := range c.NamespaceRegexes {
			if regexp.MustCompile(`\A(` + re + `)\z`).MatchString(ns) {
				return true
			}
		}
		if c.NamespaceSelector != nil {
			for k, v := range c.NamespaceSelector.MatchLabels {
				if has[k] != v {
					return slices.Contains(c.Namespaces, ns)
				}
			}
			return true
		}
		return slices.Contains(c.Namespaces, ns)
	})
}

// entry is one that may bring a value.
type entry struct {
	store spec.StoreKey
	key   string // of the Secret; "" is any
	paths string // an expression
}

// entries are those of a manifest.
func entries(o *esv1.ExternalSecret) []entry {
	store := func(source *esv1.SourceRef) spec.StoreKey {
		ref := o.Spec.SecretStoreRef
		if source != nil {
			ref = *source.StoreRef
		}
		if ref.Kind == eso.KindClusterStore {
			return spec.StoreKey{Kind: ref.Kind, Name: ref.Name}
		}
		return spec.StoreKey{Kind: ref.Kind, Namespace: o.Namespace, Name: ref.Name}
	}
	var out []entry
	for _, d := range o.Spec.Data {
		out = append(out, entry{store(d.SourceRef), d.SecretKey, d.RemoteRef.Key})
	}
	for _, d := range o.Spec.DataFrom {
		if d.Find != nil {
			out = append(out, entry{store(d.SourceRef), "", d.Find.Name.RegExp})
			continue
		}
		out = append(out, entry{store(d.SourceRef), "", d.Extract.Key})
	}
	return out
}

// written requires that a Secret holds nothing but what its object may have at
// this moment. It is told before the write.
func (r *realm) written(s *corev1.Secret) {
	owner := metav1.GetControllerOf(s)
	key := types.NamespacedName{Namespace: s.Namespace, Name: owner.Name}
	var manifests []*esv1.ExternalSecret
	if is, ok := r.api.objects[name{"ExternalSecret", key}].(*esv1.ExternalSecret); ok {
		manifests = append(manifests, is)
	}
	if old := r.former[key]; time.Since(old.at) <= latency { // it looked at the manifest right before
		manifests = append(manifests, old.manifest)
	}
	r.writes++
	for k, v := range s.Data {
		r.values++
		if !slices.ContainsFunc(manifests, func(o *esv1.ExternalSecret) bool { return r.brings(o, k, string(v)) }) {
			r.t.Errorf("%s: Secret %s gets %s=%s, which is nothing to it", time.Now().UTC().Format(time.TimeOnly), key, k, v)
		}
	}
}

// brings reports whether a manifest may bring a value now.
func (r *realm) brings(o *esv1.ExternalSecret, key, value string) bool {
	part := strings.Split(value, "|")
	if len(part) != 4 {
		return false
	}
	return slices.ContainsFunc(entries(o), func(e entry) bool {
		return (e.key == "" || e.key == key) && regexp.MustCompile(`\A(`+e.paths+`)\z`).MatchString(part[2]) &&
			r.rights[right{e.store, o.Namespace}][part[0]+"|"+part[1]]
	})
}

// calm is after how long without a change nothing may be read that nobody may
// have.
const calm = 30 * time.Second

// read requires that somebody may have what is read, by the credentials that
// there are.
func (r *realm) read(by, path string) {
	r.api.mu.Lock()
	defer r.api.mu.Unlock()
	r.reads++
	if time.Since(r.quiet) < calm {
		return
	}
	for n, o := range r.api.objects {
		es, ok := o.(*esv1.ExternalSecret)
		if !ok {
			continue
		}
		for _, e := range entries(es) {
			if s, _ := r.now(right{e.store, n.Namespace}); s == by && regexp.MustCompile(`\A(`+e.paths+`)\z`).MatchString(path) {
				return
			}
		}
	}
	r.t.Errorf("%s: %s is read by %s, and nobody may have it", time.Now().UTC().Format(time.TimeOnly), path, by)
}

// current requires that every object that may have all it asks for has it.
func (r *realm) current() {
	r.bank.mu.Lock()
	defer r.bank.mu.Unlock()
	synced := 0
	for n, o := range r.api.objects {
		es, ok := o.(*esv1.ExternalSecret)
		if !ok || es.Spec.RefreshPolicy != "" || len(es.Spec.DataFrom) > 0 {
			continue
		}
		want := map[string]string{}
		for _, e := range entries(es) {
			by, _ := r.now(right{e.store, n.Namespace})
			if by == "" || r.bank.serial[e.paths] == 0 {
				want = nil
				break
			}
			want[e.key] = by + "|" + e.paths + "|" + strconv.Itoa(r.bank.serial[e.paths])
		}
		if want == nil {
			continue
		}
		synced++
		secret, _ := r.api.objects[name{"Secret", n.NamespacedName}].(*corev1.Secret)
		for k, v := range want {
			if secret == nil || string(secret.Data[k]) != v {
				r.t.Errorf("in the end Secret %s has not %s=%s (%v)", n.NamespacedName, k, v, es.Status.Conditions)
			}
		}
	}
	if r.t.Logf("%d objects in sync in the end", synced); synced < len(tenantNames) {
		r.t.Error("too few to prove anything")
	}
}
