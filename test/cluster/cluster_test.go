// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import "testing"

// TestCluster follows one installation through its life. Each step leaves the
// cluster as the next one needs it: an installation at work, up to the removal.
// The last one judges what all of them did, so it fails where only some ran.
func TestCluster(t *testing.T) {
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Install", testInstall},
		{"Tutorial", testTutorial},
		{"Reconnect", testReconnect},
		{"RollingUpdate", testRollingUpdate},
		{"LeaderKilled", testLeaderKilled},
		{"KubeletRestart", testKubeletRestart},
		{"APIServerRestart", testAPIServerRestart},
		{"EveryPower", testEveryPower},
		{"Upgrade", testUpgrade},
		{"Uninstall", testUninstall},
		{"Scoped", testScoped},
		{"Rules", testRules},
	} {
		if !t.Run(step.name, step.run) && step.name == "Install" {
			t.Fatal("without an installation there is nothing to test")
		}
	}
}
