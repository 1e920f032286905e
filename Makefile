# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# kubectl encryption: `make help` lists the targets.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-print-directory

MODULE  := $(shell sed -n 's/^module //p' go.mod)
OUTPUT  := $(CURDIR)/_output
BIN     := $(CURDIR)/bin
CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubectl-encryption
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)

# The test cluster, see test/cluster/README.md.
NODES       ?= 1
ENCRYPTION  ?= none
RELOAD_POLL ?= 1m
KUBERNETES  ?= v1.37.1
CLUSTER     := $(OUTPUT)/bin/cluster
TALLY       := $(OUTPUT)/bin/tally

AGENT_IMAGE := $(shell sed -n 's/.*AgentImage = "\(.*\)"/\1/p' pkg/project/project.go)
AGENT_TAR   := $(OUTPUT)/encryption-agent.tar
AGENT_SHA   := $(OUTPUT)/encryption-agent.digest

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(CACHE)/tools/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

export CGO_ENABLED := 0
GO_BUILD := go build -trimpath -buildvcs=false
LDFLAGS   = -s -w -X $(MODULE)/pkg/version.version=$(VERSION) -X $(MODULE)/pkg/version.commit=$(COMMIT) \
            -X $(MODULE)/pkg/version.agentDigest=$$(cat $(AGENT_SHA))

BENCH  := $(OUTPUT)/bin/bench

SUITES := lint unit harness integration e2e faults
TEST   := $(OUTPUT)/test

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##
## Building
##

.PHONY: build
build: image ## Build bin/kubectl-encryption and bin/encryption-agent
	$(GO_BUILD) -ldflags "$(LDFLAGS)" -o $(BIN)/kubectl-encryption ./cmd/kubectl-encryption

.PHONY: image
image: agent $(CLUSTER) ## Build the agent's image as a tarball, without a container engine
	$(CLUSTER) image --binary $(BIN)/encryption-agent --name $(AGENT_IMAGE) --out $(AGENT_TAR) --digest-file $(AGENT_SHA)

.PHONY: agent
agent: # without gRPC's tracing pages, a quarter of it
	$(GO_BUILD) -tags grpcnotrace -ldflags '-s -w' -o $(BIN)/encryption-agent ./cmd/encryption-agent

.PHONY: $(CLUSTER)
$(CLUSTER):
	cd test/cluster && $(GO_BUILD) -o $@ .

.PHONY: $(TALLY)
$(TALLY):
	$(GO_BUILD) -o $@ ./test/tally

##
## The real cluster
##

.PHONY: deps
deps: $(CLUSTER)
	$(CLUSTER) deps

.PHONY: cluster-up
cluster-up: image deps ## Start the real cluster: NODES=1..3 ENCRYPTION=none|aesgcm|aescbc|secretbox RELOAD_POLL=1m KUBERNETES=v1.37.1
	$(CLUSTER) up --nodes $(NODES) --encryption $(ENCRYPTION) --reload-poll $(RELOAD_POLL) --kubernetes $(KUBERNETES) --load-image $(AGENT_TAR)

.PHONY: cluster-down
cluster-down: $(CLUSTER) ## End the real cluster and remove all of it
	$(CLUSTER) down

.PHONY: demo
demo: build deps ## Start a real one-node cluster, encrypt what it stores, rotate the key, and show it
	CLUSTER=$(CLUSTER) AGENT_TAR=$(AGENT_TAR) PATH=$(BIN):$$PATH test/demo.sh

##
## Tests
##

.PHONY: test
test: ## Check a change: lint, unit, integration on a bare control plane, the short sets on real clusters and of the faults
	@$(MAKE) test-suites OF="lint unit harness integration e2e-short faults-short"

.PHONY: test-all
test-all: ## Run everything there is, in some hours
	@$(MAKE) test-suites OF="lint unit harness integration thorough faults"

.PHONY: test-suites
test-suites:
	@rm -rf $(TEST)
	@status=0; for suite in $(OF); do $(MAKE) test-$$suite || status=1; done; \
		$(TALLY) --report --dir $(TEST) $(SUITES) || status=1; exit $$status

.PHONY: test-lint
test-lint: $(TALLY)
	$(TALLY) --suite lint --dir $(TEST) --plain -- $(MAKE) lint

.PHONY: test-unit
test-unit: $(TALLY) ## Unit, property, fuzz-corpus and script tests
	$(TALLY) --suite unit --dir $(TEST) -- go test -json ./...

