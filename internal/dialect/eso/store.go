// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// Managed reports whether this instance looks after a store.
func Managed(s v1.SecretStoreSpec, set Settings) bool {
	return s.Controller == "" || s.Controller == set.Class
}

// Store reads a SecretStore or ClusterSecretStore for the objects of a
// namespace. meta is the store's own. What is wrong with it, and why the
// namespace may not use it, is its Issue.
func Store(kind string, meta metav1.ObjectMeta, s v1.SecretStoreSpec, ns spec.Namespace, set Settings) spec.Store {
	out := Unbound(kind, meta, s, ns.Name, set)
	if out.Issue == nil && kind == KindClusterStore {
		out.Issue = permitted(s.Conditions, ns)
	}
	return out
}

// Unbound reads a store regardless of who may use it. namespace is where its
// credentials are, where it does not say so.
func Unbound(kind string, meta metav1.ObjectMeta, s v1.SecretStoreSpec, namespace string, set Settings) spec.Store {
	out := spec.Store{
		Namespace: namespace,
		Shared:    kind == KindClusterStore,
		Foreign:   !Managed(s, set),
		Revision:  string(meta.UID) + "/" + strconv.FormatInt(meta.Generation, 10),
		Removals:  meta.Annotations[AllowRemovals] == "true",
	}
	name, raw, n := s.Provider.Product()
	out.Raw = raw
	if n != 1 {
		out.Issue = invalid("spec.provider", "exactly one provider must be set, not %d", n)
		return out
	}
	var known []string
	for driver, d := range set.Drivers {
		if d.Names[backend.ESO] == "" {
			continue
		}
		known = append(known, d.Names[backend.ESO])
		if d.Names[backend.ESO] == name {
			out.Driver = driver
		}
	}
	if out.Driver == "" {
		slices.Sort(known)
		out.Issue = invalid("spec.provider."+name, "provider %q is not supported by this version of Lockstep; supported: %s", name, strings.Join(known, ", "))
		return out
	}
	out.Retry, out.Issue = retry(s.RetrySettings)
	if _, err := CheckEvery(s); err != nil && out.Issue == nil {
		out.Issue = invalid("spec.refreshInterval", "%s", err)
	}
	if out.Issue == nil {
		out.Issue = conditionsIssue(s.Conditions)
	}
	return out
}

func invalid(where, format string, args ...any) *spec.Issue {
	return &spec.Issue{Where: where, Code: backend.InvalidRef, Message: where + ": " + fmt.Sprintf(format, args...)}
}

// retry reads spec.retrySettings.
func retry(r *v1.RetrySettings) (spec.Retry, *spec.Issue) {
	if r == nil {
		return spec.Retry{}, nil
	}
	out := spec.Retry{Max: 3, Pause: time.Second}
	if r.MaxRetries != nil {
		out.Max = int(*r.MaxRetries)
	}
	if r.RetryInterval != nil {
		d, err := time.ParseDuration(*r.RetryInterval)
		if err != nil || d <= 0 {
			return spec.Retry{}, invalid("spec.retrySettings.retryInterval", "%q is not a duration; write it as 5s", *r.RetryInterval)
		}
		out.Pause = max(d, 100*time.Millisecond)
	}
	if out.Max < 0 {
		return spec.Retry{}, invalid("spec.retrySettings.maxRetries", "%d is negative", out.Max)
	}
	return out, nil
}

// checkEvery is how often a store without an interval of its own is checked.
const checkEvery = 5 * time.Minute

// CheckEvery is how often a store is checked: a number of seconds, or a
// duration. 0 is the default.
func CheckEvery(s v1.SecretStoreSpec) (time.Duration, error) {
	if s.RefreshInterval == nil {
		return checkEvery, nil
	}
	text := strings.Trim(string(s.RefreshInterval.Raw), `"`)
	if text == "" || text == "null" {
		return checkEvery, nil
	}
	d, err := time.ParseDuration(text)
	if n, numeric := strconv.ParseInt(text, 10, 32); numeric == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is neither a number of seconds nor a duration such as 10m", text)
	case d < 0:
		return 0, fmt.Errorf("%q is negative", text)
	case d == 0:
		return checkEvery, nil
	}
	return max(d, shortest), nil
}

