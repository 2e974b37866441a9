// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Where things are, seen from this folder.
const (
	binary = "../../bin/helm" // make bin/helm
	chart  = "../../deploy/charts/lockstep"
)

// What the chart makes of some values.
type rendered struct {
	t       *testing.T
	objects map[string]string // by Kind/name, or Kind/namespace/name outside the release's namespace
	notes   string
}

// helm runs Helm with values as a file, and returns what it printed.
func helm(t *testing.T, values string, args ...string) (out, complaint string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run make bin/helm", err)
	}
	home := t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, append(args, "--values", file)...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if stderr.Len() == 0 {
			t.Fatal(err)
		}
		return "", stderr.String()
	}
	return stdout.String(), ""
}

// refused is what Helm says of values that the chart does not take.
func refused(t *testing.T, values string) string {
	t.Helper()
	_, complaint := helm(t, values, "template", "lockstep", chart, "--namespace", "lockstep-system")
	if complaint == "" {
		t.Fatalf("nothing is said against\n%s", values)
	}
	return complaint
}

// render is what a person would have got installed, and told.
func render(t *testing.T, values string, args ...string) rendered {
	t.Helper()
	all := append([]string{"install", "lockstep", chart, "--namespace", "lockstep-system", "--dry-run=client", "--output", "json"}, args...)
	out, complaint := helm(t, values, all...)
	if complaint != "" {
		t.Fatalf("the chart does not render: %s\nwith\n%s", complaint, values)
	}
	var release struct {
		Manifest string `json:"manifest"`
		Info     struct {
			Notes string `json:"notes"`
		} `json:"info"`
	}
	if err := yaml.Unmarshal([]byte(out), &release); err != nil {
		t.Fatal(err)
	}
	r := rendered{t: t, objects: map[string]string{}, notes: release.Info.Notes}
	for _, doc := range strings.Split("\n"+release.Manifest, "\n---\n") {
		var o metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if o.Kind == "" {
			continue
		}
		name := o.Kind + "/" + o.Name
		if o.Namespace != "" && o.Namespace != "lockstep-system" {
			name = o.Kind + "/" + o.Namespace + "/" + o.Name
		}
		if r.objects[name] != "" {
			t.Errorf("%s is there more than once", name)
		}
		r.objects[name] = doc
	}
	return r
}

// names are those of all objects of kinds that begin so.
func (r rendered) names(kinds ...string) []string {
	var out []string
	for name := range r.objects {
		if slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(name, kind) }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// into reads one object, strictly: a field that Kubernetes does not know is a
// mistake in a template.
func (r rendered) into(name string, object any) {
	r.t.Helper()
	doc, ok := r.objects[name]
	if !ok {
		r.t.Fatalf("there is no %s, only %v", name, r.names(""))
	}
	if err := yaml.UnmarshalStrict([]byte(doc), object); err != nil {
		r.t.Fatalf("%s: %v in\n%s", name, err, doc)
	}
}

func (r rendered) deployment() appsv1.Deployment {
	r.t.Helper()
	var d appsv1.Deployment
	r.into("Deployment/lockstep", &d)
	return d
}

// container is the one that runs Lockstep.
func (r rendered) container() corev1.Container {
	r.t.Helper()
	return r.deployment().Spec.Template.Spec.Containers[0]
}

// env are the variables that have a value.
func (r rendered) env() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	for _, v := range r.container().Env {
		if v.ValueFrom == nil {
			out[v.Name] = v.Value
		}
	}
	return out
}

// yamlInto reads what it knows of a document, and passes over the rest.
func yamlInto(doc string, object any) error { return yaml.Unmarshal([]byte(doc), object) }
