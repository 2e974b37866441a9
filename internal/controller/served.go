// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/config"
)

// reportPath is where the shadow report is, beside /metrics.
const reportPath = "/shadow"

// served is what the address of the metrics serves:
//
//	                --metrics-secure                     otherwise
//	/metrics        who may get it, by TLS               everybody
//	/shadow         likewise                             this machine: kubectl port-forward
//
// The metrics name no object. The report does, and the keys of their Secrets, so
// it is not for everybody who reaches the pod.
type served struct {
	own    []prometheus.Collector
	report http.Handler // nil without --shadow
	// reviews say who may; nil where everybody may.
	reviews *cluster.Reviews
}

// options are those of the server. open is an access that is not fenced: replicas
// that do not lead are scraped too.
func (s *served) options(cfg config.Controller, open *rest.Config) (server.Options, error) {
	out := server.Options{
		BindAddress: cfg.MetricsAddress, SecureServing: cfg.MetricsSecure, CertDir: cfg.MetricsCertDir, FilterProvider: s.provide,
		// HTTP/2 lets one client of many streams keep the process busy, and nobody
		// needs it here.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if s.report != nil {
		out.ExtraHandlers = map[string]http.Handler{reportPath: s.report}
	}
	if !cfg.MetricsSecure {
		return out, nil
	}
	var err error
	s.reviews, err = cluster.NewReviews(open)
	return out, err
}

// provide serves our metrics beside those of the library, whose registry belongs
// to the process and not to this controller.
func (s *served) provide(*rest.Config, *http.Client) (server.Filter, error) {
	own := prometheus.NewRegistry()
	for _, c := range s.own {
		if err := own.Register(c); err != nil {
			return nil, err
		}
	}
	all := promhttp.HandlerFor(prometheus.Gatherers{ctrlmetrics.Registry, own}, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	return func(log logr.Logger, h http.Handler) (http.Handler, error) {
		report := s.report != nil && h == s.report
		if !report {
			h = all
		}
		switch {
		case s.reviews != nil:
			h = reviewed(h, s.reviews, log)
		case report:
			h = local(h)
		}
		return h, nil
	}, nil
}

// reviewed lets in whom the API server lets.
func reviewed(h http.Handler, reviews *cluster.Reviews, log logr.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(kind, "Bearer") || token == "" {
			http.Error(w, "Unauthorized: show a bearer token of the cluster", http.StatusUnauthorized)
			return
		}
		verdict, err := reviews.Review(r.Context(), token, strings.ToLower(r.Method), r.URL.Path)
		switch {
		case err != nil:
			log.Error(err, "Access to metrics not reviewed")
			http.Error(w, "the API server could not be asked; see the log", http.StatusInternalServerError)
		case verdict == cluster.Stranger:
			http.Error(w, "Unauthorized: the token is not one of the cluster", http.StatusUnauthorized)
		case verdict == cluster.Refused:
			http.Error(w, "Forbidden: RBAC does not allow to "+strings.ToLower(r.Method)+" the nonResourceURL "+r.URL.Path, http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// local lets in who is on this machine, which is who may forward a port to the
// pod.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.RemoteAddr) || !loopback(r.Host) {
			http.Error(w, "Forbidden: only through kubectl port-forward, or with --metrics-secure", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// loopback reports whether an address with or without a port is of this machine.
// It is asked of the Host header too, since the name of a stranger's site may
// have this machine's address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
