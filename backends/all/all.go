// SPDX-License-Identifier: Apache-2.0

// Package all is the list of the products that Lockstep speaks to, and the
// only place that imports them all.
package all

import (
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/fake"
	"github.com/lockstep-secrets/lockstep/backends/ibm"
	"github.com/lockstep-secrets/lockstep/backends/kubernetes"
)

// Drivers returns the products by name.
func Drivers() map[string]backend.Driver {
	return map[string]backend.Driver{
		"fake":       fake.New(),
		"ibm":        ibm.Driver(),
		"kubernetes": kubernetes.Driver(),
	}
}
