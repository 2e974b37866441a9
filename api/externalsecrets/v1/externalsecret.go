// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The sentences on exported fields become the descriptions in the CRD, which
// people read through kubectl explain. What only a reader of the Go code needs
// to know stands above a type, after a line of three dashes.

// ExternalSecret says which values of a secret manager make up a Secret of the
// same namespace.
//
// ---
// ESO's schema does not require a spec, so there are objects without one. They
// decode as one whose spec is empty.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="external-secrets.io/component=controller"
// +kubebuilder:resource:scope=Namespaced,path=externalsecrets,singular=externalsecret,shortName=es,categories=external-secrets
// +kubebuilder:printcolumn:name="StoreType",type=string,JSONPath=`.spec.secretStoreRef.kind`
// +kubebuilder:printcolumn:name="Store",type=string,JSONPath=`.spec.secretStoreRef.name`
// +kubebuilder:printcolumn:name="Refresh Interval",type=string,JSONPath=`.spec.refreshInterval`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Last Sync",type=date,JSONPath=`.status.refreshTime`
// +kubebuilder:selectablefield:JSONPath=`.spec.secretStoreRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.secretStoreRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.target.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.refreshInterval`
type ExternalSecret struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What to read, from where, and what to make of it.
	// +optional
	Spec ExternalSecretSpec `json:"spec,omitzero"`

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

// ExternalSecretSpec names a store, what to read from it and when, and the
// Secret to write.
//
// ---
// A nil list was absent from the manifest, an empty one was written as [], and
// both survive a round trip. RefreshInterval is text: the schema takes "soon".
//
// +kubebuilder:validation:XValidation:rule="has(self.data) && size(self.data) > 0 || has(self.dataFrom) && size(self.dataFrom) > 0",reason=FieldValueRequired,message="data and dataFrom are both empty, so there is nothing to read: add an entry to one of them"
type ExternalSecretSpec struct {
	// The store to read from. An entry may name another one.
	// +optional
	SecretStoreRef StoreRef `json:"secretStoreRef,omitzero"`

	// When to read again: Periodic, every refreshInterval; OnChange, when this
	// object changes; CreatedOnce, never once the Secret stands. Periodic when
	// left out.
	// +kubebuilder:validation:Enum=CreatedOnce;Periodic;OnChange
	// +optional
	RefreshPolicy string `json:"refreshPolicy,omitempty"`

	// How long until the values are read again, such as 1h0m0s or 30s, in units
	// up to hours. 0 reads once and then never again.
	// +kubebuilder:default="1h0m0s"
	// +optional
	RefreshInterval *string `json:"refreshInterval,omitempty"`

	// When changes may be taken over. Outside of these times the Secret stays as
	// it is.
	// +optional
	SyncWindows *SyncWindows `json:"syncWindows,omitempty"`

	// The Secret to write, and what happens to it.
	// +kubebuilder:default={creationPolicy: Owner, deletionPolicy: Retain}
	// +optional
	Target Target `json:"target,omitzero"`

	// The values to read one by one. An entry overrides the same key of dataFrom.
	// +optional
	Data []Data `json:"data,omitzero"`

	// Sources that each yield several keys. A later one overrides an earlier one.
	// +optional
	DataFrom []DataFrom `json:"dataFrom,omitzero"`
}

// StoreRef names a store.
type StoreRef struct {
	// The name of the SecretStore or ClusterSecretStore.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +optional
	Name string `json:"name,omitempty"`

	// SecretStore, in the namespace of this object, or ClusterSecretStore.
	// SecretStore when left out.
	// +kubebuilder:validation:Enum=SecretStore;ClusterSecretStore
	// +optional
	Kind string `json:"kind,omitempty"`
}

// SyncWindows are times in which changes are taken over, or are not.
type SyncWindows struct {
	// allow takes changes over inside of the windows only, deny outside of them
	// only.
	// +kubebuilder:validation:Enum=allow;deny
	Kind string `json:"kind"`

	// The windows. They may overlap.
	// +kubebuilder:validation:MinItems=1
	Windows []SyncWindow `json:"windows"`
}

