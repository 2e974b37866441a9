// SPDX-License-Identifier: Apache-2.0

//go:build linux

package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Logs is what the containers of a pod wrote, those that ended with it, oldest
// first. It is read from the files of the kubelet, which are there for a while
// after the pod is gone. container may be "*".
func (n *Node) Logs(namespace, pod, container string) (string, error) {
	// NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
	names, err := filepath.Glob(n.file("log", "pods", namespace+"_"+pod+"_*", container, "*.log"))
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name) //nolint:gosec // of the kubelet that we started
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(text)) {
			// TIME stdout|stderr F|P TEXT
			if fields := strings.SplitN(line, " ", 4); len(fields) == 4 {
				out.WriteString(fields[3])
			}
		}
	}
	return out.String(), nil
}
