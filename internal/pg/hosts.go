package pg

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// host is one of those that a URL names.
type host struct {
	name string
	port uint16
}

// hostsOf returns the hosts of a URL, each as often as it is tried, with TLS and without.
func hostsOf(config *pgx.ConnConfig) []host {
	hosts := []host{{config.Host, config.Port}}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, host{f.Host, f.Port})
	}
	return hosts
}

func severalHosts(config *pgx.ConnConfig) bool {
	hosts := hostsOf(config)
	return slices.ContainsFunc(hosts, func(h host) bool { return h != hosts[0] })
}

// favourite is the host that took a pool's last connection. pgx tries the hosts in the URL's order for each connection,
// and one that is silent costs each of them a timeout. So the favourite is tried first, and the others when it fails.
type favourite struct{ last atomic.Pointer[host] }

// attach does nothing where the URL names one host.
func (f *favourite) attach(config *pgxpool.Config) {
	if !severalHosts(config.ConnConfig) {
		return
	}
	before := config.BeforeConnect
	config.BeforeConnect = func(ctx context.Context, config *pgx.ConnConfig) error { // a copy, for one connection
		f.reorder(config)
		f.remember(config)
		if before != nil {
			return before(ctx, config)
		}
		return nil
	}
}

func (f *favourite) reorder(config *pgx.ConnConfig) {
	last := f.last.Load()
	if last == nil {
		return
	}
	all := slices.Insert(config.Fallbacks, 0,
		&pgconn.FallbackConfig{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig})
	slices.SortStableFunc(all, func(a, b *pgconn.FallbackConfig) int {
		switch first := (host{a.Host, a.Port}) == *last; {
		case first == ((host{b.Host, b.Port}) == *last):
			return 0
		case first:
			return -1
		}
		return 1
	})
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
}

// remember takes note of the host that the connection was made to. Only its address is known then, so that the names
// are kept which were looked up.
func (f *favourite) remember(config *pgx.ConnConfig) {
	hosts, names := hostsOf(config), map[string]string{}
	lookup, validate := config.LookupFunc, config.ValidateConnect
	config.LookupFunc = func(ctx context.Context, name string) ([]string, error) {
		addresses, err := lookup(ctx, name)
		for _, a := range addresses {
			names[a] = name
		}
		return addresses, err
	}
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, conn); err != nil {
				return err
			}
		}
		address, text, err := net.SplitHostPort(conn.Conn().RemoteAddr().String())
		if err != nil {
			return nil // a socket of this machine, which is no host
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if found := (host{names[address], uint16(port)}); err == nil && slices.Contains(hosts, found) {
			f.last.Store(&found)
		}
		return nil
	}
}
