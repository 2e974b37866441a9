// SPDX-License-Identifier: Apache-2.0

package ibmsm

import "fmt"

// Role is an IBM service role. Each includes what the lower ones permit.
type Role int

// The service roles of Secrets Manager, and NoRole for an identity without any.
const (
	NoRole        Role = iota
	Reader             // lists secrets and groups, reads metadata
	SecretsReader      // also reads values
	Writer             // also creates, rotates and edits secrets
	Manager            // also deletes, locks, and edits groups
)

// roleNames is indexed by Role.
var roleNames = []string{"None", "Reader", "SecretsReader", "Writer", "Manager"}

// String is IBM's name of the role.
func (r Role) String() string {
	if r < NoRole || r > Manager {
		return fmt.Sprintf("Role(%d)", int(r))
	}
	return roleNames[r]
}

// ParseRole is the inverse of String.
func ParseRole(s string) (Role, error) {
	for i, name := range roleNames {
		if name == s {
			return Role(i), nil
		}
	}
	return NoRole, fmt.Errorf("role %q is none of %v", s, roleNames)
}
