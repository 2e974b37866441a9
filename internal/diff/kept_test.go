// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// face is what a person sees of a Secret.
type face struct {
	Data        map[string]string
	Labels      map[string]string
	Annotations map[string]string
}

func faceOf(s spec.Secret) face {
	f := face{Data: map[string]string{}, Labels: s.Labels, Annotations: s.Annotations}
	for k, v := range s.Data {
		f.Data[k] = strings.TrimSuffix(string(v.Reveal()), canary)
	}
	return f
}

// life plays the syncs of one object against a Secret.
type life struct {
	t      *testing.T
	adopt  diff.Adopt
	stands *spec.Secret
}

// sync computes, writes, and holds that a second sync would be quiet.
func (l *life) sync(want render.Desired) {
	l.t.Helper()
	changes, refused := compute(manifest(), l.stands, want, l.adopt)
	if refused != nil {
		l.t.Fatalf("refused: %s", refused.Message)
	}
	if len(changes) == 0 {
		return
	}
	settled(l.t, manifest(), changes, want, l.adopt)
	next := changes[len(changes)-1].Secret
	l.stands = &next
}

func (l *life) want(reason string, want face) {
	l.t.Helper()
	if d := cmp.Diff(want, faceOf(*l.stands), stable); d != "" {
		l.t.Errorf("%s\n-want, +got:\n%s", reason, d)
	}
}

// foreign is a Secret that somebody made by hand.
func foreign() *spec.Secret {
	return secret(func(s *spec.Secret) {
		s.Labels, s.Annotations = map[string]string{"team": "blue"}, map[string]string{"note": "by hand"}
	}, "a", "old", "ca.crt", "theirs")
}

func labelled(label string, kv ...string) render.Desired {
	d := desired(kv...)
	d.Labels = map[string]string{label: "ours"}
	return d
}

func kept(list string) map[string]string {
	return map[string]string{"note": "by hand", diff.KeptAnnotation: list}
}

func TestAdoption(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptMerge, stands: foreign()}
	l.sync(labelled("app", "a", "1"))
	l.want("first takeover: what is not asked for stays and is listed", face{
		Data:        map[string]string{"a": "1", "ca.crt": "theirs"},
		Labels:      map[string]string{"team": "blue", "app": "ours"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})

	l.sync(labelled("app", "a", "2", "b", "3"))
	l.want("later syncs keep it", face{
		Data:        map[string]string{"a": "2", "b": "3", "ca.crt": "theirs"},
		Labels:      map[string]string{"team": "blue", "app": "ours"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})

	l.sync(labelled("app", "a", "2"))
	l.want("what we wrote ourselves goes when it is asked for no more", face{
		Data:        map[string]string{"a": "2", "ca.crt": "theirs"},
		Labels:      map[string]string{"team": "blue", "app": "ours"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})

	l.sync(labelled("team", "a", "2", "ca.crt", "4"))
	l.want("what is asked for is ours from then on", face{
		Data:        map[string]string{"a": "2", "ca.crt": "4"},
		Labels:      map[string]string{"team": "ours"},
		Annotations: kept("annotation:note"),
	})

	l.sync(desired("a", "2"))
	l.want("and goes when it is asked for no more: it may have been revoked", face{
		Data:        map[string]string{"a": "2"},
		Annotations: kept("annotation:note"),
	})

	delete(l.stands.Annotations, "note")
	l.sync(desired("a", "2"))
	l.want("what its owner took away is forgotten, and with the last the list", face{Data: map[string]string{"a": "2"}})
}

func TestAdoptionByHand(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptMerge, stands: foreign()}
	l.sync(desired("a", "1"))
	l.stands.Data = maps.Clone(l.stands.Data)
	l.stands.Data["ca.crt"] = values("x", "renewed")["x"]
	l.stands.Data["extra"] = values("x", "sneaked in")["x"]
	l.sync(desired("a", "1"))
	l.want("a kept key may be changed by its owner; one that came later is not kept", face{
		Data:        map[string]string{"a": "1", "ca.crt": "renewed"},
		Labels:      map[string]string{"team": "blue"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})
}

func TestAdoptNothingForeign(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptMerge, stands: secret(nil, "a", "old")}
	l.sync(desired("a", "1", "b", "2"))
	l.want("without anything foreign there is no list", face{Data: map[string]string{"a": "1", "b": "2"}})
}

func TestAdoptReplace(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptReplace, stands: foreign()}
	l.sync(labelled("app", "a", "1"))
	l.want("the Secret becomes exactly what is asked for", face{
		Data: map[string]string{"a": "1"}, Labels: map[string]string{"app": "ours"},
	})

	l = &life{t: t, adopt: diff.AdoptMerge, stands: foreign()}
	l.sync(labelled("app", "a", "1"))
	l.adopt = diff.AdoptReplace
	l.sync(labelled("app", "a", "1"))
	l.want("also one that was taken over before", face{
		Data: map[string]string{"a": "1"}, Labels: map[string]string{"app": "ours"},
	})
}

