// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

// controller runs the controller until it is interrupted.
func (s shell) controller() *cobra.Command {
	cfg := config.Controller{}
	level := slog.LevelInfo
	var permit []string
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Keep the Secrets of a cluster up to date",
		Long: "Keep the Secrets of a cluster up to date.\n\n" +
			"It serves the manifests of Kubernetes External Secrets (kes) and, with --dialects eso, of External Secrets Operator.\n" +
			"Stores of KES manifests are configured by the environment variables that Kubernetes External Secrets had,\n" +
			"among them POLLER_INTERVAL_MILLISECONDS, INSTANCE_ID and IBM_CLOUD_SECRETS_MANAGER_API_*.\n" +
			"Proxies and further CAs are HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("namespaces") {
				cfg.Namespaces = s.env.Namespaces("WATCHED_NAMESPACES")
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			if cfg.MissingLimit == 0 {
				return errors.New("--missing-limit: 0 would hold back every removal; use 1 to 100")
			}
			if !slices.Contains(levels, level) {
				return fmt.Errorf("--log-level: %q is not one of debug, info, warn and error", level)
			}
			if _, err := feed.Roots(s.env[feed.ExtraCA]); err != nil {
				return err
			}
			if s.env["GOGC"] == "" {
				debug.SetGCPercent(gcPercent)
			}
			log := logger(s.err, level)
			drivers := all.Drivers()
			dialects, err := s.dialects(cfg, drivers)
			if err != nil {
				return err
			}
			if cfg.PermitAddresses, err = permitted(permit, cmd.Flags().Changed("permit-addresses"), cfg.Kubeconfig); err != nil {
				return err
			}
			kube, err := restConfig(cfg.Kubeconfig)
			if err != nil {
				return err
			}
			go giveBack(cmd.Context())
			return controller.Run(cmd.Context(), cfg, kube, dialects, drivers, log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Kubeconfig, "kubeconfig", s.env["KUBECONFIG"], "kubeconfig file; without one the pod's service account is used")
	f.StringSliceVar(&cfg.Namespaces, "namespaces", nil, "namespaces to look after; all when empty (default $WATCHED_NAMESPACES)")
	f.StringSliceVar(&cfg.Dialects, "dialects", []string{config.KES}, "dialects of manifests to serve: kes, eso")
	f.StringVar(&cfg.MetricsAddress, "metrics-bind-address", ":8080", "address of the metrics; 0 turns them off")
	f.BoolVar(&cfg.MetricsSecure, "metrics-secure", false, "serve the metrics by TLS, and only to whom RBAC allows to get the nonResourceURL /metrics")
	f.StringVar(&cfg.MetricsCertDir, "metrics-cert-dir", "", "folder with tls.crt and tls.key of the metrics; a certificate is made at each start when empty")
	f.StringVar(&cfg.HealthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	f.BoolVar(&cfg.LeaderElect, "leader-elect", true, "let only one of several replicas work")
	f.StringVar(&cfg.LeaderElectionNamespace, "leader-election-namespace", "", "namespace of the lease; the pod's own when empty")
	f.BoolVar(&cfg.Shadow, "shadow", false, "write nothing, and report what would be written at /shadow of the metrics; see lockstep shadow-report")
	f.BoolVar(&cfg.Pause, "pause", false, "read nothing from stores and write nothing, until it is started without")
	f.StringVar(&cfg.Adopt, "adopt", string(diff.AdoptMerge), "what becomes of foreign keys in a Secret that is taken over: merge keeps them, replace does not")
	f.StringVar(&cfg.Class, "controller-class", "default", "class of the ESO stores to look after; stores without a class are looked after by all")
	f.StringSliceVar(&permit, "permit-addresses", nil,
		"networks that stores of namespaces may connect to although they are refused by default, as loopback is (default none in a pod, and loopback with --kubeconfig)")
	f.IntVar(&cfg.MissingLimit, "missing-limit", 50,
		"percent of a store's secrets that may be missing at once before nothing is removed for that; 100 turns it off")
	f.DurationVar(&cfg.Heartbeat, "status-heartbeat", 0,
		"have the time in the status of objects in sync written at least so often; 0 writes it when something changed, and metrics tell how fresh all is")
	f.TextVar(&level, "log-level", level, "debug, info, warn or error")
	return cmd
}

// levels are those that may be asked for. Below debug, the client of the API
// server logs what it sends and gets, and that is secrets.
var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// loopback is what a controller on somebody's own machine may connect to: the
// servers there are that person's, while those of a pod are ours.
var loopback = []string{"127.0.0.0/8", "::1/128"}

// permitted reads --permit-addresses.
func permitted(list []string, given bool, kubeconfig string) ([]netip.Prefix, error) {
	if !given && kubeconfig != "" {
		list = loopback
	}
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--permit-addresses: %q is not a network; write it as 10.0.0.0/8", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// dialects are those that are served.
func (s shell) dialects(cfg config.Controller, drivers spec.Drivers) ([]controller.Dialect, error) {
	var out []controller.Dialect
	for _, d := range cfg.Dialects {
		switch d {
		case config.KES:
			set, err := config.KESSettings(s.env, drivers)
			if err != nil {
				return nil, err
			}
			out = append(out, controller.KES(set))
		case config.ESO:
			out = append(out, controller.ESO(eso.Settings{Class: cfg.Class, Namespaces: cfg.Namespaces, Drivers: drivers}))
		}
	}
	return out, nil
}

// logger makes the one logger, and gives it to the libraries that have their
// own.
func logger(to io.Writer, level slog.Level) logr.Logger {
	log := logr.FromSlogHandler(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level}))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return log
}

// restConfig finds the cluster.
func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		c, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("--kubeconfig: none given, and this is not a pod: %w", err)
		}
		return c, nil
	}
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return c, nil
}
