// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fields notes what a field manager wrote last: "data:k", "label:k" and
// "annotation:k" (managedFields, in the format FieldsV1).
func fields(entries []metav1.ManagedFieldsEntry, manager string) map[string]bool {
	out := map[string]bool{}
	for _, e := range entries {
		if e.Manager != manager || e.FieldsV1 == nil || e.Subresource != "" {
			continue
		}
		var set struct {
			Data     map[string]json.RawMessage `json:"f:data"`
			Metadata struct {
				Labels      map[string]json.RawMessage `json:"f:labels"`
				Annotations map[string]json.RawMessage `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(e.FieldsV1.GetRawBytes(), &set) != nil {
			continue // then nothing counts as ours, and nothing of it is removed
		}
		note(out, "data:", set.Data)
		note(out, "label:", set.Metadata.Labels)
		note(out, "annotation:", set.Metadata.Annotations)
	}
	return out
}

func note(out map[string]bool, kind string, set map[string]json.RawMessage) {
	for field := range set {
		if name, ok := strings.CutPrefix(field, "f:"); ok {
			out[kind+name] = true
		}
	}
}
