// SPDX-License-Identifier: Apache-2.0

package v1

// Target is the Secret to write, and what happens to it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.deletionPolicy) || self.deletionPolicy != 'Delete' || !has(self.creationPolicy) || self.creationPolicy in ['Owner', 'Orphan']",fieldPath=".deletionPolicy",reason=FieldValueInvalid,message="deletionPolicy Delete deletes the Secret, which an ExternalSecret that only adds to it may not do: set creationPolicy to Owner or Orphan, or deletionPolicy to Merge or Retain"
// +kubebuilder:validation:XValidation:rule="!has(self.deletionPolicy) || self.deletionPolicy != 'Merge' || !has(self.creationPolicy) || self.creationPolicy != 'None'",fieldPath=".deletionPolicy",reason=FieldValueInvalid,message="deletionPolicy Merge removes keys from a Secret, and creationPolicy None writes none: set deletionPolicy to Retain, or another creationPolicy"
type Target struct {
	// The name of the Secret; that of this object when left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +optional
	Name string `json:"name,omitempty"`

	// Whose the Secret is: Owner creates it, and it goes with this object; Orphan
	// creates it, and it stays; Merge adds to one that is there; CreateOrMerge
	// creates it or adds to it; None writes nothing.
	// +kubebuilder:default="Owner"
	// +kubebuilder:validation:Enum=Owner;Orphan;Merge;None;CreateOrMerge
	// +optional
	CreationPolicy string `json:"creationPolicy,omitempty"`

	// What happens when the manager has none of the values any more: Retain keeps
	// the Secret, Delete deletes it, Merge removes the keys of this object.
	// +kubebuilder:default="Retain"
	// +kubebuilder:validation:Enum=Delete;Merge;Retain
	// +optional
	DeletionPolicy string `json:"deletionPolicy,omitempty"`

	// What to make of the values; they go to the Secret as they are when left out.
	// +optional
	Template *Template `json:"template,omitempty"`

	// Another kind of object to write in place of a Secret. Not supported yet: the
	// condition of an object that uses it says so.
	// +optional
	Manifest *ManifestRef `json:"manifest,omitempty"`

	// Whether the Secret may not be changed once it is written.
	// +optional
	Immutable bool `json:"immutable,omitempty"`
}

// ManifestRef is a kind of object.
type ManifestRef struct {
	// The API version of the object.
	// +kubebuilder:validation:MinLength=1
	APIVersion string `json:"apiVersion"`

	// The kind of the object.
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
}

// Template says what becomes of the values.
//
// ---
// The rule on templateFrom knows one spelling of Annotations: to compare in
// any letter case costs more than a rule may. The others are refused when the
// object is reconciled.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'bootstrap.kubernetes.io/token'",fieldPath=".type",reason=FieldValueForbidden,message="type bootstrap.kubernetes.io/token would let the author of this object admit nodes to the cluster: use another type"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'kubernetes.io/service-account-token' || !has(self.metadata) || !has(self.metadata.annotations) || !('kubernetes.io/service-account.name' in self.metadata.annotations)",fieldPath=".metadata.annotations",reason=FieldValueForbidden,message="type kubernetes.io/service-account-token with the annotation kubernetes.io/service-account.name would make the cluster issue a token: remove the annotation, or use another type"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'kubernetes.io/service-account-token' || !has(self.templateFrom) || !self.templateFrom.exists(t, has(t.target) && t.target == 'Annotations')",fieldPath=".templateFrom",reason=FieldValueForbidden,message="type kubernetes.io/service-account-token with a templateFrom whose target is Annotations could make the cluster issue a token: set another target, or use another type"
type Template struct {
	// The type of the Secret; Opaque when left out.
	// +optional
	Type string `json:"type,omitempty"`

	// The template language. v2, the only one, is Go's text/template.
	// +kubebuilder:default="v2"
	// +kubebuilder:validation:Enum=v2
	// +optional
	EngineVersion string `json:"engineVersion,omitempty"`

	// Annotations, labels and finalizers of the Secret.
	// +optional
	Metadata *TemplateMetadata `json:"metadata,omitempty"`

	// Keys of the Secret, each with a template of its value.
	// +optional
	Data map[string]string `json:"data,omitempty"`

	// Whether the templates stand in place of the values that were read (Replace)
	// or are added to them (Merge).
	// +kubebuilder:default="Replace"
	// +kubebuilder:validation:Enum=Replace;Merge
	// +optional
	MergePolicy string `json:"mergePolicy,omitempty"`

	// Further templates, from ConfigMaps, Secrets or written here.
	// +optional
	TemplateFrom []TemplateFrom `json:"templateFrom,omitzero"`
}

// TemplateMetadata is what a Secret carries besides its data.
type TemplateMetadata struct {
	// Annotations of the Secret, whose values are templates.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Labels of the Secret, whose values are templates.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Finalizers of the Secret.
	// +optional
	Finalizers []string `json:"finalizers,omitzero"`
}

// TemplateFrom is where templates are taken from.
type TemplateFrom struct {
	// A ConfigMap of the same namespace.
	// +optional
	ConfigMap *TemplateSource `json:"configMap,omitempty"`

	// A Secret of the same namespace.
	// +optional
	Secret *TemplateSource `json:"secret,omitempty"`

	// What the result becomes: Data, Annotations or Labels of the Secret.
	// +kubebuilder:default="Data"
	// +optional
	Target string `json:"target,omitempty"`

	// A template whose result is YAML, a mapping of keys to values.
	// +optional
	Literal *string `json:"literal,omitempty"`

	// How the values of the result are decoded; not at all when left out.
	// +kubebuilder:validation:Enum=Auto;Base64;Base64URL;None
	// +optional
	ValuesDecodingStrategy string `json:"valuesDecodingStrategy,omitempty"`
}

// TemplateSource names a ConfigMap or Secret, and keys in it.
type TemplateSource struct {
	// The name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`

	// The keys whose values are templates.
	Items []TemplateItem `json:"items"`
}

// TemplateItem is a key whose value is a template.
type TemplateItem struct {
	// The key in the ConfigMap or Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`

	// Values makes the result the value of this same key; KeysAndValues takes it
	// as YAML, a mapping of keys to values.
	// +kubebuilder:default="Values"
	// +kubebuilder:validation:Enum=Values;KeysAndValues
	// +optional
	TemplateAs string `json:"templateAs,omitempty"`
}
