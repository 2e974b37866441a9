// SPDX-License-Identifier: Apache-2.0

package kes

import (
	"fmt"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// patience bounds how long one expression of an annotation may take. They are
// JavaScript's, which backtrack.
const patience = 100 * time.Millisecond

// Permit tells why a namespace may not have what the object asks for. The
// namespace's annotations limit the role to assume and the keys to read; the
// reason is the one that KES gave, which is the last one found.
func Permit(es *v1.ExternalSecret, ns spec.Namespace, set Settings) []spec.Issue {
	p := permission{ns: ns, enforce: set.Enforce}
	if len(ns.Annotations) == 0 {
		if set.Enforce {
			p.deny("Namespace annotation is required")
		}
	} else {
		p.keys(es, set.NamingAnnotation)
		p.role(es, set.RoleAnnotation)
	}
	if p.reason == "" {
		return nil
	}
	return []spec.Issue{{
		Where: "spec", Code: backend.PermissionDenied,
		Message: fmt.Sprintf("not allowed to fetch secret: %s/%s: %s", es.Namespace, es.Name, p.reason),
	}}
}

type permission struct {
	ns      spec.Namespace
	enforce bool
	reason  string
}

func (p *permission) deny(format string, args ...any) { p.reason = fmt.Sprintf(format, args...) }

// keys checks every key that is read, those of dataFromWithOptions too, which
// KES forgot.
func (p *permission) keys(es *v1.ExternalSecret, annotation string) {
	check := p.pattern(annotation, func(pattern, what, key string) {
		p.deny("%s %s does not match naming convention %s", what, key, pattern)
	})
	for _, item := range es.Spec.Data {
		if item.Path != nil && *item.Path != "" {
			check("path", *item.Path)
		}
		if item.Key != "" {
			check("key name", item.Key)
		}
	}
	for _, key := range es.Spec.DataFrom {
		check("key name", key)
	}
	for _, item := range es.Spec.DataFromWithOptions {
		check("key name", item.Key)
	}
}

func (p *permission) role(es *v1.ExternalSecret, annotation string) {
	role := es.Spec.RoleARN
	if role == "" {
		role = es.Spec.VaultRole
	}
	if role == "" {
		return
	}
	check := p.pattern(annotation, func(_, _, role string) {
		p.deny("namespace does not allow to assume role %s", role)
	})
	check("role", role)
}

// pattern returns a check of texts against an annotation. Without one
// everything passes, unless it has to be there. An expression that is wrong or
// takes too long denies, and is not asked again.
func (p *permission) pattern(annotation string, mismatch func(pattern, what, s string)) (check func(what, s string)) {
	pattern := p.ns.Annotations[annotation]
	if pattern == "" {
		if p.enforce {
			p.deny("Missing required annotation %s on namespace %s", annotation, p.ns.Name)
		}
		return func(string, string) {}
	}
	re, err := regexp2.Compile(pattern, regexp2.ECMAScript)
	if err != nil {
		p.deny("Invalid regular expression: /%s/ in annotation %s on namespace %s", pattern, annotation, p.ns.Name)
		return func(string, string) {}
	}
	re.MatchTimeout = patience
	stuck := false
	return func(what, s string) {
		if stuck {
			return
		}
		ok, err := re.MatchString(s)
		switch {
		case err != nil:
			stuck = true
			p.deny("the regular expression /%s/ in annotation %s on namespace %s takes too long for %s %s",
				pattern, annotation, p.ns.Name, what, s)
		case !ok:
			mismatch(pattern, what, s)
		}
	}
}
