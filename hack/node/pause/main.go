// SPDX-License-Identifier: Apache-2.0

// Command pause holds a pod's namespaces open until it is told to end. It is
// what every container runtime needs an image of, and there is no registry to
// take one from.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
