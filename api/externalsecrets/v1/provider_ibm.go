// SPDX-License-Identifier: Apache-2.0

package v1

// IBMProvider is an instance of IBM Cloud Secrets Manager.
type IBMProvider struct {
	// How to log in.
	Auth IBMAuth `json:"auth"`

	// Where the instance is.
	// +optional
	ServiceURL *string `json:"serviceUrl,omitempty"`
}

// IBMAuth is a login to IBM Cloud: exactly one of its fields.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type IBMAuth struct {
	// A trusted profile that the controller's own pod may take on.
	// +optional
	ContainerAuth *IBMContainerAuth `json:"containerAuth,omitempty"`

	// An API key.
	// +optional
	SecretRef *IBMSecretRef `json:"secretRef,omitempty"`
}

// IBMContainerAuth is a trusted profile.
type IBMContainerAuth struct {
	// The name of the profile.
	Profile string `json:"profile"`

	// The file that the pod's token is in.
	// +optional
	TokenLocation string `json:"tokenLocation,omitempty"`

	// Where IAM is.
	// +optional
	IAMEndpoint string `json:"iamEndpoint,omitempty"`
}

// IBMSecretRef is an API key.
type IBMSecretRef struct {
	// The API key.
	// +optional
	SecretAPIKey SecretKeySelector `json:"secretApiKeySecretRef,omitzero"`

	// Where IAM is.
	// +optional
	IAMEndpoint string `json:"iamEndpoint,omitempty"`
}
