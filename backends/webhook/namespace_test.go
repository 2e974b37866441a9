// SPDX-License-Identifier: Apache-2.0

package webhook

import "testing"

func TestByNamespace(t *testing.T) {
	for text, want := range map[string]bool{
		`{"url":"https://x/{{ .remoteRef.key }}"}`:                         false,
		`{"url":"https://x/{{ .remoteRef.namespace }}"}`:                   true,
		`{"url":"https://x/{{ .remoteRef | toJson }}"}`:                    true,
		`{"url":"https://x","body":"{{ range $k, $v := .remoteRef }}"}`:    true,
		`{"url":"https://x/{{ .remoteReference }}"}`:                       false,
		`{"url":"https://x/{{ with .remoteRef }}{{ .namespace }}{{end}}`:   true,
		`{"url":"https://x/{{ .remoteRef.key }}","namespace":"elsewhere"}`: false,
	} {
		if got := byNamespace([]byte(text)); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}
