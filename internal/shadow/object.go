// SPDX-License-Identifier: Apache-2.0

// Package shadow is what a controller with --shadow has in place of effects:
// stores that change nothing (drivers.go), and a report of what would be
// written (object.go, report.go). What would be written is decided where it
// always is, in internal/diff.
//
// The report names objects, Secrets and the keys in them. No value is in it, nor
// anything that is made of one.
package shadow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Result is what would become of an object's Secret, in a word.
type Result string

// The results. Only Unchanged is no difference.
const (
	Pending   Result = "pending"         // not looked at yet
	Unchanged Result = "unchanged"       // nothing would be written
	Create    Result = "create"          // there is none
	Update    Result = "update"          // what workloads see would change
	Metadata  Result = "update-metadata" // its data and type stay
	Replace   Result = "replace"         // deleted and created, for its type cannot change
	Delete    Result = "delete"          //
	Refused   Result = "refused"         // it is not ours to write
	NotReady  Result = "not-ready"       // the store, or the manifest, does not give what is asked for
	Untouched Result = "not-looked-at"   // because reading changes it
)

// Results are all of them, in the order in which they are shown.
var Results = []Result{Refused, NotReady, Untouched, Replace, Delete, Update, Create, Metadata, Unchanged, Pending}

// Object is what would become of the Secret of one object.
type Object struct {
	Dialect   string `json:"dialect"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Secret    string `json:"secret,omitempty"`
	Result    Result `json:"result"`

	// Why, where nothing would be written.
	Code    string `json:"code,omitempty"`
	Where   string `json:"where,omitempty"`
	Message string `json:"message,omitempty"`

	// What workloads see.
	Data Names   `json:"data,omitzero"`
	Type *FromTo `json:"type,omitempty"`
	// What they do not.
	Labels      Names   `json:"labels,omitzero"`
	Annotations Names   `json:"annotations,omitzero"`
	Finalizers  Names   `json:"finalizers,omitzero"`
	Owner       *FromTo `json:"owner,omitempty"`
	Immutable   bool    `json:"becomesImmutable,omitempty"`
	// FormerSecrets would be deleted: the object had them under another name.
	FormerSecrets []string `json:"formerSecrets,omitempty"`
}

// FromTo is a text that would change.
type FromTo struct {
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// listed is how many names there are in a list at most. A report is in memory for
// as long as the process lives.
const listed = 50

// Names are the names of what would change, sorted. Where there are too many of
// them, the rest is counted.
type Names struct {
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`
	More    int      `json:"more,omitempty"`
}

// Any reports whether something would change.
func (n Names) Any() bool { return len(n.Added)+len(n.Changed)+len(n.Removed)+n.More > 0 }

// Differs reports whether somebody should look at the object before Lockstep
// takes it over.
func (o Object) Differs() bool { return o.Result != Unchanged }

// Of is an object before it was looked at.
func Of(s spec.Spec) Object {
	return Object{
		Dialect: string(s.Object.Dialect), Namespace: s.Object.Namespace, Name: s.Object.Name, Secret: s.Target.Name, Result: Pending,
	}
}

// Predict says what would become of an object. out is the outcome that people
// would be told, and untouched says why something was not read on purpose.
func Predict(s spec.Spec, current *spec.Secret, d diff.Decision, out outcome.Outcome, untouched error) Object {
	o := Of(s)
	if out.Ready == outcome.NotReady {
		switch {
		case untouched != nil:
			o.Result, o.Message = Untouched, bounded(untouched.Error())
			return o
		case d.Refused != nil:
			o.Result = Refused
		default:
			o.Result = NotReady
		}
		o.Code, o.Where, o.Message = string(out.Code), out.Where, bounded(out.Message)
		if out.Store != (spec.StoreKey{}) {
			o.Where += ", " + out.Store.String()
		}
		return o
	}
	o.Result = Unchanged
	o.Message = map[diff.State]string{
		diff.Retained: "nothing was found in the store, and the Secret would stay",
		diff.Missing:  "no Secret would be made, for the creationPolicy is Merge",
		diff.Ignored:  "no Secret is wanted",
	}[d.State]
	for _, c := range d.Changes {
		o.change(c, current)
	}
	return o
}

// bounded is a message of a bounded length.
func bounded(text string) string {
	const longest = 1000
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// change adds one change. One that deletes comes before one that creates.
func (o *Object) change(c diff.Change, current *spec.Secret) {
	if c.Verb == diff.Delete && c.Secret.Name != o.Secret {
		o.FormerSecrets = append(o.FormerSecrets, c.Secret.Name)
		if o.Result == Unchanged {
			o.Result = Delete
		}
		return
	}
	before, after := spec.Secret{}, c.Secret
	if current != nil {
		before = *current
	}
	switch c.Verb {
	case diff.Delete:
		o.Result, after = Delete, spec.Secret{Type: before.Type}
	case diff.Create:
		o.Result = Create
		if current != nil {
			o.Result = Replace
		}
	case diff.Update:
		o.Result = Metadata
	}
	o.compare(before, after)
	if before.Type == "" {
		o.Type = nil // it had none
	}
	if c.Verb == diff.Update && (o.Data.Any() || o.Type != nil) {
		o.Result = Update
	}
}

func (o *Object) compare(before, after spec.Secret) {
	o.Data = names(before.Data, after.Data, backend.Value.Equal)
	o.Labels = names(before.Labels, after.Labels, same)
	o.Annotations = names(before.Annotations, after.Annotations, same)
	o.Finalizers = names(set(before.Finalizers), set(after.Finalizers), same)
	o.Type = fromTo(before.Type, after.Type)
	o.Owner = nil
	if !slices.Equal(before.Owners, after.Owners) {
		from, to := owner(before), owner(after)
		o.Owner = &FromTo{from, to}
		if a, _ := before.Controller(); from == to && to != "" && !slices.Contains(after.Owners, a) {
			o.Owner.From = from + " with another UID"
		}
	}
	o.Immutable = after.Immutable != nil && *after.Immutable && (before.Immutable == nil || !*before.Immutable)
}

// owner is the controller of a Secret.
func owner(s spec.Secret) string {
	c, ok := s.Controller()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s/%s", c.Kind, c.Name)
}

func fromTo(a, b string) *FromTo {
	if a == b {
		return nil
	}
	return &FromTo{a, b}
}

func same(a, b string) bool { return a == b }

func set(list []string) map[string]string {
	out := map[string]string{}
	for _, s := range list {
		out[s] = ""
	}
	return out
}

// names lists what differs between two maps.
func names[V any](before, after map[string]V, equal func(a, b V) bool) Names {
	var out Names
	left := listed
	note := func(list *[]string, name string) {
		if left--; left < 0 {
			out.More++
			return
		}
		*list = append(*list, name)
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		was, there := before[k]
		switch {
		case !there:
			note(&out.Added, k)
		case !equal(was, after[k]):
			note(&out.Changed, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[k]; !stays {
			note(&out.Removed, k)
		}
	}
	return out
}

// Compare orders objects as they are shown.
func Compare(a, b Object) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Dialect, b.Dialect))
}
