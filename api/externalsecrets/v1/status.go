// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ExternalSecretStatus is what became of the last attempt.
//
// ---
// A time that is none in RFC 3339 decodes as no time: the schema's date-time
// takes more forms than metav1.Time does.
type ExternalSecretStatus struct {
	// When the values were last read and written.
	// +nullable
	// +optional
	RefreshTime *metav1.Time `json:"refreshTime,omitempty"`

	// What of this object the last sync was made for: its generation, and a hash of
	// its labels and annotations.
	// +optional
	SyncedResourceVersion string `json:"syncedResourceVersion,omitempty"`

	// How this object is, by type.
	// +optional
	Conditions []Condition `json:"conditions,omitempty"`

	// The Secret that this object writes.
	// +optional
	Binding Binding `json:"binding,omitzero"`

	// Of secrets that reading changes, such as IAM credentials whose API key is
	// not reused: the versions that the Secret holds, so that a restart of the
	// controller is no reason to read them again.
	// +optional
	Versions map[string]string `json:"versions,omitempty"`
}

// Binding names the Secret that was written.
//
// +structType=atomic
type Binding struct {
	// The name of the Secret.
	// +kubebuilder:default=""
	// +optional
	Name string `json:"name,omitempty"`
}

// SecretStoreStatus is what became of the last look at a store.
type SecretStoreStatus struct {
	// How this store is, by type.
	// +optional
	Conditions []Condition `json:"conditions,omitempty"`

	// What the product can do: ReadOnly, WriteOnly or ReadWrite.
	// +optional
	Capabilities string `json:"capabilities,omitempty"`
}

// Condition is one thing that can be said of an object.
//
// ---
// A time that is none in RFC 3339 decodes as no time, as it does in
// ExternalSecretStatus.
type Condition struct {
	// What is said, such as Ready.
	Type string `json:"type"`

	// Whether it is so: True, False or Unknown.
	Status string `json:"status"`

	// Why, in one word.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Why, in a sentence.
	// +optional
	Message string `json:"message,omitempty"`

	// When status last changed.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitzero"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *ExternalSecretStatus) UnmarshalJSON(raw []byte) error {
	type plain ExternalSecretStatus // without this method
	in := struct {
		*plain
		RefreshTime *string `json:"refreshTime"`
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	s.RefreshTime = nil
	if in.RefreshTime != nil {
		if t := instant(*in.RefreshTime); !t.IsZero() {
			s.RefreshTime = &t
		}
	}
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Condition) UnmarshalJSON(raw []byte) error {
	type plain Condition // without this method
	in := struct {
		*plain
		LastTransitionTime string `json:"lastTransitionTime"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	c.LastTransitionTime = instant(in.LastTransitionTime)
	return nil
}

// instant reads a time as [metav1.Time] does; what it cannot read is no time.
func instant(s string) metav1.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return metav1.Time{}
	}
	return metav1.NewTime(t.Local())
}
