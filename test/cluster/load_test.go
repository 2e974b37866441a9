// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

// counter is an ExternalSecret of a secret that counts.
const counter = `
apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata: {name: %[1]s}
spec:
  backendType: ibmcloudSecretsManager
  data: [{key: %[2]s, name: number, property: payload, secretType: arbitrary}]
`

const (
	counters = 20
	pace     = time.Second / 20 // between two rotations
)

// load rotates secrets all the time: each is a number that grows by one.
type load struct {
	namespace string
	ids       []string
	numbers   []int // what the manager has

	cancel context.CancelFunc
	ended  sync.WaitGroup
	err    error
}

func name(i int) string { return "counter-" + strconv.Itoa(i) }

// newLoad makes a namespace with counters, all of which are in sync, and starts
// to rotate them, 20 in a second.
func newLoad(t *testing.T, namespace string) *load {
	t.Helper()
	team(t, namespace)
	l := &load{namespace: namespace, numbers: make([]int, counters)}
	for i := range counters {
		id, err := shared.ibm.Put(ibmsm.Seed{Type: "arbitrary", Name: namespace + "-" + name(i), Fields: map[string]any{"payload": "0"}})
		must(t, err)
		l.ids = append(l.ids, id)
		apply(t, namespace, counter, name(i), id)
	}
	l.current(t, "the first sync")
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	l.ended.Go(func() { l.err = l.rotate(ctx) })
	t.Cleanup(func() {
		l.cancel()
		l.ended.Wait()
	})
	return l
}

func (l *load) rotate(ctx context.Context) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		i := n % counters
		if _, err := shared.ibm.Rotate(l.ids[i], map[string]any{"payload": strconv.Itoa(l.numbers[i] + 1)}); err != nil {
			return err
		}
		l.numbers[i]++
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// stop ends the rotations, waits until the last of each has arrived, and judges
// what was written on the way there.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.ended.Wait()
	must(t, l.err)
	l.current(t, "the final values")
	l.judge(t)
}

// moves waits until all counters have grown in the cluster: Lockstep works.
func (l *load) moves(t *testing.T, what string) {
	t.Helper()
	before := map[string]int{}
	until(t, what, func() error {
		for i := range counters {
			s, err := shared.kube.CoreV1().Secrets(l.namespace).Get(t.Context(), name(i), get)
			if err != nil {
				return err
			}
			now, err := strconv.Atoi(string(s.Data["number"]))
			if err != nil {
				return err
			}
			if first, ok := before[s.Name]; !ok {
				before[s.Name] = now
			} else if now > first {
				continue
			}
			return fmt.Errorf("%s stays %d", s.Name, now)
		}
		return nil
	})
}

// current waits until the Secrets have what the manager has.
func (l *load) current(t *testing.T, what string) {
	t.Helper()
	until(t, what, func() error {
		for i := range counters {
			s, err := shared.kube.CoreV1().Secrets(l.namespace).Get(t.Context(), name(i), get)
			if err != nil {
				return err
			}
			if got, want := string(s.Data["number"]), strconv.Itoa(l.numbers[i]); got != want {
				return fmt.Errorf("%s is %q, want %q", s.Name, got, want)
			}
		}
		return nil
	})
}

// judge reads from the API server's audit log what was written: no number twice,
// which would be a write for nothing, and none after a higher one, which would be
// a rotation that was lost, if only for a moment.
func (l *load) judge(t *testing.T) {
	t.Helper()
	list, err := requests(shared.node.AuditLog())
	must(t, err)
	last := map[string]int{}
	writes := 0
	for _, r := range inOrder(list) {
		if r.Object.Namespace != l.namespace || r.Object.Resource != "secrets" || !r.done() || r.Response.Data == nil {
			continue
		}
		writes++
		number, err := strconv.Atoi(string(r.Response.Data["number"]))
		must(t, err)
		if before, ok := last[r.Object.Name]; ok && number <= before {
			t.Errorf("%s was written as %d after %d", r.Object.Name, number, before)
		}
		last[r.Object.Name] = number
	}
	if writes < 2*counters {
		t.Errorf("there are %d writes of Secrets in the audit log, which are too few to judge", writes)
	}
	t.Logf("%d rotations, %d writes of Secrets", sum(l.numbers), writes)
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}

// testRollingUpdate replaces both replicas while secrets rotate 20 times a
// second.
func testRollingUpdate(t *testing.T) {
	l := newLoad(t, "rolling")
	l.moves(t, "it works before")
	was, err := pods(t, home, of)
	must(t, err)
	kubectl(t, "rollout", "restart", "deployment/lockstep", "--namespace", home)
	rolledOut(t, home, of, 2)
	now, err := pods(t, home, of)
	must(t, err)
	for _, old := range was {
		for _, p := range now {
			if p.UID == old.UID {
				t.Errorf("%s was not replaced", p.Name)
			}
		}
	}
	l.moves(t, "it works after")
	l.stop(t)
}

// testLeaderKilled kills the leader without a warning, while secrets rotate.
func testLeaderKilled(t *testing.T) {
	l := newLoad(t, "killed")
	l.moves(t, "it works before")
	old, err := leader(t, home)
	must(t, err)
	name, _, _ := strings.Cut(old, "_")
	victim, err := shared.kube.CoreV1().Pods(home).Get(t.Context(), name, get)
	must(t, err)
	must(t, shared.node.Kill(t.Context(), victim.Status.ContainerStatuses[0].ContainerID))
	began := time.Now()
	until(t, "somebody else leads", func() error {
		now, err := leader(t, home)
		if err == nil && now == old {
			return errors.New("the lease is the dead one's")
		}
		return err
	})
	now, err := leader(t, home)
	must(t, err)
	t.Logf("%s took over from %s after %s", now, old, time.Since(began).Round(time.Second))
	l.moves(t, "it works after")
	l.stop(t)
	rolledOut(t, home, of, 2) // the kubelet has started the dead one again
}
