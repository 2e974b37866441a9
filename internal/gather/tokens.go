// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/lockstep-secrets/lockstep/backend"
)

// tokenLife is how long a token is asked to hold, in seconds: the least that
// Kubernetes gives. A login takes less, and a token that leaks is soon worth
// nothing.
const tokenLife = 600

// TokenRequests is Tokens by the TokenRequest API. For the API server a request
// for a token is a create, but nothing in the cluster is changed by it: the
// token is in the answer and nowhere else. Nothing is cached.
type TokenRequests struct {
	Accounts corev1client.ServiceAccountsGetter
}

// NewTokenRequests makes a TokenRequests for the API server of a configuration.
func NewTokenRequests(config *rest.Config) (TokenRequests, error) {
	accounts, err := corev1client.NewForConfig(config)
	if err != nil {
		return TokenRequests{}, fmt.Errorf("make a client for tokens: %w", err)
	}
	return TokenRequests{accounts}, nil
}

// Token returns a token of a service account, and when it expires. Without
// audiences it is one for the API server itself.
func (r TokenRequests) Token(ctx context.Context, namespace, serviceAccount string, audiences []string) (backend.Value, time.Time, error) {
	for _, name := range []string{namespace, serviceAccount} {
		if name == "" || len(content.IsPathSegmentName(name)) > 0 {
			return backend.Value{}, time.Time{}, backend.Errorf(backend.InvalidRef, "%q of namespace %q cannot be a service account", serviceAccount, namespace)
		}
	}
	life := int64(tokenLife)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &life}}
	answer, err := r.Accounts.ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return backend.Value{}, time.Time{}, withoutToken(namespace, serviceAccount, err)
	}
	if answer.Status.Token == "" {
		return backend.Value{}, time.Time{}, backend.Errorf(backend.Unavailable, "the API server gave an empty token for service account %q of namespace %q", serviceAccount, namespace)
	}
	return backend.NewValue([]byte(answer.Status.Token)), answer.Status.ExpirationTimestamp.Time, nil
}

// withoutToken says why there is no token, in our own words.
func withoutToken(namespace, serviceAccount string, err error) error {
	out := &backend.Error{Err: err}
	who := fmt.Sprintf("service account %q of namespace %q", serviceAccount, namespace)
	switch {
	case apierrors.IsForbidden(err):
		out.Code = backend.PermissionDenied
		out.Message = "Lockstep may not make tokens for " + who + ": the operator grants it with the chart's rbac.serviceAccountTokenCreate, or deploy/rbac/token-requests.yaml"
	case apierrors.IsNotFound(err):
		out.Code, out.Message = backend.NotFound, who+" does not exist"
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		out.Code, out.Message = backend.InvalidRef, "the API server refuses to make a token for "+who+" and these audiences"
	default:
		out.Code, out.Message = backend.Unavailable, "the API server makes no token for "+who
	}
	return out
}
