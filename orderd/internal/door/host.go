package door

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// Loopback are the names by which a machine knows itself.
var Loopback = []string{"localhost", "127.0.0.1", "::1"}

// known lets those requests through that name this host as theirs. A browser that a foreign name has led to loopback
// (DNS rebinding) names that one. None is kept by caches, nor taken for anything else than it is said to be.
func (d *door) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if hosts := d.config.Hosts; hosts != nil && !slices.Contains(hosts, hostOf(r.Host)) {
			d.refuse(w, &foreignHost{r.Host, hosts})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the name in what may have a port as well.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
