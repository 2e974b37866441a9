// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"strings"
	"testing"

	"github.com/lockstep-secrets/lockstep/internal/config"
)

// TestClasses: two instances of other controller classes leave each other's
// objects and stores alone. The second one stands for External Secrets Operator,
// which goes by the same field of the store.
func TestClasses(t *testing.T) {
	const classes = "default theirs"
	of := map[string]string{}
	for _, class := range strings.Fields(classes) {
		of[class] = shared.namespace(t, "class-"+class)
		shared.apply(t, of[class], strings.ReplaceAll(fakeStore+external+"}"+both, "spec: {provider", "spec: {controller: "+class+", provider"))
	}
	instances := map[string]*instance{}
	for class := range of {
		access := shared.account(t, "class-"+class, false)
		instances[class] = start(t, access, nil, config.Controller{Class: class, Namespaces: []string{of["default"], of["theirs"]}})
	}
	for class, ns := range of {
		shared.holds(t, ns, "s", "password", canary+"-new")
		// The other one sees the change of the store too.
		put := strings.ReplaceAll(fakeStore, "spec: {provider", "spec: {controller: "+class+", provider")
		shared.apply(t, ns, strings.ReplaceAll(put, canary+"-new", canary+"-later"))
		shared.holds(t, ns, "s", "password", canary+"-later")
	}
	for class := range of {
		instances[class].stop()
		own := 0
		for _, w := range shared.writes(t, "class-"+class) {
			switch w.ObjectRef.Namespace {
			case of[class]:
				own++
			case "":
			default:
				t.Errorf("the instance of class %s asked to %s", class, w)
			}
		}
		if own == 0 {
			t.Errorf("the audit log knows nothing of the instance of class %s", class)
		}
	}
}
