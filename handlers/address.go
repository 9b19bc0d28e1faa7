package handlers

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Proxies says which hops before a request are believed when they say whom they speak for. The zero value believes
// none. X-Forwarded-For is read from the right, where the nearest proxy writes, so that what a client puts there
// itself changes nothing.
type Proxies struct {
	hops     int
	networks []netip.Prefix
}

// spaces are the private networks through which Hugging Face Spaces' own proxies reach a container.
const spaces = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,::1,fc00::/7"

// ParseProxies reads "" (none), a number of hops, "huggingface", or comma-separated addresses and CIDRs.
func ParseProxies(setting string) (Proxies, error) {
	if setting == "" {
		return Proxies{}, nil
	}
	if setting == "huggingface" {
		setting = spaces
	}
	if hops, err := strconv.Atoi(setting); err == nil && hops >= 0 {
		return Proxies{hops: hops}, nil
	}
	var p Proxies
	for _, part := range strings.Split(setting, ",") {
		network, err := parseNetwork(strings.TrimSpace(part))
		if err != nil {
			return Proxies{}, fmt.Errorf("handlers: trusted proxies: %q is neither a CIDR, a number of hops nor huggingface", part)
		}
		p.networks = append(p.networks, network)
	}
	return p, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// Client returns the address of the client behind remote, the peer of the connection. forwarded is X-Forwarded-For's
// entries, in order.
func (p Proxies) Client(remote netip.Addr, forwarded []string) netip.Addr {
	client := remote
	for used := 0; len(forwarded) > 0 && p.believes(client, used); used++ {
		last := len(forwarded) - 1
		addr, ok := parseHop(forwarded[last])
		if !ok {
			break // what stands left of nonsense is worth nothing
		}
		client, forwarded = addr, forwarded[:last]
	}
	return client
}

// believes says whether the hop at addr, the used-th from the right, may name the one before it.
func (p Proxies) believes(addr netip.Addr, used int) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return used < p.hops
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if addrPort, err := netip.ParseAddrPort(s); err == nil {
		return addrPort.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return addr.Unmap(), err == nil
}