// conditionsIssue finds conditions that mean nothing.
func conditionsIssue(list []v1.StoreCondition) *spec.Issue {
	for i, c := range list {
		where := fmt.Sprintf("spec.conditions[%d]", i)
		if _, err := selector(c); err != nil {
			return invalid(where+".namespaceSelector", "%s", err)
		}
		for j, text := range c.NamespaceRegexes {
			if _, err := anchored(text); err != nil {
				return invalid(fmt.Sprintf("%s.namespaceRegexes[%d]", where, j), "%q is not a regular expression", text)
			}
		}
	}
	return nil
}

// permitted tells why a namespace may not use a store. One condition that
// matches is enough, and within a condition one of its three parts.
func permitted(list []v1.StoreCondition, ns spec.Namespace) *spec.Issue {
	if len(list) == 0 {
		return nil
	}
	for _, c := range list {
		if matches(c, ns) {
			return nil
		}
	}
	return &spec.Issue{
		Where: "spec.conditions", Code: backend.PermissionDenied,
		Message: fmt.Sprintf("using the store is not allowed from namespace %q: none of its spec.conditions matches", ns.Name),
	}
}

func matches(c v1.StoreCondition, ns spec.Namespace) bool {
	if s, err := selector(c); err == nil && s != nil && s.Matches(labels.Set(ns.Labels)) {
		return true
	}
	if slices.Contains(c.Namespaces, ns.Name) {
		return true
	}
	return slices.ContainsFunc(c.NamespaceRegexes, func(text string) bool {
		re, err := anchored(text)
		return err == nil && re.MatchString(ns.Name)
	})
}

// selector is the label selector of a condition; nil when it has none.
func selector(c v1.StoreCondition) (labels.Selector, error) {
	if c.NamespaceSelector == nil {
		return nil, nil //nolint:nilnil // no selector, no error
	}
	return metav1.LabelSelectorAsSelector(c.NamespaceSelector)
}

// anchored makes an expression match whole names only: team-a must not let in
// team-a-evil.
func anchored(text string) (*regexp.Regexp, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("longer than %d bytes", maxExpression)
	}
	return regexp.Compile(`^(?:` + text + `)$`)
}

// The reasons of a store's Ready condition.
const (
	reasonValid   = "Valid"
	reasonInvalid = "InvalidProviderConfig"
	reasonUnknown = "ValidationUnknown"
	reasonHeld    = "RemovalsHeld"
)

// AllowRemovals is the annotation of a store that says, with the value "true",
// that much of what was read through it may be missing at once.
const AllowRemovals = "lockstep-secrets.dev/allow-removals"

// heldMessage is what a store says of which too much is missing.
const heldMessage = "so many of the secrets that were read through this store are missing at once that nothing is removed for that; " +
	"if it is meant, set the annotation " + AllowRemovals + `: "true" on the store`

// StoreStatus returns the status to show of a store after a check. caps are nil
// when it could not be opened; held says that too much is missing in it. A store that was valid and does not answer stays
// so: its Secrets stay too.
func StoreStatus(old v1.SecretStoreStatus, issue *spec.Issue, caps []backend.Capability, held bool, err error, now time.Time) v1.SecretStoreStatus {
	out := *old.DeepCopy()
	ready := condition(old.Conditions, conditionReady)
	code := backend.CodeOf(err)
	status, reason, text := statusTrue, reasonValid, "store validated"
	switch {
	case issue != nil:
		status, reason, text = statusFalse, reasonInvalid, "unable to create client: "+string(issue.Code)+": "+issue.Message
	case code == backend.Unknown:
		reason, text = reasonUnknown, "could not determine validation status: "+err.Error()
	case (code == backend.Unavailable || code == backend.RateLimited) && ready != nil && ready.Status == statusTrue:
		return out
	case err != nil:
		status, reason, text = statusFalse, reasonInvalid, "unable to validate store: "+string(code)+": "+err.Error()
	case held:
		status, reason, text = statusFalse, reasonHeld, heldMessage
	}
	if err == nil && len(caps) > 0 {
		out.Capabilities = capabilities(caps)
	}
	out.Conditions = with(out.Conditions, status, reason, text, now)
	return out
}

// capabilities is the operator's word for what a store can do.
func capabilities(caps []backend.Capability) string {
	read, write := slices.Contains(caps, backend.CanRead), slices.Contains(caps, backend.CanWrite)
	switch {
	case read && write:
		return "ReadWrite"
	case write:
		return "WriteOnly"
	}
	return "ReadOnly"
}

// SameStoreStatus reports whether two statuses say the same.
func SameStoreStatus(a, b v1.SecretStoreStatus) bool {
	return a.Capabilities == b.Capabilities && slices.EqualFunc(a.Conditions, b.Conditions, sameCondition)
}