.PHONY: test-harness
test-harness: $(TALLY) ## Tests of the pure parts of the test cluster and of the benchmark
	$(TALLY) --suite harness --dir $(TEST) -- \
		$(SHELL) -c 'go -C test/cluster test -json ./... && go -C test/bench test -json ./...'

.PHONY: test-integration
test-integration: $(TALLY) build deps ## Migration and proof against real kube-apiservers without nodes
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	$(TALLY) --suite integration --dir $(TEST) -- go test -json -tags integration -count=1 -timeout 15m ./test/integration/...

.PHONY: test-e2e
test-e2e: ## The whole program on real clusters of one and three nodes, and what can happen to it
	$(MAKE) test-e2e-of E2E_DEPTH=full

.PHONY: test-e2e-short
test-e2e-short: ## The short set of it: each command does its work once
	$(MAKE) test-e2e-of E2E_DEPTH=short

.PHONY: test-thorough
test-thorough: ## And more of it: the plugin killed at every step, flags removed on three nodes, nodes that are silent or differ, a full disk
	$(MAKE) test-e2e-of E2E_DEPTH=thorough

.PHONY: test-e2e-of
test-e2e-of: $(TALLY) build deps
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	E2E_DEPTH=$(E2E_DEPTH) $(TALLY) --suite e2e --dir $(TEST) -- go test -json -tags e2e -count=1 -timeout 3h ./test/e2e/...

.PHONY: test-faults
test-faults: $(TALLY) build deps ## Every fault of the catalogue, on a bare control plane and on real clusters of one and three nodes
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	FAULTS=$(OUTPUT)/faults $(TALLY) --suite faults --dir $(TEST) -- test/faults.sh full

.PHONY: test-faults-short
test-faults-short: $(TALLY) build deps ## The short set of it, on one node
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	FAULTS=$(OUTPUT)/faults $(TALLY) --suite faults --dir $(TEST) -- test/faults.sh short

.PHONY: test-matrix
test-matrix: build deps ## enable and rotate on each further version of Kubernetes: the older proof
	PLUGIN=$(BIN)/kubectl-encryption CLUSTER=$(CLUSTER) AGENT_TAR=$(AGENT_TAR) test/matrix.sh v1.33.13

##
## Benchmark
##

.PHONY: $(BENCH)
$(BENCH):
	cd test/bench && $(GO_BUILD) -o $@ .

.PHONY: bench
bench: $(CLUSTER) $(BENCH) ## Measure against everything else that migrates: half an hour on a quiet machine
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	$(BENCH) --dir $(OUTPUT)/bench --cluster $(CLUSTER) $(BENCHFLAGS)

.PHONY: bench-verify
bench-verify: build $(BENCH) ## Measure verify against a bare client of etcd, and the agent's memory, with 100,000 and 1,000,000 values
	$(CLUSTER) build --kubernetes $(KUBERNETES) >/dev/null
	$(BENCH) verify --dir $(OUTPUT)/bench --cluster $(CLUSTER) --agent $(BIN)/encryption-agent --plugin $(BIN)/kubectl-encryption $(BENCHFLAGS)

.PHONY: bench-quick
bench-quick: ## The same with fewer rounds and smaller slices: under ten minutes
	$(MAKE) bench BENCHFLAGS="--quick $(BENCHFLAGS)"

.PHONY: test-race
test-race: ## Unit tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race ./pkg/... ./cmd/...

.PHONY: lint
lint: $(GOLANGCI) ## Lint everything
	$(GOLANGCI) run ./...
	$(GOLANGCI) run --build-tags e2e,integration,faults ./test/...
	cd test/cluster && $(GOLANGCI) run --config ../../.golangci.yml ./...
	cd test/bench && $(GOLANGCI) run --config ../../.golangci.yml ./...

$(GOLANGCI):
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.PHONY: fmt
fmt: $(GOLANGCI) ## Format everything
	$(GOLANGCI) fmt ./...

.PHONY: tidy
tidy: ## Bring go.mod and go.sum in order
	go mod tidy
	cd test/cluster && go mod tidy
	cd test/bench && go mod tidy
	cd pkg/stored/testdata/kmsplugin && go mod tidy

.PHONY: clean
clean: ## Remove what was built; not the caches
	rm -rf $(BIN) $(OUTPUT)
