// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

const (
	// trusted is for how long an answer that lets somebody in is remembered.
	trusted = time.Minute
	// remembered is how many of these are.
	remembered = 256
	// reviewing is how many questions are under way: strangers who try tokens must
	// not load the API server.
	reviewing = 4
)

// Reviews asks the API server who shows a token, and what they may. For the API
// server each is a create, but nothing in the cluster is changed by it.
//
// controller-runtime has the same as a filter. It stands on k8s.io/apiserver,
// which brings 220 packages into the process that holds all secrets, a gRPC
// stack and an interpreter among them, for two requests.
type Reviews struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
	slots  chan struct{}

	mu    sync.Mutex
	known map[question]time.Time // until when
}

// question is one that was answered with yes. The token is not kept.
type question struct {
	token      [sha256.Size]byte
	verb, path string
}

// Verdict is what comes of a Review.
type Verdict uint8

// The verdicts.
const (
	Stranger Verdict = iota // the token is nobody's
	Refused
	Allowed
)

// NewReviews makes Reviews for the API server of a configuration.
func NewReviews(kube *rest.Config) (*Reviews, error) {
	tokens, err := authenticationclient.NewForConfig(kube)
	if err != nil {
		return nil, fmt.Errorf("make a client for token reviews: %w", err)
	}
	access, err := authorizationclient.NewForConfig(kube)
	if err != nil {
		return nil, fmt.Errorf("make a client for access reviews: %w", err)
	}
	return &Reviews{
		tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews(),
		slots: make(chan struct{}, reviewing), known: map[question]time.Time{},
	}, nil
}

// Review tells whether the holder of a token may do something with a path that
// is no resource.
func (r *Reviews) Review(ctx context.Context, token, verb, path string) (Verdict, error) {
	q := question{sha256.Sum256([]byte(token)), verb, path}
	if r.knows(q, time.Now()) {
		return Allowed, nil
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Stranger, ctx.Err()
	}
	verdict, err := r.ask(ctx, token, verb, path)
	if err == nil && verdict == Allowed {
		r.learn(q, time.Now())
	}
	return verdict, err
}

func (r *Reviews) ask(ctx context.Context, token, verb, path string) (Verdict, error) {
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return Stranger, fmt.Errorf("review a token: %w", err)
	}
	if !who.Status.Authenticated {
		return Stranger, nil
	}
	user := who.Status.User
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	may, err := r.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return Stranger, fmt.Errorf("review an access: %w", err)
	case may.Status.Allowed && !may.Status.Denied:
		return Allowed, nil
	}
	return Refused, nil
}

func (r *Reviews) knows(q question, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.known[q])
}

func (r *Reviews) learn(q question, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, until := range r.known {
		if len(r.known) >= remembered || !now.Before(until) {
			delete(r.known, old)
		}
	}
	r.known[q] = now.Add(trusted)
}
