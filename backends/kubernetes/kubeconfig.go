// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/lockstep-secrets/lockstep/backend"
)

// kubeconfig gets everything from a kubeconfig in a Secret: the server of its
// current context, and the user. Whoever wrote it may be a tenant, so it names
// no program, no file and no proxy of this process, and its server is verified.
func (c config) kubeconfig(ctx context.Context, creds backend.Credentials) (access, error) {
	const field = where + ".authRef"
	text, err := secret(ctx, creds, field, *c.AuthRef)
	if err != nil {
		return access{}, err
	}
	file, err := clientcmd.Load(text.Reveal())
	if err != nil { // its text may quote the file
		return access{}, backend.Errorf(backend.Unauthenticated, "%s: this is not a kubeconfig", field)
	}
	current := file.Contexts[file.CurrentContext]
	if current == nil {
		return access{}, backend.Errorf(backend.Unauthenticated, "%s: the kubeconfig has no current context", field)
	}
	cluster, user := file.Clusters[current.Cluster], file.AuthInfos[current.AuthInfo]
	if cluster == nil || user == nil {
		return access{}, backend.Errorf(backend.Unauthenticated, "%s: the kubeconfig lacks the cluster or the user of its current context", field)
	}
	if err := harmless(field, cluster, user); err != nil {
		return access{}, err
	}
	return inline(field, cluster, user)
}

// harmless refuses what would reach beyond the file itself, and what is not
// served.
func harmless(field string, cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) error {
	for _, bad := range []struct {
		set       bool
		what, why string
	}{
		{cluster.InsecureSkipTLSVerify, "insecure-skip-tls-verify", "anybody could answer in the name of the server"},
		{cluster.ProxyURL != "", "proxy-url", "the proxies of Lockstep are its operator's business"},
		{cluster.CertificateAuthority != "", "certificate-authority", "files are not read; use certificate-authority-data"},
		{user.ClientCertificate != "", "client-certificate", "files are not read; use client-certificate-data"},
		{user.ClientKey != "", "client-key", "files are not read; use client-key-data"},
		{user.TokenFile != "", "tokenFile", "files are not read; use token"},
		{user.Exec != nil, "exec", "programs are not run"},
		{user.AuthProvider != nil, "auth-provider", "programs are not run"},
		{user.Username != "" || user.Password != "", "username and password", "Kubernetes does not accept them any more"},
		{user.Impersonate != "" || user.ImpersonateUID != "" || len(user.ImpersonateGroups)+len(user.ImpersonateUserExtra) > 0, "as", "log in as the user itself"},
	} {
		if bad.set {
			return backend.Errorf(backend.InvalidRef, "%s: %s in a kubeconfig is not supported: %s", field, bad.what, bad.why)
		}
	}
	return nil
}

func inline(field string, cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) (access, error) {
	if cluster.Server == "" {
		return access{}, backend.Errorf(backend.InvalidRef, "%s: the cluster of the kubeconfig has no server", field)
	}
	server, err := serverURL(field+": the server in the kubeconfig", cluster.Server)
	if err != nil {
		return access{}, err
	}
	a := access{server: server, serverName: cluster.TLSServerName, field: field, login: &login{field: field}}
	if len(cluster.CertificateAuthorityData) > 0 {
		if a.ca, err = certificates(field+": certificate-authority-data", cluster.CertificateAuthorityData); err != nil {
			return access{}, err
		}
	}
	withCert := len(user.ClientCertificateData) > 0 || len(user.ClientKeyData) > 0
	if withCert {
		a.cert, a.key = backend.NewValue(user.ClientCertificateData), backend.NewValue(user.ClientKeyData)
	}
	if user.Token != "" {
		a.login, err = fixed(field+": the token in the kubeconfig", backend.NewValue([]byte(user.Token)))
	} else if !withCert {
		err = backend.Errorf(backend.Unauthenticated, "%s: the user of the kubeconfig has neither a token nor a certificate", field)
	}
	return a, err
}