// SyncWindow is a time that comes back.
type SyncWindow struct {
	// When a window opens: five cron fields in UTC, a descriptor such as @daily,
	// or @every and a duration.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Pattern=`^(@(annually|yearly|monthly|weekly|daily|midnight|hourly)|@every [^\s]+.*|[^\s]+( [^\s]+){4})$`
	Schedule string `json:"schedule"`

	// How long it stays open, such as 8h or 90m.
	Duration string `json:"duration"`
}

// Data is one value to read, and the key it goes to.
type Data struct {
	// The key of the Secret that the value goes to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	SecretKey string `json:"secretKey"`

	// What to read.
	RemoteRef RemoteRef `json:"remoteRef"`

	// Where to read it, in place of the store of this object.
	// +optional
	SourceRef *SourceRef `json:"sourceRef,omitempty"`
}

// RemoteRef is a secret in a manager, or a part of one.
type RemoteRef struct {
	// The manager's name, path or id of the secret.
	Key string `json:"key"`

	// Fetch reads what the manager says about the secret, such as its labels, in
	// place of its value. None when left out.
	// +kubebuilder:validation:Enum=None;Fetch
	// +optional
	MetadataPolicy string `json:"metadataPolicy,omitempty"`

	// The part of the value to take, when the value is JSON: a path such as a.b.0.
	// +optional
	Property string `json:"property,omitempty"`

	// The version to read, in the manager's own terms; the current one when left
	// out.
	// +optional
	Version string `json:"version,omitempty"`

	// How a name becomes a key of the Secret: Default replaces what a key must not
	// contain by _, Unicode writes it as _U0000_. Default when left out.
	// +kubebuilder:validation:Enum=Default;Unicode
	// +optional
	ConversionStrategy string `json:"conversionStrategy,omitempty"`

	// How the value is decoded: not at all, as base64, as base64 for URLs, or, with
	// Auto, as whichever of them it is. None when left out.
	// +kubebuilder:validation:Enum=Auto;Base64;Base64URL;None
	// +optional
	DecodingStrategy string `json:"decodingStrategy,omitempty"`

	// Whether a value with a null byte is taken (Ignore) or an error (Fail). Ignore
	// when left out.
	// +kubebuilder:validation:Enum=Ignore;Fail
	// +optional
	NullBytePolicy string `json:"nullBytePolicy,omitempty"`
}

// SourceRef is a store or a generator, exactly one of them.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type SourceRef struct {
	// Another store.
	// +optional
	StoreRef *StoreRef `json:"storeRef,omitempty"`

	// A generator in the namespace of this object. Not supported yet: the condition
	// of an object that uses it says so.
	// +optional
	GeneratorRef *GeneratorRef `json:"generatorRef,omitempty"`
}

// GeneratorRef names an object that makes values up.
type GeneratorRef struct {
	// The API version of the generator.
	// +kubebuilder:default="generators.external-secrets.io/v1alpha1"
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// The kind of the generator.
	// +kubebuilder:validation:Enum=ACRAccessToken;BeyondtrustWorkloadCredentialsDynamicSecret;ClusterGenerator;CloudsmithAccessToken;ECRAuthorizationToken;Fake;GCRAccessToken;GithubAccessToken;GitlabDeployToken;QuayAccessToken;Password;SSHKey;STSSessionToken;UUID;VaultDynamicSecret;Webhook;Grafana;MFA
	Kind string `json:"kind"`

	// The name of the generator.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`
}

