// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: one file for each sub-command.
//
// Its rules: what was asked for goes to standard output, everything else to
// standard error, errors begin with "lockstep:" and name what to do. No value
// of a secret is printed unless --reveal asks for it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lockstep-secrets/lockstep/internal/config"
)

// shell is what a sub-command has of the world.
type shell struct {
	env config.Environment
	in  io.Reader
	out io.Writer
	err io.Writer
}

// errShown ends a command that told already what went wrong.
var errShown = errors.New("shown")

// Run runs one command line and returns the exit code: 0 when all is well, and
// when not, 1 or what the command says.
func Run(ctx context.Context, args, environ []string, in io.Reader, out, err io.Writer) int {
	s := shell{env: config.Parse(environ), in: in, out: out, err: err}
	root := &cobra.Command{
		Use:           "lockstep",
		Short:         "Keeps Kubernetes Secrets in lockstep with the secret manager where they really live",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          help,
	}
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	root.AddCommand(s.controller(), s.shadowReport(), s.render(), s.crds(), s.dev(), s.version())
	failure := root.ExecuteContext(ctx)
	switch {
	case failure == nil:
		return 0
	case !errors.Is(failure, errShown):
		_, _ = fmt.Fprintf(err, "lockstep: %v\n", failure)
	}
	if c := (coded{}); errors.As(failure, &c) {
		return c.code
	}
	return 1
}

// help is what a command without a sub-command does. It makes cobra refuse
// sub-commands that do not exist.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }
