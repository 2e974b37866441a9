# SPDX-License-Identifier: Apache-2.0
# make demo and make test are all that a newcomer needs; both build what is missing.

GO    ?= go
VERSION   ?= dev
PLATFORMS ?= linux/amd64,linux/arm64
PARTS := etcd,kube-apiserver,kube-controller-manager,kubectl
NODE  := $(PARTS),kube-scheduler,kubelet
TOOLS := controller-gen golangci-lint gofumpt

.PHONY: all build control-plane node vault image chart demo test test-cluster bench lint generate matrix verify tools clean

all: build

build: ## the lockstep binary
	$(GO) build -trimpath -o bin/lockstep ./cmd/lockstep

control-plane: ## etcd, kube-apiserver, kube-controller-manager and kubectl, once
	cd hack/cluster && $(GO) run . -o ../../bin/control-plane -parts $(PARTS)

node: bin/node/containerd ## the control plane, and what runs pods: kube-scheduler, kubelet and containerd, once
	cd hack/cluster && $(GO) run . -o ../../bin/control-plane -parts $(NODE)

vault: ## a real HashiCorp Vault for tests, once
	cd hack/vault && $(GO) run ./build -o ../../bin/vault

image: ## bin/image: an OCI layout, an archive for each platform, SBOMs; VERSION and PLATFORMS say of what
	cd hack/image && $(GO) run . -o ../../bin/image -version "$(VERSION)" -platforms "$(PLATFORMS)"

chart: bin/helm ## bin/lockstep-VERSION.tgz, the Helm chart
	bin/helm lint deploy/charts/lockstep
	bin/helm package deploy/charts/lockstep -d bin $(if $(filter-out dev,$(VERSION)),--version "$(VERSION:v%=%)" --app-version "$(VERSION)")

demo: build control-plane ## the tutorial, from a secret in the manager to its rotation in the cluster; KEEP=1 leaves it running
	$(GO) build -o bin/demo ./hack/demo
	@bin/demo

test: control-plane vault bin/helm ## unit, conformance and control-plane tests
	$(GO) test -race -timeout 30m $$($(GO) list ./... | grep -v /test/)
	$(GO) test -race -timeout 30m -p 1 $$($(GO) list ./test/... | grep -v -e /test/faults -e /test/cluster) # one after the other: each has control planes of its own
	$(GO) test ./test/faults # by itself, and as people have it: it kills at moments of a sync
	cd hack/cluster && $(GO) test ./...
	cd hack/ibmtests && $(GO) test ./...
	cd hack/helm && $(GO) test .
	cd hack/image && $(GO) test .
	cd hack/vault && $(GO) test . ./build ./certutil # ./... would compile the server once more

test-cluster: ## the image and the chart on a real node, with pods; as root, on Linux. KEEP=1 ends after the tutorial and leaves it running
	@test "$$(id -u)" = 0 || { echo "make test-cluster: a node makes namespaces, mounts and cgroups, which takes root: sudo make test-cluster" >&2; exit 1; }
	@command -v runc >/dev/null || { echo "make test-cluster: there is no runc, the one part that is not built from Go modules: apt-get install runc" >&2; exit 1; }
	$(MAKE) node bin/helm
	$(MAKE) image PLATFORMS=linux/$$($(GO) env GOARCH)
	$(GO) test -count=1 -v $(if $(KEEP),-timeout 0 -run 'TestCluster/(Install|Tutorial)$$',-timeout 40m) ./test/cluster

bench: build control-plane ## docs/benchmarks.md, from what the real binary does; takes half an hour
	$(GO) run ./hack/bench -lockstep bin/lockstep

lint: bin/golangci-lint ## what the compiler does not say
	bin/golangci-lint run ./...

generate: bin/controller-gen bin/helm ## deep copies and CRDs from api/, RBAC and its table from the chart
	bin/controller-gen object:headerFile=hack/crds/header.go.txt paths=./api/...
	rm -rf bin/crds
	bin/controller-gen crd paths=./api/... output:crd:artifacts:config=bin/crds
	$(GO) run ./hack/crds -in bin/crds -out deploy/crds
	rm -rf deploy/charts/lockstep/files/crds
	cp -R deploy/crds deploy/charts/lockstep/files/crds
	$(GO) run ./hack/rbac -helm bin/helm

matrix: control-plane vault ## docs/backends.md, from what the conformance suite finds
	rm -f bin/matrix.jsonl
	LOCKSTEP_MATRIX=$(CURDIR)/bin/matrix.jsonl $(GO) test -count=1 -run Conformance $$($(GO) list ./backends/... | grep -v /memory)
	$(GO) run ./hack/matrix -in bin/matrix.jsonl

verify: generate matrix ## generated files are those that are committed
	git diff --exit-code -- api deploy docs/backends.md docs/rbac.md

tools: $(TOOLS:%=bin/%)

bin/node/containerd: hack/node/go.mod hack/node/pause/main.go ## and all else that hack/node has
	cd hack/node && CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -tags no_btrfs,no_devmapper,no_zfs -o ../../bin/node/ tool ./pause

bin/helm: hack/helm/go.mod
	cd hack/helm && $(GO) build -o ../../$@ helm.sh/helm/v4/cmd/helm
bin/controller-gen: hack/tools/go.mod
	cd hack/tools && $(GO) build -o ../../$@ sigs.k8s.io/controller-tools/cmd/controller-gen
bin/golangci-lint: hack/tools/go.mod
	cd hack/tools && $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/gofumpt: hack/tools/go.mod
	cd hack/tools && $(GO) build -o ../../$@ mvdan.cc/gofumpt

clean: ## everything that was built
	rm -rf bin
