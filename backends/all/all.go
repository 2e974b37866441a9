// SPDX-License-Identifier: Apache-2.0

// Package all is the list of the products that Lockstep speaks to, and the
// only place that imports them all.
package all

import (
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/fake"
	"github.com/lockstep-secrets/lockstep/backends/ibm"
	"github.com/lockstep-secrets/lockstep/backends/kubernetes"
	"github.com/lockstep-secrets/lockstep/backends/vault"
	"github.com/lockstep-secrets/lockstep/backends/webhook"
	"github.com/lockstep-secrets/lockstep/internal/gotemplate"
)

// Drivers returns the products by name.
func Drivers() map[string]backend.Driver {
	return map[string]backend.Driver{
		"fake":       fake.New(),
		"ibm":        ibm.Driver(),
		"kubernetes": kubernetes.Driver(),
		"openBao":    vault.OpenBao(),
		"vault":      vault.Driver(),
		"webhook":    webhook.New(render),
	}
}

// render fills in a template of a webhook. Each one has a budget of its own,
// for they are rendered for many objects.
func render(name, text string, data map[string]map[string]string) (string, error) {
	return gotemplate.New().ExecuteNested(name, text, data)
}
