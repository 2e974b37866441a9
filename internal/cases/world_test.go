// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// none is a secret.yaml without a Secret.
const none = "none"

// world is all that a case is about.
type world struct {
	es        *v1.ExternalSecret
	set       kes.Settings
	adopt     diff.Adopt
	namespace spec.Namespace
	secret    *spec.Secret
	store     *instance
	now       time.Time
	quiet     bool // the last sync left the status as it was
}

// load reads the files that go in, and fills in what the API server would.
func load(a archive) (*world, error) {
	w := &world{es: &v1.ExternalSecret{}, adopt: diff.AdoptMerge, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	if err := yaml.Unmarshal([]byte(a.get("manifest.yaml")), w.es); err != nil {
		return nil, fmt.Errorf("manifest.yaml: %w", err)
	}
	w.es.Namespace = or(w.es.Namespace, "default")
	w.es.UID = or(w.es.UID, "uid-of-the-object")
	w.es.Generation = or(w.es.Generation, 1)
	var ns corev1.Namespace
	if err := yaml.Unmarshal([]byte(a.get("namespace.yaml")), &ns); err != nil {
		return nil, fmt.Errorf("namespace.yaml: %w", err)
	}
	w.namespace = spec.Namespace{Name: w.es.Namespace, Labels: ns.Labels, Annotations: ns.Annotations}
	if text := a.get("current.yaml"); text != "" {
		var s corev1.Secret
		if err := yaml.Unmarshal([]byte(text), &s); err != nil {
			return nil, fmt.Errorf("current.yaml: %w", err)
		}
		w.secret = current(s, w.es)
	}
	env := config.Environment{
		"IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT": "https://instance.example.com",
		"IBM_CLOUD_SECRETS_MANAGER_API_APIKEY":   "api-key",
	}
	maps.Copy(env, config.Parse(lines(a.get("env"))))
	var err error
	if w.set, err = config.KESSettings(env, all.Drivers()); err != nil {
		return nil, err
	}
	for _, flag := range lines(a.get("flags")) {
		value, ok := strings.CutPrefix(flag, "--adopt=")
		if !ok {
			return nil, fmt.Errorf("flags: %s is none that a case knows", flag)
		}
		w.adopt = diff.Adopt(value)
	}
	w.store, err = newInstance(a.get("store.yaml") + a.get("store.json"))
	return w, err
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// current is the Secret as it stands.
func current(s corev1.Secret, es *v1.ExternalSecret) *spec.Secret {
	out := &spec.Secret{
		UID: string(or(s.UID, "uid-of-the-secret")), ResourceVersion: or(s.ResourceVersion, "1"),
		Namespace: es.Namespace, Name: or(s.Name, es.Name), Type: string(or(s.Type, corev1.SecretTypeOpaque)),
		Data: map[string]backend.Value{}, Labels: s.Labels, Annotations: s.Annotations, Finalizers: s.Finalizers,
		Immutable: s.Immutable, Deleting: s.DeletionTimestamp != nil,
	}
	for k, v := range s.Data {
		out.Data[k] = backend.NewValue(v)
	}
	for k, v := range s.StringData {
		out.Data[k] = backend.NewValue([]byte(v))
	}
	for _, o := range s.OwnerReferences {
		out.Owners = append(out.Owners, spec.OwnerRef{
			APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: string(o.UID), Controller: o.Controller != nil && *o.Controller,
		})
	}
	return out
}

// sync does once what the controller does, and returns the files that come out.
func (w *world) sync(ctx context.Context) (map[string]string, error) {
	var changes []diff.Change
	before := w.es.Status
	w.now = w.now.Add(time.Hour)
	if kes.Managed(w.es, w.set) {
		out, done, err := w.decide(ctx)
		if err != nil {
			return nil, err
		}
		changes = done
		w.es.Status = kes.Status(w.es, out, w.now)
	}
	w.quiet = kes.SameStatus(w.es.Status, before)
	var verbs strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&verbs, c.Verb)
	}
	secret, err := show(w.secret)
	if err != nil {
		return nil, err
	}
	return map[string]string{"secret.yaml": secret, "status.txt": w.es.Status.Status + "\n", "changes.txt": verbs.String()}, nil
}

func (w *world) decide(ctx context.Context) (outcome.Outcome, []diff.Change, error) {
	s := kes.Spec(w.es, w.set)
	in := spec.Inputs{Namespace: w.namespace, Stores: s.Stores, Current: w.secret}
	s.Issues = append(s.Issues, kes.Permit(w.es, in.Namespace, w.set)...)
	p := plan.Build(s, in, w.set.Drivers)
	facts := outcome.Facts{Issues: p.Issues, Synced: kes.Synced(w.es) && in.Current != nil, Every: s.Refresh.Every, Held: w.es.Status.Versions}
	if len(p.Issues) > 0 {
		return outcome.Decide(facts), nil, nil
	}
	facts.Desired = render.Secret(s, in, p, w.store.answers(ctx, p, in, w.set.Drivers), w.set.Drivers)
	done := diff.Compute(s, in, facts.Desired, w.adopt)
	facts.Refused, facts.State, facts.Filled, facts.Written = done.Refused, done.State, done.Filled, len(done.Changes) > 0
	return outcome.Decide(facts), done.Changes, w.apply(done.Changes)
}

// apply writes as the API server would, which refuses what is out of date.
func (w *world) apply(changes []diff.Change) error {
	for _, c := range changes {
		next := c.Secret
		exists := w.secret != nil
		seen := exists && next.UID == w.secret.UID && next.ResourceVersion == w.secret.ResourceVersion
		switch {
		case c.Verb == diff.Create && !exists:
			next.UID, next.ResourceVersion = "uid-of-a-new-secret", "1"
			w.secret = &next
		case c.Verb == diff.Update && seen && next.Type == w.secret.Type:
			next.ResourceVersion += "+"
			w.secret = &next
		case c.Verb == diff.Delete && seen:
			w.secret = nil
		default:
			return fmt.Errorf("the API server refuses to %s the Secret", c.Verb)
		}
	}
	return nil
}

// show is a Secret as people read it.
func show(s *spec.Secret) (string, error) {
	if s == nil {
		return none + "\n", nil
	}
	out := corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name, Labels: s.Labels, Annotations: s.Annotations, Finalizers: s.Finalizers,
		},
		Type: corev1.SecretType(s.Type), Immutable: s.Immutable, Data: map[string][]byte{}, StringData: map[string]string{},
	}
	for k, v := range s.Data {
		if b := v.Reveal(); readable(b) {
			out.StringData[k] = string(b)
		} else {
			out.Data[k] = b
		}
	}
	for _, o := range s.Owners {
		ref := metav1.OwnerReference{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: types.UID(o.UID)}
		if o.Controller {
			ref.Controller = &o.Controller
		}
		out.OwnerReferences = append(out.OwnerReferences, ref)
	}
	b, err := yaml.Marshal(out)
	return string(b), err
}

func readable(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) < 0
}
