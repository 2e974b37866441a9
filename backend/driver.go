// SPDX-License-Identifier: Apache-2.0

package backend

// Dialect names a family of manifests. Products look different to each, since
// their predecessors laid secrets out differently.
type Dialect string

// The dialects that Lockstep serves.
const (
	KES Dialect = "kes" // Kubernetes External Secrets, kubernetes-client.io
	ESO Dialect = "eso" // External Secrets Operator, external-secrets.io
	CSI Dialect = "csi" // Secrets Store CSI driver, secrets-store.csi.x-k8s.io
)

// A Driver is everything Lockstep knows about one product.
type Driver struct {
	Open Open
	// Names is what the manifests of a dialect call the product, where they
	// can name it: a backendType, a provider.
	Names map[Dialect]string
	// Ref turns a key as a manifest writes it into a Ref. It is pure. Its
	// errors are InvalidRef, in the words that users of the dialect know.
	Ref func(d Dialect, k Key) (Ref, error)
	// View lays a secret out as the manifests of a dialect expect to see it.
	// It is pure. Nil means that every dialect sees the secret as it is. A view
	// may set Payload and Fields both: the value as a whole, and its properties.
	View func(d Dialect, ref Ref, s Secret) (Secret, error)
	// OwnProperties says that the product resolves properties itself. Then a
	// property is part of the question, as Key.Args["property"], and nobody
	// looks for it in the answer.
	OwnProperties bool
	// ByNamespace reports whether a store that is configured with raw answers
	// by the namespace of who asks, which is then Key.Args["namespace"]. Nil is
	// never: what one namespace asked for is an answer for all.
	ByNamespace func(raw []byte) bool
	// ConvertFound says that the names of what was found are converted before
	// they are rewritten, as users of the product know it from External Secrets
	// Operator. With others a rewrite sees them as they are.
	ConvertFound bool
	// Env lists the names, or with a trailing * the prefixes, of the
	// environment variables that configure the product where the operator's
	// environment does.
	Env []string
}

// Key is a remote key as a manifest writes it, before a Driver made a Ref of
// it. Fields a dialect does not have are empty.
type Key struct {
	Key     string            // id, name or path
	Kind    string            // KES secretType, or the product's word for it
	Version string            // version, version id or stage
	Args    map[string]string // what only some products take, by the dialect's field name
	Part    Part
}