// DataFrom is a source that yields several keys.
//
// +kubebuilder:validation:XValidation:rule="!has(self.extract) || !has(self.find)",reason=FieldValueInvalid,message="extract and find stand in the same item of dataFrom: give each an item of its own"
// +kubebuilder:validation:XValidation:rule="!has(self.sourceRef) || !has(self.sourceRef.generatorRef) || !has(self.extract) && !has(self.find)",reason=FieldValueInvalid,message="sourceRef.generatorRef stands beside extract or find in the same item of dataFrom: give each an item of its own"
// +kubebuilder:validation:XValidation:rule="has(self.extract) || has(self.find) || has(self.sourceRef)",reason=FieldValueRequired,message="the item of dataFrom says nothing to read: set extract, find or sourceRef"
type DataFrom struct {
	// One secret whose value is a JSON object: each member becomes a key.
	// +optional
	Extract *RemoteRef `json:"extract,omitempty"`

	// All secrets that fit: each becomes a key.
	// +optional
	Find *Find `json:"find,omitempty"`

	// Changes to the keys, one after the other.
	// +optional
	Rewrite []Rewrite `json:"rewrite,omitzero"`

	// Where to read, in place of the store of this object.
	// +optional
	SourceRef *SourceRef `json:"sourceRef,omitempty"`
}

// Find says which secrets fit.
type Find struct {
	// Where to look: a folder, a prefix or a group, in the manager's own terms.
	// +optional
	Path *string `json:"path,omitempty"`

	// What their names look like.
	// +optional
	Name *FindName `json:"name,omitempty"`

	// The tags or labels that they carry, all of them.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`

	// How a name becomes a key of the Secret: Default replaces what a key must not
	// contain by _, Unicode writes it as _U0000_. Default when left out.
	// +kubebuilder:validation:Enum=Default;Unicode
	// +optional
	ConversionStrategy string `json:"conversionStrategy,omitempty"`

	// How the values are decoded: not at all, as base64, as base64 for URLs, or,
	// with Auto, each as whichever of them it is. None when left out.
	// +kubebuilder:validation:Enum=Auto;Base64;Base64URL;None
	// +optional
	DecodingStrategy string `json:"decodingStrategy,omitempty"`

	// Whether a value with a null byte is taken (Ignore) or an error (Fail). Ignore
	// when left out.
	// +kubebuilder:validation:Enum=Ignore;Fail
	// +optional
	NullBytePolicy string `json:"nullBytePolicy,omitempty"`
}

// FindName says what a name looks like.
type FindName struct {
	// A regular expression (RE2) that is found somewhere in the name.
	// +optional
	RegExp string `json:"regexp,omitempty"`
}

// Rewrite is one change to the keys of a source: exactly one of its fields.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type Rewrite struct {
	// Puts the members of all values, which are JSON objects, together.
	// +optional
	Merge *RewriteMerge `json:"merge,omitempty"`

	// Replaces a part of each key.
	// +optional
	Regexp *RewriteRegexp `json:"regexp,omitempty"`

	// Makes each key anew by a template.
	// +optional
	Transform *RewriteTransform `json:"transform,omitempty"`
}

// RewriteMerge says how values are put together.
type RewriteMerge struct {
	// The key that the result goes to, with the strategy JSON.
	// +kubebuilder:default=""
	// +optional
	Into string `json:"into,omitempty"`

	// The keys whose members win over those of the others, the last the most.
	// +optional
	Priority []string `json:"priority,omitzero"`

	// Whether a key of priority that is not there is an error (Strict) or not
	// (IgnoreNotFound).
	// +kubebuilder:default="Strict"
	// +kubebuilder:validation:Enum=IgnoreNotFound;Strict
	// +optional
	PriorityPolicy string `json:"priorityPolicy,omitempty"`

	// Whether a member that several values have is an error.
	// +kubebuilder:default="Error"
	// +kubebuilder:validation:Enum=Ignore;Error
	// +optional
	ConflictPolicy string `json:"conflictPolicy,omitempty"`

	// Extract makes each member a key, JSON one key of them all.
	// +kubebuilder:default="Extract"
	// +kubebuilder:validation:Enum=Extract;JSON
	// +optional
	Strategy string `json:"strategy,omitempty"`
}

// RewriteRegexp replaces a part of a key.
type RewriteRegexp struct {
	// A regular expression (RE2); every match is replaced.
	Source string `json:"source"`

	// What it is replaced by. $1 or ${name} stands for a group of source.
	Target string `json:"target"`
}

// RewriteTransform makes a key anew.
type RewriteTransform struct {
	// A template in which .value is the key.
	Template string `json:"template"`
}
