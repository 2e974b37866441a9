// SPDX-License-Identifier: Apache-2.0

package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The sentences on exported fields become the descriptions in the CRD, which
// people read through kubectl explain. What only a reader of the Go code needs
// to know stands above a type, after a line of three dashes.

// ExternalSecret says which values of a secret manager make up the Secret that
// has the same name and namespace.
//
// ---
// The annotation is one that users of KES find on their CRD, and may look for.
//
// +kubebuilder:metadata:annotations="app.kubernetes.io/managed-by=helm"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,path=externalsecrets,singular=externalsecret,shortName=es
// +kubebuilder:printcolumn:name="Last Sync",type=date,JSONPath=`.status.lastSync`
// +kubebuilder:printcolumn:name="status",type=string,JSONPath=`.status.status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ExternalSecret struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What to read, from where, and what to make of it.
	Spec ExternalSecretSpec `json:"spec"`

	// What became of the last attempt. Written by the controller only.
	// +optional
	Status ExternalSecretStatus `json:"status,omitzero"`
}

// ExternalSecretList is a list of ExternalSecrets.
//
// +kubebuilder:object:root=true
type ExternalSecretList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ExternalSecret `json:"items"`
}

// ExternalSecretSpec names a backend and what to read from it.
//
// ---
// A nil list was absent from the manifest, an empty one was written as [], and
// both survive a round trip. An absent string is the empty string wherever KES
// took them for the same; where it did not, the field is a pointer.
type ExternalSecretSpec struct {
	// The secret manager to read from. It cannot be left out.
	// +optional
	BackendType BackendType `json:"backendType,omitempty"`

	// The controller instance this object is meant for. An instance without an
	// id takes the objects without one; any other takes those that name it.
	// +optional
	ControllerID string `json:"controllerId,omitempty"`

	// The type of the Secret. Deprecated: set template.type, which wins.
	// +optional
	Type string `json:"type,omitempty"`

	// A Secret to start from: labels, annotations, a type, further data. Strings
	// in it are lodash templates. What the backend delivers is laid over it.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Template *apiextensionsv1.JSON `json:"template,omitempty"`

	// The values to read one by one. An entry overrides the same key of dataFrom
	// and dataFromWithOptions, and a later entry an earlier one.
	// +optional
	Data []DataItem `json:"data,omitzero"`

	// Backend keys whose values are JSON objects; each member of such an object
	// becomes a key of the Secret.
	// +optional
	DataFrom []string `json:"dataFrom,omitzero"`

	// The same as dataFrom, with options for each key.
	// +optional
	DataFromWithOptions []DataFromItem `json:"dataFromWithOptions,omitzero"`

	// The role to assume before reading: an ARN of AWS or of Alibaba Cloud. Read
	// by secretsManager, systemManager and alicloudSecretsManager.
	// +optional
	RoleARN string `json:"roleArn,omitempty"`

	// The AWS region of the secrets. Read by secretsManager and systemManager.
	// +optional
	Region string `json:"region,omitempty"`

	// The role to log in to Vault with. Read by vault.
	// +optional
	VaultRole string `json:"vaultRole,omitempty"`

	// Where Vault's Kubernetes login is mounted. Read by vault.
	// +optional
	VaultMountPoint string `json:"vaultMountPoint,omitempty"`

	// The version of Vault's key-value engine, 1 or 2; 2 when left out. Read by
	// vault.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2
	// +optional
	KVVersion int `json:"kvVersion,omitempty"`

	// The name of the Azure vault. azureKeyVault requires it.
	// +optional
	KeyVaultName string `json:"keyVaultName,omitempty"`

	// The Google Cloud project of the secrets; that of the controller's own
	// credentials when left out. Read by gcpSecretsManager.
	// +optional
	ProjectID string `json:"projectId,omitempty"`

	// Whether keys are names of secrets rather than their ids. Read by
	// ibmcloudSecretsManager.
	// +optional
	KeyByName bool `json:"keyByName,omitempty"`
}

