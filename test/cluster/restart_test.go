// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lockstep-secrets/lockstep/internal/dev/node"
)

func testKubeletRestart(t *testing.T)   { restart(t, node.Kubelet, "kubelet-sleeps") }
func testAPIServerRestart(t *testing.T) { restart(t, node.APIServer, "apiserver-sleeps") }

// restart restarts a part of the cluster while secrets rotate. The applications
// of earlier steps go on, and rotations reach them as before.
func restart(t *testing.T, part, namespace string) {
	l := newLoad(t, namespace)
	l.moves(t, "it works before")
	server := pod(t, "tutorial", "server")
	before := secrets(t)
	must(t, shared.node.Restart(t.Context(), part))
	l.moves(t, "it works after")
	l.stop(t)
	sameProcess(t, server, "server")
	unchanged(t, before)
	rolledOut(t, home, of, 2)
	reaches(t, part+"-restarted")
}

// reaches has the application of the tutorial see one more rotation.
func reaches(t *testing.T, password string) {
	t.Helper()
	server := pod(t, "tutorial", "server")
	old := holds(t, "tutorial", "ibmcloud-secrets-manager-example", nil)
	rotate(t, shared.tutorial, password)
	knows(t, "a rotation", password, string(old.Data["password"]), func(p string) (bool, error) { return letIn(t, server, "user123", p) })
}

// secrets are those that no rotation is about at the moment.
func secrets(t *testing.T) (out []*corev1.Secret) {
	t.Helper()
	return []*corev1.Secret{
		holds(t, "tutorial", "ibmcloud-secrets-manager-example", nil),
		holds(t, "mongodb", "demo-dbcreds", nil),
	}
}

// unchanged fails when one of the Secrets was written or replaced.
func unchanged(t *testing.T, before []*corev1.Secret) {
	t.Helper()
	for _, s := range before {
		now, err := shared.kube.CoreV1().Secrets(s.Namespace).Get(t.Context(), s.Name, get)
		must(t, err)
		if now.UID != s.UID || now.ResourceVersion != s.ResourceVersion {
			t.Errorf("Secret %s/%s was written, and nothing had changed", s.Namespace, s.Name)
		}
	}
}
