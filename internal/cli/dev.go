// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// dev holds what developers run on their own machines.
func (s shell) dev() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Stand-ins and other help for developing, never for production",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(s.ibmStandIn())
	return cmd
}

// ibmStandIn serves a stand-in for IBM Cloud Secrets Manager and IAM.
func (s shell) ibmStandIn() *cobra.Command {
	var (
		address  string
		keys     map[string]string
		rate     int
		tokenTTL time.Duration
	)
	cmd := &cobra.Command{
		Use:   "ibm-secrets-manager",
		Short: "Serve a stand-in for IBM Cloud Secrets Manager and IAM, in memory",
		Long: "Serve a stand-in for IBM Cloud Secrets Manager (API v2) and IAM, in memory.\n\n" +
			"IAM and the API share one address. Statistics are at /_standin/stats.\n" +
			"What it serves and what not is in docs/ibm-stand-in.md.",
		Example: "  lockstep dev ibm-secrets-manager --api-key my-key=Manager",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts := ibmsm.Options{Keys: map[string]ibmsm.Role{}, RateLimit: rate, RetryAfter: time.Second, TokenTTL: tokenTTL}
			for key, name := range keys {
				role, err := ibmsm.ParseRole(name)
				if err != nil {
					return fmt.Errorf("--api-key: %w", err)
				}
				opts.Keys[key] = role
			}
			return s.serve(cmd.Context(), address, ibmsm.New(opts))
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "listen", "127.0.0.1:18483", "address to listen on")
	f.StringToStringVar(&keys, "api-key", nil, "API keys that IAM knows, each with its role: KEY=SecretsReader")
	f.IntVar(&rate, "rate-limit", 0, "API requests served in any second; more get 429; 0 is no limit")
	f.DurationVar(&tokenTTL, "token-ttl", time.Hour, "how long a token is accepted")
	return cmd
}

// serve runs a handler until ctx ends, and says where it listens.
func (s shell) serve(ctx context.Context, address string, h http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	_, _ = fmt.Fprintf(s.out, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = server.Close() // requests under way are not worth waiting for
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}
