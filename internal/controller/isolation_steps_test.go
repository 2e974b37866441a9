// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
)

// found makes the cluster as it is in the beginning.
func (r *realm) found() {
	for _, p := range bankPaths {
		r.publish(p)
	}
	for _, ns := range tenantNames {
		r.label(ns)
		for _, creds := range []string{"creds-0", "creds-1"} {
			r.rotate(ns, creds)
		}
		for _, s := range storeNames {
			r.configure(eso.KindStore, ns, s)
		}
		for i := range objects {
			r.want(ns, "object-"+strconv.Itoa(i))
		}
		steady := &esv1.ExternalSecret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "steady"}} // nobody changes it
		steady.Spec.SecretStoreRef = esv1.StoreRef{Name: "main", Kind: eso.KindStore}
		steady.Spec.RefreshInterval = new("1m")
		steady.Spec.Data = []esv1.Data{{SecretKey: "k", RemoteRef: esv1.RemoteRef{Key: "p-0"}}}
		r.api.edit(steady, func() {})
	}
	for _, s := range storeNames {
		r.configure(eso.KindClusterStore, "", s)
	}
}

// repair lets most objects have what they want.
func (r *realm) repair() {
	for _, ns := range tenantNames {
		for _, creds := range []string{"creds-0", "creds-1"} {
			for r.api.objects[name{"Secret", types.NamespacedName{Namespace: ns, Name: creds}}] == nil {
				r.rotate(ns, creds)
			}
		}
		r.open(&esv1.SecretStore{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "main"}})
	}
	r.open(&esv1.ClusterSecretStore{ObjectMeta: metav1.ObjectMeta{Name: "main"}})
	r.bank.mu.Lock()
	defer r.bank.mu.Unlock()
	for _, p := range bankPaths {
		r.bank.serial[p] = 1 + r.rand.IntN(1_000_000)
	}
}

// open makes a store one that all may use who can see it.
func (r *realm) open(o client.Object) {
	if is := r.api.objects[nameOf(o)]; is != nil {
		assign(o, is)
	}
	r.api.edit(o, func() {
		*parts(o).spec = esv1.SecretStoreSpec{Provider: esv1.Provider{Raw: []byte(`{"bank":{"endpoint":"e0","secret":{"name":"creds-0"}}}`)}}
	})
}

// step does one random thing.
func (r *realm) step() {
	ns := pick(r, tenantNames...)
	object := "object-" + strconv.Itoa(r.rand.IntN(objects))
	store, creds, path := pick(r, storeNames...), pick(r, "creds-0", "creds-1"), pick(r, bankPaths...)
	switch r.rand.IntN(16) {
	case 0, 1:
		r.want(ns, object)
	case 2, 3:
		r.label(ns)
	case 4:
		r.rotate(ns, creds)
	case 5:
		r.configure(eso.KindStore, ns, store)
	case 6, 7:
		r.configure(eso.KindClusterStore, "", store)
	case 8:
		key := types.NamespacedName{Namespace: ns, Name: store}
		r.api.remove(pick(r, name{eso.KindStore, key}, name{eso.KindClusterStore, types.NamespacedName{Name: store}}))
	case 9:
		r.api.remove(name{"Secret", types.NamespacedName{Namespace: ns, Name: object}})
	case 10:
		if r.rand.IntN(3) > 0 {
			r.mark(ns, object)
			return
		}
		key := types.NamespacedName{Namespace: ns, Name: object}
		if o, ok := r.api.objects[name{"ExternalSecret", key}].(*esv1.ExternalSecret); ok {
			r.former[key] = replaced{o, time.Now()}
			r.api.remove(nameOf(o))
		}
	default:
		r.publish(path)
	}
}

// publish makes a new value, or takes the secret away.
func (r *realm) publish(path string) {
	r.bank.mu.Lock()
	defer r.bank.mu.Unlock()
	r.bank.serial[path] = 1 + r.rand.IntN(1_000_000)
	if r.rand.IntN(10) == 0 {
		r.bank.serial[path] = 0
	}
}

// label gives a namespace other labels.
func (r *realm) label(ns string) {
	o := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	o.Labels = map[string]string{"bank": pick(r, "yes", "no"), "tier": pick(r, "1", "2")}
	r.api.edit(o, func() {})
}

// rotate gives a Secret other credentials, which may be those of another
// namespace, or takes them away.
func (r *realm) rotate(ns, creds string) {
	o := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: creds}}
	if r.rand.IntN(6) == 0 {
		r.api.remove(nameOf(o))
		return
	}
	if is := r.api.objects[nameOf(o)]; is != nil {
		o.UID = is.GetUID()
	}
	o.Data = map[string][]byte{tokenKey: []byte(pick(r, ns+"-0", ns+"-1", ns+"-2", "common-0", "common-1"))}
	r.api.edit(o, func() {})
}

// configure makes a store, or gives it another configuration or conditions.
func (r *realm) configure(kind, ns, store string) {
	var a account
	a.Endpoint = pick(r, "e0", "e1")
	a.Secret.Name = pick(r, "creds-0", "creds-1")
	a.Secret.Namespace = pick(r, "", "ops", pick(r, tenantNames...))
	if kind == eso.KindStore && r.rand.IntN(4) > 0 {
		a.Secret.Namespace = "" // that of another one is not for a tenant, who may try
	}
	raw, _ := json.Marshal(map[string]account{"bank": a})
	var o client.Object = &esv1.SecretStore{}
	if kind == eso.KindClusterStore {
		o = &esv1.ClusterSecretStore{}
	}
	if is := r.api.objects[name{kind, types.NamespacedName{Namespace: ns, Name: store}}]; is != nil {
		assign(o, is)
	}
	o.SetNamespace(ns)
	o.SetName(store)
	r.api.edit(o, func() {
		s := parts(o).spec
		if len(s.Provider.Raw) == 0 || r.rand.IntN(3) == 0 {
			s.Provider.Raw = raw
		}
		s.Conditions = r.conditions()
	})
}

// conditions are those of a store: of none, one or two kinds.
func (r *realm) conditions() []esv1.StoreCondition {
	var out []esv1.StoreCondition
	for range pick(r, 0, 0, 1, 2) {
		out = append(out, pick(r,
			esv1.StoreCondition{Namespaces: []string{pick(r, tenantNames...), "nowhere"}},
			esv1.StoreCondition{NamespaceRegexes: []string{pick(r, "team-a", "team-.", "team-.*", "ops|team-b", "eam-a")}},
			esv1.StoreCondition{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"bank": "yes"}}},
			esv1.StoreCondition{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"bank": "yes", "tier": "1"}}},
		))
	}
	return out
}

// want makes an object, or makes it want something else.
func (r *realm) want(ns, object string) {
	o := &esv1.ExternalSecret{}
	if is := r.api.objects[name{"ExternalSecret", types.NamespacedName{Namespace: ns, Name: object}}]; is != nil {
		assign(o, is)
		r.former[client.ObjectKeyFromObject(o)] = replaced{o.DeepCopy(), time.Now()}
	}
	o.Namespace, o.Name = ns, object
	ref := func() esv1.StoreRef {
		return esv1.StoreRef{Name: pick(r, storeNames...), Kind: pick(r, eso.KindStore, eso.KindClusterStore)}
	}
	source := func() *esv1.SourceRef {
		store := ref()
		return pick(r, nil, &esv1.SourceRef{StoreRef: &store})
	}
	s := esv1.ExternalSecretSpec{SecretStoreRef: ref(), RefreshPolicy: pick(r, "", "", "", "CreatedOnce", "OnChange")}
	s.RefreshInterval = new(pick(r, "10s", "30s", "2m"))
	s.Target.DeletionPolicy = pick(r, "", "Retain", "Delete", "Merge")
	for i := range 1 + r.rand.IntN(3) {
		d := esv1.Data{SecretKey: "k" + strconv.Itoa(i), RemoteRef: esv1.RemoteRef{Key: pick(r, bankPaths[:4]...)}, SourceRef: source()}
		if r.rand.IntN(4) == 0 {
			d.RemoteRef = esv1.RemoteRef{Key: pick(r, bankPaths[4:]...), Property: "user"}
		}
		s.Data = append(s.Data, d)
	}
	if from := (esv1.DataFrom{SourceRef: source()}); r.rand.IntN(3) == 0 {
		from.Extract = &esv1.RemoteRef{Key: pick(r, bankPaths[4:]...)}
		if r.rand.IntN(2) == 0 {
			from.Extract, from.Find = nil, &esv1.Find{Name: &esv1.FindName{RegExp: pick(r, "p-[01]", "p-[23]")}}
		}
		s.DataFrom = append(s.DataFrom, from)
	}
	r.api.edit(o, func() { o.Spec = s })
}

// mark asks for a sync now, as a person does.
func (r *realm) mark(ns, object string) {
	is := r.api.objects[name{"ExternalSecret", types.NamespacedName{Namespace: ns, Name: object}}]
	if is == nil {
		return
	}
	o := &esv1.ExternalSecret{}
	assign(o, is)
	o.Annotations = map[string]string{"force-sync": strconv.Itoa(r.api.version)}
	r.api.put(o)
}
