// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

const suite = `{"backend":"b","check":"read/missing","needs":"read","outcome":"passed"}
{"backend":"b","check":"read/binary","needs":"read","outcome":"skipped","reason":"text only"}
{"backend":"b","check":"find/name","needs":"find","outcome":"cannot","reason":"the backend cannot find"}
{"backend":"a","check":"read/missing","needs":"read","outcome":"skipped","reason":"403 for both"}
{"backend":"a","check":"read/binary","needs":"read","outcome":"passed"}
{"backend":"a","check":"find/name","needs":"find","outcome":"passed"}
`

func TestPage(t *testing.T) {
	lines, err := read(strings.NewReader(suite))
	if err != nil {
		t.Fatal(err)
	}
	got := string(page(lines))
	for _, want := range []string{
		"| | a | b |\n",
		"| reads | 1 of 2 | 1 of 2 |\n",
		"| proves that a secret is gone, so that deletionPolicy works | see below | yes |\n",
		"| finds by name | yes | - |\n",
		"| writes | - | - |\n",
		"| a | `read/missing` | 403 for both |\n| b | `read/binary` | text only |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestRead(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "PASS\n", "a failure": `{"backend":"a","check":"read/none","outcome":"failed"}`,
	} {
		if _, err := read(strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken for a result", name)
		}
	}
}
