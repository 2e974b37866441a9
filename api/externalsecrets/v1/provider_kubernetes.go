// SPDX-License-Identifier: Apache-2.0

package v1

// KubernetesProvider reads the Secrets of one namespace of a cluster.
type KubernetesProvider struct {
	// The API server; that of this cluster when left out.
	// +optional
	Server KubernetesServer `json:"server,omitzero"`

	// How to log in.
	// +optional
	Auth *KubernetesAuth `json:"auth,omitempty"`

	// A key of a Secret that holds a kubeconfig, in place of server and auth.
	// +optional
	AuthRef *SecretKeySelector `json:"authRef,omitempty"`

	// The namespace whose Secrets are read.
	// +kubebuilder:default="default"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	RemoteNamespace string `json:"remoteNamespace,omitempty"`
}

// KubernetesServer is an API server.
type KubernetesServer struct {
	// Where it is.
	// +kubebuilder:default="kubernetes.default"
	// +optional
	URL string `json:"url,omitempty"`

	// The certificates to trust: PEM, as base64.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// Where the certificates to trust are.
	// +optional
	CAProvider *CAProvider `json:"caProvider,omitempty"`
}

// KubernetesAuth is a login to a cluster: exactly one of its fields.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type KubernetesAuth struct {
	// A client certificate.
	// +optional
	Cert *KubernetesCert `json:"cert,omitempty"`

	// A bearer token.
	// +optional
	Token *KubernetesToken `json:"token,omitempty"`

	// A service account of this cluster.
	// +optional
	ServiceAccount *ServiceAccountSelector `json:"serviceAccount,omitempty"`
}

// KubernetesCert is a client certificate and its key.
type KubernetesCert struct {
	// The certificate.
	ClientCert SecretKeySelector `json:"clientCert"`

	// Its private key.
	ClientKey SecretKeySelector `json:"clientKey"`
}

// KubernetesToken is a bearer token.
type KubernetesToken struct {
	// The token.
	BearerToken SecretKeySelector `json:"bearerToken"`
}
