// SPDX-License-Identifier: Apache-2.0

package gotemplate

import "testing"

func TestExecuteNested(t *testing.T) {
	data := map[string]map[string]string{"auth": {"token": "t0k"}, "remoteRef": {"key": "a/b"}}
	for text, want := range map[string]string{
		`{{ .remoteRef.key }}`:                         "a/b",
		`Bearer {{ .auth.token | upper }}`:             "Bearer T0K",
		`{{ with .remoteRef }}{{ .key }}{{ end }}`:     "a/b",
		`{{ range $k, $v := .auth }}{{ $k }}{{ end }}`: "token",
		`{{ .remoteRef | toJson }}`:                    `{"key":"a/b"}`,
	} {
		if got, err := New().ExecuteNested("t", text, data); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`{{ .remoteRef.none }}`, `{{ .none }}`, `{{ range 10000000000 }}{{ end }}`} {
		if got, err := New().ExecuteNested("t", text, data); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}
