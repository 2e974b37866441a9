// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// An object that the chart renders to.
type object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	text string // without the line that names the template
}

// parse splits what Helm prints. CRDs are left out: they are long, and grant
// nothing.
func parse(text string) ([]object, error) {
	var out []object
	for _, doc := range strings.Split("\n"+text, "\n---\n") {
		var lines []string
		for _, line := range strings.Split(strings.TrimSpace(doc), "\n") {
			if !strings.HasPrefix(line, "# Source: ") {
				lines = append(lines, strings.TrimRight(line, " "))
			}
		}
		o := object{text: strings.TrimSpace(strings.Join(lines, "\n")) + "\n"}
		if err := yaml.Unmarshal([]byte(o.text), &o); err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, o.text)
		}
		if o.Kind != "" && o.Kind != "CustomResourceDefinition" {
			out = append(out, o)
		}
	}
	return out, nil
}

// A file of deploy/rbac.
type file struct {
	name    string
	about   string // comment at its head
	before  string // manifests that the chart does not make
	from    string // which installation: cluster when empty, scoped for each of a list of namespaces, shadow
	objects []string
}

const generated = "# Generated from deploy/charts/lockstep by hack/rbac. Do not edit: make generate.\n"

// files are for who installs without Helm, and for tests.
var files = []file{
	{
		name: "base.yaml",
		about: `# Where Lockstep runs, as whom, and what its replicas need to choose a leader.
# Everything it may do elsewhere is in cluster.yaml or namespace.yaml; use one of them.
`,
		before:  "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + namespace + "\n",
		objects: []string{"ServiceAccount/lockstep", "Role/lockstep-leader-election", "RoleBinding/lockstep-leader-election"},
	},
	{
		name:    "cluster.yaml",
		about:   "# For an instance that looks after all namespaces: kubectl apply -f base.yaml -f cluster.yaml\n",
		objects: []string{"ClusterRole/lockstep", "ClusterRoleBinding/lockstep"},
	},
	{
		name: "cluster-eso.yaml",
		about: `# What --dialects eso needs besides cluster.yaml, for an instance that looks after all namespaces:
#   kubectl apply -f base.yaml -f cluster.yaml -f cluster-eso.yaml
`,
		objects: []string{"ClusterRole/lockstep-eso", "ClusterRoleBinding/lockstep-eso"},
	},
	{
		name: "namespace.yaml",
		about: `# For an instance that looks after a list of namespaces (--namespaces a,b), once for each of them:
#   kubectl apply -f base.yaml
#   kubectl apply -n a -f namespace.yaml
#   kubectl apply -n b -f namespace.yaml
`,
		from:    scoped,
		objects: []string{"Role/lockstep", "RoleBinding/lockstep"},
	},
	{
		name: "namespace-eso.yaml",
		about: `# What --dialects eso needs besides namespace.yaml, for an instance that looks after a list of namespaces, once for each
# of them:
#   kubectl apply -n a -f namespace.yaml -f namespace-eso.yaml
# There are no ClusterSecretStores here: a Role cannot grant them.
`,
		from:    scoped,
		objects: []string{"Role/lockstep-eso", "RoleBinding/lockstep-eso"},
	},
	{
		name: "token-requests.yaml",
		about: `# Optional, and a power: lets Lockstep log in to stores as the service accounts that they name. Whoever may write a
# SecretStore in a namespace can then use the service accounts of that namespace, and whoever may write a
# ClusterSecretStore those of all namespaces.
`,
		objects: []string{"ClusterRole/lockstep-token-requests", "ClusterRoleBinding/lockstep-token-requests"},
	},
	{
		name:    "metrics-auth.yaml",
		about:   "# Optional: what --metrics-secure needs to ask whose a token is, and whether they may have the metrics.\n",
		objects: []string{"ClusterRole/lockstep-metrics-auth", "ClusterRoleBinding/lockstep-metrics-auth"},
	},
	{
		name: "shadow.yaml",
		about: `# For an instance of all dialects that only looks (--shadow), beside one that works or alone. It needs no other file here.
`,
		before: "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + namespace + "\n",
		from:   shadow,
		objects: []string{
			"ServiceAccount/lockstep-shadow", "Role/lockstep-shadow-leader-election", "RoleBinding/lockstep-shadow-leader-election",
			"ClusterRole/lockstep-shadow", "ClusterRoleBinding/lockstep-shadow", "ClusterRole/lockstep-shadow-eso", "ClusterRoleBinding/lockstep-shadow-eso",
		},
	},
}

// text is the file. An object that is not rendered is an error: somebody would
// install too little.
func (f file) text(made map[string][]object) (string, error) {
	from := made[cmp.Or(f.from, cluster)]
	var docs []string
	if f.before != "" {
		docs = append(docs, f.before)
	}
	for _, name := range f.objects {
		i := slices.IndexFunc(from, func(o object) bool { return o.Kind+"/"+o.Name == name })
		if i < 0 {
			return "", fmt.Errorf("the chart does not render %s", name)
		}
		docs = append(docs, plain(from[i].text))
	}
	return "# SPDX-License-Identifier: Apache-2.0\n" + generated + f.about + strings.Join(docs, "---\n"), nil
}

// plain takes out what means something to Helm only: its labels, which value
// turns a rule off, and the namespace that stands for each of a list.
func plain(text string) string {
	var out strings.Builder
	labels := false
	for line := range strings.Lines(text) {
		labels = line == "  labels:\n" || labels && strings.HasPrefix(line, "    ")
		if labels || strings.HasPrefix(line, offMark) || line == "  namespace: \""+watched+"\"\n" {
			continue
		}
		out.WriteString(line)
	}
	return out.String()
}
