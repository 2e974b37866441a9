// SPDX-License-Identifier: Apache-2.0

// Package config reads how the operator configured Lockstep: flags, and the
// environment variables that people have from the predecessors. It knows no
// Kubernetes object and opens no connection.
package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/diff"
)

// The dialects, as --dialects names them.
const (
	KES = "kes" // Kubernetes External Secrets
	ESO = "eso" // External Secrets Operator
)

// Dialects are all that are served.
var Dialects = []string{KES, ESO}

// Controller is the configuration of the controller.
type Controller struct {
	Kubeconfig     string
	Namespaces     []string // empty means all
	Dialects       []string
	MetricsAddress string
	HealthAddress  string
	// MetricsSecure serves the metrics by TLS, and to whom RBAC lets get them.
	MetricsSecure bool
	// MetricsCertDir has tls.crt and tls.key for that; one is made when it is empty.
	MetricsCertDir          string
	LeaderElect             bool
	LeaderElectionNamespace string
	Adopt                   string
	// Shadow reports what would be done, and does nothing of it. Pause does not
	// even look.
	Shadow, Pause bool
	// Class is the controller class of ESO stores to look after.
	Class string
	// PermitAddresses are those that tenants' stores may connect to although
	// they are refused by default.
	PermitAddresses []netip.Prefix
	// MissingLimit is how many percent of a store's secrets may be missing at
	// once before nothing is removed for that; 0 is the default of 50.
	MissingLimit int
	// Heartbeat is how old the time in the status of an object in sync may be; 0
	// means that it changes with the object only.
	Heartbeat time.Duration
}

// Validate names the flag that is wrong and what to do.
func (c Controller) Validate() error {
	if len(c.Dialects) == 0 {
		return fmt.Errorf("--dialects: name at least one of %s", strings.Join(Dialects, ", "))
	}
	for _, d := range c.Dialects {
		if !slices.Contains(Dialects, d) {
			return fmt.Errorf("--dialects: %q is not a dialect that this version serves; use %s", d, strings.Join(Dialects, ", "))
		}
	}
	if a := diff.Adopt(c.Adopt); a != diff.AdoptMerge && a != diff.AdoptReplace {
		return fmt.Errorf("--adopt: %q is neither %s nor %s", c.Adopt, diff.AdoptMerge, diff.AdoptReplace)
	}
	if c.Heartbeat != 0 && c.Heartbeat < time.Second {
		return fmt.Errorf("--status-heartbeat: %s is shorter than a second", c.Heartbeat)
	}
	if c.MissingLimit < 0 || c.MissingLimit > 100 {
		return fmt.Errorf("--missing-limit: %d is not a number of percent from 1 to 100", c.MissingLimit)
	}
	if c.Shadow && c.Pause {
		return fmt.Errorf("--shadow and --pause: use one of them; what is paused reports nothing")
	}
	if c.MetricsCertDir != "" && !c.MetricsSecure {
		return fmt.Errorf("--metrics-cert-dir: certificates are of use with --metrics-secure only")
	}
	if slices.Contains(c.Namespaces, "") {
		return fmt.Errorf("--namespaces: an empty name in the list; for all namespaces leave the flag out")
	}
	return nil
}

// Environment is the process environment by name.
type Environment map[string]string

// Parse reads an environment as os.Environ returns it.
func Parse(environ []string) Environment {
	out := Environment{}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			out[k] = v
		}
	}
	return out
}

// Namespaces returns the list of a variable such as WATCHED_NAMESPACES.
func (e Environment) Namespaces(name string) []string {
	var out []string
	for _, ns := range strings.Split(e[name], ",") {
		if ns = strings.TrimSpace(ns); ns != "" {
			out = append(out, ns)
		}
	}
	return out
}

// Present reports whether a variable is there at all. KES asked no more of
// DISABLE_POLLING and ENFORCE_NAMESPACE_ANNOTATIONS: even "false" counts.
func (e Environment) Present(name string) bool {
	_, ok := e[name]
	return ok
}

// Text returns a variable, or a default when it is missing or empty.
func (e Environment) Text(name, otherwise string) string {
	if v := e[name]; v != "" {
		return v
	}
	return otherwise
}

// Milliseconds returns a duration, or a default when the variable is missing or
// empty. Less than a second is refused: it would be a load test.
func (e Environment) Milliseconds(name string, otherwise time.Duration) (time.Duration, error) {
	v := e[name]
	if v == "" {
		return otherwise, nil
	}
	ms, err := strconv.ParseInt(v, 10, 64)
	if err != nil || ms < 1000 || ms > int64(365*24*time.Hour/time.Millisecond) {
		return 0, fmt.Errorf("%s: %q is not a number of milliseconds from 1000 to a year", name, v)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
