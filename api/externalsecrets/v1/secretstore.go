// SPDX-License-Identifier: Apache-2.0

package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretStore is a secret manager and how to log in to it, for the
// ExternalSecrets of its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="external-secrets.io/component=controller"
// +kubebuilder:resource:scope=Namespaced,path=secretstores,singular=secretstore,shortName=ss,categories=external-secrets
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Capabilities",type=string,JSONPath=`.status.capabilities`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type SecretStore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// The secret manager, how to log in to it, and who may use it.
	// +optional
	Spec SecretStoreSpec `json:"spec,omitzero"`

	// What became of the last look at the store. Written by the controller only.
	// +optional
	Status SecretStoreStatus `json:"status,omitzero"`
}

// SecretStoreList is a list of SecretStores.
//
// +kubebuilder:object:root=true
type SecretStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SecretStore `json:"items"`
}

// ClusterSecretStore is a secret manager and how to log in to it, for the
// ExternalSecrets of every namespace that its conditions admit.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="external-secrets.io/component=controller"
// +kubebuilder:resource:scope=Cluster,path=clustersecretstores,singular=clustersecretstore,shortName=css,categories=external-secrets
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Capabilities",type=string,JSONPath=`.status.capabilities`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type ClusterSecretStore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// The secret manager, how to log in to it, and who may use it.
	// +optional
	Spec SecretStoreSpec `json:"spec,omitzero"`

	// What became of the last look at the store. Written by the controller only.
	// +optional
	Status SecretStoreStatus `json:"status,omitzero"`
}

// ClusterSecretStoreList is a list of ClusterSecretStores.
//
// +kubebuilder:object:root=true
type ClusterSecretStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterSecretStore `json:"items"`
}

// SecretStoreSpec is a secret manager, how to log in to it, and who may use it.
//
// ---
// RefreshInterval is raw because it is a number of any size or any text.
type SecretStoreSpec struct {
	// The controller that this store is meant for, by its class. A controller
	// leaves the stores of another class alone.
	// +optional
	Controller string `json:"controller,omitempty"`

	// The secret manager, under the name of its product: exactly one. A product or
	// a field that is not supported is kept, and the condition names it.
	Provider Provider `json:"provider"`

	// How often a read that failed is tried again.
	// +optional
	RetrySettings *RetrySettings `json:"retrySettings,omitempty"`

	// How long until the login is checked again: whole seconds, or text such as 5m.
	// The controller decides when left out or 0.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +optional
	RefreshInterval *apiextensionsv1.JSON `json:"refreshInterval,omitempty"`

	// The namespaces that may use a ClusterSecretStore: those that fit one of these.
	// All of them when left out. Not read of a SecretStore.
	// +optional
	Conditions []StoreCondition `json:"conditions,omitzero"`
}

// RetrySettings says how often a read that failed is tried again.
type RetrySettings struct {
	// How many more times.
	// +optional
	MaxRetries *int32 `json:"maxRetries,omitempty"`

	// How long to wait in between, such as 5s.
	// +optional
	RetryInterval *string `json:"retryInterval,omitempty"`
}

// StoreCondition is a group of namespaces: those that fit one of its fields.
type StoreCondition struct {
	// Namespaces by their labels.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// Namespaces by their names.
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Namespaces []string `json:"namespaces,omitzero"`

	// Namespaces by regular expressions (RE2) for their names.
	// +optional
	NamespaceRegexes []string `json:"namespaceRegexes,omitzero"`
}
