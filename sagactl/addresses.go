package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// lookUp resolves a host; net.Resolver's LookupNetIP does.
type lookUp func(ctx context.Context, network, host string) ([]netip.Addr, error)

// each returns the addresses of all who stand behind one: replicas share a name, under docker compose for instance. A
// name that has one address stays as it is, and so does one that cannot be resolved: whoever connects says why.
func (l lookUp) each(ctx context.Context, address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return []string{address} // a target of another form: unix:, dns:
	}
	for _, network := range []string{"ip4", "ip6"} { // each of them once, though it may have an address of either kind
		found, err := l(ctx, network, host)
		if err != nil || len(found) < 2 {
			continue
		}
		addresses := make([]string, len(found))
		for i, ip := range found {
			addresses[i] = net.JoinHostPort(ip.Unmap().String(), port)
		}
		slices.Sort(addresses) // so that each keeps its line
		return addresses
	}
	return []string{address}
}
