// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// power is one thing that somebody may do: a rule has many.
type power struct{ group, resource, verb string }

func (p power) String() string {
	return fmt.Sprintf("%s %s", p.verb, strings.TrimSuffix(p.resource+"."+p.group, "."))
}

// A grant is a power in one namespace, or in all when that is empty, of the
// installation that lives in home.
type grant struct {
	power
	namespace, home string
}

// needless says why a power is given that no step uses; "" of all others.
func needless(p power) string {
	switch {
	case p.verb == "list":
		return "an API server that does not stream lists, as those before Kubernetes 1.34, is asked for one before a watch"
	case p.verb == "patch" && p.resource == "events":
		return "what happens again within minutes is counted in the event that is there"
	case p.verb == "get" && p.resource == "externalsecrets":
		return "whose a Secret is that was restored from a backup is made sure of; test/shadow restores some"
	}
	return ""
}

// request is a line of the audit log.
type request struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Response struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Data map[string][]byte `json:"data"`
	} `json:"responseObject"`
}

func (r request) done() bool { return r.Status.Code < 300 }

// home is the namespace of the service account that asked.
func (r request) home() string {
	home, _, _ := strings.Cut(strings.TrimPrefix(r.User.Username, "system:serviceaccount:"), ":")
	return home
}

func (r request) power() power {
	p := power{r.Object.Group, r.Object.Resource, r.Verb}
	if r.Object.Subresource != "" {
		p.resource += "/" + r.Object.Subresource
	}
	return p
}

// requests reads the audit log: all that Lockstep asked, whose name is that of
// its service accounts.
func requests(name string) ([]request, error) {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // nothing was asked yet
		return nil, err
	}
	var out []request
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var r request
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if r.Object.Resource != "" { // not a path such as /version
			out = append(out, r)
		}
	}
	return out, nil
}

// inOrder sorts writes as the API server made them, which is not the order of
// their answers.
func inOrder(list []request) []request {
	revision := func(r request) uint64 {
		n, _ := strconv.ParseUint(r.Response.Metadata.ResourceVersion, 10, 64)
		return n // 0 of what was no write
	}
	return slices.SortedStableFunc(slices.Values(list), func(a, b request) int { return cmp.Compare(revision(a), revision(b)) })
}

// note notes what is bound to the service accounts of a namespace: what the
// chart gives, as it is in the cluster.
func note(t *testing.T, home string) {
	t.Helper()
	ours := func(list []rbacv1.Subject) bool {
		return slices.ContainsFunc(list, func(s rbacv1.Subject) bool { return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == home })
	}
	everywhere, err := shared.kube.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, b := range everywhere.Items {
		if ours(b.Subjects) && b.RoleRef.Name != "system:auth-delegator" {
			role, err := shared.kube.RbacV1().ClusterRoles().Get(t.Context(), b.RoleRef.Name, get)
			must(t, err)
			noteRules(t, b.Namespace, home, role.Rules)
		}
	}
	within, err := shared.kube.RbacV1().RoleBindings("").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, b := range within.Items {
		if ours(b.Subjects) {
			role, err := shared.kube.RbacV1().Roles(b.Namespace).Get(t.Context(), b.RoleRef.Name, get)
			must(t, err)
			noteRules(t, b.Namespace, home, role.Rules)
		}
	}
}

// noteRules takes rules apart that hold in a namespace, or everywhere.
func noteRules(t *testing.T, namespace, home string, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, r := range rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					if slices.Contains([]string{group, resource, verb}, "*") {
						t.Errorf("%v has a star: nobody can say what it is for", r)
					}
					shared.granted[grant{power{group, resource, verb}, namespace, home}] = true
				}
			}
		}
	}
}

// nothingRefused fails when Lockstep asked for what the chart does not give it,
// since it was installed. It is called before the removal, which takes its rights
// away first. What it has is refused too, by an API server that has just started
// and not read the roles yet.
func nothingRefused(t *testing.T) {
	t.Helper()
	list, err := requests(shared.node.AuditLog())
	must(t, err)
	refused := map[string]bool{}
	for _, r := range list[shared.judged:] {
		given := shared.granted[grant{r.power(), r.Object.Namespace, r.home()}] || shared.granted[grant{r.power(), "", r.home()}]
		if r.Status.Code == http.StatusForbidden && !given {
			refused[fmt.Sprintf("%s in %q, by %s", r.power(), r.Object.Namespace, r.User.Username)] = true
		}
	}
	for what := range refused {
		t.Errorf("used but absent: %s", what)
	}
}

// testRules holds the chart's RBAC to what all steps did: there is nothing in it
// that was never used, in the namespaces for which it is given.
func testRules(t *testing.T) {
	list, err := requests(shared.node.AuditLog())
	must(t, err)
	used := map[grant]bool{}
	for _, r := range list {
		if r.Status.Code != http.StatusForbidden {
			used[grant{r.power(), r.Object.Namespace, r.home()}] = true
			used[grant{r.power(), "", r.home()}] = true
		}
	}
	for g := range shared.granted {
		if !used[g] && needless(g.power) == "" {
			t.Errorf("given but unused by all steps together: %s in %q, of %s", g.power, g.namespace, g.home)
		}
	}
	t.Logf("%d powers given, %d requests", len(shared.granted), len(list))
}
