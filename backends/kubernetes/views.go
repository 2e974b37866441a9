// SPDX-License-Identifier: Apache-2.0

package kubernetes

import "github.com/lockstep-secrets/lockstep/backend"

// view lays a Secret out. Its data are properties, and so are its labels and
// its annotations where these are asked for; as a whole they are one document,
// in which they are objects and no text.
func view(_ backend.Dialect, ref backend.Ref, s backend.Secret) (backend.Secret, error) {
	if ref.Part != backend.Metadata {
		return s, nil
	}
	var doc []byte
	for _, name := range []string{"annotations", "labels"} {
		doc = append(doc, `,"`+name+`":`...)
		doc = append(doc, s.Fields[name].Reveal()...)
	}
	doc[0] = '{'
	s.Payload, s.JSON = backend.NewValue(append(doc, '}')), true
	return s, nil
}
