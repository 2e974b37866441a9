// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/internal/shadow"
)

// The exit codes of shadow-report, which are those of diff.
const (
	exitDiffers = 1
	exitFailed  = 2
)

// longestReport is how many bytes of an answer are taken.
const longestReport = 256 << 20

// reportFlags say where the report is and what of it is wanted.
type reportFlags struct {
	address, tokenFile, ca string
	insecure               bool
	output                 string
	namespaces             []string
	different              bool
}

// shadowReport prints what a controller with --shadow would do.
func (s shell) shadowReport() *cobra.Command {
	var o reportFlags
	cmd := &cobra.Command{
		Use:   "shadow-report",
		Short: "Print what a controller with --shadow would change",
		Long: "Print what a controller with --shadow would change, object by object: which keys of which Secret, and no value.\n\n" +
			"The controller serves the report beside its metrics, to its own machine only. Forward a port to the pod that leads:\n\n" +
			"  kubectl -n lockstep-system port-forward deploy/lockstep-shadow 8080\n\n" +
			"With --metrics-secure it is served by TLS to whom RBAC allows to get the nonResourceURL /shadow.\n" +
			"The exit code is 0 when nothing would change, 1 when something would or cannot be told, and 2 when there is no report\n" +
			"or objects in it were not looked at yet.",
		Example: "  lockstep shadow-report --namespace payments --only-different\n" +
			"  lockstep shadow-report --address https://127.0.0.1:8080 --token-file token --insecure-skip-tls-verify -o json",
		Args: func(cmd *cobra.Command, args []string) error { return failing(cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error { return s.report(cmd.Context(), o) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return failing(err) })
	f := cmd.Flags()
	f.StringVar(&o.address, "address", "http://127.0.0.1:8080", "where the controller serves its metrics")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a bearer token, where the controller has --metrics-secure")
	f.StringVar(&o.ca, "certificate-authority", "", "file with the CA of the controller's certificate")
	f.BoolVar(&o.insecure, "insecure-skip-tls-verify", false, "take any certificate, as through kubectl port-forward")
	f.StringVarP(&o.output, "output", "o", "table", "table, json or yaml")
	f.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "namespaces to print; all when empty")
	f.BoolVar(&o.different, "only-different", false, "leave out what would not change")
	return cmd
}

// report prints a report, and returns how the command ends.
func (s shell) report(ctx context.Context, o reportFlags) error {
	if !slices.Contains([]string{"table", "json", "yaml"}, o.output) {
		return failing(fmt.Errorf("--output: %q is not one of table, json and yaml", o.output))
	}
	doc, err := o.fetch(ctx)
	if err != nil {
		return failing(err)
	}
	doc.Objects = slices.DeleteFunc(doc.Objects, func(one shadow.Object) bool {
		return len(o.namespaces) > 0 && !slices.Contains(o.namespaces, one.Namespace)
	})
	pending, differ := 0, false
	for _, one := range doc.Objects {
		if one.Result == shadow.Pending {
			pending++
		}
		differ = differ || one.Differs()
	}
	if o.different {
		doc.Objects = slices.DeleteFunc(doc.Objects, func(one shadow.Object) bool { return !one.Differs() })
	}
	if err := s.show(doc, o.output); err != nil {
		return failing(err)
	}
	switch {
	case pending > 0:
		return failing(fmt.Errorf("%d objects were not looked at yet; ask again", pending))
	case differ:
		return coded{exitDiffers, errShown}
	}
	return nil
}

// fetch gets the report from the controller.
func (o reportFlags) fetch(ctx context.Context) (shadow.Document, error) {
	var doc shadow.Document
	u, err := url.Parse(o.address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return doc, fmt.Errorf("--address: %q is no URL such as http://127.0.0.1:8080", o.address)
	}
	client, err := o.client()
	if err != nil {
		return doc, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("shadow").String(), nil)
	if err != nil {
		return doc, err
	}
	if o.tokenFile != "" {
		if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme != "https" && (err != nil || !ip.IsLoopback()) {
			return doc, errors.New("--token-file: a token is sent by https only")
		}
		token, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return doc, fmt.Errorf("--token-file: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	res, err := client.Do(req)
	if err != nil {
		return doc, fmt.Errorf("--address: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, longestReport+1))
	switch {
	case err != nil:
		return doc, fmt.Errorf("--address: %w", err)
	case res.StatusCode == http.StatusNotFound:
		return doc, fmt.Errorf("--address: there is no report at %s; was the controller started with --shadow?", u.Host)
	case res.StatusCode != http.StatusOK:
		return doc, fmt.Errorf("--address: %s: %s", res.Status, plainText(string(body[:min(len(body), 300)])))
	case len(body) > longestReport:
		return doc, errors.New("--address: the report is too long")
	case json.Unmarshal(body, &doc) != nil:
		return doc, errors.New("--address: what answers there is no controller with --shadow")
	}
	return doc, nil
}

func (o reportFlags) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.insecure} //nolint:gosec // the person asks for it
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("--certificate-authority: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--certificate-authority: no certificate in %s", o.ca)
		}
	}
	return &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// show prints the objects.
func (s shell) show(doc shadow.Document, output string) error {
	switch output {
	case "json":
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		return e.Encode(doc)
	case "yaml":
		b, err := yaml.Marshal(doc)
		if err != nil {
			return err
		}
		_, err = s.out.Write(b)
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NAMESPACE\tNAME\tDIALECT\tSECRET\tRESULT\tDATA\tMETADATA")
	for _, o := range doc.Objects {
		data, meta := inWords(o)
		line := []string{o.Namespace, o.Name, o.Dialect, o.Secret, string(o.Result), data, meta}
		for i := range line {
			line[i] = plainText(line[i])
		}
		_, _ = fmt.Fprintln(w, strings.Join(line, "\t")) // the error stays until Flush
	}
	return w.Flush()
}

// inWords says in a line what would change for workloads, or why nothing would,
// and what they do not see.
func inWords(o shadow.Object) (data, meta string) {
	var seen, unseen []string
	add := func(list *[]string, what string, n shadow.Names) {
		if n.Any() {
			*list = append(*list, strings.TrimSpace(what+" "+signed(n)))
		}
	}
	add(&seen, "", o.Data)
	if o.Type != nil {
		seen = append(seen, "type "+o.Type.From+" → "+o.Type.To)
	}
	add(&unseen, "labels", o.Labels)
	add(&unseen, "annotations", o.Annotations)
	add(&unseen, "finalizers", o.Finalizers)
	if o.Owner != nil {
		unseen = append(unseen, "owner "+orNobody(o.Owner.From)+" → "+orNobody(o.Owner.To))
	}
	if o.Immutable {
		unseen = append(unseen, "becomes immutable")
	}
	if len(o.FormerSecrets) > 0 {
		unseen = append(unseen, "deletes Secret "+strings.Join(o.FormerSecrets, ", "))
	}
	why := []string{}
	for _, part := range []string{o.Where, o.Code, o.Message} {
		if part != "" {
			why = append(why, part)
		}
	}
	if len(why) > 0 {
		seen = append(seen, strings.Join(why, ": "))
	}
	return strings.Join(seen, "; "), strings.Join(unseen, "; ")
}

func orNobody(owner string) string {
	if owner == "" {
		return "nobody"
	}
	return owner
}

// signed lists names as a diff does.
func signed(n shadow.Names) string {
	var out []string
	for _, list := range []struct {
		sign  string
		names []string
	}{{"+", n.Added}, {"~", n.Changed}, {"-", n.Removed}} {
		for _, name := range list.names {
			out = append(out, list.sign+name)
		}
	}
	if n.More > 0 {
		out = append(out, fmt.Sprintf("and %d more", n.More))
	}
	return strings.Join(out, " ")
}

// plainText keeps a text on one line, and from commanding a terminal.
func plainText(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// coded ends a command with an exit code of its own.
type coded struct {
	code int
	error
}

// Unwrap returns the error.
func (c coded) Unwrap() error { return c.error }

// failing ends shadow-report without a report; nil stays nil.
func failing(err error) error {
	if err == nil {
		return nil
	}
	return coded{exitFailed, err}
}
