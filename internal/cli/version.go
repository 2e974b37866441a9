// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of a build for an image, set by hack/image through the
// linker: such a build knows no commit.
var release string

// version prints what this binary was built from.
func (s shell) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.out, "lockstep %s %s/%s %s\n", builtFrom(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}

// builtFrom is the release, the module version, or the commit of a build from a
// checkout.
func builtFrom() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, kv := range info.Settings {
		switch {
		case kv.Key == "vcs.revision":
			revision = kv.Value
		case kv.Key == "vcs.modified" && kv.Value == "true":
			modified = "+changes"
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if len(revision) > 12 {
		return "devel-" + revision[:12] + modified
	}
	return "devel"
}
