// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// KESSettings reads the settings of KES objects from the environment variables
// that KES had.
func KESSettings(env Environment, drivers spec.Drivers) (kes.Settings, error) {
	every, err := env.Milliseconds("POLLER_INTERVAL_MILLISECONDS", 10*time.Second)
	if err != nil {
		return kes.Settings{}, err
	}
	return kes.Settings{
		InstanceID:       env["INSTANCE_ID"],
		Every:            every,
		Pinned:           env.Present("DISABLE_POLLING"),
		Enforce:          env.Present("ENFORCE_NAMESPACE_ANNOTATIONS"),
		RoleAnnotation:   env.Text("ROLE_PERMITTED_ANNOTATION", "iam.amazonaws.com/permitted"),
		NamingAnnotation: env.Text("NAMING_PERMITTED_ANNOTATION", "externalsecrets.kubernetes-client.io/permitted-key-name"),
		Env:              backend.NewEnv(env),
		Drivers:          drivers,
	}, nil
}
