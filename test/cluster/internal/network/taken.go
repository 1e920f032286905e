// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Taken lists the IPv4 ranges that this machine has an address in or a route
// to, the default route aside.
func Taken() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var taken []netip.Prefix
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Is4() {
			taken = append(taken, prefix.Masked())
		}
	}
	table, err := os.Open("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("open routing table: %w", err)
	}
	defer func() { _ = table.Close() }()
	routes, err := parseRoutes(table)
	if err != nil {
		return nil, fmt.Errorf("read routing table: %w", err)
	}
	return append(taken, routes...), nil
}

// parseRoutes reads the format of /proc/net/route, whose addresses are
// hexadecimal and in the byte order of the machine.
func parseRoutes(table io.Reader) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		const destination, mask, needed = 1, 7, 8
		if len(fields) < needed || fields[destination] == "Destination" {
			continue
		}
		network, err := parseHexAddress(fields[destination])
		if err != nil {
			return nil, err
		}
		netmask, err := parseHexAddress(fields[mask])
		if err != nil {
			return nil, err
		}
		ones := bits.OnesCount32(netmask)
		if ones == 0 {
			continue
		}
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], network)
		prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom4(address), ones))
	}
	return prefixes, lines.Err()
}

// parseHexAddress turns the number that the kernel printed back into the bytes
// that it holds in memory, which are the address as it goes over the network.
func parseHexAddress(text string) (uint32, error) {
	number, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse address %q: %w", text, err)
	}
	var memory [4]byte
	binary.NativeEndian.PutUint32(memory[:], uint32(number))
	return binary.BigEndian.Uint32(memory[:]), nil
}
