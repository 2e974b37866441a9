// SPDX-License-Identifier: Apache-2.0

package v1

// WebhookProvider reads a value by an HTTP request. URL, headers and body are
// templates, with remoteRef and the secrets below as their data.
type WebhookProvider struct {
	// The method of the request; GET when left out.
	// +optional
	Method string `json:"method,omitempty"`

	// Where the request goes.
	URL string `json:"url"`

	// The headers of the request.
	// +optional
	Headers map[string]string `json:"headers,omitempty"`

	// How to log in.
	// +optional
	Auth *WebhookAuth `json:"auth,omitempty"`

	// The body of the request.
	// +optional
	Body string `json:"body,omitempty"`

	// How long to wait for the answer, such as 10s.
	// +optional
	Timeout *string `json:"timeout,omitempty"`

	// What to take of the answer.
	// +optional
	Result WebhookResult `json:"result,omitzero"`

	// Secrets that the templates use, by name.
	// +optional
	Secrets []WebhookSecret `json:"secrets,omitzero"`

	// The certificates to trust: PEM, as base64.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// Where the certificates to trust are.
	// +optional
	CAProvider *CAProvider `json:"caProvider,omitempty"`
}

// WebhookAuth is a login to a webhook: exactly one of its fields.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type WebhookAuth struct {
	// NTLM.
	// +optional
	NTLM *WebhookNTLM `json:"ntlm,omitempty"`
}

// WebhookNTLM is a login by NTLM.
type WebhookNTLM struct {
	// The user's name.
	UsernameSecret SecretKeySelector `json:"usernameSecret"`

	// The user's password.
	PasswordSecret SecretKeySelector `json:"passwordSecret"`
}

// WebhookResult is what to take of an answer.
type WebhookResult struct {
	// A JSONPath into the answer; the whole answer when left out.
	// +optional
	JSONPath string `json:"jsonPath,omitempty"`
}

// WebhookSecret is a Secret that templates use.
type WebhookSecret struct {
	// What templates call it.
	Name string `json:"name"`

	// The Secret.
	SecretRef SecretKeySelector `json:"secretRef"`
}