// BackendType is a product that secrets are read from.
//
// +kubebuilder:validation:Enum=secretsManager;systemManager;vault;azureKeyVault;gcpSecretsManager;alicloudSecretsManager;ibmcloudSecretsManager;akeyless
type BackendType string

// The backends of KES, by the names its manifests use.
const (
	SecretsManager         BackendType = "secretsManager"         // AWS Secrets Manager
	SystemManager          BackendType = "systemManager"          // AWS Systems Manager Parameter Store
	Vault                  BackendType = "vault"                  // HashiCorp Vault, OpenBao
	AzureKeyVault          BackendType = "azureKeyVault"          // Azure Key Vault
	GCPSecretsManager      BackendType = "gcpSecretsManager"      // Google Cloud Secret Manager
	AlicloudSecretsManager BackendType = "alicloudSecretsManager" // Alibaba Cloud KMS
	IBMCloudSecretsManager BackendType = "ibmcloudSecretsManager" // IBM Cloud Secrets Manager
	Akeyless               BackendType = "akeyless"               // Akeyless
)

// DataItem is one value to read, by key and name, or all below one path.
//
// ---
// Version is raw because it may be a number of any size: in an IntOrString one
// beyond 32 bits would fail the decoding of the whole list it stands in, and so
// let one namespace blind the controller to all of them.
type DataItem struct {
	// What to read: the backend's name, path or id of a secret.
	// +optional
	Key string `json:"key,omitempty"`

	// The key of the Secret that the value goes to.
	// +optional
	Name string `json:"name,omitempty"`

	// The part of the value to take, when the value is JSON: a member's name, or
	// a path such as a.b[0].
	// +optional
	Property *string `json:"property,omitempty"`

	// Whether the backend holds the value as base64 text of the bytes wanted, so
	// that it is decoded and not encoded once more. False when left out.
	// +optional
	IsBinary *bool `json:"isBinary,omitempty"`

	// A folder of parameters; each one in it becomes a key of the Secret, named
	// by the last part of its own name. Read by systemManager.
	// +optional
	Path *string `json:"path,omitempty"`

	// Whether the folders below path are read too. False when left out.
	// +optional
	Recursive bool `json:"recursive,omitempty"`

	// The kind of secret, such as username_password, kv or arbitrary. Read by
	// ibmcloudSecretsManager.
	// +optional
	SecretType *string `json:"secretType,omitempty"`

	// The version, a number or "latest", which is meant when left out. Read by
	// gcpSecretsManager.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +optional
	Version *apiextensionsv1.JSON `json:"version,omitempty"`

	// The stage of the secret, such as AWSPREVIOUS. Read by secretsManager and
	// alicloudSecretsManager.
	// +optional
	VersionStage string `json:"versionStage,omitempty"`

	// The id of one version of the secret. Read by secretsManager.
	// +optional
	VersionID string `json:"versionId,omitempty"`
}

// DataFromItem is a secret whose members all become keys of the Secret.
type DataFromItem struct {
	// What to read: the backend's name, path or id of a secret.
	Key string `json:"key"`

	// Whether the values of the object are base64 text, to be decoded. KES accepted
	// the field and ignored it. False when left out.
	// +optional
	IsBinary *bool `json:"isBinary,omitempty"`

	// The stage of the secret, such as AWSPREVIOUS. Read by secretsManager and
	// alicloudSecretsManager.
	// +optional
	VersionStage string `json:"versionStage,omitempty"`

	// The id of one version of the secret. Read by secretsManager.
	// +optional
	VersionID string `json:"versionId,omitempty"`
}

// ExternalSecretStatus is what became of the last attempt.
type ExternalSecretStatus struct {
	// When the last attempt was made: RFC 3339 in UTC, with milliseconds.
	// +optional
	LastSync string `json:"lastSync,omitempty"`

	// SUCCESS, or ERROR followed by a comma and the reason on one line.
	// +optional
	Status string `json:"status,omitempty"`

	// The generation of the spec that the attempt was made for.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Of secrets that reading changes, such as IAM credentials whose API key is
	// not reused: the versions that the Secret holds, so that a restart of the
	// controller is no reason to read them again.
	// +optional
	Versions map[string]string `json:"versions,omitempty"`
}
