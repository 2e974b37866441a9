// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/backend"
	"github.com/lockstep-secrets/lockstep/backends/all"
	"github.com/lockstep-secrets/lockstep/internal/cluster"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dialect/kes"
	"github.com/lockstep-secrets/lockstep/internal/diff"
	"github.com/lockstep-secrets/lockstep/internal/feed"
	"github.com/lockstep-secrets/lockstep/internal/gather"
	"github.com/lockstep-secrets/lockstep/internal/outcome"
	"github.com/lockstep-secrets/lockstep/internal/plan"
	"github.com/lockstep-secrets/lockstep/internal/render"
	"github.com/lockstep-secrets/lockstep/internal/spec"
)

const masked = "[redacted]"

// render prints the Secrets that manifests would lead to.
func (s shell) render() *cobra.Command {
	var (
		files     []string
		namespace string
		reveal    bool
	)
	cmd := &cobra.Command{
		Use:   "render -f FILE…",
		Short: "Print the Secrets that manifests would lead to, without a cluster",
		Long: "Print the Secrets that manifests would lead to, without a cluster.\n\n" +
			"The secret manager is read with the configuration that the controller would have, through the same code.\n" +
			"Values are masked unless --reveal is given. Documents of other kinds are passed over.\n\n" +
			"Each run reads. Where reading changes a secret, as with IBM's iam_credentials that do not reuse their API key,\n" +
			"each run replaces it for everybody.",
		Example: "  lockstep render -f external-secrets-example.yml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return errors.New("--filename: name at least one file, or - for standard input")
			}
			if _, err := feed.Roots(s.env[feed.ExtraCA]); err != nil {
				return err
			}
			drivers := all.Drivers()
			set, err := config.KESSettings(s.env, drivers)
			if err != nil {
				return err
			}
			objects, err := s.read(files, namespace)
			if err != nil {
				return err
			}
			p := newPreview(cmd.Context(), drivers)
			defer p.stop()
			return s.print(p, objects, set, reveal)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&files, "filename", "f", nil, "files with manifests; - is standard input")
	f.StringVarP(&namespace, "namespace", "n", "default", "namespace of manifests that name none")
	f.BoolVar(&reveal, "reveal", false, "print the values")
	return cmd
}

// print renders each object; one that fails does not spoil the others.
func (s shell) print(p *preview, objects []*v1.ExternalSecret, set kes.Settings, reveal bool) error {
	failed := false
	for _, es := range objects {
		secret, out := p.secret(kes.Spec(es, set))
		if out.Ready == outcome.NotReady {
			failed = true
			_, _ = fmt.Fprintf(s.err, "lockstep: %s/%s: %s: %s\n", es.Namespace, es.Name, out.Where, out.Message)
			continue
		}
		b, err := manifest(secret, reveal)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.out, "---\n%s", b); err != nil {
			return err
		}
	}
	if failed {
		return errShown
	}
	return nil
}

// read returns the ExternalSecrets in the files.
func (s shell) read(files []string, namespace string) ([]*v1.ExternalSecret, error) {
	var out []*v1.ExternalSecret
	for _, name := range files {
		in := s.in
		if name != "-" {
			f, err := os.Open(name) //nolint:gosec // the user names the file
			if err != nil {
				return nil, err
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		found, err := decode(in, name)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no ExternalSecret of %s in the files", v1.GroupVersion)
	}
	for _, es := range out {
		if es.Namespace == "" {
			es.Namespace = namespace
		}
	}
	return out, nil
}

// decode reads the documents of one file.
func decode(in io.Reader, name string) ([]*v1.ExternalSecret, error) {
	var out []*v1.ExternalSecret
	docs := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for n := 1; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", name, n, err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			return nil, fmt.Errorf("%s: document %d is not YAML", name, n)
		}
		if kind.APIVersion != v1.GroupVersion.String() || kind.Kind != "ExternalSecret" {
			continue
		}
		es := &v1.ExternalSecret{}
		if err := yaml.Unmarshal(doc, es); err != nil {
			return nil, fmt.Errorf("%s: document %d: a field has the wrong type; compare it with kubectl explain externalsecret.spec", name, n)
		}
		out = append(out, es)
	}
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

// preview runs the same steps as the controller, without a cluster.
type preview struct {
	drivers spec.Drivers
	feed    *feed.Feed
	woken   chan struct{}
	ctx     context.Context //nolint:containedctx // the life of one command
	stop    context.CancelFunc
}

func newPreview(ctx context.Context, drivers spec.Drivers) *preview {
	p := &preview{drivers: drivers, woken: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(ctx)
	p.feed = feed.New(feed.Options{Drivers: drivers, Wake: func(spec.ID) {
		select {
		case p.woken <- struct{}{}:
		default:
		}
	}})
	go p.feed.Run(p.ctx)
	return p
}

// secret returns the Secret that an object would lead to in an empty
// namespace.
func (p *preview) secret(s spec.Spec) (spec.Secret, outcome.Outcome) {
	in := spec.Inputs{Stores: s.Stores, Namespace: spec.Namespace{Name: s.Object.Namespace}}
	pl := plan.Build(s, in, p.drivers)
	facts := outcome.Facts{Issues: pl.Issues}
	if len(pl.Issues) > 0 {
		return spec.Secret{}, outcome.Decide(facts)
	}
	// Pinned, so that nothing is read twice.
	p.feed.Follow(p.ctx, feed.Subscription{Owner: s.Object.ID(), Plan: pl, Stores: in.Stores, Mode: spec.Pinned}, gather.Nothing)
	defer p.feed.Forget(s.Object.ID())
	answers, ok := p.feed.Ask(s.Object.ID(), false)
	for !ok {
		select {
		case <-p.woken:
			answers, ok = p.feed.Ask(s.Object.ID(), false)
		case <-p.ctx.Done():
			facts.Refused = &spec.Issue{Where: "lockstep", Code: backend.Unavailable, Message: "interrupted"}
			return spec.Secret{}, outcome.Decide(facts)
		}
	}
	facts.Desired = render.Secret(s, in, pl, answers, p.drivers)
	changes, refused := diff.Compute(s, nil, facts.Desired, diff.AdoptMerge)
	facts.Refused = refused
	out := outcome.Decide(facts)
	if len(changes) == 0 {
		return spec.Secret{}, out
	}
	return changes[len(changes)-1].Secret, out
}
