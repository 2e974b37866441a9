// SPDX-License-Identifier: Apache-2.0

package v1

// VaultProvider is a secrets engine of HashiCorp Vault.
type VaultProvider struct {
	// How to log in; left out where a proxy on the way does.
	// +optional
	Auth *VaultAuth `json:"auth,omitempty"`

	// Where the server is, such as https://vault.example.com:8200.
	Server string `json:"server"`

	// Where the engine is mounted. Without it, keys begin with that.
	// +optional
	Path *string `json:"path,omitempty"`

	// The version of the key-value engine.
	// +kubebuilder:validation:Enum=v1;v2
	// +kubebuilder:default=v2
	// +optional
	Version string `json:"version,omitempty"`

	// The namespace of Vault that the engine is in.
	// +optional
	Namespace *string `json:"namespace,omitempty"`

	// The certificates to trust: PEM, as base64.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// A client certificate to show.
	// +optional
	TLS VaultTLS `json:"tls,omitzero"`

	// Where the certificates to trust are.
	// +optional
	CAProvider *CAProvider `json:"caProvider,omitempty"`

	// Whether to read what was written, also where another server of the cluster
	// answers.
	// +optional
	ReadYourWrites bool `json:"readYourWrites,omitempty"`

	// Whether a server that is behind passes the request on. It needs
	// readYourWrites.
	// +optional
	ForwardInconsistent bool `json:"forwardInconsistent,omitempty"`

	// Headers of each request.
	// +optional
	Headers map[string]string `json:"headers,omitempty"`

	// How secrets are written.
	// +optional
	CheckAndSet *VaultCheckAndSet `json:"checkAndSet,omitempty"`
}

// VaultTLS is a client certificate.
type VaultTLS struct {
	// The certificate; key tls.crt when no key is named.
	// +optional
	CertSecretRef *SecretKeySelector `json:"certSecretRef,omitempty"`

	// Its private key; key tls.key when no key is named.
	// +optional
	KeySecretRef *SecretKeySelector `json:"keySecretRef,omitempty"`
}

// VaultCheckAndSet is how secrets are written.
type VaultCheckAndSet struct {
	// Whether each write names the version that it is on top of.
	// +optional
	Required bool `json:"required,omitempty"`
}

// VaultAuth is a login to Vault: one of its fields, and where it is.
type VaultAuth struct {
	// The namespace of Vault that the login is in, where that is another one.
	// +optional
	Namespace *string `json:"namespace,omitempty"`

	// A token.
	// +optional
	TokenSecretRef *SecretKeySelector `json:"tokenSecretRef,omitempty"`

	// An AppRole.
	// +optional
	AppRole *VaultAppRole `json:"appRole,omitempty"`

	// A service account of this cluster, or the controller's own.
	// +optional
	Kubernetes *VaultKubernetesAuth `json:"kubernetes,omitempty"`

	// A user of a directory.
	// +optional
	LDAP *VaultLDAPAuth `json:"ldap,omitempty"`

	// A token of an identity provider.
	// +optional
	JWT *VaultJWTAuth `json:"jwt,omitempty"`

	// A client certificate.
	// +optional
	Cert *VaultCertAuth `json:"cert,omitempty"`

	// An identity of AWS.
	// +optional
	IAM *VaultIAMAuth `json:"iam,omitempty"`

	// A user of Vault.
	// +optional
	UserPass *VaultUserPassAuth `json:"userPass,omitempty"`

	// An identity of Google Cloud.
	// +optional
	GCP *VaultGCPAuth `json:"gcp,omitempty"`
}

// VaultAppRole is an AppRole.
type VaultAppRole struct {
	// Where the login is mounted.
	// +kubebuilder:default=approle
	Path string `json:"path"`

	// The ID of the role.
	// +optional
	RoleID string `json:"roleId,omitempty"`

	// The ID of the role, in a Secret.
	// +optional
	RoleRef *SecretKeySelector `json:"roleRef,omitempty"`

	// The secret ID.
	SecretRef SecretKeySelector `json:"secretRef"`
}

// VaultKubernetesAuth is a login with a service account.
type VaultKubernetesAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=kubernetes
	Path string `json:"mountPath"`

	// The service account, in whose name a token is made for each login.
	// +optional
	ServiceAccountRef *ServiceAccountSelector `json:"serviceAccountRef,omitempty"`

	// A token of a service account; key token when no key is named.
	// +optional
	SecretRef *SecretKeySelector `json:"secretRef,omitempty"`

	// The role to log in to.
	Role string `json:"role"`
}

