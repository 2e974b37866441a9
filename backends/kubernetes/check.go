// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"net/http"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lockstep-secrets/lockstep/backend"
)

// checker asks the API server what the login may do.
type checker struct{ api *api }

// Check implements backend.Checker: the login works when it may get Secrets of
// the namespace, or some of them by name.
func (c *checker) Check(ctx context.Context) error {
	t := task{"get", "", c.api.namespace}
	access := &authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.api.namespace, Verb: t.verb, Resource: "secrets",
		}},
	}
	if err := c.review(ctx, "selfsubjectaccessreviews", access); err != nil {
		return classify(err, t)
	}
	if access.Status.Allowed {
		return nil
	}
	rules := &authorizationv1.SelfSubjectRulesReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectRulesReview"},
		Spec:     authorizationv1.SelfSubjectRulesReviewSpec{Namespace: c.api.namespace},
	}
	if err := c.review(ctx, "selfsubjectrulesreviews", rules); err != nil {
		return classify(err, t)
	}
	if slices.ContainsFunc(rules.Status.ResourceRules, getsSecrets) {
		return nil
	}
	return backend.Errorf(backend.PermissionDenied, "the user of %s may not get %s", c.api.login.field, t)
}

// review asks a question that the API server answers in the object itself.
func (c *checker) review(ctx context.Context, resource string, obj any) error {
	path := []string{"apis", authorizationv1.GroupName, "v1", resource}
	return c.api.ask(ctx, question{method: http.MethodPost, path: path, accept: asObject, in: obj, out: obj})
}

func getsSecrets(r authorizationv1.ResourceRule) bool {
	has := func(list []string, one string) bool { return slices.Contains(list, one) || slices.Contains(list, "*") }
	return has(r.Verbs, "get") && has(r.Resources, "secrets") && has(r.APIGroups, "")
}
