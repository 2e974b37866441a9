// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/controller"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const masked = "[redacted]"

// render prints the Secrets that manifests would lead to.
func (s shell) render() *cobra.Command {
	var (
		files, contents []string
		namespace       string
		reveal          bool
	)
	cmd := &cobra.Command{
		Use:   "render -f FILE…",
		Short: "Print the Secrets that manifests would lead to, without a cluster",
		Long: "Print the Secrets that manifests would lead to, without a cluster.\n\n" +
			"The secret manager is read with the configuration that the controller would have, through the same code: the\n" +
			"environment for KES manifests; for ESO manifests the SecretStore and the Secrets with its credentials, which belong\n" +
			"into the files too, as do ConfigMaps with templates and Secrets that are there already.\n" +
			"With --contents a store is not asked; its contents come from a file, a list of {key, value, version}.\n" +
			"Values are masked unless --reveal is given. Documents of other kinds are passed over.\n\n" +
			"Each run reads. Where reading changes a secret, as with IBM's iam_credentials that do not reuse their API key,\n" +
			"each run replaces it for everybody.",
		Example: "  lockstep render -f external-secrets-example.yml\n" +
			"  lockstep render -f store.yaml -f external-secret.yaml --contents vault=contents.yaml --reveal",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return errors.New("--filename: name at least one file, or - for standard input")
			}
			if _, err := feed.Roots(s.env[feed.ExtraCA]); err != nil {
				return err
			}
			drivers := all.Drivers()
			dialects, err := s.dialects(config.Controller{Dialects: config.Dialects}, drivers)
			if err != nil {
				return err
			}
			m, err := s.read(files, namespace)
			if err != nil {
				return err
			}
			if err := m.fill(contents); err != nil {
				return err
			}
			p := newPreview(cmd.Context(), drivers, m)
			defer p.stop()
			return s.print(p, dialects, m, reveal)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&files, "filename", "f", nil, "files with manifests; - is standard input")
	f.StringSliceVar(&contents, "contents", nil, "STORE=FILE: what an ESO store holds, instead of asking it")
	f.StringVarP(&namespace, "namespace", "n", "default", "namespace of manifests that name none")
	f.BoolVar(&reveal, "reveal", false, "print the values")
	return cmd
}

// print renders each object; one that fails does not spoil the others.
func (s shell) print(p *preview, dialects []controller.Dialect, m *manifests, reveal bool) error {
	failed := false
	for _, d := range dialects {
		for _, obj := range m.of(d) {
			secret, out := p.secret(d, obj)
			if out.Ready == outcome.NotReady {
				failed = true
				_, _ = fmt.Fprintf(s.err, "lockstep: %s/%s: %s: %s\n", obj.GetNamespace(), obj.GetName(), out.Where, out.Message)
				continue
			}
			if secret == nil {
				_, _ = fmt.Fprintf(s.err, "lockstep: %s/%s: no Secret would be written\n", obj.GetNamespace(), obj.GetName())
				continue
			}
			b, err := manifest(*secret, reveal)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(s.out, "---\n%s", b); err != nil {
				return err
			}
		}
	}
	if failed {
		return errShown
	}
	return nil
}

// manifest writes a Secret as YAML.
func manifest(s spec.Secret, reveal bool) ([]byte, error) {
	obj := cluster.Object(s)
	obj.TypeMeta = metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Secret"}
	obj.OwnerReferences = nil // there is no object with a UID yet
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	if data, ok := fields["data"].(map[string]any); ok && !reveal {
		for k := range data {
			data[k] = masked
		}
	}
	if meta, ok := fields["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	b, err := yaml.Marshal(fields)
	return bytes.TrimPrefix(b, []byte("---\n")), err
}
