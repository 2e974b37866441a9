// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// home is where Lockstep is installed, and of is what its pods have in common.
const (
	home = "lockstep-system"
	of   = "app.kubernetes.io/instance=lockstep"
)

// values are those of a platform team that comes from KES: the manager by the
// environment, the rest as the chart has it.
const values = `
image: {repository: lockstep, tag: dev, pullPolicy: Never}
log: {level: debug}
env:
  IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT: %[1]s
  IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL: %[1]s
  IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE: iam
  POLLER_INTERVAL_MILLISECONDS: 1000
envVarsFromSecret:
  IBM_CLOUD_SECRETS_MANAGER_API_APIKEY: {secretKeyRef: ibm, key: apikey}
`

// prepare makes a namespace for Lockstep, with the key of the manager in it,
// and writes the values.
func prepare(t *testing.T, namespace string) (file string) {
	t.Helper()
	team(t, namespace)
	apply(t, namespace, "{apiVersion: v1, kind: Secret, metadata: {name: ibm}, stringData: {apikey: %s}}", readerKey)
	before, err := requests(shared.node.AuditLog())
	must(t, err)
	shared.judged = len(before)
	file = filepath.Join(shared.dir, "values.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, values, shared.url), 0o600))
	return file
}

// previous is the chart with a lower version. It stands in for the release
// before, until there was one.
func previous(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lockstep")
	must(t, os.CopyFS(dir, os.DirFS(chart)))
	name := filepath.Join(dir, "Chart.yaml")
	text, err := os.ReadFile(name)
	must(t, err)
	text = regexp.MustCompile(`(?m)^version: .*$`).ReplaceAll(text, []byte("version: 0.0.1"))
	must(t, os.WriteFile(name, text, 0o600))
	return dir
}

// testInstall installs the previous version with two replicas, in a namespace
// that admits nothing but what is restricted.
func testInstall(t *testing.T) {
	file := prepare(t, home)
	helm(t, "install", "lockstep", previous(t), "--namespace", home, "--values", file)
	rolledOut(t, home, of, 2)
	note(t, home)

	// The rule of the namespace is in force, or the pods have shown nothing.
	_, err := shared.kube.CoreV1().Pods(home).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "careless"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "lockstep-test/app:1"}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod that is not restricted: %v, want that it is refused", err)
	}
}

// rolledOut waits until a Deployment's pods are all of its newest kind, ready,
// and one of them leads.
func rolledOut(t *testing.T, namespace, selector string, replicas int32) {
	t.Helper()
	until(t, "the rollout in "+namespace, func() error {
		list, err := shared.kube.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("%d Deployments", len(list.Items))
		}
		d := list.Items[0]
		s := d.Status
		if s.ObservedGeneration != d.Generation || s.Replicas != replicas || s.UpdatedReplicas != replicas || s.ReadyReplicas != replicas {
			return fmt.Errorf("generation %d, %+v", d.Generation, s)
		}
		_, err = leader(t, namespace)
		return err
	})
}

// leader is who holds the lease: NAME-OF-THE-POD_SOMETHING.
func leader(t *testing.T, namespace string) (string, error) {
	t.Helper()
	lease, err := shared.kube.CoordinationV1().Leases(namespace).Get(t.Context(), "lockstep-controller", get)
	if err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", errors.New("nobody leads")
	}
	return *lease.Spec.HolderIdentity, nil
}

// remove removes a release, and returns when its pods are gone.
func remove(t *testing.T, release, namespace string) {
	t.Helper()
	nothingRefused(t)
	helm(t, "uninstall", release, "--namespace", namespace)
	until(t, "the pods are gone", func() error {
		list, err := shared.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return err
	})
}
