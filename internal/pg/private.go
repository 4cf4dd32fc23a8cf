package pg

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ExposedError says that a URL leads to another machine, and not only over TLS to a server whose name is that of its
// certificate. Whoever is between could read and change all that is asked and answered.
type ExposedError struct{ Host string }

func (e *ExposedError) Error() string {
	return fmt.Sprintf("host %s is off loopback: want sslmode=verify-full, and the authority in sslrootcert where it "+
		"is not one of this machine's", e.Host)
}

// CheckPrivate returns an *ExposedError when what passes between this process and a database is not for these two
// alone. A socket and loopback are this machine's. Without sslmode pgx takes plaintext where TLS cannot be had, and
// with anything less than verify-full a server that is another.
func CheckPrivate(url string) error {
	config, err := Parse(url)
	if err != nil {
		return err
	}
	for _, way := range waysOf(config.ConnConfig) {
		if !isHere(way.Host) && !isVerified(way.TLSConfig) {
			return &ExposedError{way.Host}
		}
	}
	return nil
}

// waysOf returns each way in which a connection is tried.
func waysOf(config *pgx.ConnConfig) []*pgconn.FallbackConfig {
	first := &pgconn.FallbackConfig{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}
	return append([]*pgconn.FallbackConfig{first}, config.Fallbacks...)
}

// isHere reports whether a host is this machine.
func isHere(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isVerified reports whether the server's certificate is checked, and its name: pgx checks less than both by itself,
// with crypto/tls told to check nothing.
func isVerified(config *tls.Config) bool { return config != nil && !config.InsecureSkipVerify }
