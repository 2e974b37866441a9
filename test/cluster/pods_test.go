// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var get metav1.GetOptions

// application is a Deployment of one pod that mounts a Secret at /credentials.
// A key that is called otherwise there is renamed by items.
const application = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 5
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: app
          image: lockstep-test/app:1
          imagePullPolicy: Never
          args: [%[2]s, /credentials]
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: credentials, mountPath: /credentials, readOnly: true}]
      volumes:
        - name: credentials
          secret: {secretName: %[3]s, items: [{key: username, path: username}, {key: %[4]s, path: password}]}
`

// pods are those of an application, and of none that is on its way out.
func pods(t *testing.T, namespace, selector string) ([]corev1.Pod, error) {
	t.Helper()
	list, err := shared.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// ready tells whether a pod is.
func ready(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// pod waits for the one pod of an application.
func pod(t *testing.T, namespace, app string) corev1.Pod {
	t.Helper()
	var one corev1.Pod
	until(t, "pod of "+app, func() error {
		list, err := pods(t, namespace, "app="+app)
		if err != nil {
			return err
		}
		if len(list) != 1 || !ready(list[0]) {
			return fmt.Errorf("%d pods, and not one that is ready", len(list))
		}
		one = list[0]
		return nil
	})
	return one
}

// sameProcess fails when a pod was restarted or replaced: what an application
// learns of a rotation, it learns from its files.
func sameProcess(t *testing.T, before corev1.Pod, app string) {
	t.Helper()
	now := pod(t, before.Namespace, app)
	if now.UID != before.UID || now.Status.ContainerStatuses[0].ContainerID != before.Status.ContainerStatuses[0].ContainerID {
		t.Errorf("the pod of %s was restarted", app)
	}
}

// letIn tells whether a server of ours lets in who has these credentials.
func letIn(t *testing.T, server corev1.Pod, user, password string) (bool, error) {
	t.Helper()
	conn, err := shared.node.Dial(t.Context(), server.Status.PodIP+":8080")
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(conn, "%s %s\n", user, password); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return line == "welcome\n", err
}

// said waits until a pod has written something so many times.
func said(t *testing.T, p corev1.Pod, text string, times int) {
	t.Helper()
	until(t, fmt.Sprintf("%s says %q", p.Name, text), func() error {
		logs, err := shared.node.Logs(p.Namespace, p.Name, "*")
		if err != nil {
			return err
		}
		if n := strings.Count(logs, text); n < times {
			return fmt.Errorf("%d times, want %d; it said\n%s", n, times, logs)
		}
		return nil
	})
}
