// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

//go:embed files
var files embed.FS

// Address is the node's, as its pods see it. The network has nothing else in
// it, so nothing can be in the way.
const (
	Address = "10.85.0.1"
	subnet  = "10.85.0.0/16"
	service = "10.96.0.1" // the API server's, the first of services
	ofAll   = "10.96.0.0/24"
	apiPort = "443" // as the Service has it: no kube-proxy stands between
	socket  = "/run/containerd/containerd.sock"
	pause   = "node/pause:1"
)

// part is a program of the node.
type part struct {
	name   string
	folder string
	flags  []string
}

// The parts, by the names of their programs.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Containerd        = "containerd"
	Kubelet           = "kubelet"
)

// nodePrograms is the folder that hack/node builds into.
func nodePrograms() string { return filepath.Join(filepath.Dir(plane.Binaries()), "node") }

// parts are all programs. What they keep lies where it does on a machine of its
// own, and that is memory here; see files/space.sh.
func (n *Node) parts() []part {
	pki := func(name string) string { return n.file("pki", name) }
	api := []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", "--secure-port=" + apiPort, "--advertise-address=" + Address,
		"--service-cluster-ip-range=" + ofAll,
		"--tls-cert-file=" + pki("server.crt"), "--tls-private-key-file=" + pki("server.key"), "--client-ca-file=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("server.crt"), "--kubelet-client-key=" + pki("server.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + pki("sa.key"), "--service-account-signing-key-file=" + pki("sa.key"),
	}
	if n.opts.AuditPolicy != nil {
		api = append(api, "--audit-policy-file="+n.file("audit.yaml"), "--audit-log-path="+n.AuditLog(),
			"--audit-log-mode=blocking", // in the log before the answer leaves
			"--audit-log-maxsize=100000")
	}
	kubernetes, node := plane.Binaries(), nodePrograms()
	return []part{
		{Etcd, kubernetes, []string{
			"--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379", "--log-level=warn",
		}},
		{APIServer, kubernetes, api},
		{ControllerManager, kubernetes, []string{
			"--kubeconfig=" + pki("controller-manager.kubeconfig"), "--leader-elect=false", "--bind-address=127.0.0.1",
			"--use-service-account-credentials", "--service-account-private-key-file=" + pki("sa.key"), "--root-ca-file=" + pki("ca.crt"),
			"--flex-volume-plugin-dir=/var/lib/kube-controller-manager", // the default may be a folder of the machine
		}},
		{Scheduler, kubernetes, []string{
			"--kubeconfig=" + pki("scheduler.kubeconfig"), "--leader-elect=false", "--bind-address=127.0.0.1",
		}},
		{Containerd, node, []string{"--config=" + n.file("containerd.toml")}},
		{Kubelet, kubernetes, []string{
			"--kubeconfig=" + pki("kubelet.kubeconfig"), "--config=" + n.file("kubelet.yaml"), "--node-ip=" + Address, "--hostname-override=" + name,
		}},
	}
}

// write makes a file and the folders that it needs.
func write(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o600)
}

// configure writes the files that the parts read.
func (n *Node) configure() error {
	if err := os.MkdirAll(n.file("log"), 0o700); err != nil {
		return err
	}
	values := map[string]string{"Dir": n.Dir, "Programs": nodePrograms(), "Pause": pause, "Cgroup": n.cgroup, "Subnet": subnet}
	for from, to := range map[string]string{"containerd.toml": "containerd.toml", "kubelet.yaml": "kubelet.yaml", "cni.conflist": "cni/10-node.conflist"} {
		t, err := template.ParseFS(files, "files/"+from)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, values); err != nil {
			return err
		}
		if err := write(n.file(to), out.Bytes()); err != nil {
			return err
		}
	}
	if n.opts.AuditPolicy != nil {
		return write(n.file("audit.yaml"), n.opts.AuditPolicy)
	}
	return nil
}

// masters is the group that may do everything.
const masters = "system:masters"

// authorize makes certificates, and a kubeconfig for each that needs one. The
// administrator's goes through the forwarded port.
func (n *Node) authorize(forwarded string) (admin identity, err error) {
	ca, err := newAuthority(n.file("pki"))
	if err != nil {
		return admin, err
	}
	n.ca = ca.pem
	if err := ca.signingKey("sa.key"); err != nil {
		return admin, err
	}
	// The server is also who asks the kubelet for logs.
	_, err = ca.sign("server", "kube-apiserver", []string{masters}, "127.0.0.1", Address, service, "localhost", "kubernetes.default.svc")
	if err != nil {
		return admin, err
	}
	for file, user := range map[string]string{
		"controller-manager": "system:kube-controller-manager", "scheduler": "system:kube-scheduler", "kubelet": "system:node:" + name,
	} {
		var groups []string
		if file == "kubelet" {
			groups = []string{"system:nodes"}
		}
		id, err := ca.sign(file, user, groups)
		if err != nil {
			return admin, err
		}
		text, err := kubeconfig("https://127.0.0.1:"+apiPort, ca.pem, id)
		if err != nil {
			return admin, err
		}
		if err := write(n.file("pki", file+".kubeconfig"), text); err != nil {
			return admin, err
		}
	}
	if admin, err = ca.sign("admin", "admin", []string{masters}); err != nil {
		return admin, err
	}
	n.Kubeconfig, err = kubeconfig(forwarded, ca.pem, admin)
	return admin, err
}

func kubeconfig(server string, ca []byte, id identity) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: id.cert, ClientKeyData: id.key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	})
}

// Missing says what this machine lacks for a node, and what to do; nil when
// nothing.
func Missing() error {
	var lacks []string
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root: a node makes namespaces, mounts and cgroups; run it with sudo")
	}
	for program, from := range map[string]string{
		"runc": "apt-get install runc", "ip": "apt-get install iproute2", "nsenter": "apt-get install util-linux", "mount": "apt-get install mount",
	} {
		if _, err := exec.LookPath(program); err != nil {
			lacks = append(lacks, program+": "+from)
		}
	}
	for _, file := range []string{
		filepath.Join(plane.Binaries(), Etcd), filepath.Join(plane.Binaries(), APIServer), filepath.Join(plane.Binaries(), ControllerManager),
		filepath.Join(plane.Binaries(), Scheduler), filepath.Join(plane.Binaries(), Kubelet), filepath.Join(nodePrograms(), Containerd),
		filepath.Join(nodePrograms(), "containerd-shim-runc-v2"), filepath.Join(nodePrograms(), "ctr"), filepath.Join(nodePrograms(), "bridge"),
		filepath.Join(nodePrograms(), "host-local"), filepath.Join(nodePrograms(), "loopback"), filepath.Join(nodePrograms(), "pause"),
	} {
		if _, err := os.Stat(file); err != nil {
			lacks = append(lacks, filepath.Base(file)+": make node")
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("a node cannot run here. It lacks\n  %w", errors.New(strings.Join(lacks, "\n  ")))
}
