// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestFields(t *testing.T) {
	entry := func(manager, subresource, raw string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(raw)}
	}
	got := fields([]metav1.ManagedFieldsEntry{
		entry("us", "", `{"f:data":{".":{},"f:k":{},"f:tls.crt":{}},"f:metadata":{"f:labels":{".":{},"f:a/b":{}}},"f:type":{}}`),
		entry("us", "", `{"f:metadata":{"f:annotations":{"f:note":{}}}}`),
		entry("kubectl-edit", "", `{"f:data":{"f:theirs":{}}}`),
		entry("us", "status", `{"f:data":{"f:status":{}}}`),
		entry("us", "", `no JSON`),
		{Manager: "us"},
	}, "us")
	want := map[string]bool{"data:k": true, "data:tls.crt": true, "label:a/b": true, "annotation:note": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
