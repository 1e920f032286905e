// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Create makes the bridge of a new cluster on a free subnet. The bridge is at
// the same time the mark that the subnet is in use: of two clusters that start
// at once and choose the same, one finds the bridge there and moves on.
func Create(ctx context.Context, seed string) (Subnet, error) {
	taken, err := Taken()
	if err != nil {
		return Subnet{}, err
	}
	for {
		subnet, err := Choose(seed, taken)
		if err != nil {
			return Subnet{}, err
		}
		if Exists(subnet.Bridge()) {
			taken = append(taken, subnet.Prefix())
			continue
		}
		err = create(ctx, subnet)
		if err == nil {
			return subnet, nil
		}
		if !strings.Contains(err.Error(), "File exists") {
			return Subnet{}, errors.Join(err, Delete(ctx, subnet))
		}
		taken = append(taken, subnet.Prefix())
	}
}

func create(ctx context.Context, subnet Subnet) error {
	bridge := subnet.Bridge()
	if err := command(ctx, "ip", "link", "add", bridge, "type", "bridge"); err != nil {
		return err
	}
	gateway := netip.PrefixFrom(subnet.Gateway(), subnet.Prefix().Bits())
	lines := [][]string{
		{"ip", "addr", "add", gateway.String(), "dev", bridge},
		{"ip", "link", "set", bridge, "up"},
	}
	if bridgedTrafficIsFiltered() {
		lines = append(lines, append([]string{"iptables", "-w", "-I"}, forwardRule(bridge)...))
	}
	if err := commands(ctx, lines); err != nil {
		// Not "File exists": the bridge is ours from here on.
		return fmt.Errorf("set up bridge %s: %s", bridge, strings.ReplaceAll(err.Error(), "File exists", "exists already"))
	}
	return nil
}

// Delete removes the bridge and what belongs to it. A bridge that is gone is
// no error.
func Delete(ctx context.Context, subnet Subnet) error {
	bridge := subnet.Bridge()
	var errs []error
	for rule := forwardRule(bridge); bridgedTrafficIsFiltered(); {
		if command(ctx, "iptables", append([]string{"-w", "-C"}, rule...)...) != nil {
			break
		}
		if err := command(ctx, "iptables", append([]string{"-w", "-D"}, rule...)...); err != nil {
			errs = append(errs, err)
			break
		}
	}
	if Exists(bridge) {
		errs = append(errs, command(ctx, "ip", "link", "del", bridge))
	}
	return errors.Join(errs...)
}

// Exists reports whether the machine has a network interface of this name.
func Exists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

// Connect lays the cable from the bridge into the network namespace of pid,
// where its end is called eth0. The one of a node that was killed may still be
// there: the kernel takes down a namespace some time after its last process.
func Connect(ctx context.Context, subnet Subnet, index, pid int) error {
	cable := subnet.Cable(index)
	if Exists(cable) {
		_ = command(ctx, "ip", "link", "del", cable) // it may go by itself meanwhile
	}
	return commands(ctx, [][]string{
		{"ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
		{"ip", "link", "set", cable, "master", subnet.Bridge(), "up"},
	})
}

// bridgedTrafficIsFiltered reports whether this machine shows what passes a
// bridge to iptables, where the rules of a container engine or a firewall
// would drop what one node sends to another.
func bridgedTrafficIsFiltered() bool {
	value, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	return err == nil && strings.TrimSpace(string(value)) == "1"
}

func forwardRule(bridge string) []string {
	return []string{"FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
}