// TestAdoptAgain plays an object that was deleted without its Secret and is
// created anew.
func TestAdoptAgain(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptMerge, stands: foreign()}
	l.sync(desired("a", "1"))
	l.stands.Owners = nil
	l.sync(desired("a", "2"))
	l.want("the list does not list itself", face{
		Data:        map[string]string{"a": "2", "ca.crt": "theirs"},
		Labels:      map[string]string{"team": "blue"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})
}

func TestKeptThroughRetype(t *testing.T) {
	l := &life{t: t, adopt: diff.AdoptMerge, stands: foreign()}
	l.stands.Finalizers = []string{"y/theirs"}
	friend := spec.OwnerRef{APIVersion: "v1", Kind: "ConfigMap", Name: "friend", UID: "f"}
	l.stands.Owners = []spec.OwnerRef{friend}
	l.sync(desired("a", "1"))
	tls := desired("a", "1")
	tls.Type, tls.Finalizers = "kubernetes.io/tls", []string{"x/ours"}
	changes, refused := compute(manifest(), l.stands, tls, diff.AdoptMerge)
	if refused != nil || len(changes) != 2 || changes[0].Verb != diff.Delete || changes[1].Verb != diff.Create {
		t.Fatalf("got %v, %v, want a deletion and a creation", changes, refused)
	}
	if got := changes[0].Secret; got.UID != "secret-uid" || got.ResourceVersion != "7" {
		t.Errorf("the deletion is not bound to what was seen: UID %q, version %q", got.UID, got.ResourceVersion)
	}
	next := changes[1].Secret
	if next.UID != "" || next.ResourceVersion != "" {
		t.Errorf("the creation carries UID %q and version %q", next.UID, next.ResourceVersion)
	}
	if d := cmp.Diff([]string{"x/ours"}, next.Finalizers); d != "" {
		t.Errorf("finalizers of others were for the old object\n-want, +got:\n%s", d)
	}
	if !slices.Contains(next.Owners, friend) || !slices.Contains(next.Owners, spec.OwnerRefTo(object())) {
		t.Errorf("owners are %v, want the friend's and ours", next.Owners)
	}
	l.stands = &next
	l.want("what was kept in the old one is kept in the new one", face{
		Data:        map[string]string{"a": "1", "ca.crt": "theirs"},
		Labels:      map[string]string{"team": "blue"},
		Annotations: kept("annotation:note,data:ca.crt,label:team"),
	})
}

// TestTamperedList holds that a list which somebody wrote can keep what is
// there, and nothing else.
func TestTamperedList(t *testing.T) {
	for name, list := range map[string]string{
		"Absent":    "data:none,label:none,annotation:none",
		"Ours":      "data:a",
		"Nonsense":  "x:,data:,,label,:",
		"Itself":    "annotation:" + diff.KeptAnnotation,
		"Unordered": "label:z,data:y",
	} {
		t.Run(name, func(t *testing.T) {
			l := &life{t: t, adopt: diff.AdoptMerge, stands: mine(func(s *spec.Secret) {
				s.Annotations = map[string]string{diff.KeptAnnotation: list}
			}, "a", "0")}
			l.sync(desired("a", "1"))
			l.want("nothing is made up", face{Data: map[string]string{"a": "1"}})
		})
	}
}
