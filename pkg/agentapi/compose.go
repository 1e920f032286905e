// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agentapi

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

// Exporting asks for keys of the node, sealed to the agent of another.
type Exporting struct {
	// Keys by provider, name and fingerprint. Each must be in the node's file or in its history.
	Keys []encconfig.Key `json:"keys"`
	// Recipient is the node whose agent shall be able to open them, and PublicKey that agent's.
	Recipient string `json:"recipient"`
	PublicKey []byte `json:"publicKey"`
}

// Exported are keys of a node: named for the plugin, sealed for one agent.
type Exported struct {
	// Node that they come from.
	Node string `json:"node"`
	// Keys are those that were asked for, in that order.
	Keys   []encconfig.Key `json:"keys"`
	Sealed []byte          `json:"sealed"`
}

// Composition asks for configurations that no single change leads to.
type Composition struct {
	// Base is the digest of the configuration to begin with: the node's file, or one of its history. Its comments and the
	// order of its entries are kept.
	Base string `json:"base"`
	// Exported keys of other nodes.
	Exported []Exported `json:"exported,omitempty"`
	// Wanted is one for each node that gets a configuration.
	Wanted []Wanted `json:"wanted"`
}

// Wanted is what the configuration of a node shall say.
type Wanted struct {
	Node string `json:"node"`
	// From is the digest of what it replaces on its node, empty if there must be nothing.
	From      string `json:"from"`
	PublicKey []byte `json:"publicKey"`
	// Rules with every key by its fingerprint.
	Rules []encconfig.Rule `json:"rules"`
}

// Composed are the configurations that were asked for, by node: described for the plugin, sealed for the agents.
type Composed struct {
	Configs map[string]encconfig.Description `json:"configs"`
	Sealed  map[string][]byte                `json:"sealed"`
}
