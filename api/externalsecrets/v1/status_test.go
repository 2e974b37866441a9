// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStatusTimes(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC))
	cases := map[string]struct {
		reason string
		text   string
		want   metav1.Time
	}{
		"RFC3339":  {"as it is written", `"2026-01-02T15:04:05Z"`, at},
		"Zone":     {"another zone, the same time", `"2026-01-02T16:04:05+01:00"`, at},
		"Lower":    {"the schema takes it", `"2026-01-02t15:04:05z"`, metav1.Time{}},
		"BadZone":  {"the schema takes it", `"2026-01-02T15:04:05-99:99"`, metav1.Time{}},
		"Null":     {"the schema takes it", `null`, metav1.Time{}},
		"Anything": {"no text at all is no time", `"soon"`, metav1.Time{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := `{"refreshTime":` + tc.text + `,"syncedResourceVersion":"1-a","conditions":[{"type":"Ready","status":"True","lastTransitionTime":` +
				tc.text + `}],"binding":{"name":"b"},"versions":{"k":"v"}}`
			got := ExternalSecretStatus{RefreshTime: &metav1.Time{Time: at.Add(time.Hour)}}
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			want := ExternalSecretStatus{
				SyncedResourceVersion: "1-a",
				Conditions:            []Condition{{Type: "Ready", Status: "True", LastTransitionTime: tc.want}},
				Binding:               Binding{Name: "b"},
				Versions:              map[string]string{"k": "v"},
			}
			if !tc.want.IsZero() {
				want.RefreshTime = &tc.want
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestStatusRoundTrip(t *testing.T) {
	const text = `{"refreshTime":"2026-01-02T15:04:05Z","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T15:04:05Z"},{"type":"Deleted","status":"False"}]}`
	var status ExternalSecretStatus
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Errorf("got %s\nwant %s", got, text)
	}
}
