package console

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// loopback are the names by which a machine knows itself.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// policy is what a page may have a browser load: what the console serves, and no line that stands in a page.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxBody is the largest body of a request, in bytes. The largest form has a reason of 500 characters.
const maxBody = 16 << 10

// guarded looks at each request before anybody answers it, whatever its path is.
func (c *Console) guarded(next http.Handler) http.Handler {
	next = http.MaxBytesHandler(c.admitted(next), maxBody)
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		switch {
		case !c.isOwn(r.Host):
			c.refuse(w, r, &problem{http.StatusMisdirectedRequest, "problem.host", []any{r.Host}})
		case fromElsewhere(origins, r):
			c.refuse(w, r, &problem{http.StatusForbidden, "problem.origin", nil})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (c *Console) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	c.visited(route{"", func(*visit) error { return p }}).ServeHTTP(w, r)
}

// isOwn reports whether a request names this console as what it asks. A browser that a foreign name has led to loopback
// (DNS rebinding) names that one.
func (c *Console) isOwn(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.Contains(loopback, host) || slices.ContainsFunc(c.config.Hosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host)
	})
}

// fromElsewhere reports whether a page of another site has a browser send a request. A link that leads a person here is
// none; one that only reads, as the stream, is: it could not see the answer, and would take the place of somebody who
// can.
func fromElsewhere(origins *http.CrossOriginProtection, r *http.Request) bool {
	if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return false
	}
	asWriting := *r
	asWriting.Method = http.MethodPost
	return origins.Check(&asWriting) != nil
}
