// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// How comments begin in a rendered role. The last lines above a rule say which
// value turns it off, or on.
const (
	commentMark = "  # "
	offMark     = "  # Off"
)

// A rule with what the chart says of it.
type rule struct {
	rbacv1.PolicyRule

	why, off string
}

const pageHead = `# What Lockstep may do

<!-- Generated from deploy/charts/lockstep by hack/rbac. Do not edit: make generate. -->

This is every rule of the [Helm chart](install.md), why it is there, and which value turns it off. [deploy/rbac](../deploy/rbac) has the same for who installs without
Helm, and all tests against an API server run with that and nothing more.

There is no wildcard, nothing is granted to users, and nothing is added to the built-in roles unless ` + "`rbac.aggregateToView` or `rbac.aggregateToEdit`" + ` is set. With
` + "`shadow=true`" + ` nothing is granted but get, list and watch, and a lease.
`

// A section is about the roles of one place.
type section struct {
	title, about string
	scoped       bool
	power        bool // off unless set
	roles        []string
}

var sections = []section{
	{
		title: "For the whole cluster", about: "Unless `namespaces` is set.",
		roles: []string{"ClusterRole/lockstep", "ClusterRole/lockstep-eso"},
	},
	{
		title: "For a list of namespaces", about: "With `namespaces`, in place of the above: the same Roles in each of them, and no ClusterRole.", scoped: true,
		roles: []string{"Role/lockstep", "Role/lockstep-eso"},
	},
	{
		title: "In its own namespace", about: "Whatever it looks after.",
		roles: []string{"Role/lockstep-leader-election"},
	},
	{
		title: "Off unless set", about: "With `namespaces`, tokens of service accounts are those of these namespaces. The others are for the whole cluster, since what is asked for is.", power: true,
		roles: []string{"ClusterRole/lockstep-token-requests", "ClusterRole/lockstep-metrics-auth"},
	},
}

const pageFoot = `
` + "`systemAuthDelegator=true`" + ` binds the service account to Kubernetes' own ClusterRole ` + "`system:auth-delegator`" + `: create tokenreviews and subjectaccessreviews. A Vault without a
` + "`token_reviewer_jwt`" + ` of its own asks the API server with the token of who logs in, and that needs it.

## What it cannot do

- read anything of a pod, a node or a workload, or change one
- list Secrets of other namespaces than those it looks after
- change a CRD, a role or a webhook
- become a service account, unless ` + "`rbac.serviceAccountTokenCreate`" + ` is set
`

// table is docs/rbac.md. A role that is rendered and in no section is an error:
// it would be missing from the page.
func table(cluster, scoped []object) (string, error) {
	var out strings.Builder
	out.WriteString(pageHead)
	told := map[string]bool{}
	for _, s := range sections {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", s.title, s.about)
		from := cluster
		if s.scoped {
			from = scoped
		}
		for _, name := range s.roles {
			told[name] = true
			i := slices.IndexFunc(from, func(o object) bool { return o.Kind+"/"+o.Name == name })
			if i < 0 {
				return "", fmt.Errorf("the chart does not render %s", name)
			}
			if err := from[i].write(&out, s.power); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	out.WriteString(pageFoot)
	told["ClusterRole/lockstep-metrics-reader"] = true // who fetches metrics gets it, and not Lockstep
	for _, o := range slices.Concat(cluster, scoped) {
		name := o.Kind + "/" + o.Name
		sameInANamespace := told["Cluster"+name]
		if strings.HasSuffix(o.Kind, "Role") && !told[name] && !sameInANamespace {
			return "", fmt.Errorf("no section of the page has %s", name)
		}
	}
	return out.String(), nil
}

// write adds the table of a role.
func (o object) write(out *strings.Builder, power bool) error {
	rules, err := o.rules()
	if err != nil {
		return err
	}
	switchOff := "turned off by"
	if power {
		switchOff = "turned on by"
	}
	fmt.Fprintf(out, "\n%s `%s`\n\n| may | of | why | %s |\n|---|---|---|---|\n", o.Kind, o.Name, switchOff)
	for _, r := range rules {
		var of []string
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				of = append(of, strings.TrimPrefix(group+"/"+resource, "/"))
			}
		}
		what := "`" + strings.Join(of, "`, `") + "`"
		if len(r.ResourceNames) > 0 {
			what += " named `" + strings.Join(r.ResourceNames, "`, `") + "`"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", strings.Join(r.Verbs, ", "), what, r.why, r.off)
	}
	return nil
}

// rules reads the rules of a role with their comments.
func (o object) rules() ([]rule, error) {
	_, body, ok := strings.Cut(o.text, "\nrules:\n")
	if !ok {
		return nil, errors.New("no rules")
	}
	var out []rule
	var why, off, item []string
	end := func() error {
		if len(item) == 0 {
			return nil
		}
		r, err := ruleOf(why, off, item)
		out = append(out, r)
		why, off, item = nil, nil, nil
		return err
	}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if starts := strings.HasPrefix(line, commentMark) || strings.HasPrefix(line, "  - "); starts && len(item) > 0 {
			if err := end(); err != nil {
				return nil, err
			}
		}
		switch {
		case strings.HasPrefix(line, offMark):
			_, value, _ := strings.Cut(line, ": ")
			off = append(off, value)
		case strings.HasPrefix(line, commentMark):
			why = append(why, strings.TrimPrefix(line, commentMark))
		default:
			item = append(item, line)
		}
	}
	return out, end()
}

// ruleOf reads one rule. One without a reason is an error.
func ruleOf(why, off, item []string) (rule, error) {
	var list []rbacv1.PolicyRule
	text := strings.Join(item, "\n")
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		return rule{}, fmt.Errorf("%w in:\n%s", err, text)
	}
	if len(list) != 1 {
		return rule{}, fmt.Errorf("%d rules where one was expected:\n%s", len(list), text)
	}
	if len(why) == 0 {
		return rule{}, fmt.Errorf("no comment says why there is:\n%s", text)
	}
	r := rule{PolicyRule: list[0], why: strings.Join(why, " "), off: "nothing: it cannot work without"}
	if len(off) > 0 {
		r.off = code(off[0])
	}
	return r, nil
}

// code puts every value of a text such as "a.b=true, with c=1" in backquotes.
func code(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		if bare := strings.TrimRight(word, ",;"); strings.ContainsAny(bare, ".=") {
			words[i] = "`" + bare + "`" + strings.TrimPrefix(word, bare)
		}
	}
	return strings.Join(words, " ")
}
