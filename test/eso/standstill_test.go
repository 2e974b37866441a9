// SPDX-License-Identifier: Apache-2.0

package eso

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standstill proves that the controller has dealt with all that was done before
// it was asked. There is a canary for each kind of change that the controller
// watches. A round changes what each of them follows, and ends when their
// Secrets show it: the API server tells about the objects of a kind in the order
// of their changes, so by then the controller has been told about all earlier
// ones. Whatever it was doing then is over after one more round. Cases that ask
// at the same time share their rounds.
type standstill struct {
	user  client.Client
	ask   chan chan error
	round int
}

// canaries is where the canaries live.
const canaries = "canaries"

// flock are the canaries: each follows one kind of change.
const flock = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: still}
spec: {provider: {fake: {data: [{key: token, value: "0"}]}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: moving}
spec: {provider: {fake: {data: [{key: token, value: "0"}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: by-store}
spec:
  secretStoreRef: {name: moving}
  data: [{secretKey: token, remoteRef: {key: token}}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: by-object}
spec:
  secretStoreRef: {name: still}
  target: {template: {data: {token: "0"}}}
  data: [{secretKey: token, remoteRef: {key: token}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: moving}
data: {token: "0"}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: by-configmap}
spec:
  secretStoreRef: {name: still}
  target: {template: {templateFrom: [{configMap: {name: moving, items: [{key: token}]}}]}}
  data: [{secretKey: token, remoteRef: {key: token}}]
---
apiVersion: v1
kind: Secret
metadata: {name: moving}
stringData: {token: "0"}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: by-secret}
spec:
  secretStoreRef: {name: still}
  target: {template: {templateFrom: [{secret: {name: moving, items: [{key: token}]}}]}}
  data: [{secretKey: token, remoteRef: {key: token}}]
`

// names are those of the canaries and of their Secrets.
var names = []string{"by-store", "by-object", "by-configmap", "by-secret"}

// moves are the patches of a round.
var moves = []struct{ kind, name, patch string }{
	{"SecretStore", "moving", `{"spec":{"provider":{"fake":{"data":[{"key":"token","value":"%s"}]}}}}`},
	{"ExternalSecret", "by-object", `{"spec":{"target":{"template":{"data":{"token":"%s"}}}}}`},
	{"ConfigMap", "moving", `{"data":{"token":"%s"}}`},
	{"Secret", "moving", `{"stringData":{"token":"%s"}}`},
}

// newStandstill sets the canaries up, and makes rounds until the test ends.
func newStandstill(t *testing.T, s *suite) *standstill {
	t.Helper()
	out := &standstill{user: s.user, ask: make(chan chan error, 2*together)}
	must(t, s.user.Create(t.Context(), object("Namespace", "", canaries)))
	docs, err := documents(flock)
	must(t, err)
	for _, doc := range docs {
		doc.SetNamespace(canaries)
		must(t, s.user.Create(t.Context(), doc))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return out
}

// wait returns when the controller has dealt with all that was done before.
func (s *standstill) wait(t *testing.T) {
	t.Helper()
	for range 2 {
		answer := make(chan error, 1)
		s.ask <- answer
		must(t, <-answer)
	}
}

// awake returns when a controller that just started knows all canaries. Until
// it has looked at an object for the first time, it need not wake it.
func (s *standstill) awake(t *testing.T) {
	t.Helper()
	for _, name := range names {
		es := object("ExternalSecret", canaries, name)
		must(t, s.user.Get(t.Context(), client.ObjectKeyFromObject(es), es))
		before := synced(es)
		must(t, s.user.Patch(t.Context(), es, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"awake":"yes"}}}`))))
		eventually(t, func() error {
			if err := s.user.Get(t.Context(), client.ObjectKeyFromObject(es), es); err != nil {
				return err
			}
			if synced(es) == before {
				return fmt.Errorf("canary %q does not wake up", name)
			}
			return nil
		})
	}
}

// run makes a round for all who ask before it begins.
func (s *standstill) run(ctx context.Context) {
	for {
		var asking []chan error
		select {
		case <-ctx.Done():
			return
		case a := <-s.ask:
			asking = append(asking, a)
		}
		for more := true; more; {
			select {
			case a := <-s.ask:
				asking = append(asking, a)
			default:
				more = false
			}
		}
		err := s.once(ctx)
		for _, a := range asking {
			a <- err
		}
	}
}

// once makes one round.
func (s *standstill) once(ctx context.Context) error {
	s.round++
	token := strconv.Itoa(s.round)
	for _, m := range moves {
		p := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, m.patch, token))
		if err := s.user.Patch(ctx, object(m.kind, canaries, m.name), p); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		left, err := s.behind(ctx, token)
		if err == nil && left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("canary %q does not sync: %w", left, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// behind returns a canary whose Secret does not show the token.
func (s *standstill) behind(ctx context.Context, token string) (string, error) {
	for _, name := range names {
		obj := object("Secret", canaries, name)
		if err := s.user.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return name, client.IgnoreNotFound(err)
		}
		data, _, _ := unstructured.NestedStringMap(obj.Object, "data")
		if data["token"] != base64.StdEncoding.EncodeToString([]byte(token)) {
			return name, nil
		}
	}
	return "", nil
}
