// SPDX-License-Identifier: Apache-2.0

// Package node starts a whole Kubernetes node on this machine, for tests that
// want pods that really run: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kubelet and containerd, as make node builds them, and runc.
// Where a control plane is enough, package plane is quicker and needs no root.
//
// The node lives in namespaces of its own: network, mounts, processes. So it
// takes no port and no address of the machine, and nothing of it can stay
// behind: when its first process ends, and that ends with the test, the kernel
// kills the others, and its mounts and interfaces are gone. What tests see of
// it is the API server, forwarded to a port of loopback, and what they serve to
// its pods with Listen.
//
// It is Linux only and has one node, one CNI bridge, and neither a DNS server
// nor kube-proxy: the API server is the only Service that pods reach, network
// policies are not enforced, and images come from Load, for there is no registry.
//
// Where to look next: space.go and files/space.sh for the namespaces, parts.go
// for the programs and their flags, image.go for images out of one program.
package node
