package door

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Loopback are the names by which a machine knows itself.
var Loopback = []string{"localhost", "127.0.0.1", "::1"}

// checkHost returns an error for a request that does not name this host as its own. A browser that a foreign name has
// led to loopback (DNS rebinding) names that one.
func (d *door) checkHost(r *http.Request) error {
	if hosts := d.config.Hosts; hosts != nil && !slices.Contains(hosts, hostOf(r.Host)) {
		return &foreignHost{r.Host, hosts}
	}
	return nil
}

// hostOf is the name in what may have a port as well.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// checkOrigin returns an error for a request that a page of another site has a browser send. One that only reads is
// refused as well: it could not see the answer, and would take the seat of somebody who can.
func (d *door) checkOrigin(r *http.Request) error {
	asWriting := *r
	asWriting.Method = http.MethodPost
	if d.origins.Check(&asWriting) != nil {
		return fmt.Errorf("%w (Origin %s, Sec-Fetch-Site %s)", errCrossSite, quoted(r.Header.Get("Origin")),
			quoted(r.Header.Get("Sec-Fetch-Site")))
	}
	return nil
}
