package stack

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers"
)

// Calls is the transport without a broker: the relay calls paymentd.
const Calls = "grpc"

// Transports are what the saga's commands may travel by.
func Transports() []string { return append([]string{Calls}, brokers.Kinds()...) }

// The relays' pace over a broker, short enough for somebody to watch what was lost come again.
const (
	Resend    = time.Second
	ResendCap = 2 * time.Second
)

// Prefix is what the names of the topics begin with.
const Prefix = "hosho"

// retention is how long the private broker keeps what is on a topic.
const retention = 24 * time.Hour

// overBroker reports whether the saga's commands travel by a broker.
func (s *Stack) overBroker() bool { return s.config.Transport != "" && s.config.Transport != Calls }

// startServers starts the databases and the broker at the same time, for one of Kafka or RabbitMQ takes seconds.
func (s *Stack) startServers(ctx context.Context) error {
	what := "starting two PostgreSQL servers"
	if s.overBroker() {
		what += " and a broker (" + s.config.Transport + ")"
	}
	s.progress(what)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startDatabases(ctx) })
	if s.overBroker() {
		group.Go(func() error { return s.startBroker(ctx) })
	}
	return group.Wait()
}

func (s *Stack) startBroker(ctx context.Context) (err error) {
	s.Broker, err = brokers.Start(ctx, brokers.Config{
		Kind: s.config.Transport, Dir: filepath.Join(s.Dir, "broker"),
		Installed: s.config.InstalledBroker, Progress: s.progress,
	})
	if err != nil {
		return err
	}
	return s.DeclareTopics(ctx)
}

// DeclareTopics makes the topics of the saga on the broker, as sagactl broker setup does, if they are not there.
func (s *Stack) DeclareTopics(ctx context.Context) error {
	connection, plan, err := s.DialBroker()
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Declare(ctx, plan)
	return err
}

// DialBroker connects with the broker, past whatever leads the daemons elsewhere, and returns the saga's topics, too.
func (s *Stack) DialBroker() (broker.Broker, broker.Plan, error) {
	plan, err := broker.PlanOf(Prefix, retention, 1)
	if err != nil {
		return nil, broker.Plan{}, err
	}
	flags := connect.Flags{BrokerURL: s.Broker.URL(), BrokerPrefix: Prefix}
	connection, err := flags.Open("stack", slog.New(slog.DiscardHandler), nil)
	return connection, plan, err
}

// BrokerSettings are the variables by which another daemon finds the broker, by the name of its program.
func (s *Stack) BrokerSettings(program string) []string { return settingsOf(program, s.Broker.URL()) }

func settingsOf(program, address string) []string {
	prefix := strings.ToUpper(program)
	return []string{prefix + "_BROKER_URL=" + address, prefix + "_BROKER_PREFIX=" + Prefix}
}

// overBrokerTo returns the variables with which a daemon finds the broker, if there is one.
func (s *Stack) overBrokerTo(program, name string) ([]string, error) {
	if !s.overBroker() {
		return nil, nil
	}
	address, err := s.route(name, "broker", s.Broker.URL())
	if err != nil {
		return nil, err
	}
	settings := settingsOf(program, address)
	if program == "relay" {
		settings = append(settings, "RELAY_TRANSPORT="+s.config.Transport,
			"RELAY_RESEND="+Resend.String(), "RELAY_RESEND_CAP="+ResendCap.String())
	}
	return settings, nil
}