// VaultLDAPAuth is a login with a name and a password of a directory.
type VaultLDAPAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=ldap
	Path string `json:"path"`

	// The user's name.
	Username string `json:"username"`

	// The user's password.
	// +optional
	SecretRef SecretKeySelector `json:"secretRef,omitzero"`
}

// VaultUserPassAuth is a login with a name and a password.
type VaultUserPassAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=userpass
	Path string `json:"path"`

	// The user's name.
	Username string `json:"username"`

	// The user's password.
	// +optional
	SecretRef SecretKeySelector `json:"secretRef,omitzero"`
}

// VaultJWTAuth is a login with a token of an identity provider.
type VaultJWTAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=jwt
	Path string `json:"path"`

	// The role to log in to; the login's own when left out.
	// +optional
	Role string `json:"role,omitempty"`

	// The token.
	// +optional
	SecretRef *SecretKeySelector `json:"secretRef,omitempty"`

	// The service account of this cluster whose tokens are used.
	// +optional
	KubernetesServiceAccountToken *VaultServiceAccountToken `json:"kubernetesServiceAccountToken,omitempty"`
}

// VaultServiceAccountToken is a token that is made for each login.
type VaultServiceAccountToken struct {
	// The service account.
	ServiceAccountRef ServiceAccountSelector `json:"serviceAccountRef"`

	// Whom the token is for, besides those of serviceAccountRef; vault when left
	// out.
	// +optional
	Audiences []string `json:"audiences,omitzero"`

	// How long the token is to hold. It holds ten minutes, and is used once.
	// +optional
	ExpirationSeconds *int64 `json:"expirationSeconds,omitempty"`
}

// VaultCertAuth is a login with a client certificate.
type VaultCertAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=cert
	// +optional
	Path string `json:"path,omitempty"`

	// The role to log in to; any that the certificate is good for when left out.
	// +optional
	VaultRole string `json:"vaultRole,omitempty"`

	// The certificate.
	// +optional
	ClientCert SecretKeySelector `json:"clientCert,omitzero"`

	// Its private key.
	// +optional
	SecretRef SecretKeySelector `json:"secretRef,omitzero"`
}

// VaultIAMAuth is a login with an identity of AWS.
type VaultIAMAuth struct {
	// Where the login is mounted.
	// +optional
	Path string `json:"path,omitempty"`

	// The AWS region.
	// +optional
	Region string `json:"region,omitempty"`

	// The role of AWS to assume.
	// +optional
	AWSIAMRole string `json:"role,omitempty"`

	// The role of Vault to log in to.
	Role string `json:"vaultRole"`

	// What the role of AWS wants to be shown by a third party.
	// +optional
	ExternalID string `json:"externalID,omitempty"`

	// The value of the header X-Vault-AWS-IAM-Server-ID.
	// +optional
	VaultAWSIAMServerID string `json:"vaultAwsIamServerID,omitempty"`

	// Access keys of AWS.
	// +optional
	SecretRef *VaultAWSSecretRef `json:"secretRef,omitempty"`

	// A service account of this cluster that AWS trusts.
	// +optional
	JWT *VaultAWSJWT `json:"jwt,omitempty"`
}

// VaultAWSSecretRef is an access key of AWS.
type VaultAWSSecretRef struct {
	// The ID of the key.
	// +optional
	AccessKeyID SecretKeySelector `json:"accessKeyIDSecretRef,omitzero"`

	// The key.
	// +optional
	SecretAccessKey SecretKeySelector `json:"secretAccessKeySecretRef,omitzero"`

	// The session token, where the key is one of a session.
	// +optional
	SessionToken *SecretKeySelector `json:"sessionTokenSecretRef,omitempty"`
}

// VaultAWSJWT is a service account that AWS trusts.
type VaultAWSJWT struct {
	// The service account.
	// +optional
	ServiceAccountRef *ServiceAccountSelector `json:"serviceAccountRef,omitempty"`
}

