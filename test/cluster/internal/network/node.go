// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"
)

// Interior is the network as one node sees it.
type Interior struct {
	Address netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway"`
	// Service is the address of the kubernetes Service. Nothing else routes
	// Services here, so that the node answers to this one itself.
	Service netip.Addr `json:"service"`
	// Routes lead to the pods of the other nodes.
	Routes []Route `json:"routes,omitempty"`
}

// Route is the way to the pods of one other node.
type Route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"`
}

// InteriorOf is the network of the node with this index.
func (s Subnet) InteriorOf(index int, service netip.Addr) Interior {
	interior := Interior{
		Address: netip.PrefixFrom(s.Node(index), s.Prefix().Bits()),
		Gateway: s.Gateway(),
		Service: service,
	}
	for other := 1; other <= MaxNodes; other++ {
		if other != index {
			interior.Routes = append(interior.Routes, Route{To: PodSubnet(other), Via: s.Node(other)})
		}
	}
	return interior
}

// SetUp gives the network namespace that it runs in its addresses and routes.
func (i Interior) SetUp(ctx context.Context) error {
	lines := [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", i.Service.String() + "/32", "dev", "lo"},
		{"ip", "addr", "add", i.Address.String(), "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", "default", "via", i.Gateway.String()},
	}
	for _, route := range i.Routes {
		lines = append(lines, []string{"ip", "route", "add", route.To.String(), "via", route.Via.String()})
	}
	if err := commands(ctx, lines); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0o600); err != nil {
		return fmt.Errorf("let pods reach other nodes: %w", err)
	}
	return nil
}
