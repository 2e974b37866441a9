// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-secrets/lockstep/deploy"
	"github.com/lockstep-secrets/lockstep/internal/config"
)

// crdFiles are the CRDs of each dialect.
var crdFiles = map[string][]string{
	config.KES: {"crds/kubernetes-client.io_externalsecrets.yaml"},
	config.ESO: {
		"crds/external-secrets.io_externalsecrets.yaml",
		"crds/external-secrets.io_secretstores.yaml",
		"crds/external-secrets.io_clustersecretstores.yaml",
	},
}

// crds prints the CRDs.
func (s shell) crds() *cobra.Command {
	var dialects []string
	cmd := &cobra.Command{
		Use:     "crds",
		Short:   "Print the custom resource definitions",
		Example: "  lockstep crds | kubectl apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, d := range dialects {
				files, ok := crdFiles[d]
				if !ok {
					return fmt.Errorf("--dialects: %q is not a dialect that this version serves; use %s", d, strings.Join(config.Dialects, ", "))
				}
				for _, name := range files {
					b, err := deploy.CRDs.ReadFile(name)
					if err != nil {
						return err
					}
					if _, err := fmt.Fprintf(s.out, "---\n%s", b); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&dialects, "dialects", []string{config.KES}, "dialects whose definitions to print")
	return cmd
}
