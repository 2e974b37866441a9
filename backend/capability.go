// SPDX-License-Identifier: Apache-2.0

package backend

// Capability names a thing a Backend may be able to do.
type Capability string

// The capabilities, one for each field of Backend.
const (
	CanRead     Capability = "read"
	CanCheck    Capability = "check"
	CanFind     Capability = "find"
	CanProbe    Capability = "probe"
	CanVersions Capability = "versions"
	CanWrite    Capability = "write"
	CanWatch    Capability = "watch"
	CanLease    Capability = "lease"
)

// Capabilities returns what b can do, in a fixed order. It is computed from
// the fields, so it cannot claim what is not there.
func (b Backend) Capabilities() []Capability {
	var out []Capability
	for _, c := range []struct {
		has  bool
		name Capability
	}{
		{b.Reader != nil, CanRead},
		{b.Checker != nil, CanCheck},
		{b.Finder != nil, CanFind},
		{b.Prober != nil, CanProbe},
		{b.Versioner != nil, CanVersions},
		{b.Writer != nil, CanWrite},
		{b.Watcher != nil, CanWatch},
		{b.Lessor != nil, CanLease},
	} {
		if c.has {
			out = append(out, c.name)
		}
	}
	return out
}
