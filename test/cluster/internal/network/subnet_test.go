// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	preferred, err := Choose("a folder", nil)
	require.NoError(t, err)

	t.Run("the same seed => the same subnet", func(t *testing.T) {
		t.Parallel()
		again, err := Choose("a folder", []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")})
		require.NoError(t, err)
		assert.Equal(t, preferred, again)
	})
	t.Run("the preferred one is in use => the next", func(t *testing.T) {
		t.Parallel()
		next, err := Choose("a folder", []netip.Prefix{preferred.Prefix()})
		require.NoError(t, err)
		assert.Equal(t, preferred.Number+1, next.Number)
	})
	t.Run("a single address of it is in use => the next", func(t *testing.T) {
		t.Parallel()
		next, err := Choose("a folder", []netip.Prefix{netip.PrefixFrom(preferred.Node(5), 32)})
		require.NoError(t, err)
		assert.NotEqual(t, preferred, next)
	})
	t.Run("all are in use => an error", func(t *testing.T) {
		t.Parallel()
		_, err := Choose("a folder", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		assert.ErrorIs(t, err, ErrNoSubnet)
	})
	t.Run("only one is left => that one, wherever the search began", func(t *testing.T) {
		t.Parallel()
		var taken []netip.Prefix
		for number := range 256 {
			if number != 7 {
				taken = append(taken, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 209, byte(number), 0}), 24))
			}
		}
		only, err := Choose("a folder", taken)
		require.NoError(t, err)
		assert.Equal(t, uint8(7), only.Number)
	})
}

func TestSubnet_addressesAndNames(t *testing.T) {
	t.Parallel()
	subnet := Subnet{Number: 64}
	assert.Equal(t, "10.209.64.0/24", subnet.Prefix().String())
	assert.Equal(t, "10.209.64.1", subnet.Gateway().String())
	assert.Equal(t, "10.209.64.12", subnet.Node(2).String())
	assert.Equal(t, "10.244.2.0/24", PodSubnet(2).String())
	longest := Subnet{Number: 255}.Cable(MaxNodes)
	assert.LessOrEqual(t, len(longest), 15, "the kernel takes no longer name than this")
}

func TestInteriorOf_routesToThePodsOfTheOthers(t *testing.T) {
	t.Parallel()
	interior := Subnet{Number: 3}.InteriorOf(2, netip.MustParseAddr("10.96.0.1"))
	assert.Equal(t, "10.209.3.12/24", interior.Address.String())
	require.Len(t, interior.Routes, MaxNodes-1)
	for _, route := range interior.Routes {
		assert.NotEqual(t, PodSubnet(2), route.To, "its own pods are behind its own bridge")
	}
	assert.Equal(t, Route{To: PodSubnet(1), Via: netip.MustParseAddr("10.209.3.11")}, interior.Routes[0])
}

func TestParseRoutes(t *testing.T) {
	t.Parallel()
	const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	for name, row := range map[string]struct {
		table string
		want  []netip.Prefix
		fails bool
	}{
		"only the header => nothing": {table: header},
		"the default route => left out": {
			table: header + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
		},
		"a network => its range": {
			table: header + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
			want:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		},
		"a word that is no address => an error": {
			table: header + "eth0\tnonsense\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", fails: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseRoutes(strings.NewReader(row.table))
			if row.fails {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}
