// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network gives every cluster a private IPv4 network of its own on
// this machine: a bridge, and one virtual cable from it into each node.
package network

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
)

// MaxNodes is how many nodes a subnet has addresses for.
const MaxNodes = 7

// Subnet is the network of one cluster.
type Subnet struct {
	// Number tells the subnets of this machine's clusters apart.
	Number uint8 `json:"number"`
}

// ErrNoSubnet says that all of the range is in use on this machine.
var ErrNoSubnet = errors.New("no free subnet")

// Choose returns a subnet that overlaps none of taken. The search begins at a
// place that follows from seed, so that a cluster usually gets the same
// addresses each time it is started.
func Choose(seed string, taken []netip.Prefix) (Subnet, error) {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(seed))
	first := uint8(hash.Sum32() & 0xff)
	for i := range 256 {
		// The sum wraps around, so that each number is tried once.
		candidate := Subnet{Number: first + uint8(i&0xff)}
		if !overlapsAny(candidate.Prefix(), taken) {
			return candidate, nil
		}
	}
	return Subnet{}, ErrNoSubnet
}

func overlapsAny(prefix netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, prefix.Overlaps)
}

// Prefix is the subnet's range.
func (s Subnet) Prefix() netip.Prefix {
	return netip.PrefixFrom(s.address(0), 24)
}

// Gateway is the address of the machine itself on the bridge.
func (s Subnet) Gateway() netip.Addr {
	return s.address(1)
}

// Node is the address of the node with this index, counted from 1.
func (s Subnet) Node(index int) netip.Addr {
	return s.address(10 + ordinal(index))
}

// Bridge is the name of the bridge's network interface.
func (s Subnet) Bridge() string {
	return fmt.Sprintf("kenc-%d", s.Number)
}

// Cable is the name of the bridge's end of a node's cable.
func (s Subnet) Cable(index int) string {
	return fmt.Sprintf("%s-n%d", s.Bridge(), index)
}

// PodSubnet is the range of the pods of one node. It exists inside of the
// nodes alone, so that every cluster has the same ones.
func PodSubnet(index int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, ordinal(index), 0}), 24)
}

func (s Subnet) address(host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 209, s.Number, host})
}

// ordinal is the index of a node as a part of an address.
func ordinal(index int) byte {
	return byte(min(max(index, 0), MaxNodes))
}
