package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// Three relays under docker compose are one name. status asked one of them and called that all.
func TestEveryRelayBehindANameIsAsked(t *testing.T) {
	t.Parallel()
	hosts := map[string][]string{
		"ip4 relay":     {"172.18.0.7", "172.18.0.5", "::ffff:172.18.0.6"},
		"ip6 relay":     {"fd00::5", "fd00::6", "fd00::7"},
		"ip4 one":       {"172.18.0.5"},
		"ip4 127.0.0.1": {"127.0.0.1"},
		"ip4 localhost": {"127.0.0.1"},
		"ip6 localhost": {"::1"},
		"ip6 six":       {"fd00::6", "fd00::5"},
	}
	resolve := lookUp(func(_ context.Context, network, host string) ([]netip.Addr, error) {
		var found []netip.Addr
		for _, text := range hosts[network+" "+host] {
			found = append(found, netip.MustParseAddr(text))
		}
		if found == nil {
			return nil, errors.New("no such host")
		}
		return found, nil
	})
	for address, want := range map[string][]string{
		"relay:50053":        {"172.18.0.5:50053", "172.18.0.6:50053", "172.18.0.7:50053"},
		"six:1":              {"[fd00::5]:1", "[fd00::6]:1"},
		"one:50053":          {"one:50053"},
		"127.0.0.1:50053":    {"127.0.0.1:50053"},
		"localhost:50053":    {"localhost:50053"},
		"nowhere:50053":      {"nowhere:50053"},
		"dns:///relay:50053": {"dns:///relay:50053"},
		"unix:/run/relay":    {"unix:/run/relay"},
	} {
		if got := resolve.each(t.Context(), address); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
