// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"testing"

	"github.com/lockstep-secrets/lockstep/backend"
)

func TestView(t *testing.T) {
	s := backend.Secret{Fields: map[string]backend.Value{
		"labels": backend.NewValue([]byte(`{"env":"dev"}`)), "annotations": backend.NewValue([]byte("null")),
	}}
	got, err := view(backend.ESO, backend.Ref{Path: "s", Part: backend.Metadata}, s)
	if err != nil || string(got.Payload.Reveal()) != `{"annotations":null,"labels":{"env":"dev"}}` || len(got.Fields) != 2 {
		t.Errorf("metadata is %s with %v, %v", got.Payload.Reveal(), got.FieldNames(), err)
	}
	if got, err := view(backend.ESO, backend.Ref{Path: "s"}, s); err != nil || got.Payload.IsSet() {
		t.Errorf("data is laid out as it is: %v", err)
	}
}
