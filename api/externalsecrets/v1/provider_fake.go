// SPDX-License-Identifier: Apache-2.0

package v1

// FakeProvider holds values in the store itself. Whoever may read the store
// reads them.
type FakeProvider struct {
	// The values.
	Data []FakeData `json:"data"`

	// What a check of the store finds: 0 that it is ready, 1 that it cannot tell, 2 that
	// it is not ready.
	// +optional
	ValidationResult *int `json:"validationResult,omitempty"`
}

// FakeData is a value of a fake store.
type FakeData struct {
	// What the value is called.
	Key string `json:"key"`

	// The value.
	Value string `json:"value"`

	// The version of the value, when there are several.
	// +optional
	Version string `json:"version,omitempty"`
}
