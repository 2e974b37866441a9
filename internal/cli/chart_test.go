// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/cli"
)

// TestFlagsOfTheChart holds that each flag that the Helm chart passes is one: a
// pod with another does not start.
func TestFlagsOfTheChart(t *testing.T) {
	template, err := os.ReadFile("../../deploy/charts/lockstep/templates/_pod.tpl")
	if err != nil {
		t.Fatal(err)
	}
	_, args, _ := strings.Cut(string(template), "- controller\n")
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^- --([a-z-]+)`).FindAllStringSubmatch(args, -1) {
		names[m[1]] = true
	}
	for _, list := range regexp.MustCompile(`range \$flag := list ((?:"[a-z-]+" ?)+)`).FindAllStringSubmatch(args, -1) {
		for name := range strings.FieldsSeq(list[1]) {
			names[strings.Trim(name, `"`)] = true
		}
	}
	if !names["dialects"] || !names["shadow"] {
		t.Fatalf("the template is not read rightly: %v", names)
	}
	var help bytes.Buffer
	if code := cli.Run(t.Context(), []string{"controller", "--help"}, nil, nil, &help, &help); code != 0 {
		t.Fatal(help.String())
	}
	for name := range names {
		if !regexp.MustCompile(`(?m)^ +--` + name + `( |$)`).MatchString(help.String()) {
			t.Errorf("the chart passes --%s, which the controller does not know", name)
		}
	}
}
