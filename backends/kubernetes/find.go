// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lockstep-secrets/lockstep/backend"
)

// finder lists Secrets, with their values.
type finder struct{ api *api }

// Find implements backend.Finder: Path is a prefix of the name, Name an
// expression on it, Tags are labels.
func (f *finder) Find(ctx context.Context, q backend.Query) iter.Seq2[backend.Found, error] {
	return func(yield func(backend.Found, error) bool) {
		params, match, err := narrow(q)
		if err != nil {
			yield(backend.Found{}, err)
			return
		}
		for list, err := range pages[corev1.SecretList](ctx, f.api, asObject, params) {
			if err != nil {
				yield(backend.Found{}, err)
				return
			}
			for i := range list.Items {
				obj := &list.Items[i]
				if !match(obj.Name) {
					continue
				}
				found, err := f.found(obj)
				if !yield(found, err) || err != nil {
					return
				}
			}
		}
	}
}

func (f *finder) found(obj *corev1.Secret) (backend.Found, error) {
	if !f.api.holds(obj, obj.Name) {
		return backend.Found{}, unreadable()
	}
	s, err := convert(obj, backend.Data)
	if err != nil {
		return backend.Found{}, err
	}
	return backend.Found{Ref: backend.Ref{Path: obj.Name}, Secret: &s}, nil
}

// narrow turns a query into parameters, which the server applies, and a test of
// the names that come back.
func narrow(q backend.Query) (url.Values, func(string) bool, error) {
	if q.Kind != "" {
		return nil, nil, backend.Errorf(backend.InvalidRef, "Secrets of Kubernetes have no kinds to search for")
	}
	name, err := regexp.Compile(q.Name)
	if err != nil {
		return nil, nil, backend.Errorf(backend.InvalidRef, "the name to search for is not an RE2 expression: %q", q.Name)
	}
	params := url.Values{}
	if q.Tags != "" {
		set := labels.Set{}
		for pair := range strings.SplitSeq(q.Tags, ",") {
			k, v, _ := strings.Cut(pair, "=")
			set[k] = v
		}
		selector, err := set.AsValidatedSelector()
		if err != nil {
			return nil, nil, backend.Errorf(backend.InvalidRef, "the tags to search for are no labels of Kubernetes: %q", q.Tags)
		}
		params.Set("labelSelector", selector.String())
	}
	return params, func(s string) bool { return strings.HasPrefix(s, q.Path) && name.MatchString(s) }, nil
}

// pages yields the pages of a listing of Secrets, or of their metadata, and
// ends after the first error. A page that is too large is asked for again in a
// smaller one.
func pages[L any, P interface {
	*L
	metav1.ListInterface
}](ctx context.Context, a *api, accept string, params url.Values) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		t, limit, expired := task{"list", "", a.namespace}, page, false
		for {
			params.Set("limit", strconv.Itoa(limit))
			list := P(new(L))
			err := a.ask(ctx, question{method: http.MethodGet, path: a.secrets(), params: params, accept: accept, out: list})
			if errors.Is(err, errTooLarge) && limit > 1 {
				limit /= 4
				continue
			}
			if next, ok := goOn(err); ok && !expired {
				params.Set("continue", next)
				expired = true
				continue
			}
			if err == nil && list.GetResourceVersion() == "" {
				err = unreadable() // not a list at all
			}
			if err != nil {
				yield(nil, classify(err, t))
				return
			}
			next := list.GetContinue()
			params.Set("continue", next)
			expired = false
			if !yield(list, nil) || next == "" {
				return
			}
		}
	}
}

// goOn says where a listing that took too long goes on: not as it began, but
// from the same name, as the API server offers. Starting again would come to
// names twice.
func goOn(err error) (string, bool) {
	var r *refusal
	if errors.As(err, &r) && r.code == http.StatusGone && r.proceed != "" {
		return r.proceed, true
	}
	return "", false
}
