// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"bytes"
	"encoding/json"
)

// Provider is one secret manager, under the name of its product.
//
// ---
// The typed fields are for the schema, and for code that writes a manifest.
// Decoding leaves them nil and keeps what the manifest says in Raw, byte for
// byte: a product or a field that this version does not know is neither lost
// nor able to make the list it stands in undecodable.
//
// That there is exactly one product is said in hack/crds: controller-gen does
// not take the markers for a type that encodes itself.
type Provider struct {
	// Values that are written in the store itself, for trying things out.
	// +optional
	Fake *FakeProvider `json:"fake,omitempty"`

	// Secrets of a Kubernetes cluster: this one or another.
	// +optional
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`

	// IBM Cloud Secrets Manager.
	// +optional
	IBM *IBMProvider `json:"ibm,omitempty"`

	// HashiCorp Vault.
	// +optional
	Vault *VaultProvider `json:"vault,omitempty"`

	// OpenBao.
	// +optional
	OpenBao *OpenBaoProvider `json:"openBao,omitempty"`

	// Whatever answers an HTTP request.
	// +optional
	Webhook *WebhookProvider `json:"webhook,omitempty"`

	// What the manifest says. It wins over the typed fields.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON implements [json.Unmarshaler]. It takes any JSON.
func (p *Provider) UnmarshalJSON(raw []byte) error {
	*p = Provider{}
	if !bytes.Equal(raw, []byte("null")) {
		p.Raw = bytes.Clone(raw)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p Provider) MarshalJSON() ([]byte, error) {
	if len(p.Raw) > 0 {
		return p.Raw, nil
	}
	type plain Provider // without this method
	return json.Marshal(plain(p))
}

// Product returns the name of the only product and what is said of it, and how
// many products there are: unless that is 1, name and raw are empty. A product
// that is null counts as absent, as the API server takes it where it knows the
// product.
func (p Provider) Product() (name string, raw []byte, n int) {
	all, err := p.MarshalJSON()
	if err != nil {
		return "", nil, 0
	}
	var products map[string]json.RawMessage
	if err := json.Unmarshal(all, &products); err != nil {
		return "", nil, 0
	}
	for key, value := range products {
		if string(value) == "null" {
			continue
		}
		name, raw = key, value
		n++
	}
	if n != 1 {
		return "", nil, n
	}
	return name, raw, 1
}
