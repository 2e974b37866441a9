// SPDX-License-Identifier: Apache-2.0

// Package plane starts a real control plane on this machine, for tests and the
// demo: etcd, kube-apiserver and, where asked for, kube-controller-manager, as
// hack/cluster builds them. What runs against it gets the RBAC that is
// shipped; the administrator's access is for playing the user.
package plane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-secrets/lockstep/deploy"
)

// Namespace and ServiceAccount are what the shipped RBAC is bound to.
const (
	Namespace      = "lockstep-system"
	ServiceAccount = "lockstep"
)

// Plane is a running control plane.
type Plane struct {
	Admin      *rest.Config
	Kubeconfig []byte // the administrator's
	env        *envtest.Environment
	manager    *process
}

// Binaries is the folder that hack/cluster builds into, as seen from this
// source file. LOCKSTEP_CONTROL_PLANE names another.
func Binaries() string {
	if dir := os.Getenv("LOCKSTEP_CONTROL_PLANE"); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "bin", "control-plane")
}

// Audit is what the API server notes of its requests: a file with a policy, and
// the file that it writes.
type Audit struct{ Policy, Log string }

// patience is how long a step may take before it has failed. It is no measure of
// speed: the machine may be busy with compilers.
const patience = 5 * time.Minute

// Start starts etcd and kube-apiserver with nothing in it. It takes some
// seconds.
func Start() (*Plane, error) { return start(nil) }

// StartAudited is Start with an API server that notes requests. A request is in
// the log before its answer leaves, and the log is one file however long it is.
func StartAudited(a Audit) (*Plane, error) {
	return start(map[string]string{
		"audit-policy-file": a.Policy, "audit-log-path": a.Log, "audit-log-mode": "blocking",
		"audit-log-maxsize": "100000", // megabytes, after which another file would begin
	})
}

// start starts them with flags of the API server besides those that it has.
func start(flags map[string]string) (*Plane, error) {
	dir := Binaries()
	if _, err := os.Stat(filepath.Join(dir, "kube-apiserver")); err != nil {
		return nil, fmt.Errorf("there is no control plane in %s: run make control-plane", dir)
	}
	env := &envtest.Environment{BinaryAssetsDirectory: dir, ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience}
	env.ControlPlane.Etcd = &envtest.Etcd{}
	env.ControlPlane.Etcd.Configure().Append("unsafe-no-fsync")
	for name, value := range flags {
		env.ControlPlane.GetAPIServer().Configure().Set(name, value)
	}
	cfg, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start control plane: %w", err), env.Stop())
	}
	cfg.QPS = -1
	return &Plane{Admin: cfg, Kubeconfig: env.KubeConfig, env: env}, nil
}

// Install brings the shipped CRDs and the base of the shipped RBAC.
func (p *Plane) Install(ctx context.Context) error {
	if err := p.InstallCRDs(deploy.CRDs, "crds/*.yaml"); err != nil {
		return err
	}
	return p.ApplyShipped(ctx, "rbac/base.yaml", "")
}

// InstallCRDs brings the CRDs of files, in place of those of the same names, and
// waits until they are served.
func (p *Plane) InstallCRDs(files fs.FS, pattern string) error {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(raw, crd); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		crds = append(crds, crd)
	}
	_, err = envtest.InstallCRDs(p.Admin, envtest.CRDInstallOptions{CRDs: crds, MaxTime: patience})
	return err
}

// ApplyShipped applies a file of the shipped RBAC. namespace is for objects
// that name none.
func (p *Plane) ApplyShipped(ctx context.Context, name, namespace string) error {
	raw, err := deploy.RBAC.ReadFile(name)
	if err != nil {
		return err
	}
	return Apply(ctx, p.Admin, raw, namespace)
}

// Lockstep returns the access that the shipped service account has.
func (p *Plane) Lockstep(ctx context.Context) (*rest.Config, error) {
	return p.access(ctx, Namespace, ServiceAccount)
}

// access makes a token of a service account, and a configuration that uses
// nothing else.
func (p *Plane) access(ctx context.Context, namespace, name string) (*rest.Config, error) {
	cs, err := kubernetes.NewForConfig(p.Admin)
	if err != nil {
		return nil, err
	}
	seconds := int64(24 * 60 * 60)
	token, err := cs.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
	}
	return &rest.Config{
		Host:            p.Admin.Host,
		BearerToken:     token.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.Admin.CAData},
	}, nil
}

// KubeconfigFor writes an access as a kubeconfig.
func KubeconfigFor(c *rest.Config) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"plane": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"plane": {Token: c.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"plane": {Cluster: "plane", AuthInfo: "plane"}},
		CurrentContext: "plane",
	})
}

// CreateNamespace makes a namespace.
func (p *Plane) CreateNamespace(ctx context.Context, name string, annotations map[string]string) error {
	cs, err := kubernetes.NewForConfig(p.Admin)
	if err != nil {
		return err
	}
	_, err = cs.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
	}, metav1.CreateOptions{})
	return err
}

// AnnotateNamespace sets one annotation of a namespace.
func (p *Plane) AnnotateNamespace(ctx context.Context, name, key, value string) error {
	cs, err := kubernetes.NewForConfig(p.Admin)
	if err != nil {
		return err
	}
	patch, err := yaml.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	if err != nil {
		return err
	}
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return err
	}
	_, err = cs.CoreV1().Namespaces().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// Stop ends all processes.
func (p *Plane) Stop() error {
	var err error
	if p.manager != nil {
		err = p.manager.stop()
	}
	return errors.Join(err, p.env.Stop())
}
