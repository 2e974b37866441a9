// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// name is the node's.
const name = "node1"

// Options are for Start.
type Options struct {
	// AuditPolicy has the API server note its requests; see AuditLog.
	AuditPolicy []byte
}

// Node is a cluster of one node. Its methods are for one goroutine at a time,
// but for Listen and the logs.
type Node struct {
	Admin      *rest.Config
	Kubeconfig []byte // the administrator's
	Dir        string // of its files, which are there until Stop

	opts    Options
	ca      []byte
	cgroup  string
	space   *space
	forward *forward
	running map[string]*process
}

// Start starts a node and returns when it takes pods. It takes half a minute.
func Start(ctx context.Context, opts Options) (*Node, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lockstep-node-")
	if err != nil {
		return nil, err
	}
	n := &Node{Dir: dir, cgroup: filepath.Base(dir), opts: opts, running: map[string]*process{}}
	if err := n.bringUp(ctx); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

func (n *Node) file(elements ...string) string {
	return filepath.Join(append([]string{n.Dir}, elements...)...)
}

func (n *Node) bringUp(ctx context.Context) error {
	err := n.configure()
	if err != nil {
		return err
	}
	if n.space, err = newSpace(n.Dir, n.cgroup); err != nil {
		return err
	}
	n.forward, err = newForward(ctx, func(ctx context.Context) (net.Conn, error) { return n.space.dial(ctx, "127.0.0.1:"+apiPort) })
	if err != nil {
		return err
	}
	server := "https://" + n.forward.listener.Addr().String()
	admin, err := n.authorize(server)
	if err != nil {
		return err
	}
	n.Admin = &rest.Config{Host: server, QPS: -1, TLSClientConfig: rest.TLSClientConfig{
		CAData: n.ca, CertData: admin.cert, KeyData: admin.key,
	}}
	for _, p := range n.parts() {
		if p.name == Kubelet { // which asks for the image at once
			if err := n.loadPause(ctx); err != nil {
				return err
			}
		}
		if err := n.start(p); err != nil { //nolint:contextcheck // a part lives until it is stopped
			return err
		}
		if p.name == APIServer { // without which the others start by failing
			if err := n.apiReady(ctx); err != nil {
				return err
			}
		}
	}
	return n.takesPods(ctx)
}

// apiReady waits for the API server.
func (n *Node) apiReady(ctx context.Context) error {
	cs, err := kubernetes.NewForConfig(n.Admin)
	if err != nil {
		return err
	}
	return n.ready(ctx, "the API server", APIServer, func(ctx context.Context) error {
		return cs.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// takesPods waits until the node is ready, and the default namespace has the
// service account with which pods run.
func (n *Node) takesPods(ctx context.Context) error {
	cs, err := kubernetes.NewForConfig(n.Admin)
	if err != nil {
		return err
	}
	return n.ready(ctx, "the node", Kubelet, func(ctx context.Context) error {
		if _, err := cs.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		node, err := cs.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		is := func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}
		if !slices.ContainsFunc(node.Status.Conditions, is) || len(node.Spec.Taints) > 0 {
			return fmt.Errorf("conditions %v, taints %v", node.Status.Conditions, node.Spec.Taints)
		}
		return nil
	})
}

// loadPause brings the image that every pod needs.
func (n *Node) loadPause(ctx context.Context) error {
	image, err := Image(pause, filepath.Join(nodePrograms(), "pause"))
	if err != nil {
		return err
	}
	err = n.ready(ctx, "containerd", Containerd, func(ctx context.Context) error {
		_, err := n.ctr(ctx, nil, "version")
		return err
	})
	if err != nil {
		return err
	}
	return n.Load(ctx, bytes.NewReader(image))
}

// Load brings an image, as docker save or Image writes it. Pods that use it say
// imagePullPolicy: Never, or IfNotPresent.
func (n *Node) Load(ctx context.Context, image io.Reader) error {
	_, err := n.ctr(ctx, image, "images", "import", "-")
	return err
}

// Kill ends the processes of a container without a warning. id is as a pod's
// status has it.
func (n *Node) Kill(ctx context.Context, id string) error {
	_, err := n.ctr(ctx, nil, "tasks", "kill", "--signal", "SIGKILL", strings.TrimPrefix(id, "containerd://"))
	return err
}

// ctr runs containerd's client.
func (n *Node) ctr(ctx context.Context, in io.Reader, args ...string) (string, error) {
	cmd := n.space.command(ctx, filepath.Join(nodePrograms(), "ctr"), append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// Listen listens in the network of the node, where its pods are: at a port of
// Address.
func (n *Node) Listen(ctx context.Context, port string) (l net.Listener, err error) {
	err = n.space.inside(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(Address, port))
		return err
	})
	return l, err
}

// Dial connects to a server in the network of the node, as one of its pods. The
// address is of numbers.
func (n *Node) Dial(ctx context.Context, address string) (net.Conn, error) {
	return n.space.dial(ctx, address)
}

// Restart ends a part and starts it again, as an upgrade of a node does. Pods
// go on. It returns when the cluster is ready again.
func (n *Node) Restart(ctx context.Context, part string) error {
	for _, p := range n.parts() {
		if p.name != part {
			continue
		}
		r := n.running[part]
		delete(n.running, part)
		if err := r.stop(ctx); err != nil {
			return fmt.Errorf("stop %s: %w", part, err)
		}
		if err := n.start(p); err != nil { //nolint:contextcheck // a part lives until it is stopped
			return err
		}
		return errors.Join(n.apiReady(ctx), n.takesPods(ctx))
	}
	return fmt.Errorf("there is no part %q", part)
}

// AuditLog is the file in which the API server notes its requests.
func (n *Node) AuditLog() string { return n.file("log", "audit.log") }

// Stop ends everything and leaves nothing: no process, mount, interface, cgroup
// or file. It may be called twice.
func (n *Node) Stop() error {
	var err error
	if n.forward != nil {
		err = n.forward.close()
	}
	if n.space != nil {
		err = errors.Join(err, n.space.close())
		for _, r := range n.running {
			<-r.ended // nsenter, which sees that its child is gone
		}
	}
	return errors.Join(err, os.RemoveAll(n.Dir))
}
