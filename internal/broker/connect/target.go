package connect

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"hosho/internal/broker"
	"hosho/internal/broker/kafka"
	"hosho/internal/broker/nats"
	"hosho/internal/broker/rabbitmq"
)

// The kinds of brokers, by the names of their transports.
const (
	NATS     = "nats"
	RabbitMQ = "rabbitmq"
	Kafka    = "kafka"
)

// dialers are how each is connected to.
var dialers = map[string]func(broker.Config) (broker.Broker, error){
	Kafka:    func(c broker.Config) (broker.Broker, error) { return kafka.Dial(c) },
	NATS:     func(c broker.Config) (broker.Broker, error) { return nats.Dial(c) },
	RabbitMQ: func(c broker.Config) (broker.Broker, error) { return rabbitmq.Dial(c) },
}

// scheme is what a URL may begin with.
type scheme struct {
	name, kind, port string
	tls              bool
}

var schemes = []scheme{
	{"nats", NATS, "4222", false},
	{"tls", NATS, "4222", true},
	{"amqp", RabbitMQ, "5672", false},
	{"amqps", RabbitMQ, "5671", true},
	{"kafka", Kafka, "9092", false},
	{"kafkas", Kafka, "9093", true},
}

// mechanisms are how a password is told to Kafka.
var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// target is a broker that is named.
type target struct {
	broker.Config

	kind string
}

// parse reads a broker's URL. net/url takes no list of hosts with ports. Its errors leave out who the user is.
func parse(text string) (target, error) {
	name, rest, _ := strings.Cut(text, "://")
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == name })
	if i < 0 || rest == "" {
		return target{}, errors.New("want nats://, tls://, amqp://, amqps://, kafka:// or kafkas:// and host:port")
	}
	s := schemes[i]
	t := target{kind: s.kind}
	if s.tls {
		t.TLS = &broker.TLS{}
	}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := t.setUser(rest[:at]); err != nil {
			return target{}, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := addressOf(host, s.port)
		if err != nil {
			return target{}, err
		}
		t.Addresses = append(t.Addresses, address)
	}
	return t, errors.Join(t.setPath(path), t.setQuery(query))
}

func (t *target) setUser(text string) error {
	user, password, ok := strings.Cut(text, ":")
	user, err := url.PathUnescape(user)
	if err == nil {
		password, err = url.PathUnescape(password)
	}
	if err != nil || !ok || user == "" || password == "" {
		return errors.New("what stands before @ is no user:password, with %-escapes for what is no letter or digit")
	}
	t.User, t.Password = user, password
	return nil
}

func (t *target) setPath(path string) (err error) {
	if t.kind != RabbitMQ && path != "" {
		return fmt.Errorf("path /%s: want none", path)
	}
	if t.VHost, err = url.PathUnescape(path); err != nil {
		return fmt.Errorf("virtual host %s: %w", path, err)
	}
	return nil
}

func (t *target) setQuery(text string) error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return fmt.Errorf("?%s: %w", text, err)
	}
	if t.kind == Kafka {
		if t.Mechanism = query.Get("mechanism"); t.Mechanism == "" {
			t.Mechanism = mechanisms[0]
		}
		if !slices.Contains(mechanisms, t.Mechanism) {
			return fmt.Errorf("mechanism %s: want %s", t.Mechanism, strings.Join(mechanisms, ", "))
		}
		query.Del("mechanism")
	}
	for name := range query {
		return fmt.Errorf("?%s: not known; only kafka has one, mechanism", name)
	}
	return nil
}

// addressOf returns a host with its port.
func addressOf(text, port string) (string, error) {
	host, given, err := net.SplitHostPort(text)
	if err != nil {
		host, given = strings.Trim(text, "[]"), port
	}
	if host == "" || given == "" || err != nil && strings.ContainsAny(text, ":") && !strings.HasPrefix(text, "[") {
		return "", fmt.Errorf("address %q: want host:port", text)
	}
	if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("address %q: got the port %s, want 1 to 65535", text, given)
	}
	return net.JoinHostPort(host, given), nil
}

// Schemes returns what the URL of a kind of broker begins with: "nats:// or tls://".
func Schemes(kind string) string {
	var names []string
	for _, s := range schemes {
		if s.kind == kind {
			names = append(names, s.name+"://")
		}
	}
	return strings.Join(names, " or ")
}

// exposed returns a host off loopback that is reached without TLS, or without saying who this is; else "".
func (t *target) exposed() string {
	known := t.User != "" || t.CredentialsFile != "" || t.TLS != nil && t.TLS.Cert != ""
	if t.TLS != nil && known {
		return ""
	}
	for _, address := range t.Addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && !isHere(host) {
			return host
		}
	}
	return ""
}

// isHere reports whether a host is this machine.
func isHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// secure returns the scheme with which a broker of the kind is reached over TLS.
func (t *target) secure() string {
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.kind == t.kind && s.tls })
	return schemes[i].name
}