// VaultGCPAuth is a login with an identity of Google Cloud.
type VaultGCPAuth struct {
	// Where the login is mounted.
	// +kubebuilder:default=gcp
	// +optional
	Path string `json:"path,omitempty"`

	// The role to log in to.
	Role string `json:"role"`

	// The project of the service account.
	// +optional
	ProjectID string `json:"projectID,omitempty"`

	// The location of the instance.
	// +optional
	Location string `json:"location,omitempty"`

	// A key of a service account of Google Cloud.
	// +optional
	SecretRef *VaultGCPSecretRef `json:"secretRef,omitempty"`

	// A service account of this cluster that Google Cloud knows.
	// +optional
	WorkloadIdentity *VaultGCPWorkloadIdentity `json:"workloadIdentity,omitempty"`

	// A service account of this cluster.
	// +optional
	ServiceAccountRef *ServiceAccountSelector `json:"serviceAccountRef,omitempty"`
}

// VaultGCPSecretRef is a key of a service account of Google Cloud.
type VaultGCPSecretRef struct {
	// The key.
	// +optional
	SecretAccessKey SecretKeySelector `json:"secretAccessKeySecretRef,omitzero"`
}

// VaultGCPWorkloadIdentity is a service account of a cluster of Google's.
type VaultGCPWorkloadIdentity struct {
	// The service account.
	ServiceAccountRef ServiceAccountSelector `json:"serviceAccountRef"`

	// Where the cluster is.
	// +optional
	ClusterLocation string `json:"clusterLocation,omitempty"`

	// What the cluster is called.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`

	// The project of the cluster.
	// +optional
	ClusterProjectID string `json:"clusterProjectID,omitempty"`
}

// OpenBaoProvider is a key-value engine of OpenBao.
//
// +kubebuilder:validation:XValidation:rule="[has(self.caBundle),has(self.caProvider)].filter(x,x==true).size() <= 1",message="caBundle and caProvider both say which certificates to trust: remove one of them"
type OpenBaoProvider struct {
	// How to log in; left out where a proxy on the way does.
	// +optional
	Auth *OpenBaoAuth `json:"auth,omitempty"`

	// Where the server is, such as https://openbao.example.com:8200.
	Server string `json:"server"`

	// Where the engine is mounted; kv when left out.
	// +optional
	Path *string `json:"path,omitempty"`

	// The version of the key-value engine.
	// +kubebuilder:validation:Enum=v1;v2
	// +kubebuilder:default=v2
	// +optional
	Version string `json:"version,omitempty"`

	// The namespace of OpenBao that the engine is in.
	// +optional
	Namespace *string `json:"namespace,omitempty"`

	// The certificates to trust: PEM, as base64.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// Where the certificates to trust are.
	// +optional
	CAProvider *CAProvider `json:"caProvider,omitempty"`
}

// OpenBaoAuth is a login to OpenBao: one of its fields, and where it is.
//
// +kubebuilder:validation:XValidation:rule="[has(self.appRole),has(self.tokenSecretRef),has(self.userPass)].filter(x,x==true).size() == 1",message="give exactly one login: appRole, tokenSecretRef or userPass"
type OpenBaoAuth struct {
	// The namespace of OpenBao that the login is in, where that is another one.
	// +optional
	Namespace *string `json:"namespace,omitempty"`

	// A token.
	// +optional
	TokenSecretRef *SecretKeySelector `json:"tokenSecretRef,omitempty"`

	// An AppRole.
	// +optional
	AppRole *OpenBaoAppRole `json:"appRole,omitempty"`

	// A user of OpenBao.
	// +optional
	UserPass *VaultUserPassAuth `json:"userPass,omitempty"`
}

// OpenBaoAppRole is an AppRole.
//
// +kubebuilder:validation:XValidation:rule="[has(self.roleId),has(self.roleRef)].filter(x,x==true).size() == 1",message="give exactly one of roleId and roleRef"
type OpenBaoAppRole struct {
	// Where the login is mounted.
	// +kubebuilder:default=approle
	Path string `json:"path"`

	// The ID of the role.
	// +kubebuilder:validation:MinLength=1
	// +optional
	RoleID *string `json:"roleId,omitempty"`

	// The ID of the role, in a Secret.
	// +optional
	RoleRef *SecretKeySelector `json:"roleRef,omitempty"`

	// The secret ID.
	SecretRef SecretKeySelector `json:"secretRef"`
}
