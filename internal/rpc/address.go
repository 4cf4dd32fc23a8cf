package rpc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/grpc/resolver"
)

// CheckTarget returns an error when a target can never be dialled, or would be another one than somebody meant. It may
// be host:port, or have a scheme that gRPC resolves: dns:///host:port, passthrough:///host:port, unix:/path,
// unix-abstract:name. A host is always wanted and so is a port: without them gRPC takes this machine, and port 443.
func CheckTarget(target string) error {
	u, err := url.Parse(target)
	if err != nil || resolver.Get(u.Scheme) == nil { // host:port is no URL, or one whose scheme is a host
		return checkDialled(target, target)
	}
	endpoint := resolver.Target{URL: *u}.Endpoint()
	if !strings.HasPrefix(u.Scheme, "unix") {
		return checkDialled(target, endpoint)
	}
	if endpoint == "" || u.Host != "" {
		return fmt.Errorf("got %q, want %s:/path or %[2]s:name", target, u.Scheme)
	}
	return nil
}

func checkDialled(target, address string) error {
	host, port, err := splitAddress(address)
	switch {
	case err != nil:
	case host == "":
		err = errors.New("it has no host")
	case port == 0:
		err = errors.New("nobody listens on port 0")
	}
	if err != nil {
		return fmt.Errorf("got %q, want host:port: %w", target, err)
	}
	return nil
}

// CheckListen returns an error when an address can never be listened on. Without a host it is every interface, and
// port 0 is a free one: both are taken only from somebody who wrote them.
func CheckListen(address string) error {
	if _, _, err := splitAddress(address); err != nil {
		return fmt.Errorf("got %q, want host:port, or :port for every interface: %w", address, err)
	}
	return nil
}

// Reachable returns where this machine reaches what listens on an address: one for every interface is none to dial.
func Reachable(listen string) (target string, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip.Is4() && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	target = net.JoinHostPort(host, port)
	return target, CheckTarget(target)
}

func splitAddress(address string) (host string, port int, err error) {
	switch {
	case address == "":
		return "", 0, errors.New("it is empty")
	case strings.Contains(address, "://"):
		return "", 0, errors.New("it has a scheme, and none that gRPC knows")
	}
	host, name, err := net.SplitHostPort(address)
	if shape, ok := errors.AsType[*net.AddrError](err); ok {
		err = errors.New(shape.Err) // the address is told already
	}
	switch {
	case err != nil:
		return "", 0, err
	case name == "":
		return "", 0, errors.New("it has no port")
	case host != "" && !isHost(host):
		return "", 0, fmt.Errorf("%q is neither a name nor an IP address", host)
	}
	if port, err = net.LookupPort("tcp", name); err != nil {
		return "", 0, fmt.Errorf("there is no port %q", name)
	}
	return host, port, nil
}

var (
	hostName = regexp.MustCompile(`^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?$`)
	numeric  = regexp.MustCompile(`(^|\.)[0-9]+\.?$`) // at its end: an IP address with a slip in it, and no name
)

func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host) && !numeric.MatchString(host)
}
