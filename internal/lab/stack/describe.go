package stack

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"hosho/internal/failpoint"
	"hosho/internal/proc"
)

// ports returns the ports of the daemons: orderd's, paymentd's, and those of the relays.
func (s *Stack) ports() ([]int, error) {
	n := 2 + s.config.Relays
	if s.config.FixedPorts {
		return fixedPorts(firstPort, n), nil
	}
	return proc.FreePorts(n)
}

// describe works out the daemons' addresses and environments.
func (s *Stack) describe() error {
	s.Relays = nil // when it is done once more
	ports, err := s.ports()
	if err != nil {
		return err
	}
	orders, err := s.route("orderd", "orders", s.As("orderd", s.pooled(OrdersDatabase, s.OrdersURL())))
	if err != nil {
		return err
	}
	payments, err := s.route("paymentd", "payments", s.As("paymentd", s.pooled(PaymentsDatabase, s.PaymentsURL())))
	if err != nil {
		return err
	}
	s.Orderd, err = s.daemon("orderd", "orderd", ports[0],
		append(s.past("ORDERD"), "ORDERD_DATABASE_URL="+orders)...)
	if err != nil {
		return err
	}
	if err := s.addHTTP(); err != nil {
		return err
	}
	events, err := s.overBrokerTo("paymentd", "paymentd")
	if err != nil {
		return err
	}
	s.Paymentd, err = s.daemon("paymentd", "paymentd", ports[1],
		append(events, "PAYMENTD_DATABASE_URL="+payments, "PAYMENTD_SIMULATE="+s.config.Simulate)...)
	if err != nil {
		return err
	}
	for i := range s.config.Relays {
		if err := s.describeRelay(i, ports[2+i]); err != nil {
			return err
		}
	}
	return nil
}

// addHTTP gives orderd its JSON door, where it is to have one.
func (s *Stack) addHTTP() error {
	if !s.config.HTTP {
		return nil
	}
	port := httpPort
	if !s.config.FixedPorts {
		var err error
		if port, err = proc.FreePort(); err != nil {
			return err
		}
	}
	s.Orderd.HTTPAddress = proc.Address(port)
	s.Orderd.Settings = append(s.Orderd.Settings, "ORDERD_HTTP_LISTEN="+s.Orderd.HTTPAddress)
	return nil
}

func (s *Stack) describeRelay(i, port int) error {
	name := "relay"
	if i > 0 {
		name = fmt.Sprintf("relay-%d", i+1)
	}
	orders, err := s.route(name, "orders", s.As("relay", s.pooled(OrdersDatabase, s.OrdersURL())))
	if err != nil {
		return err
	}
	paymentd, err := s.route(name, "paymentd", "grpc://"+s.Paymentd.Address)
	if err != nil {
		return err
	}
	events, err := s.overBrokerTo("relay", name)
	if err != nil {
		return err
	}
	relay, err := s.daemon("relay", name, port,
		slices.Concat(s.past("RELAY"), events, []string{
			"RELAY_DATABASE_URL=" + orders, "RELAY_PAYMENT_TARGET=" + strings.TrimPrefix(paymentd, "grpc://"),
		})...)
	s.Relays = append(s.Relays, relay)
	return err
}

// Another describes a daemon beside those of the stack, by the name of its program, which whoever asks for it starts
// and stops.
func (s *Stack) Another(binary, name string, env ...string) (*Process, error) {
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	return s.daemon(binary, name, port, env...)
}

// route returns the URL by which a daemon reaches what it connects to.
func (s *Stack) route(from, to, direct string) (string, error) {
	if s.config.Route == nil {
		return direct, nil
	}
	address, err := url.Parse(direct)
	if err != nil {
		return "", err
	}
	hosts := strings.Split(address.Host, ",") // a database with a standby has two
	for i, host := range hosts {
		if hosts[i], err = s.config.Route(from, to, host); err != nil {
			return "", err
		}
	}
	address.Host = strings.Join(hosts, ",")
	return address.String(), nil
}

// daemon describes a daemon.
func (s *Stack) daemon(binary, name string, port int, env ...string) (*Process, error) {
	prefix := map[string]string{"orderd": "ORDERD", "paymentd": "PAYMENTD", "relay": "RELAY"}[binary]
	p := &Process{
		Name: name, Address: proc.Address(port),
		LogFile: filepath.Join(s.Dir, name+".log"),
		binary:  filepath.Join(s.config.Bin, binary),
		program: binary, dial: s.certs.as(binary, binary),
		failpoints: filepath.Join(s.Dir, name+".failpoints"),
	}
	p.Settings = append(env, prefix+"_LISTEN="+p.Address)
	p.Settings = append(p.Settings, s.certs.settings(prefix, binary)...)
	level := "info"
	if s.config.LogTo != nil {
		level = "debug" // whoever reads it misses nothing
	}
	p.env = []string{
		prefix + "_LOG_FORMAT=json", prefix + "_LOG_LEVEL=" + level, failpoint.Variable + "=" + p.failpoints,
	}
	if s.config.Admin {
		admin, err := proc.FreePort()
		if err != nil {
			return nil, err
		}
		p.AdminAddress = proc.Address(admin)
	}
	if !s.config.FixedPorts || binary != name {
		p.Settings = append(p.Settings, prefix+"_ADMIN_LISTEN="+p.AdminAddress)
	}
	if !s.config.Durable {
		p.Settings = append(p.Settings, prefix+"_ALLOW_UNSAFE_DURABILITY=true")
	}
	p.Settings = append(p.Settings, s.config.Env...)
	if s.config.LogTo != nil {
		p.logTo = s.config.LogTo(name)
	}
	return p, nil
}
