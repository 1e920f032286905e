# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# kubectl encryption: `make help` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULE  := github.com/kubectl-encryption/kubectl-encryption
OUTPUT  := $(CURDIR)/_output
BIN     := $(CURDIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)

# The test cluster, see test/cluster/README.md.
NODES       ?= 1
ENCRYPTION  ?= aesgcm
RELOAD_POLL ?= 1m
KUBERNETES  ?= v1.37.1
CLUSTER     := $(OUTPUT)/bin/cluster

AGENT_IMAGE := ghcr.io/kubectl-encryption/encryption-agent
AGENT_TAR   := $(OUTPUT)/encryption-agent.tar
AGENT_SHA   := $(OUTPUT)/encryption-agent.digest

export CGO_ENABLED := 0
GO_BUILD := go build -trimpath -buildvcs=false
LDFLAGS   = -s -w -X $(MODULE)/pkg/version.version=$(VERSION) -X $(MODULE)/pkg/version.commit=$(COMMIT)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: image ## Build bin/kubectl-encryption and bin/encryption-agent
	$(GO_BUILD) -ldflags '$(LDFLAGS) -X $(MODULE)/pkg/version.agentDigest=$(shell cat $(AGENT_SHA) 2>/dev/null)' -o $(BIN)/kubectl-encryption ./cmd/kubectl-encryption

.PHONY: agent
agent:
	$(GO_BUILD) -ldflags '-s -w' -o $(BIN)/encryption-agent ./cmd/encryption-agent

.PHONY: image
image: agent $(CLUSTER) ## Build the agent's image as a tarball, without a container engine
	$(CLUSTER) image --binary $(BIN)/encryption-agent --name $(AGENT_IMAGE) --out $(AGENT_TAR) --digest-file $(AGENT_SHA)

.PHONY: $(CLUSTER)
$(CLUSTER):
	cd test/cluster && $(GO_BUILD) -o $@ .
