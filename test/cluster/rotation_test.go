// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"fmt"
	"testing"
)

// tutorial is the manifest of IBM's tutorial, letter for letter.
const tutorial = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata:
  name: ibmcloud-secrets-manager-example
spec:
  backendType: ibmcloudSecretsManager
  data:
    - key: %[1]s
      name: username
      property: username 
      secretType: username_password
    - key: %[1]s
      name: password
      property: password
      secretType: username_password
`

// testTutorial follows IBM's tutorial to its last step and beyond: an
// application uses the Secret, and a rotation reaches it while it runs.
func testTutorial(t *testing.T) {
	team(t, "tutorial")
	const first, second = "cloudy-rainy-coffee-book", "sunny-dry-tea-letter"
	id := login(t, "example_username_password", first)
	shared.tutorial = id
	apply(t, "tutorial", tutorial, id)
	holds(t, "tutorial", "ibmcloud-secrets-manager-example", map[string]string{"username": "user123", "password": first})

	apply(t, "tutorial", application, "server", "serve, ':8080'", "ibmcloud-secrets-manager-example", "password")
	server := pod(t, "tutorial", "server")
	knows(t, "the first password", first, second, func(password string) (bool, error) { return letIn(t, server, "user123", password) })
	rotate(t, id, second)
	knows(t, "the second password", second, first, func(password string) (bool, error) { return letIn(t, server, "user123", password) })
	sameProcess(t, server, "server")
}

// knows waits until one password is the right one and another is not.
func knows(t *testing.T, what, right, wrong string, try func(string) (bool, error)) {
	t.Helper()
	until(t, what, func() error {
		for password, want := range map[string]bool{right: true, wrong: false} {
			got, err := try(password)
			if err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("with %s it lets in: %t, want %t", password, got, want)
			}
		}
		return nil
	})
}

// database is the Secret of a guide to Kubernetes Secrets, in which an update is
// typed by hand; here it is the manager's.
const database = `
apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: demo-dbcreds}
spec:
  backendType: ibmcloudSecretsManager
  data:
    - {key: %[1]s, name: username, property: username, secretType: username_password}
    - {key: %[1]s, name: mongodb-root-password, property: password, secretType: username_password}
`

// testReconnect has a database and its client mount one Secret. When the
// password is updated the database sends the client away, and it connects again
// with the new one. Neither is restarted.
func testReconnect(t *testing.T) {
	team(t, "mongodb")
	id := login(t, "mongodb", "r00t")
	apply(t, "mongodb", database, id)
	holds(t, "mongodb", "demo-dbcreds", map[string]string{"mongodb-root-password": "r00t"})
	apply(t, "mongodb", application, "backend-mongodb", "serve, ':8080'", "demo-dbcreds", "mongodb-root-password")
	server := pod(t, "mongodb", "backend-mongodb")
	apply(t, "mongodb", application, "mongo-conn-test", fmt.Sprintf("connect, '%s:8080'", server.Status.PodIP), "demo-dbcreds", "mongodb-root-password")
	client := pod(t, "mongodb", "mongo-conn-test")
	said(t, client, "Connected to the server (1)", 1)

	rotate(t, id, "r00t123")
	said(t, server, "sent a client away", 1)
	said(t, client, "Connected to the server (2)", 1)
	if in, err := letIn(t, server, "user123", "r00t"); in || err != nil {
		t.Errorf("the server lets in with the old password: %t, %v", in, err)
	}
	sameProcess(t, server, "backend-mongodb")
	sameProcess(t, client, "mongo-conn-test")
}
